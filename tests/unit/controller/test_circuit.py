"""Who holds a circuit's valve and pumps in a scan, by priority, and that no change makes a step."""

import math
from dataclasses import replace

import pytest

from controller.arbiter import Claim, Holder
from controller.plan import plan_station
from core.command import Acknowledge, LoopMode, SetMode, SetOutput
from core.point import Quality, Tag
from tests.unit.controller.conftest import Bench

VALVE, SPEED = Tag("CV1_SV"), Tag("XP_SV")
LEAST_PCT = 5.0


def valve(bench: Bench) -> Claim:
    return bench.last.held[VALVE]


def manual(loop: str = "T2g") -> SetMode:
    return SetMode(station="st-01", who="ann", why="test", loop=loop, mode=LoopMode.MAN)


def to(value: float, loop: str = "T2g") -> SetOutput:
    return SetOutput(station="st-01", who="ann", why="test", loop=loop, value=value)


def automatic(loop: str = "T2g") -> SetMode:
    return SetMode(station="st-01", who="ann", why="test", loop=loop, mode=LoopMode.AUTO)


def openings(bench: Bench) -> list[float]:
    """What was written to the valve, scan by scan."""
    return [
        decision.outputs.values["CV1_SV"]
        for decision in bench.decisions
        if "CV1_SV" in decision.outputs.values
    ]


def half_hearted(station):
    """Return a bench in control whose supply loop takes what the device itself doubts."""
    circuit = station.circuits["main"]
    pid = replace(circuit.pid, on_uncertain="half_gain", deadband_pct=0.0, gap_k=0.0)
    changed = replace(circuit, pid=pid, exchanger=None)
    return Bench(replace(station, circuits={"main": changed})).take_over()


class TestInterlocksGoBelowTheLoopsMinimum:
    @pytest.mark.parametrize(
        ("seconds", "trouble", "why"),
        [
            (35.0, {"T2g": 91.0}, "I2"),
            (20.0, {"XP1_run": 0.0, "XP1_Hz": 0.0}, "I2"),
            (10.0, {"XP1_fault": 1.0, "XP2_fault": 1.0, "XP1_run": 0.0, "XP1_Hz": 0.0}, "I2"),
            (10.0, {"P2h": 0.25}, "I3"),
            (40.0, {"T1g": 40.0}, "cold_primary"),
        ],
    )
    def test_a_trip_closes_the_valve_at_once(self, ours, seconds, trouble, why):
        ours.scan_for(seconds, **trouble)
        assert (valve(ours).holder, valve(ours).value) == (Holder.TRIP, 0.0)
        assert valve(ours).why.startswith(why)

    def test_the_loop_itself_never_goes_below_its_minimum(self, ours):
        ours.scan_for(600.0, T2g=75.0)
        assert valve(ours) == Claim(Holder.LOOP, LEAST_PCT, valve(ours).why)

    def test_a_person_cannot_hold_a_valve_open_against_a_trip(self, ours):
        ours.scan(to(60.0))
        ours.scan_for(35.0, T2g=91.0)
        assert valve(ours).value == 0.0

    def test_frost_cannot_either(self, ours):
        ours.scan_for(35.0, T2g=91.0, T2h=5.0)
        assert valve(ours).value == 0.0

    def test_after_a_trip_the_loop_opens_at_its_own_rate(self, ours):
        ours.scan_for(35.0, T2g=91.0)
        ours.decisions.clear()
        ours.scan_for(600.0, T2g=50.0)
        steps = [b - a for a, b in zip([0.0, *openings(ours)], openings(ours), strict=False)]
        assert openings(ours)[-1] > 30.0
        assert max(steps) <= 1.2 * 5.0 + 0.01

    def test_without_a_proven_pump_the_valve_opens_no_further(self, ours):
        ours.scan_for(10.0, XP1_run=0.0, XP1_Hz=0.0, T2g=40.0)
        assert valve(ours).value <= 40.0

    def test_after_a_power_failure_it_opens_slowly(self, ours):
        ours.scan_for(10.0, PWR_OK=0.0)
        ours.scan_for(300.0, PWR_OK=1.0, T2g=40.0)
        assert valve(ours).holder is Holder.TRIP
        assert valve(ours).value == pytest.approx(40.0 + 300.0 * 5.0 / 60.0, abs=1.0)

    @pytest.mark.parametrize("tag", ["T2g", "P2h", "T1g"])
    @pytest.mark.parametrize("quality", [Quality.BAD, Quality.STALE])
    def test_a_value_that_cannot_be_trusted_trips_nothing(self, ours, tag, quality):
        ours.values.update({"T2g": 120.0, "P2h": 0.0, "T1g": 0.0, tag: 95.0})
        ours.values.update({"T2g": 56.2, "P2h": 0.4, "T1g": 94.6} | {tag: ours.values[tag]})
        ours.spoil(tag, quality=quality)
        ours.scan_for(60.0)
        assert valve(ours).holder is not Holder.TRIP


