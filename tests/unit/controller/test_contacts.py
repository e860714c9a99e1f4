"""A valve without a positioner: pulses of two contacts, timed by the PLC, never repeated."""

import json
from dataclasses import replace

import pytest

from config.load import load
from config.model import Station
from control_loops.three_step import ThreeStepState
from controller.arbiter import Holder
from controller.checkpoint import keep, restore
from controller.loop_checks import check_range
from controller.state import first_state
from core.command import LoopMode, SetMode, SetOutput
from core.point import Tag
from tests.contact_site import CONTACTS, THREE_STEP, write_site
from tests.unit.controller.conftest import Bench

RAISE, LOWER, VALVE = Tag("CV1_raise"), Tag("CV1_lower"), Tag("CV1_SV")
STROKE_S = 90.0
MAN = SetMode(station="st-01", who="ann", why="test", loop="T2g", mode=LoopMode.MAN)


def configured(folder, **changes) -> Station:
    return next(s for s in load(write_site(folder, **changes)).stations if s.station == "st-01")


class ContactBench(Bench):
    """The motor runs as the contacts say; where it is measured, the PLC shows it."""

    motor_pct = 40.0

    def _carry_out(self, decision):
        super()._carry_out(decision)
        timed = decision.outputs.timed
        run_s = timed.get(RAISE, 0.0) - timed.get(LOWER, 0.0)
        self.motor_pct = min(max(self.motor_pct + 100.0 * run_s / STROKE_S, 0.0), 100.0)
        if "CV1_U" in self.values:
            self.values["CV1_U"] = self.motor_pct


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    return configured(tmp_path_factory.mktemp("contacts"))


@pytest.fixture(scope="module")
def blind_config(tmp_path_factory):
    """Nobody measures where the valve stands."""
    return configured(
        tmp_path_factory.mktemp("blind"),
        points=f"{CONTACTS}, CV1_U: null",
        valve=f"{{min: 0 %, three_step: {THREE_STEP}}}",
    )


@pytest.fixture
def moved(config):
    return ContactBench(config).take_over()


@pytest.fixture
def blind(blind_config):
    return ContactBench(blind_config).take_over()


def pulses(bench: Bench) -> list[dict[Tag, float]]:
    return [dict(decision.outputs.timed) for decision in bench.decisions]


def to(value: float) -> SetOutput:
    return SetOutput(station="st-01", who="ann", why="test", loop="T2g", value=value)


class TestPulses:
    def test_bring_the_motor_where_the_loop_wants_it(self, moved):
        moved.scan_for(300.0, T2g=54.0)
        wanted = moved.last.held[VALVE].value
        assert wanted > 45.0
        assert moved.motor_pct == pytest.approx(wanted, abs=2.5)

    def test_are_one_contact_at_a_time_and_end_before_the_next_scan(self, moved):
        moved.scan_for(200.0, T2g=50.0)
        moved.scan_for(200.0, T2g=62.0)
        seen = [timed for timed in pulses(moved) if timed]
        assert {len(timed) for timed in seen} == {1}
        assert {tag for timed in seen for tag in timed} == {RAISE, LOWER}
        assert all(0.5 <= s <= 0.9 * 5.0 for timed in seen for s in timed.values())

    def test_stop_where_the_valve_stands_right(self, moved):
        moved.scan_for(600.0)
        assert pulses(moved)[-60:] == [{}] * 60

    def test_are_never_values_that_are_refreshed(self, moved):
        moved.scan_for(100.0, T2g=50.0)
        for decision in moved.decisions:
            assert not {RAISE, LOWER, VALVE} & set(decision.outputs.values)
            assert not {RAISE, LOWER} & decision.outputs.pulses

    def test_close_the_valve_at_a_trip_and_press_it_onto_its_stop(self, moved):
        moved.scan_for(35.0, T2g=91.0)
        moved.decisions.clear()
        moved.scan_for(200.0, T2g=91.0)
        assert moved.last.held[VALVE].holder is Holder.TRIP
        assert moved.motor_pct == 0.0
        assert pulses(moved)[-5:] == [{}] * 5

    def test_are_none_while_the_plc_has_control(self, config):
        bench = ContactBench(config)
        bench.scan_for(60.0, T2g=40.0)
        bench.scan_for(60.0, LOC_REM=0.0)
        assert pulses(bench) == [{}] * len(bench.decisions)

    def test_are_none_while_the_supply_cannot_be_seen(self, moved):
        moved.scan_for(30.0)
        moved.decisions.clear()
        moved.spoil("T2g")
        moved.scan_for(60.0)
        assert pulses(moved)[-10:] == [{}] * 10

    def test_carry_out_what_a_person_sets(self, moved):
        moved.scan(MAN)
        moved.scan(to(60.0))
        moved.scan_for(200.0)
        assert moved.motor_pct == pytest.approx(60.0, abs=1.0)

    def test_start_from_where_the_plc_left_the_valve(self, config):
        bench = ContactBench(config)
        bench.motor_pct = bench.values["CV1_U"] = 71.0
        bench.take_over()
        assert bench.state.circuits[0].motor.position_pct == 71.0
        bench.decisions.clear()
        bench.scan_for(20.0)
        assert pulses(bench) == [{}] * 4


class TestTheEstimate:
    def test_follows_a_measured_position_that_is_far_away(self, moved):
        moved.scan_for(60.0)
        moved.motor_pct = 30.0
        moved.scan(CV1_U=30.0)
        assert moved.state.circuits[0].motor.position_pct == pytest.approx(30.0, abs=6.0)
        moved.scan_for(60.0)
        assert moved.motor_pct == pytest.approx(moved.last.held[VALVE].value, abs=2.5)

    def test_is_all_there_is_where_nobody_measures(self, blind):
        assert blind.last.circuits[0].position_pct == 50.0
        blind.scan_for(300.0, T2g=54.0)
        state = blind.state.circuits[0].motor
        assert state.position_pct - 50.0 == pytest.approx(blind.motor_pct - 40.0, abs=0.1)

    def test_is_set_right_at_an_end_stop(self, blind):
        blind.scan_for(900.0, T2g=70.0)
        assert (blind.motor_pct, blind.state.circuits[0].motor.position_pct) == (0.0, 0.0)

    def test_survives_a_restart(self, blind):
        blind.scan_for(300.0, T2g=54.0)
        kept = json.loads(json.dumps(keep(blind.plan, blind.state)))
        again = restore(blind.plan, first_state(blind.plan), kept).circuits[0].motor
        assert again == ThreeStepState(blind.state.circuits[0].motor.position_pct)

    def test_of_a_manual_opening_neither_is_lost(self, moved):
        moved.scan(MAN)
        moved.scan(to(60.0))
        kept = json.loads(json.dumps(keep(moved.plan, moved.state)))
        assert restore(moved.plan, first_state(moved.plan), kept).operator.manual["T2g"].value == 60


class TestWhatPeopleSee:
    def test_is_the_pulse_and_where_the_motor_is_believed_to_stand(self, moved):
        moved.scan_for(50.0, T2g=50.0)
        end = moved.view().chain[-1]
        assert (end.name, end.unit, end.value) == ("pulse", "s", moved.last.outputs.timed[RAISE])
        assert end.note.startswith("CV1_raise; the motor is believed to stand at ")

    @pytest.mark.parametrize(("value", "may"), [(0.0, True), (100.0, True), (100.5, False)])
    def test_an_opening_may_be_set_by_hand_though_it_has_no_register(self, moved, value, may):
        loop = replace(moved.view(), mode="man")
        assert (check_range(value, loop, moved.config) is None) is may
