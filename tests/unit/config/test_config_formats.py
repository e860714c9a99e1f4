"""The ways in which a row of a register map says how raw numbers become values."""

from pathlib import Path
from typing import Any

import pytest

from config.field_address import FieldAddress, read_address
from config.formula import Formula
from config.load import load
from config.maps import LoadedMap, read_map
from config.tree import read_tree
from core.parameters import Unreadable
from core.point import Tag
from drivers.settings import Register

BASE = Path(__file__).parents[2] / "golden" / "config" / "_base"


def read(tmp_path: Path, rows: str) -> LoadedMap:
    path = tmp_path / "plc.yaml"
    path.write_text(f"map: plc\npoints:\n{rows}", "utf-8")
    return read_map(read_tree(path, "plc.yaml"), "modbus_tcp", "plc")


def row(tmp_path: Path, written: str) -> Register:
    loaded = read(tmp_path, f"  x: {{{written}}}\n")
    assert loaded.problems == ()
    (register,) = loaded.registers
    assert isinstance(register, Register)
    return register


@pytest.mark.parametrize(
    ("text", "scale", "offset"),
    [
        ("x*0.01", 0.01, 0.0),
        ("X×0.1", 0.1, 0.0),
        ("(x-4000)*0.05", 0.05, -200.0),
        ("（x－4000）×０.05", 0.05, -200.0),
        ("x/10-40", 0.1, -40.0),
        ("y = 1.5*x + 2", 1.5, 2.0),
        ("-x", -1.0, 0.0),
        ("100-x/2", -0.5, 100.0),
        ("x", 1.0, 0.0),
        ("raw*150/27648", 150 / 27648, 0.0),
        ("3*(2*(x+1)-1)", 6.0, 3.0),
    ],
)
def test_a_formula_is_a_straight_line(text: str, scale: float, offset: float) -> None:
    assert Formula.from_text(text) == Formula(scale, offset)


@pytest.mark.parametrize(
    "text",
    [
        "x*x",
        "1/x",
        "x**2",
        "x%2",
        "42",
        "x-x",
        "x/0",
        "sqrt(x)",
        "x.real",
        "__import__('os')",
        "x if x else 1",
        "x*1e999",
        "x+'a'",
        "x*0,01",
        "x;x",
        "",
        "x" * 100,
        "(" * 60,
        "True*x",
    ],
)
def test_whatever_else_it_says_it_is_refused(text: str) -> None:
    with pytest.raises(Unreadable):
        Formula.from_text(text)


def test_a_formula_and_a_scale_give_the_same_register(tmp_path: Path) -> None:
    by_formula = row(tmp_path, 'at: holding 0, type: i16, formula: "(x-4000)*0.05"')
    by_scale = row(tmp_path, "at: holding 0, type: i16, scale: 0.05, offset: -200")

    assert by_formula == by_scale


@pytest.mark.parametrize(
    ("raw", "scale", "offset", "loop"),
    [
        ("{4 mA: 0, 20 mA: 150}", 9.375, -37.5, (4.0, 20.0)),
        ("{4 mA: 0 °C, 20 mA: 150 °C}", 9.375, -37.5, (4.0, 20.0)),
        ("{0: -50, 27648: 100}", 150 / 27648, -50.0, (0.0, 27648.0)),
        ("{4000: 150, 20000: 0}", -150 / 16000, 187.5, (4000.0, 20000.0)),
    ],
)
def test_a_current_loop_gives_scale_limits_and_range(
    tmp_path: Path, raw: str, scale: float, offset: float, loop: tuple[float, float]
) -> None:
    register = row(tmp_path, f"at: input 0, type: i16, unit: °C, raw: {raw}")

    assert (register.scale, register.offset) == pytest.approx((scale, offset))
    assert register.current_loop == loop
    at_4_ma, at_20_ma = (scale * edge + offset for edge in loop)
    open_at = at_4_ma - (at_20_ma - at_4_ma) * 0.4 / 16
    shorted_at = at_20_ma + (at_20_ma - at_4_ma) / 16
    limits = (register.point.low, register.point.high)
    assert limits == pytest.approx(tuple(sorted((open_at, shorted_at))), rel=1e-5)


