"""A point list of the field becomes a register map and a station, row by row."""

import re
from pathlib import Path

import openpyxl
import pytest

from config.load import load
from config.new_station import NewStation, map_text, station_text
from config.point_list import PointList, read_list
from config.spreadsheet import UnreadableFile, read_rows
from core.point import Unit

HEAD = ("序号", "名称", "标签", "地址", "数据类型", "单位", "公式", "量程下限", "量程上限", "读写")
WHOLE = [
    ("1", "一次供水温度", "T1g", "4x0001:REAL", "", "℃", "", "0", "150", "R"),
    ("2", "一次供水压力", "P1g", "4x0003:REAL", "", "MPa", "", "0", "1.6", "R"),
    ("3", "一次回水压力", "P1h", "40005", "REAL", "MPa", "", "0", "1.6", "R"),
    ("4", "一次瞬时流量", "", "3x0001", "REAL", "m3/h", "", "0", "150", "R"),
    ("5", "二网供水温度", "AI_07", "4x0011", "INT", "℃", "x*0.1", "0", "100", "R"),
    ("6", "二次回水温度", "T2h", "4x0012", "INT", "℃", "x*0.1", "0", "100", "R"),
    ("7", "二次回水压力", "P2h", "4x0013", "INT", "MPa", "x*0.001", "", "", "R"),
    ("8", "二次供回压差", "P2D", "4x0014", "INT", "MPa", "x*0.001", "0", "0.4", "R"),
    ("9", "调节阀阀位反馈", "CV1_U", "4x0015:REAL", "", "%", "", "0", "100", "R"),
    ("10", "1#循环泵运行", "", "1x0001", "BOOL", "", "", "", "", "R"),
    ("11", "1号补水泵运行状态", "", "1x0002", "BOOL", "", "", "", "", "R"),
    ("12", "调节阀给定", "CV1_SV", "4x0017:REAL", "", "%", "", "0", "100", "RW"),
    ("13", "1#循环泵启动", "", "0x0001", "BOOL", "", "", "", "", "W"),
]


def row(*, name="", label="", at="", kind="", unit="", formula="", low="", high="", access=""):
    return ("", name, label, at, kind, unit, formula, low, high, access)


def save(path: Path, rows: list[tuple[str, ...]], *, delimiter: str = ",", encoding: str) -> Path:
    text = "\n".join(delimiter.join(row) for row in [HEAD, *rows])
    path.write_bytes(text.encode(encoding))
    return path


def listed(tmp_path: Path, *rows: tuple[str, ...]) -> PointList:
    return read_list(read_rows(save(tmp_path / "p.csv", list(rows), encoding="utf-8")))


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gbk", "utf-16"])
def test_a_csv_is_read_however_it_was_saved(tmp_path: Path, delimiter: str, encoding: str) -> None:
    path = save(tmp_path / "p.csv", WHOLE, delimiter=delimiter, encoding=encoding)

    found = read_list(read_rows(path))

    assert len(found.points) == len(WHOLE)
    assert found.lost == ()


