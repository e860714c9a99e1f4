"""From a point list to known values, on real sockets: new station, doctor, probe, sheet."""

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from config.load import load
from controller.cli import app
from drivers.settings import AddressRange, Register
from hil_sim.modbus_plc import Quirks, serve_modbus

POINTS = """名称,标签,地址,数据类型,单位,公式,量程下限,量程上限
一次供水温度,T1g,4x0001,REAL,℃,,0,150
一次供水压力,P1g,4x0003,REAL,MPa,,0,1.6
一次回水压力,P1h,4x0005,REAL,MPa,,0,1.6
一次瞬时流量,F1,4x0007,REAL,m3/h,,0,150
二次供水温度,T2g,4x0021,REAL,℃,,0,100
二次回水温度,T2h,4x0023,REAL,℃,,0,100
二次回水压力,P2h,4x0025,INT,MPa,x*0.001,0,1
二次供回压差,P2D,4x0026,INT,kPa,,0,400
调节阀阀位反馈,CV1_U,4x0027,REAL,%,,0,100
1#循环泵运行,,4x0029.0,,,,,
1#补水泵运行,,4x0029.1,,,,,
累计热量,Q1_tot,4x0030,DOUBLE,GJ,,0,1e9
设备号,SERIAL,4x0034,UDINT,,,,
"""
VALUES = {
    "T1g": 95.25,
    "P1g": 0.8,
    "P1h": 0.65,
    "F1": 54.0,
    "T2g": 56.5,
    "T2h": 41.25,
    "P2h": 0.395,
    "P2D": 180.0,
    "CV1_U": 130.0,  # beyond its range: BAD
    "XP1_run": 1.0,
    "BP1_run": 0.0,
    "Q1_tot": 123456.5,
    "SERIAL": float(int.from_bytes(b"SN-4", "big")),
}


class Plc:
    """A PLC that holds fixed values and counts what is written."""

    generation = 1

    def __init__(self) -> None:
        self.registers = dict(VALUES)
        self.writes: list[str] = []

    def write(self, tag: str, value: float) -> bool:
        self.writes.append(tag)
        return value < 0