class TestFrost:
    def test_it_opens_the_valve_with_a_proven_pump(self, ours):
        ours.scan_for(60.0, CV1_U=6.0)
        ours.scan_for(300.0, T2g=75.0)
        assert valve(ours).value == LEAST_PCT
        ours.decisions.clear()
        ours.scan_for(20.0, T2h=7.0)
        assert valve(ours).holder is Holder.FROST
        assert "T2h 7.0 °C" in valve(ours).why
        assert openings(ours) == pytest.approx([11.0, 17.0, 20.0, 20.0])  # at the loop's rate

    @pytest.mark.parametrize(("run", "quality"), [(0.0, Quality.GOOD), (1.0, Quality.BAD)])
    def test_it_opens_nothing_without_one(self, ours, run, quality):
        ours.scan_for(300.0, T2g=75.0)
        ours.spoil("XP1_run", "XP1_Hz", "XP2_run", "XP2_Hz", quality=quality)
        ours.scan(T2h=7.0, XP1_run=run, XP1_Hz=0.0)
        assert valve(ours).holder is not Holder.FROST
        assert valve(ours).value <= LEAST_PCT

    def test_it_never_closes_a_valve(self, ours):
        ours.spoil("T2g")
        ours.scan(T2h=7.0)
        assert ours.values["CV1_U"] == 40.0
        assert valve(ours).value is None

    def test_the_loop_goes_on_heating_a_cold_station(self, ours):
        ours.scan_for(300.0, T2h=6.0, T2g=30.0, T_out=-20.0, F1=60.0)
        assert valve(ours).holder is Holder.LOOP
        assert valve(ours).value > 60.0

    def test_it_lasts_until_the_return_has_been_warm_for_half_an_hour(self, ours):
        ours.scan_for(300.0, T2g=75.0)
        ours.scan_for(60.0, T2h=7.0)
        assert valve(ours).value == 20.0
        ours.decisions.clear()
        ours.scan_for(1790.0, T2h=20.0)
        assert {d.held[VALVE].holder for d in ours.decisions} == {Holder.FROST}
        assert set(openings(ours)) == {20.0}
        ours.scan_for(10.0)
        assert valve(ours).holder is Holder.LOOP
        assert valve(ours).value == pytest.approx(20.0, abs=6.0)  # the loop's own rate


