"""Each folder is a configuration with a mistake and the exact lines that are said about it.

Its files are laid over those of `_base`, which is right.
"""

import shutil
from pathlib import Path

import pytest

from config.load import load
from config.problem import ConfigErrors

FOLDER = Path(__file__).parent / "config"
BASE = FOLDER / "_base"
CASES = sorted(path for path in FOLDER.iterdir() if path.is_dir() and path != BASE)


def test_the_base_of_all_cases_is_right() -> None:
    assert [station.station for station in load(BASE).stations] == ["st-01"]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_mistake_is_told_in_exactly_these_lines(case: Path, tmp_path: Path) -> None:
    shutil.copytree(BASE, tmp_path, dirs_exist_ok=True)
    shutil.copytree(case, tmp_path, dirs_exist_ok=True, ignore=shutil.ignore_patterns("error.txt"))

    with pytest.raises(ConfigErrors) as refused:
        load(tmp_path)

    assert str(refused.value) + "\n" == (case / "error.txt").read_text("utf-8")