def test_an_xlsx_gives_what_its_longest_sheet_holds(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    book.active.append(["换热站点表", None])
    sheet = book.create_sheet("点表")
    sheet.append(["康城三号换热站"])
    sheet.append(HEAD)
    for row in WHOLE:
        cells = [int(cell) if cell.isdigit() else cell or None for cell in row]
        sheet.append(cells)
    book.save(tmp_path / "p.xlsx")

    found = read_list(read_rows(tmp_path / "p.xlsx"))

    assert {point.tag for point in found.points} >= {"T1g", "T2g", "P1h", "XP1_run"}
    assert found.lost == ()


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("p.xlsx", b"no zip", "no xlsx file"),
        ("p.doc", b"", "save the point list as .csv or .xlsx"),
        ("p.csv", "一,二\n三,四\n".encode(), "no row has the headings of a point list"),
        ("p.csv", b"", "no row has the headings of a point list"),
        ("p.csv", b"\x81\xff\x00", "neither UTF-8 nor GBK"),
    ],
)
def test_what_is_no_point_list_is_told(
    tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    (tmp_path / name).write_bytes(content)

    with pytest.raises(UnreadableFile, match=message):
        read_list(read_rows(tmp_path / name))


@pytest.mark.parametrize(
    ("row", "tag", "at", "kind", "unit", "scale"),
    [
        (WHOLE[0], "T1g", "holding 0", "f32", Unit.CELSIUS, 1.0),
        (WHOLE[2], "P1h", "holding 4", "f32", Unit.MEGAPASCAL, 1.0),
        (WHOLE[3], "F1", "input 0", "f32", Unit.CUBIC_METRE_PER_HOUR, 1.0),
        (WHOLE[4], "T2g", "holding 10", "i16", Unit.CELSIUS, 0.1),
        (WHOLE[7], "P2D", "holding 13", "i16", Unit.KILOPASCAL, 1.0),
        (WHOLE[9], "XP1_run", "discrete 0", "bool", Unit.NONE, 1.0),
        (WHOLE[10], "BP1_run", "discrete 1", "bool", Unit.NONE, 1.0),
        (
            row(name="瞬时热量", at="3x0003", kind="REAL", unit="GJ/h"),
            "Q1",
            "input 2",
            "f32",
            Unit.KILOWATT,
            277.7777777777778,
        ),
        (row(name="急停", at="4x0030.2"), "ESTOP", "holding 29 bit 2", "bool", Unit.NONE, 1.0),
        (
            row(name="B相电压", label="Ub", at="40041", kind="WORD", unit="V", formula="x/10"),
            "Ub",
            "holding 40",
            "u16",
            Unit.NONE,
            0.1,
        ),
    ],
)
def test_a_row_becomes_a_point(
    tmp_path: Path, row: tuple[str, ...], tag: str, at: str, kind: str, unit: Unit, scale: float
) -> None:
    found = listed(tmp_path, row)

    assert found.lost == ()
    (point,) = found.points
    assert (point.tag, point.at.written(), point.type, point.unit) == (tag, at, kind, unit)
    assert point.line.scale == pytest.approx(scale)


def test_a_bit_has_neither_unit_nor_range_nor_formula(tmp_path: Path) -> None:
    filled = row(name="1#循环泵运行", at="1x0001", unit="℃", formula="x*0.1", low="0", high="1")

    (point,) = listed(tmp_path, filled).points

    assert (point.unit, point.range, point.line.scale) == (Unit.NONE, None, 1.0)


def test_only_what_heatd_writes_is_written_and_a_start_is_a_pulse(tmp_path: Path) -> None:
    other = row(
        name="供温设定二",
        label="T_SP2",
        at="40051",
        kind="REAL",
        unit="℃",
        low="0",
        high="100",
        access="RW",
    )

    found = listed(tmp_path, WHOLE[11], WHOLE[12], other)

    assert {point.tag: point.write for point in found.points} == {
        "CV1_SV": "yes",
        "XP1_start": "pulse",
        "T_SP2": "no",
    }


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (row(name="泵房照明", at="1x0009", kind="BOOL"), "泵房照明` is not a known name"),
        (row(label="T9", at="D100", kind="REAL"), "`D100` is no Modbus address"),
        (row(label="T9", kind="REAL"), "it has no address"),
        (row(label="T9", at="40001"), "it has no data type"),
        (row(label="T9", at="40001", kind="REEL"), "the data type `REEL` is unknown"),
        (row(label="SN", at="40001", kind="STRING"), "a text; add it by hand"),
        (row(label="T9", at="40001", kind="BOOL"), "a bit of a register needs its number"),
        (row(label="T1g", at="40001", kind="REAL", unit="MPa"), "is a pressure, not a temperature"),
        (
            row(label="T9", at="40001", kind="INT", unit="℃", formula="x*x"),
            "`x\\*x` is not a formula",
        ),
        (
            row(label="T9", at="40001", kind="INT", unit="℃", low="100", high="0"),
            "its range 100 to 0 is empty",
        ),
        (
            row(label="T9", at="40001", kind="INT", unit="℃", low="a", high="b"),
            "`a` to `b` is no range",
        ),
    ],
)
def test_a_row_that_is_not_understood_is_named(
    tmp_path: Path, row: tuple[str, ...], message: str
) -> None:
    found = listed(tmp_path, WHOLE[5], row)

    assert [point.tag for point in found.points] == ["T2h"]
    ((number, said),) = found.lost
    assert number == 3
    assert re.search(message, said)


def test_a_point_that_comes_twice_or_lies_on_another_is_left_out(tmp_path: Path) -> None:
    again = row(name="二次回水温度", at="4x0099", kind="INT", unit="℃")
    inside = row(label="T9", at="4x0002", kind="INT", unit="℃")

    found = listed(tmp_path, WHOLE[0], WHOLE[5], again, inside)

    assert [point.tag for point in found.points] == ["T1g", "T2h"]
    assert found.lost == (
        (4, "T2h: row 3 is the same point"),
        (5, "T9: it lies on T1g of row 2"),
    )


def test_a_list_with_an_address_0_counts_from_0(tmp_path: Path) -> None:
    zero = row(
        name="一次供水温度", at="4x0000", kind="REAL", unit="℃", low="0", high="150", access="R"
    )

    found = listed(tmp_path, zero, WHOLE[5])

    assert [point.at.written(found.first) for point in found.points] == ["holding 0", "holding 12"]
    assert "counted from 0" in map_text(NewStation(name="st-17", source="p.csv"), found)


def test_zones_become_circuits(tmp_path: Path) -> None:
    rows = [
        ("", f"{zone}二次供水温度", "", address, "REAL", "℃", "", "0", "100", "R")
        for zone, address in (("高区", "40001"), ("低区", "40003"))
    ]

    found = listed(tmp_path, *rows)
    text = station_text(NewStation(name="st-17", source="p.csv"), found)

    assert [point.full_tag(found.zones) for point in found.points] == ["high.T2g", "low.T2g"]
    assert "  high:\n" in text
    assert "  low:\n" in text


def test_a_whole_list_gives_files_that_pass_the_check(tmp_path: Path) -> None:
    found = listed(tmp_path, *WHOLE)
    station = NewStation(name="st-17", source="点表\n.csv", host="10.17.0.11")
    site = tmp_path / "site"
    for folder in ("maps", "stations"):
        (site / folder).mkdir(parents=True)
    (site / "heatd.yaml").write_text("simulation: false\n", "utf-8")
    (site / "maps" / "st-17-plc.yaml").write_text(map_text(station, found), "utf-8")
    (site / "stations" / "st-17.yaml").write_text(station_text(station, found), "utf-8")

    (loaded,) = load(site).stations

    assert loaded.authority.write == "none"
    assert loaded.circuits["main"].pumps.duty == ("XP1",)
    assert len(loaded.points) == len(WHOLE)
    # The range that the list leaves out is the usual one, and is marked.
    (p2h,) = [line for line in map_text(station, found).splitlines() if line.startswith("  P2h:")]
    assert "range: 0..1" in p2h
    assert "CHECK the range" in p2h
