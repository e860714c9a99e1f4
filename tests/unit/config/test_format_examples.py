"""The page about point formats is right: what it shows is a map without a problem."""

import re
from pathlib import Path

import pytest

from config.maps import read_map
from config.tree import read_tree
from drivers.settings import WORDS

PAGE = (Path(__file__).parents[3] / "docs" / "point-formats.md").read_text("utf-8")
BLOCKS = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.split(":")[0])
def test_each_block_is_a_map_without_a_problem(tmp_path: Path, block: str) -> None:
    rows = "".join(f"  {line}\n" for line in block.splitlines())
    (tmp_path / "m.yaml").write_text(f"map: m\npoints:\n{rows}", "utf-8")

    loaded = read_map(read_tree(tmp_path / "m.yaml", "m.yaml"), "modbus_tcp", "m")

    assert loaded.problems == ()
    assert len(loaded.registers) + len(loaded.texts) >= 1


def test_every_type_has_its_place_on_the_page() -> None:
    assert set(WORDS) - set(re.findall(r"\w+", PAGE)) == set()
