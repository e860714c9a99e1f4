"""An autotune within the scans of a station: who may end it, and what it leaves behind."""

import math
from dataclasses import replace

import pytest

from control_loops.autotune import Process
from controller.arbiter import Holder
from controller.plan import plan_station
from controller.tuning import tune_view
from core.command import LoopMode, SetMode, StartTune, StopTune
from core.point import Tag
from core.record import ModeRecord
from tests.unit.controller.conftest import Bench

TOLD = {"station": "st-01", "who": "ann", "why": "new valve"}
START, STOP = StartTune(**TOLD, loop="T2g"), StopTune(**TOLD, loop="T2g")
VALVE = Tag("CV1_SV")
TRUE = Process(gain_k_per_pct=0.5, tau_s=28.0, dead_s=15.0)


def valve_pct(bench: Bench) -> float:
    return bench.values["CV1_SV"]


def phase(bench: Bench) -> str:
    return bench.state.circuits[0].tune.state.phase


def why(bench: Bench) -> str:
    return bench.state.circuits[0].tune.state.why


class Answering:
    """The supply answers the valve as a process does, second by second."""

    def __init__(self, bench: Bench, process: Process = TRUE) -> None:
        self.bench, self.process = bench, process
        self.rest_pct, self.rest_c = valve_pct(bench), 56.2
        self.told = [self.rest_pct] * round(process.dead_s + 1)
        self.lag_pct = self.rest_pct

    def scan(self, *commands, **changes):
        for _ in range(5):
            self.told.append(valve_pct(self.bench))
            late_pct = self.told[-round(self.process.dead_s) - 1]
            self.lag_pct += (1 - math.exp(-1.0 / self.process.tau_s)) * (late_pct - self.lag_pct)
        supply_c = self.rest_c + self.process.gain_k_per_pct * (self.lag_pct - self.rest_pct)
        return self.bench.scan(*commands, **({"T2g": supply_c} | changes))

    def scan_until(self, *phases: str, most: int = 400) -> None:
        for _ in range(most):
            if phase(self.bench) in phases:
                return
            self.scan()
        raise AssertionError(f"never {phases}, but {phase(self.bench)}: {why(self.bench)}")


@pytest.fixture
def plant(ours):
    ours.scan_for(60.0)
    return Answering(ours)


@pytest.fixture
def bumped(plant):
    """A plant in the middle of its bump."""
    plant.scan(START)
    plant.scan_until("bump")
    for _ in range(10):
        plant.scan()
    return plant


class TestAWholeAutotune:
    def test_finds_the_process_and_leaves_the_valve_where_it_was(self, plant):
        before = valve_pct(plant.bench)
        plant.scan(START)
        plant.scan_until("done")
        found = plant.bench.state.circuits[0].tune.state.found
        assert found.gain_k_per_pct == pytest.approx(0.5, rel=0.05)
        assert found.tau_s == pytest.approx(28.0, rel=0.2)
        assert found.dead_s == pytest.approx(15.0, abs=2.5)
        assert valve_pct(plant.bench) == before

    def test_lets_the_loop_control_until_there_is_calm_and_again_afterwards(self, plant):
        plant.scan(START)
        assert plant.bench.last.held[VALVE].holder is Holder.LOOP
        plant.scan_until("pre-move")
        claim = plant.bench.last.held[VALVE]
        assert (claim.holder, claim.why) == (Holder.OPERATOR, "ann: autotune, pre-move")
        plant.scan_until("done")
        plant.scan()
        assert plant.bench.last.held[VALVE].holder is Holder.LOOP

    def test_is_recorded_step_by_step(self, plant):
        plant.scan(START)
        plant.scan_until("done")
        kept = [
            (r.old, r.new)
            for r in plant.bench.records
            if isinstance(r, ModeRecord) and r.subject == "T2g autotune"
        ]
        assert kept == [
            ("idle", "settling"),
            ("settling", "pre-move"),
            ("pre-move", "bump"),
            ("bump", "done"),
        ]

    def test_changes_no_setting_but_shows_the_gain_at_the_design_point(self, plant):
        gains = plant.bench.plan.circuits[0].gains
        plant.scan(START)
        assert math.isnan(tune_view(*seen(plant.bench)).gain_pct_per_k)
        plant.scan_until("done")
        view, tuning = tune_view(*seen(plant.bench)), plant.bench.state.circuits[0].tune
        found = tuning.state.found
        here = found.tau_s / (found.gain_k_per_pct * 2.5 * (found.dead_s + 2.5))
        assert tuning.gain_share != 1.0
        assert view.gain_pct_per_k == pytest.approx(here / tuning.gain_share)
        assert view.reset_time_s == pytest.approx(found.tau_s)
        assert plant.bench.plan.circuits[0].gains is gains

    def test_may_be_started_again(self, plant):
        plant.scan(START)
        plant.scan_until("done")
        plant.scan(START)
        assert phase(plant.bench) == "settling"


