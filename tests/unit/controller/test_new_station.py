"""`heatd new station`: files that an engineer goes on from, and a word about every row."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from controller.cli import app

POINTS = """名称,标签,地址,数据类型,单位
一次供水温度,T1g,4x0001,REAL,℃
二次供水温度,T2g,4x0003,REAL,℃
泵房照明,,1x0001,BOOL,
"""


@pytest.fixture
def points(tmp_path: Path) -> Path:
    path = tmp_path / "points.csv"
    path.write_text(POINTS, "utf-8")
    return path


def heatd(*words: object) -> tuple[int, str, str]:
    answer = CliRunner().invoke(app, [str(word) for word in words])
    return answer.exit_code, answer.stdout, answer.stderr


def test_it_writes_the_files_and_names_what_it_did_not_understand(
    tmp_path: Path, points: Path
) -> None:
    site = tmp_path / "site"

    code, said, complained = heatd("new", "station", "st-17", "--from", points, "--dir", site)

    assert code == 1
    assert sorted(path.name for path in site.rglob("*.yaml")) == [
        "heatd.yaml",
        "st-17-plc.yaml",
        "st-17.yaml",
    ]
    assert "understood: 2 of 3 rows" in said
    assert "row 4: `泵房照明` is not a known name" in complained
    # What the list lacks is told as `heatd check` tells it.
    assert "stations/st-17.yaml" in complained
    assert "needs `T2h`, `P2h`, `P2D`, `XP1_run`, `BP1_run`" in complained


def test_it_writes_over_nothing(tmp_path: Path, points: Path) -> None:
    site = tmp_path / "site"
    heatd("new", "station", "st-17", "--from", points, "--dir", site)
    before = (site / "stations" / "st-17.yaml").read_text("utf-8")

    code, _, complained = heatd("new", "station", "st-17", "--from", points, "--dir", site)

    assert code == 1
    assert "is there already" in complained
    assert (site / "stations" / "st-17.yaml").read_text("utf-8") == before


@pytest.mark.parametrize("name", ["../st-17", "17", "st 17", "站", "st-17\n"])
def test_a_name_that_cannot_be_is_wrong_use(tmp_path: Path, points: Path, name: str) -> None:
    code, _, _ = heatd("new", "station", name, "--from", points, "--dir", tmp_path / "site")

    assert code == 2
    assert not (tmp_path / "site").exists()


def test_a_file_that_is_no_point_list_is_told(tmp_path: Path) -> None:
    path = tmp_path / "points.csv"
    path.write_text("a,b\n1,2\n", "utf-8")

    code, _, complained = heatd("new", "station", "st-17", "--from", path, "--dir", tmp_path / "s")

    assert code == 1
    assert "headings of a point list" in complained
