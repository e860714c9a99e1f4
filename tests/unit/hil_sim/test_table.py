"""The demo's live table: 80 columns hold what matters, and nothing is told by colour alone."""

import io
import re
from datetime import UTC, datetime

import pytest
from rich.cells import cell_len
from rich.console import Console

from api.messages import AlarmStatus, LoopStatus, StationStatus, Status
from hil_sim.plc_faults import FAULTS
from hil_sim.table import view

AT = datetime(2026, 1, 12, 0, 36, tzinfo=UTC)
TRY_S = 8.0


def loop(name, output_tag, **fields):
    shown = {
        "mode": "auto",
        "setpoint": 59.3,
        "measured": 59.4,
        "unit": "°C",
        "output": 84.6,
        "output_unit": "%",
        "holder": "loop",
        "why": "",
        "is_verified": True,
    }
    return LoopStatus(name=name, output_tag=output_tag, **(shown | fields))


def alarm(name="source_lost", priority=1, **fields):
    shown = {
        "station": "st-01",
        "state": "unack_active",
        "text_zh": "一次侧热源中断",
        "text_en": "the network's heat is lost",
        "consequence": "",
        "action": "",
        "since": AT,
        "is_suppressed": False,
    }
    return AlarmStatus(name=name, priority=priority, **(shown | fields))


def station(name="st-01", **fields):
    shown = {
        "name_zh": "康城一号换热站",
        "name_en": "Kangcheng No. 1",
        "at": AT,
        "scans": 12,
        "overruns": 0,
        "is_simulation": True,
        "is_read_only": False,
        "authority": "heatd",
        "authority_why": "the PLC follows heatd",
        "outdoor_c": -7.6,
        "outdoor_source": "T_out",
        "rooms_p10_c": 20.1,
        "rooms_avg_c": 21.2,
        "source": "normal",
        "source_why": "",
        "loops": (
            loop("T2g", "CV1_SV"),
            loop("P2D", "XP_SV", setpoint=180.0, measured=179.0, output=45.04, output_unit="Hz"),
        ),
        "alarms": (),
        "devices": (),
    }
    return StationStatus(station=name, **(shown | fields))


def status(*stations, waiting=()):
    return Status(
        at=AT,
        started_at=AT,
        is_simulation=True,
        is_read_only=False,
        stations=stations,
        waiting=waiting,
    )


def seen(shown, *, width=80, seconds=0.0):
    """Return the table as the lines of a terminal without colours."""
    out = io.StringIO()
    Console(file=out, width=width, color_system=None).print(
        view(shown, speed=30.0, seconds=seconds)
    )
    return [line.rstrip() for line in out.getvalue().splitlines()]


TROUBLED = station(
    "st-02",
    source="backup",
    source_why="the boiler heats; the network is not back",
    authority="taking over",
    authority_why="heartbeat runs; waiting for the PLC to hand over",
    loops=(loop("T2g", "CV1_SV", measured=-44.44, setpoint=100.0, output=100.0),),
    outdoor_c=-28.4,
    rooms_p10_c=None,
    alarms=tuple(alarm(f"alarm_{n}", priority=n, station="st-02") for n in (3, 1, 2)),
)


@pytest.mark.parametrize("width", [80, 100, 120, 200])
def test_no_line_is_wider_than_the_terminal_and_nothing_is_cut(width):
    lines = seen(status(station(), TROUBLED), width=width)
    assert max(map(cell_len, lines)) <= width
    assert "…" not in "".join(lines)


def test_a_quiet_station_is_one_line_of_numbers_under_their_units():
    lines = seen(status(station()))
    heading = " ".join(lines[2].split()), " ".join(lines[3].split())
    assert lines[0] == "SIMULATION · 2026-01-12 00:36 UTC · 30 times real time"
    assert heading == (
        "station outdoor setpoint supply valve rooms pump source control alarms",
        "°C °C °C % p10 °C Hz",
    )
    assert lines[4].split() == [
        *("st-01", "-7.6", "59.3", "59.4", "85", "20.1", "45.0", "normal", "heatd", "none")
    ]
    assert "no alarms" in lines


def test_more_columns_show_the_stations_name_and_the_alarms():
    lines = "\n".join(seen(status(station(), TROUBLED), width=120))
    assert "康城一号换热站" in lines
    assert "alarm_1" in lines


@pytest.mark.parametrize(
    ("measured", "mark"), [(60.3, "60.3"), (60.31, "↑ 60.3"), (58.2, "↓ 58.2"), (None, "—")]
)
def test_a_supply_that_is_off_its_setpoint_carries_an_arrow(measured, mark):
    line = seen(status(station(loops=(loop("T2g", "CV1_SV", measured=measured),))))[4]
    assert re.search(rf"59\.3 +{re.escape(mark)} +85", line)


@pytest.mark.parametrize(
    ("priority", "shape"), [(1, "■1 ×1"), (2, "▲2 ×1"), (3, "◆3 ×1"), (4, "●4 ×1")]
)
def test_the_worst_alarm_of_a_station_has_a_shape_of_its_own(priority, shape):
    line = seen(status(station(alarms=(alarm(priority=priority),))))[4]
    assert line.endswith(shape)


def test_alarms_stand_below_the_most_urgent_first_in_both_languages():
    lines = seen(status(TROUBLED))
    rows = [line for line in lines if "unack active" in line]
    assert [row[:2] for row in rows] == ["■1", "▲2", "◆3"]
    assert rows[0] == "■1 st-02 unack active 一次侧热源中断 / the network's heat is lost"


def test_whatever_is_not_as_usual_says_why():
    lines = seen(status(station(), TROUBLED))
    assert "st-02 backup: the boiler heats; the network is not back" in lines
    assert "st-02 taking over: heartbeat runs; waiting for the PLC to hand over" in lines
    assert not [line for line in lines if line.startswith(("st-01 normal", "st-01 heatd"))]


def test_a_station_that_has_not_scanned_yet_is_listed():
    assert any(line.startswith("st-03") for line in seen(status(station(), waiting=("st-03",))))


def test_a_daemon_without_stations_is_shown_too():
    assert seen(status())[-1].startswith("try in another terminal: ./run heatd-sim fault st-01 ")


def test_each_suggestion_is_a_fault_that_can_be_had():
    suggested = {seen(status(station()), seconds=n * TRY_S)[-1] for n in range(20)}
    faults = {re.search(r"fault st-01 (\S+)", line)[1] for line in suggested}
    assert len(faults) == 4
    assert faults <= set(FAULTS)


def test_a_lost_source_is_offered_to_be_repaired():
    lost = status(replaced(TROUBLED, "st-01"))
    suggested = {seen(lost, seconds=n * TRY_S)[-1] for n in range(20)}
    offer = "try in another terminal: ./run heatd-sim fault st-01 primary-lost"
    assert f"{offer} --off" in suggested


def replaced(shown, name):
    return StationStatus(**(shown.model_dump() | {"station": name}))
