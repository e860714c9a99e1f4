"""Two valves in sequence on the simulated plant: a day that grows cold, through the hand-over."""

import math
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from control_loops.heating_curve import as_points
from hil_sim.bench.controllers import Shipped
from hil_sim.plant.weather import ScriptedWeather
from tests.pair_plant import PairRig, pair_rig, pair_station
from tests.playing import elsewhere

SCAN_S = 10.0
SETTLING_S = 3600.0
HOURS = 12.0
# Mild enough for the small valve alone, and cold enough for most of the big one.
WEATHER = ((0.0, 10.0), (2.0, 10.0), (10.0, -10.0))


@dataclass(frozen=True)
class Row:
    first_pct: float
    second_pct: float
    error_k: float


@dataclass(frozen=True)
class Day:
    rows: list[Row]
    starts: tuple[int, int]


@pytest.fixture(scope="module")
def day(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pair")
    return elsewhere(tmp_path_factory, "split-range", partial(played, folder))


def played(folder: Path) -> Day:
    station = pair_station(folder)
    curve = dict(as_points(station.circuits["main"].curve))
    rig = pair_rig(station, curve, ScriptedWeather(WEATHER))
    assert isinstance(rig, PairRig)
    heatd, valves, rows = Shipped(rig), rig.valves.both, []
    while rig.plant.elapsed_s < HOURS * 3600.0:
        rig.advance(SCAN_S)
        setpoint_c = heatd.scan(SCAN_S)
        if rig.plant.elapsed_s >= SETTLING_S:
            error_k = rig.plant.supply_c - setpoint_c
            rows.append(Row(valves[0].motor_pct, valves[1].motor_pct, error_k))
    return Day(rows, (valves[0].starts, valves[1].starts))


def test_the_day_begins_with_the_first_valve_and_ends_with_the_second(day):
    begin, end = day.rows[0], day.rows[-1]
    assert begin.first_pct < 97.0
    assert begin.second_pct == 0.0
    assert end.first_pct == 100.0
    assert end.second_pct > 40.0


def test_the_second_never_opens_before_the_first_is_open(day):
    # What the first still has to go while the second begins is the stroke of its motor.
    early = [row for row in day.rows if row.second_pct > 1.0 and row.first_pct < 97.0]
    assert early == []


def test_the_supply_is_held_through_the_hand_over(day):
    errors = [row.error_k for row in day.rows]
    assert math.sqrt(sum(error * error for error in errors) / len(errors)) < 0.5
    assert max(map(abs, errors)) < 1.5


def test_neither_valve_hunts(day):
    assert sum(day.starts) < 30