def seen(bench: Bench):
    return bench.plan.circuits[0], bench.state.circuits[0].tune


class TestItEnds:
    @pytest.mark.parametrize(
        ("trouble", "said"),
        [
            ({"T1g": 98.0}, "the primary moved"),
            ({"T2g": 62.0}, "the supply moved by more than 3 K"),
        ],
    )
    def test_and_the_valve_goes_back_exactly(self, bumped, trouble, said):
        base = bumped.bench.state.circuits[0].tune.state.base_pct
        assert valve_pct(bumped.bench) > base + 2.0
        bumped.scan(**trouble)
        assert (phase(bumped.bench), why(bumped.bench)) == ("aborted", said)
        assert valve_pct(bumped.bench) == base

    def test_where_a_sensor_is_lost(self, bumped):
        base = bumped.bench.state.circuits[0].tune.state.base_pct
        bumped.bench.spoil("T1g")
        bumped.scan()
        assert (why(bumped.bench), valve_pct(bumped.bench)) == ("a sensor was lost", base)

    def test_where_an_alarm_comes_up(self, bumped):
        base = bumped.bench.state.circuits[0].tune.state.base_pct
        for _ in range(3):
            bumped.scan(XP2_fault=1.0)
        assert (phase(bumped.bench), why(bumped.bench)) == ("aborted", "an alarm came up")
        assert bumped.bench.state.circuits[0].tune.state.base_pct == base

    def test_where_a_person_takes_the_valve(self, bumped):
        bumped.scan(SetMode(**TOLD, loop="T2g", mode=LoopMode.MAN))
        assert (phase(bumped.bench), why(bumped.bench)) == ("aborted", "a person took the valve")

    def test_where_the_person_who_began_it_says_so(self, bumped):
        base = bumped.bench.state.circuits[0].tune.state.base_pct
        bumped.scan(STOP)
        assert (phase(bumped.bench), why(bumped.bench)) == ("aborted", "ann ended it")
        assert valve_pct(bumped.bench) == base

    def test_where_an_interlock_closes_the_valve(self, bumped):
        bumped.scan(XP1_run=0.0, XP1_Hz=0.0)
        for _ in range(4):
            bumped.scan()
        assert phase(bumped.bench) == "aborted"
        assert valve_pct(bumped.bench) == 0.0

    def test_where_the_plc_takes_the_station_back(self, bumped):
        bumped.scan(LOC_REM=0.0)
        assert (phase(bumped.bench), why(bumped.bench)) == ("aborted", "control was handed over")
        assert VALVE not in bumped.bench.last.outputs.values

    def test_before_it_began_there_is_nothing_to_take_back(self, plant):
        plant.scan(START)
        before = valve_pct(plant.bench)
        plant.scan(STOP)
        assert (phase(plant.bench), valve_pct(plant.bench)) == ("aborted", before)
        assert plant.bench.last.held[VALVE].holder is Holder.LOOP


def test_without_a_data_sheet_the_gain_is_as_it_was_found(ours):
    config = replace(ours.config.circuits["main"], exchanger=None)
    plain = Bench(replace(ours.config, circuits={"main": config})).take_over()
    plain.scan_for(60.0)
    plant = Answering(plain)
    plant.scan(START)
    plant.scan_until("done")
    assert plan_station(plain.config).circuits[0].forward is None
    assert plain.state.circuits[0].tune.gain_share == 1.0
