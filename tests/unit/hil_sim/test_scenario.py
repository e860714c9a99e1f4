"""Scenarios in YAML: those that come with heatd load, and a wrong one says where it is wrong."""

import re
from dataclasses import fields
from itertools import pairwise
from pathlib import Path
from typing import get_args

import pytest

from config.devices import ModbusDevice
from config.load import load
from config.problem import ConfigErrors
from hil_sim.invariants import Invariants, name_of
from hil_sim.play import EXAMPLES, Result
from hil_sim.plc_faults import FAULTS
from hil_sim.scenario import (
    LINK_CUT,
    SCENARIOS,
    Bound,
    Figure,
    Scenario,
    load_scenario,
    names,
)

GOOD = """\
scenario: drill
about: {zh: 演习, en: a drill}
station: st-01
start: 2026-01-12
duration: 2 h
settle: 30 min
weather:
  - {at: 0 h, outdoor: -10 °C}
  - {at: 2 h, outdoor: -12 °C}
faults:
  - {at: 1 h, do: plc-cut, for: 10 min}
  - {at: 1 h, do: sensor-open, tag: T2g}
expect:
  room_min_c: {at_least: 19}
  alarms_raised: {at_least: 1, at_most: 2}
"""


def drill(folder: Path, old: str = "", new: str = "") -> Scenario:
    path = folder / "drill.yaml"
    assert old in GOOD
    path.write_text(GOOD.replace(old, new, 1), encoding="utf-8")
    return load_scenario(str(path))


def test_the_promised_scenarios_are_there():
    assert set(names()) >= {
        "steady",
        "cold-snap",
        "primary-lost",
        "plc-cut",
        "sensor-open",
        "pump-trip",
        "sun-on-sensor",
    }


@pytest.mark.parametrize("name", names())
def test_a_scenario_is_called_as_its_file_and_expects_something(name):
    scenario = load_scenario(name)
    assert scenario.scenario == name
    assert scenario.expect
    assert all(one.at_s < two.at_s for one, two in pairwise(scenario.weather))


def test_scenarios_are_played_on_the_example_stations_that_speak_modbus():
    (station,) = get_args(Scenario.__annotations__["station"])
    devices = {
        found.station: list(found.devices.values())
        for found in load(EXAMPLES).stations
        if found.station == station
    }
    assert [type(device) for device in devices[station]] == [ModbusDevice]


def test_a_drill_may_lie_in_any_file(tmp_path):
    scenario = drill(tmp_path)
    assert (scenario.duration_s, scenario.settle_s) == (7200.0, 1800.0)
    assert [fault.do for fault in scenario.faults] == [LINK_CUT, "sensor-open"]
    assert [fault.options for fault in scenario.faults] == [{}, {"tag": "T2g"}]


@pytest.mark.parametrize(
    ("old", "new", "place", "said"),
    [
        ("plc-cut", "plc-cat", "11:15", "no fault is called plc-cat; there are plc-cut, "),
        ("tag: T2g", "tag: T9g", "12:15", "fault sensor-open: 'T9g' is not there"),
        (", tag: T2g", "", "12:15", "fault sensor-open: 'tag' is not there"),
        ("do: plc-cut", "do: plc-cut, tag: T2g", "11:15", "plc-cut has no tag"),
        ("at: 1 h", "at: 2 h", "11:15", "plc-cut comes after the end"),
        ("at: 2 h, out", "at: 0 h, out", "7:1", "the times of the weather do not rise"),
        ("settle: 30 min", "settle: 2 h", "6:1", "nothing is left to score"),
        ("{at_least: 19}", "{}", "14:3", "nothing is expected of room_min_c"),
        ("st-01", "st-02", "3:10", "`st-02` is not possible here"),
        ("room_min_c", "room_mean_c", "14:3", "room_mean_c"),
        ("duration: 2 h", "duration: 2 K", "5:11", "K"),
    ],
)
def test_a_wrong_drill_is_refused_with_its_place(tmp_path, old, new, place, said):
    with pytest.raises(ConfigErrors) as refused:
        drill(tmp_path, old, new)
    assert f"drill.yaml:{place}: " in str(refused.value)
    assert said in str(refused.value)