class TestALostSupplyTemperature:
    @pytest.mark.parametrize("quality", [Quality.BAD, Quality.STALE])
    def test_holds_the_valve_and_never_writes_it(self, ours, quality):
        ours.spoil("T2g", quality=quality)
        ours.scan_for(600.0, T_out=-25.0)
        claim = valve(ours)
        assert (claim.holder, claim.value) == (Holder.HOLD, None)
        assert all("CV1_SV" not in d.outputs.values for d in ours.decisions[-120:])
        assert ours.last.outputs.values["HB_SCADA"] > 0.0

    def test_goes_on_without_a_step_when_it_is_back(self, ours):
        ours.spoil("T2g")
        ours.scan_for(600.0)
        ours.mend("T2g")
        ours.scan(T2g=70.0)
        assert valve(ours).value == pytest.approx(40.0, abs=0.6)

    def test_a_substituted_one_is_not_good_enough_for_a_loop_that_declares_none(self, ours):
        ours.spoil("T2g", quality=Quality.SUBSTITUTED)
        ours.scan()
        assert valve(ours).holder is Holder.HOLD

    @pytest.mark.parametrize("quality", [Quality.BAD, Quality.STALE])
    def test_one_that_is_no_value_at_all_holds_a_loop_that_takes_uncertain_ones(
        self, station, quality
    ):
        bench = half_hearted(station)
        bench.spoil("T2g", quality=quality)
        bench.scan(T2g=50.0)
        assert (valve(bench).holder, valve(bench).value) == (Holder.HOLD, None)

    def test_an_uncertain_one_is_followed_with_half_the_gain_and_no_step(self, station):
        bench = half_hearted(station)
        whole = bench.state.circuits[0].gain
        bench.spoil("T2g", quality=Quality.SUBSTITUTED)
        before = openings(bench)[-1]
        bench.scan(T2g=52.2)
        assert openings(bench)[-1] == pytest.approx(before, abs=0.01)
        assert bench.state.circuits[0].gain == pytest.approx(0.5 * whole)
        bench.scan_for(60.0)
        assert openings(bench)[-1] > before + 1.0
        bench.mend("T2g")
        back = openings(bench)[-1]
        bench.scan(T2g=58.2)
        assert openings(bench)[-1] == pytest.approx(back, abs=0.01)
        assert bench.state.circuits[0].gain == pytest.approx(whole)

    def test_half_the_gain_moves_the_valve_half_as_far(self, station):
        moved = []
        for quality in (Quality.GOOD, Quality.SUBSTITUTED):
            bench = half_hearted(station)
            bench.spoil("T2g", quality=quality)
            bench.scan_for(10.0)
            first = openings(bench)[-1]
            bench.scan(T2g=54.2)
            moved.append(openings(bench)[-1] - first)
        assert moved[0] > 0.5
        assert moved[1] == pytest.approx(0.5 * moved[0], rel=0.2)

    def test_an_uncertain_one_that_is_taken_also_trips(self, station):
        bench = half_hearted(station)
        bench.spoil("T2g", quality=Quality.SUBSTITUTED)
        bench.scan_for(60.0, T2g=95.0)
        assert (valve(bench).holder, valve(bench).value) == (Holder.TRIP, 0.0)

    def test_a_person_may_still_move_the_valve(self, ours):
        ours.spoil("T2g")
        ours.scan(manual())
        ours.scan(to(43.0))
        assert (valve(ours).holder, valve(ours).value) == (Holder.OPERATOR, 43.0)