def test_one_word_makes_a_point_of_each_named_bit(tmp_path: Path) -> None:
    loaded = read(
        tmp_path,
        "  ALM_W1: {at: holding 90, bits: {0: ALM_T2g_high, 11: low.ALM_door}, poll: slow}\n",
    )

    assert loaded.problems == ()
    found: list[Any] = [
        (one.point.tag, one.address, one.bit, one.kind, one.is_slow)  # type: ignore[union-attr] # these are registers
        for one in loaded.registers
    ]
    assert found == [
        ("ALM_T2g_high", 90, 0, "bool", True),
        ("low.ALM_door", 90, 11, "bool", True),
    ]


def test_states_are_named_and_are_the_range(tmp_path: Path) -> None:
    register = row(tmp_path, "at: holding 5, type: u16, states: {2: curve, 0: manual}, write: yes")

    assert register.point.states == ((0, "manual"), (2, "curve"))
    assert (register.point.low, register.point.high) == (0.0, 2.0)


def test_a_text_is_no_point_of_the_image(tmp_path: Path) -> None:
    loaded = read(
        tmp_path,
        "  SN: {at: input 100, type: text, length: 8, equals: SN-4711, word_order: BADC}\n",
    )

    assert loaded.problems == ()
    assert loaded.registers == ()
    (text,) = loaded.texts
    assert (text.tag, text.address, text.words, text.expected) == ("SN", 100, 8, "SN-4711")


@pytest.mark.parametrize(
    ("text", "address", "written"),
    [
        ("4x0001:REAL", FieldAddress("holding", 1, None, "REAL"), "holding 0"),
        ("4X0012.3", FieldAddress("holding", 12, 3), "holding 11 bit 3"),
        ("40001", FieldAddress("holding", 1), "holding 0"),
        ("400113", FieldAddress("holding", 113), "holding 112"),
        ("30005", FieldAddress("input", 5), "input 4"),
        ("3x00101:DOUBLE", FieldAddress("input", 101, None, "DOUBLE"), "input 100"),
        ("1x0013", FieldAddress("discrete", 13), "discrete 12"),
        ("00002", FieldAddress("coil", 2), "coil 1"),
        ("holding 12", FieldAddress("holding", 12, is_own=True), "holding 12"),
    ],
)
def test_an_address_of_the_field_is_understood(
    text: str, address: FieldAddress, written: str
) -> None:
    assert read_address(text) == address
    assert address.written() == written


@pytest.mark.parametrize("text", ["", "D100", "DB1.DBD4", "2x0001", "4x", "T2g", "499999"])
def test_what_is_no_address_of_modbus_is_none(text: str) -> None:
    assert read_address(text) is None


def station_with(tmp_path: Path, written: str, extra: str = "") -> dict[Tag, Register]:
    """Return the registers of the base's station with own points and further keys."""
    for path in BASE.rglob("*.yaml"):
        target = tmp_path / path.relative_to(BASE)
        target.parent.mkdir(exist_ok=True)
        target.write_text(path.read_text("utf-8"), "utf-8")
    station = tmp_path / "stations" / "st-01.yaml"
    text = station.read_text("utf-8").replace("    scan: 5 s\n", f"    scan: 5 s\n{written}")
    station.write_text(text + extra, "utf-8")
    (one,) = load(tmp_path).stations
    return {row.point.tag: row for row in one.devices["plc"].registers if isinstance(row, Register)}


def test_a_station_lays_its_own_points_over_the_shared_map(tmp_path: Path) -> None:
    plain = station_with(tmp_path, "")
    own = station_with(
        tmp_path,
        """    points:
      T2g: {at: holding 212, range: 0..120}
      GAS: null
      T3: {at: holding 214, type: f32, unit: °C}
""",
    )

    assert own[Tag("T2g")].address == 212
    assert own[Tag("T2g")].point.high == 120
    assert own[Tag("T2g")].kind == plain[Tag("T2g")].kind
    assert set(own) == set(plain) - {"GAS"} | {"T3"}
    assert own[Tag("T2h")] == plain[Tag("T2h")]


def test_a_calibration_reaches_the_register(tmp_path: Path) -> None:
    found = station_with(
        tmp_path,
        "",
        """calibration:
  T2g: {offset: 0.4 K, date: 2026-10-02, by: Wang Lei, why: reference Pt100}
  P2h: {offset: -5 kPa, date: 2026-10-02, by: Wang Lei}
""",
    )

    assert found[Tag("T2g")].correction == 0.4
    assert found[Tag("P2h")].correction == -0.005
    assert found[Tag("T2h")].correction == 0.0