@contextmanager
def served(plc: Plc, registers: tuple[Register, ...], **how: Any) -> Iterator[int]:
    """Serve a PLC from a loop of its own while the body runs; gives the port."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    server = asyncio.run_coroutine_threadsafe(
        serve_modbus(plc, registers, "127.0.0.1", 0, **how), loop
    ).result(10)
    try:
        yield server.port
    finally:
        asyncio.run_coroutine_threadsafe(server.stop(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


def heatd(*words: object) -> tuple[int, str, str]:
    answer = CliRunner().invoke(app, [str(word) for word in words])
    return answer.exit_code, answer.stdout, answer.stderr


@pytest.fixture
def site(tmp_path: Path) -> Path:
    (tmp_path / "points.csv").write_text(POINTS, "utf-8")
    site = tmp_path / "site"
    code, _, complained = heatd(
        "new", "station", "st-17", "--from", tmp_path / "points.csv", "--dir", site,
        "--host", "127.0.0.1",
    )  # fmt: skip
    assert (code, complained) == (0, "")
    return site


def registers_of(site: Path) -> tuple[Register, ...]:
    (station,) = load(site).stations
    rows = station.devices["plc"].registers
    return tuple(row for row in rows if isinstance(row, Register))


def put(site: Path, old: str, new: str) -> None:
    path = site / "stations" / "st-17.yaml"
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new), "utf-8")


ODD = {"word_order": "CDAB", "gap": 2, "quirks": Quirks(block_max=10, rest_s=0.02)}


def test_the_doctor_finds_an_odd_plc_out_and_its_keys_make_every_point_true(site: Path) -> None:
    plc = Plc()
    with served(plc, registers_of(site), **ODD) as port:
        put(site, "    port: 502\n", f"    port: {port}\n    timeout: 0.5 s\n")

        code, said, _ = heatd("probe", site, "st-17", "--doctor")
        assert code == 0, said
        head, _, rest = said.partition("  plc:\n")
        assert head == "devices:\n"
        keys = [line for line in rest.splitlines() if not line.lstrip().startswith("#")]
        assert [key.split(":")[0].strip() for key in keys] == [
            "word_order", "max_block", "min_gap", "forbidden",
        ]  # fmt: skip
        assert "    word_order: CDAB" in keys
        assert "    max_block: 10" in keys
        assert "    forbidden: [holding 8..19]" in keys
        put(site, "    scan: 5 s\n", "    scan: 5 s\n" + "\n".join(keys) + "\n")

        assert heatd("check", site)[0] == 0
        (station,) = load(site).stations
        assert station.devices["plc"].settings.forbidden == (AddressRange("holding", 8, 19),)
        code, said, told = heatd("probe", site, "st-17", "-o", "json")

    rows = {row["tag"]: row for row in json.loads(said)}
    assert code == 1  # one of them is BAD
    assert "12 of 13 points are good" in told
    assert {tag: row["value"] for tag, row in rows.items() if tag != "CV1_U"} == pytest.approx(
        {tag: value for tag, value in VALUES.items() if tag != "CV1_U"}
    )
    assert rows["CV1_U"]["quality"] == "BAD"
    assert rows["CV1_U"]["value"] is None
    assert rows["CV1_U"]["said"] == "130 is outside 0..100"
    assert rows["T2g"]["raw"] == "0000 4262"
    assert (rows["T2g"]["name"], rows["T2g"]["unit"], rows["T2g"]["at"]) == (
        "二次供水温度",
        "°C",
        "holding 20",
    )
    assert plc.writes == []


@pytest.mark.parametrize("ending", ["csv", "html", "md"])
def test_a_sheet_holds_every_point_and_room_for_the_engineer(site: Path, ending: str) -> None:
    file = site.parent / f"sheet.{ending}"
    with served(Plc(), registers_of(site)) as port:
        put(site, "    port: 502\n", f"    port: {port}\n")

        code, said, told = heatd("probe", site, "st-17", "--sheet", file)

    text = file.read_text("utf-8-sig")
    assert code == 1
    assert f"written: {file}" in told
    assert all(tag in text and tag in said for tag in VALUES)
    assert all(word in text for word in ("点对点" if ending != "csv" else "st-17", "签字", "✓"))
    assert "56.5" in text
    if ending == "html":
        assert text.count("<tr>") == len(VALUES) + 1


def test_a_calibration_a_text_and_a_state_are_shown(site: Path) -> None:
    with served(Plc(), registers_of(site)) as port:
        own = (
            "    points:\n"
            "      P2D: {states: {180: const dp}}\n"
            "      SERIAL: null\n"
            "      SN: {at: holding 33, type: text, length: 2, equals: SN-5}\n"
        )
        put(site, "    port: 502\n", f"    port: {port}\n{own}")
        extra = "calibration: {T1g: {offset: 0.5 K, date: 2026-10-02, by: Wang Lei}}\n"
        put(site, "circuits:\n", f"{extra}\ncircuits:\n")
        rows = shown(site)

    assert "95.75 °C GOOD" in rows["T1g"]
    assert "calibrated +0.5 °C" in rows["T1g"]
    assert "180 const dp" in rows["P2D"]
    assert rows["SN"] == "SN holding 33 534e 2d34 SN-4 BAD it must be SN-5"


def shown(site: Path) -> dict[str, str]:
    """Return the lines of the table by tag, with single spaces."""
    _, said, told = heatd("probe", site, "st-17")
    lines = [" ".join(line.split()) for line in said.splitlines()]
    assert lines, told
    return {line.split()[0]: line for line in lines}


def test_a_device_that_is_not_there_is_told_at_once(site: Path) -> None:
    with served(Plc(), registers_of(site)) as port:
        pass
    put(site, "    port: 502\n", f"    port: {port}\n")

    for words in ([], ["--doctor"]):
        code, said, told = heatd("probe", site, "st-17", *words)
        assert code == 1
        assert said == ""
        assert "plc: no connection to 127.0.0.1 port" in told


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["st-18"], 1, "there is no station `st-18`; there are: st-17"),
        (["st-17", "--sheet", "sheet.pdf"], 2, "write a name that ends in .csv, .html, .md"),
    ],
)
def test_wrong_use_is_told(site: Path, words: list[str], code: int, message: str) -> None:
    ended, _, told = heatd("probe", site, *words)

    assert ended == code
    assert message in " ".join(told.replace("│", " ").split())