class TestManual:
    def test_the_output_stays_where_it_was_written_whatever_the_position_shows(self, ours):
        ours.scan(CV1_U=41.3)
        written = openings(ours)[-1]
        ours.scan(manual(), CV1_U=41.3)
        assert (valve(ours).holder, valve(ours).value) == (Holder.OPERATOR, written)

    def test_a_value_is_reached_at_the_loops_rate(self, ours):
        ours.scan(manual())
        ours.decisions.clear()
        ours.scan(to(58.0))
        ours.scan_for(20.0)
        assert openings(ours) == pytest.approx([46.0, 52.0, 58.0, 58.0, 58.0])

    def test_the_return_to_automatic_makes_no_step(self, ours):
        ours.scan(to(55.0))
        ours.scan_for(300.0, T2g=62.0)
        ours.scan(automatic())
        assert valve(ours).holder is Holder.LOOP
        assert valve(ours).value == pytest.approx(55.0, abs=0.6)

    def test_the_end_of_the_lease_makes_none_either(self, ours):
        ours.scan(replace(to(55.0), lease_s=60.0))
        ours.scan_for(60.0, T2g=62.0)
        assert valve(ours).holder is Holder.LOOP
        assert valve(ours).value == pytest.approx(55.0, abs=0.6)

    def test_the_speed_of_the_pumps_stays_ramps_and_returns_likewise(self, ours):
        ours.scan(manual("P2D"), P2D=150.0)
        assert ours.last.outputs.values["XP_SV"] == 43.0
        ours.decisions.clear()
        ours.scan(to(30.0, "P2D"))
        ours.scan_for(15.0)
        speeds = [d.outputs.values["XP_SV"] for d in ours.decisions]
        assert speeds == pytest.approx([38.0, 33.0, 30.0, 30.0])
        ours.scan_for(3600.0)  # a loop that is not tracked would wind up meanwhile
        ours.scan(automatic("P2D"))
        claim = ours.last.held[SPEED]
        assert claim.holder is Holder.LOOP
        assert claim.value == pytest.approx(30.0, abs=1.0)

    def test_the_pressure_loop_is_tracked_too(self, ours):
        ours.scan(manual("P2h"))
        ours.scan(to(45.0, "P2h"))
        ours.scan_for(30.0)
        assert ours.last.outputs.values["BP_SV"] == 45.0

    def test_a_person_goes_before_the_source_machine(self, ours):
        ours.scan(to(30.0))
        ours.scan_for(120.0, SRC_trip=1.0, B_power=2000.0, B_firing=1.0)
        assert ours.last.source.valve == "unload"
        assert valve(ours).holder is Holder.OPERATOR


class TestPumps:
    def test_the_standby_takes_over_from_a_pump_that_tripped(self, ours):
        pulses = ours.scan(XP1_fault=1.0, XP1_run=0.0, XP1_Hz=0.0).outputs.pulses
        assert pulses == {"XP2_start"}

    def test_a_drive_that_turns_is_a_pump_that_runs(self, ours):
        ours.spoil("XP1_run", "XP2_run")
        ours.scan_for(60.0)
        assert valve(ours).holder is Holder.LOOP
        assert ours.last.computed["pumps.none_running"] == 0.0

    def test_a_pump_that_has_tripped_is_not_proven_by_its_running_down(self, ours):
        ours.scan_for(20.0, XP1_run=0.0, XP1_Hz=20.0, XP2_fault=1.0, XP1_fault=1.0)
        assert (valve(ours).holder, valve(ours).value) == (Holder.TRIP, 0.0)

    @pytest.mark.parametrize(("measured", "output"), [("P2D", "XP_SV"), ("P2h", "BP_SV")])
    @pytest.mark.parametrize("quality", [Quality.BAD, Quality.STALE])
    def test_without_its_pressure_a_speed_is_held_and_not_written(
        self, ours, measured, output, quality
    ):
        ours.spoil(measured, quality=quality)
        ours.scan_for(120.0)
        claim = ours.last.held[Tag(output)]
        assert (claim.holder, claim.value) == (Holder.HOLD, None)
        ours.mend(measured)
        before = ours.values[output]
        assert ours.scan().outputs.values[output] == pytest.approx(before, abs=0.11)

    def test_low_pressure_stops_them(self, ours):
        ours.scan_for(10.0, P2h=0.25)
        assert any("XP1_stop" in d.outputs.pulses for d in ours.decisions)

    def test_make_up_starts_below_its_threshold(self, ours):
        ours.scan(P2h=0.36)
        assert ours.last.outputs.pulses == {"BP1_start"}

    def test_an_empty_tank_keeps_make_up_off(self, ours):
        ours.scan_for(30.0, P2h=0.36, LT301=0.2)
        assert not any(d.outputs.pulses for d in ours.decisions)

    @pytest.mark.parametrize(("alarm", "is_tried"), [("pump_failed", True), ("flood", False)])
    def test_failed_pumps_are_tried_again_when_their_own_alarm_is_acknowledged(
        self, ours, alarm, is_tried
    ):
        ours.scan_for(60.0, XP1_run=0.0, XP1_Hz=0.0, FLOOD=1.0)
        assert ours.last.circuits[0].pumps.are_all_failed
        ours.decisions.clear()
        ours.scan(Acknowledge(station="st-01", who="ann", why="checked", alarm=alarm))
        ours.scan()
        starts = {tag for d in ours.decisions for tag in d.outputs.pulses if "start" in tag}
        assert bool(starts) is is_tried