@pytest.mark.parametrize("name", ["nothing-such", "nothing.yaml"])
def test_a_drill_that_is_not_there_lists_those_that_are(name):
    with pytest.raises(FileNotFoundError, match=f"no scenario {name}; there are cold-snap, "):
        load_scenario(name)


@pytest.mark.parametrize(
    ("bound", "value", "is_met"),
    [
        (Bound(at_least=19.0), 19.0, True),
        (Bound(at_least=19.0), 18.999, False),
        (Bound(at_most=120.0), 120.0, True),
        (Bound(at_most=120.0), 120.1, False),
        (Bound(at_least=1.0, at_most=1.0), 1, True),
        (Bound(at_least=1.0, at_most=1.0), 2, False),
        (Bound(at_most=120.0), None, False),
        (Bound(at_most=0.0), float("nan"), False),
    ],
)
def test_a_figure_meets_its_bounds_or_misses_them(bound, value, is_met):
    assert bound.is_met(value) is is_met


def test_what_was_missed_is_told_in_sentences(tmp_path):
    scenario = drill(tmp_path)
    assert scenario.missed({"room_min_c": 19.5, "alarms_raised": 1}) == []
    assert scenario.missed({"room_min_c": 18.2, "alarms_raised": 3}) == [
        "room_min_c is 18.2, expected at least 19",
        "alarms_raised is 3, expected at least 1 and at most 2",
    ]
    assert scenario.missed({})[0] == "room_min_c is None, expected at least 19"


def test_every_scenario_file_is_a_yaml_file():
    assert {path.suffix for path in SCENARIOS.iterdir()} == {".yaml"}


class TestThePageAboutScenarios:
    """What programs and people rely on is documented; what is not there any more is not."""

    PAGE = (Path(__file__).parents[3] / "docs" / "scenarios.md").read_text(encoding="utf-8")

    def rows(self, heading: str) -> list[list[str]]:
        """Return the cells of the table whose first column has this heading."""
        table = self.PAGE.partition(f"\n| {heading} |")[2].partition("\n\n")[0]
        return [re.findall(r"[^|]+", row) for row in table.splitlines()[2:]]

    def names_in(self, heading: str) -> list[str]:
        return [name for cells in self.rows(heading) for name in re.findall(r"`([^`]+)`", cells[0])]

    def test_lists_the_scenarios(self):
        assert sorted(self.names_in("scenario")) == names()

    def test_explains_the_result(self):
        assert self.names_in("key") == [field.name for field in fields(Result)]

    def test_explains_the_figures(self):
        assert tuple(self.names_in("figure")) == get_args(Figure)

    def test_states_the_laws(self):
        told = [cells[0].strip() for cells in self.rows("law")]
        assert told == [name_of(law) for law in Invariants().laws]

    def test_names_the_faults(self):
        elsewhere = {"sensor-offset"}
        assert set(self.names_in("fault")) | elsewhere == {*FAULTS, LINK_CUT}

    def test_shows_a_scenario_that_loads(self, tmp_path):
        path = tmp_path / "frosty-morning.yaml"
        path.write_text(self.PAGE.partition("```yaml\n")[2].partition("```")[0], encoding="utf-8")
        assert load_scenario(str(path)).scenario == "frosty-morning"

    @pytest.mark.parametrize("kind", ["sensor-open", "sensor-stuck"])
    def test_names_the_sensors_that_can_break(self, kind, tmp_path):
        (tags,) = [cells[1] for cells in self.rows("fault") if "`sensor-open`" in cells[0]]
        for tag in tags.split(","):
            fault = f"do: {kind}, tag: {tag.strip()}"
            assert drill(tmp_path, "do: sensor-open, tag: T2g", fault).faults[1].do == kind