class TestAValveThatDoesNotMove:
    @pytest.mark.parametrize(("position", "is_told"), [(40.0, 0.0), (31.0, 1.0)])
    def test_is_told_from_one_that_does(self, ours, position, is_told):
        ours.scan(CV1_U=position)
        assert ours.last.computed["valve.no_move"] == is_told

    def test_the_loop_does_not_wind_up_against_it(self, ours):
        for _ in range(240):
            ours.scan(T2g=50.0, CV1_U=40.0)
        assert ours.last.outputs.values["CV1_SV"] < 40.0 + 25.0


def test_nothing_is_known_where_the_position_is_unknown(ours):
    ours.spoil("CV1_U")
    ours.scan()
    assert math.isnan(ours.last.circuits[0].position_pct)
    assert valve(ours).holder is Holder.LOCAL


class TestWhatThePrimaryDoes:
    def test_a_colder_primary_opens_the_valve_before_the_supply_is_off(self, ours):
        ours.scan_for(300.0)
        before = valve(ours).value
        ours.scan_for(15.0, T1g=90.0)
        assert valve(ours).value > before + 1.0

    @pytest.mark.parametrize("tag", ["T1g", "P1g", "P1h", "T2h"])
    @pytest.mark.parametrize("quality", [Quality.BAD, Quality.STALE])
    def test_a_sensor_that_goes_and_comes_back_elsewhere_makes_no_step(self, ours, tag, quality):
        ours.scan_for(300.0)
        before = valve(ours).value
        ours.spoil(tag, quality=quality)
        ours.scan_for(60.0)
        ours.mend(tag)
        ours.scan(**{tag: ours.values[tag] * 1.1})
        assert valve(ours).value == before

    @pytest.mark.parametrize("jumped", [{"T1g": 130.0}, {"T1g": 50.0}, {"P1g": 1.5}, {"T2h": 10.0}])
    def test_what_only_a_sensor_can_do_moves_no_valve(self, ours, jumped):
        ours.scan_for(300.0)
        before = valve(ours).value
        ours.scan_for(20.0, **jumped)
        assert valve(ours).value == before

    def test_a_new_gain_is_felt_by_nobody(self, ours):
        ours.scan_for(60.0, T2g=54.0)
        before = valve(ours).value
        circuit = ours.config.circuits["main"]
        pid = replace(circuit.pid, gain_pct_per_k=2.0 * circuit.pid.gain_pct_per_k)
        ours.plan = plan_station(replace(ours.config, circuits={"main": replace(circuit, pid=pid)}))
        ours.scan()
        assert abs(valve(ours).value - before) <= 2.0


@pytest.mark.parametrize(
    "spoilt",
    [
        {"T_out": 35.0},
        {"T_out": -45.0},
        {"T_room_avg": 39.0},
        {"T_room_avg": 1.0, "T_room_p10": 0.5},
    ],
)
def test_a_lying_sensor_moves_the_setpoint_by_less_than_a_kelvin_a_minute(ours, spoilt):
    ours.scan_for(300.0)
    ours.decisions.clear()
    ours.scan_for(3600.0, **spoilt)
    setpoints = [decision.circuits[0].chain.setpoint_c for decision in ours.decisions]
    for one, minute_later in zip(setpoints, setpoints[12:], strict=False):
        assert abs(minute_later - one) < 1.0
