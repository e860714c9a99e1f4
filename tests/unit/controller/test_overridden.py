"""A limit that acts on the valve: who rules is told, and people, frost and trips go before it."""

from dataclasses import replace

import pytest

from control_loops.heating_curve import CurvePoints
from control_loops.override import AT_REST, ValveOverride
from controller.arbiter import Holder
from controller.explained import reasons
from core.command import LoopMode, SetMode, SetOutput, SetSetpoint
from core.point import Quality, Tag
from tests.unit.controller.conftest import Bench

VALVE = Tag("CV1_SV")
MAN = SetMode(station="st-01", who="ann", why="test", loop="T2g", mode=LoopMode.MAN)
TO_70 = SetOutput(station="st-01", who="ann", why="test", loop="T2g", value=70.0)
TO_56 = SetSetpoint(station="st-01", who="ann", why="test", circuit="main", setpoint_c=56.0)
ACTS = ValveOverride(by=("F1_max", "T1h_max"))


class FlowBench(Bench):
    """The primary flow follows the valve: 1 m³/h for each percent."""

    def _carry_out(self, decision):
        super()._carry_out(decision)
        self.values["F1"] = self.values["CV1_U"]


@pytest.fixture
def config(station):
    main = station.circuits["main"]
    limits = replace(main.limits, F1_max_m3h=60.0, valve_override=ACTS)
    circuit = replace(main, limits=limits, exchanger=None)
    return replace(station, circuits={"main": circuit})


@pytest.fixture
def moved(config):
    """In control, the supply 4 K too cold, and the flow at its limit."""
    bench = FlowBench(config).take_over()
    bench.scan_for(900.0, T2g=52.0)
    return bench


def valve_pct(bench: Bench) -> float:
    return bench.values["CV1_SV"]


def link(bench: Bench, name: str):
    return next(step for step in bench.view().chain if step.name == name)


class TestALimitOnTheValve:
    def test_keeps_the_flow_below_it_though_the_supply_is_too_cold(self, moved):
        assert 56.0 <= moved.values["F1"] <= 60.0
        assert moved.state.circuits[0].override.ruling == "F1_max"

    def test_closes_the_valve_within_a_minute_where_the_setpoint_would_take_many(self, moved):
        moved.scan_for(60.0, T2g=52.0)
        before = valve_pct(moved)
        moved.values["F1"] = 72.0
        for _ in range(12):
            moved.values["F1"] = 72.0
            moved.scan()
        assert valve_pct(moved) < before - 5.0

    def test_leaves_the_setpoint_alone(self, moved):
        chain = moved.last.circuits[0].chain
        assert chain.ruling == ""
        assert chain.setpoint_c == pytest.approx(56.2, abs=0.3)

    def test_winds_nothing_up(self, moved):
        """An hour later the loop goes on from where the valve is, and asks for little more."""
        moved.scan_for(3600.0, T2g=52.0)
        error = 0.7 * (moved.last.circuits[0].chain.setpoint_c - 52.0)
        assert moved.last.circuits[0].terms.raw - valve_pct(moved) < error + 2.0
        stands = valve_pct(moved)
        moved.scan(T2g=60.0)
        assert valve_pct(moved) < stands

    def test_holds_back_the_rooms_correction(self, moved):
        facts = {"T_room_avg": 19.0, "T_room_p10": 17.0, "T_room_min": 16.0}
        moved.scan_for(7200.0, T2g=52.0, **facts)
        rooms = moved.last.circuits[0].chain.rooms
        assert rooms.frozen == "valve limited"
        assert rooms.shift_k < 0.5

    def test_closes_no_faster_while_the_supply_comes_and_goes(self, config):
        """The valve holds in every other scan, and the limit does not begin anew each time."""
        bench = FlowBench(config).take_over()
        bench.scan_for(300.0, T2g=50.0, T1h=60.0)
        before = valve_pct(bench)
        for _ in range(60):
            bench.spoil("T2g")
            bench.scan(T1h=67.0)
            bench.mend("T2g")
            bench.scan()
        assert 3.0 < before - valve_pct(bench) < 9.0

    def test_rests_where_nobody_asks_it(self, station):
        bench = FlowBench(station).take_over()
        bench.scan_for(60.0)
        assert bench.plan.circuits[0].override == {}
        assert bench.state.circuits[0].override is AT_REST


class TestWhatPeopleSee:
    def test_is_who_rules_the_valve_and_by_how_much(self, moved):
        flow = moved.image().value(Tag("F1"))
        moved.scan()
        assert moved.last.held[VALVE].holder is Holder.LOOP
        assert moved.last.held[VALVE].why.endswith(f", F1 {flow:.1f} of 60 m³/h rules the valve")
        assert (moved.view().ruling, moved.view().output_ruling) == ("", "F1_max")

    def test_is_how_far_each_limit_lets_it_open(self, moved):
        flow, warm = link(moved, "F1_max"), link(moved, "T1h_max")
        assert (flow.unit, warm.unit) == ("%", "%")
        assert flow.value == pytest.approx(valve_pct(moved), abs=0.01)
        assert warm.note == "T1h 48.0 of 65.0 °C"
        assert warm.value > flow.value
        names = [step.name for step in moved.view().chain]
        assert names.index("F1_max") < names.index("demand") < names.index("arbiter")

    def test_is_a_limit_on_setpoint_and_valve_side_by_side(self, config):
        limits = replace(config.circuits["main"].limits, T2g_c=(35.0, 50.0))
        circuit = replace(config.circuits["main"], limits=limits)
        bench = FlowBench(replace(config, circuits={"main": circuit})).take_over()
        bench.scan_for(900.0, T2g=40.0)
        assert (bench.view().ruling, bench.view().output_ruling) == ("T2g_high", "F1_max")

    def test_changes_with_a_record_of_its_own(self, moved):
        before = reasons(moved.last)
        moved.scan_for(300.0, T2g=60.0)
        assert moved.state.circuits[0].override.ruling == ""
        assert reasons(moved.last) != before

    @pytest.mark.parametrize("quality", [Quality.BAD, Quality.STALE])
    def test_is_that_a_limit_without_its_value_abstains(self, moved, quality):
        moved.scan_for(300.0, T2g=60.0)
        moved.spoil("F1", quality=quality)
        moved.scan()
        step = link(moved, "F1_max")
        assert step.note.startswith("abstains, F1 ")
        assert step.value != step.value

    def test_is_for_how_long_one_that_ruled_keeps_the_valve(self, moved):
        stands = valve_pct(moved)
        moved.spoil("F1")
        moved.scan()
        moved.scan()
        assert link(moved, "F1_max").note.endswith("the valve opens no further for 590 s")
        moved.scan_for(300.0)
        assert valve_pct(moved) == stands
        moved.scan_for(600.0)
        assert valve_pct(moved) > stands + 5.0


@pytest.fixture
def coldest(moved):
    """The meter stands far above its limit, and the supply is as cold as it may be."""
    for _ in range(240):
        moved.values["F1"] = 90.0
        moved.scan(T2g=35.2)
    return moved


class TestTheLowestSupply:
    def test_keeps_the_valve_open_and_is_told(self, coldest):
        why = coldest.last.held[VALVE].why
        assert valve_pct(coldest) > 20.0
        assert "F1 90.0 of 60 m³/h rules the valve" in why
        assert why.endswith(", but T2g is at its lowest 35 °C: it closes no further")
        assert coldest.view().output_ruling == "F1_max, T2g_low"
        low = link(coldest, "T2g_low")
        assert low.value == pytest.approx(valve_pct(coldest), abs=0.01)
        assert low.note == "T2g 35.2 of at least 35 °C: no limit closes further"

    def test_that_lets_go_is_a_record_of_its_own(self, coldest):
        before = reasons(coldest.last)
        coldest.values["F1"] = 90.0
        coldest.scan_for(60.0, T2g=45.0)
        assert "lowest" not in coldest.last.held[VALVE].why
        assert reasons(coldest.last) != before
        assert link(coldest, "T2g_low").note == "T2g 45.0 of at least 35 °C"

    def test_says_why_it_is_not_known(self, coldest):
        coldest.spoil("T2g")
        coldest.scan()
        assert link(coldest, "T2g_low").note == "abstains, T2g out of range"
        assert coldest.last.held[VALVE].holder is Holder.HOLD

    def test_gives_way_to_a_trip_and_to_a_person(self, coldest):
        coldest.scan(MAN)
        coldest.scan(TO_70)
        coldest.scan_for(60.0, T2g=35.2)
        assert valve_pct(coldest) == 70.0
        coldest.scan_for(40.0, T2g=91.0)
        assert valve_pct(coldest) == 0.0


@pytest.fixture
def all_limits(config):
    """Every limit acts on the valve, the return's by a curve of the weather."""
    limits = replace(
        config.circuits["main"].limits,
        T1h_curve=CurvePoints(points={-20.0: 60.0, 5.0: 45.0}),
        T1h_over_T2h_k=8.0,
        Q1_max_kw=4000.0,
        valve_override=ValveOverride(by=("T1h_max", "T1h_over_T2h", "Q1_max")),
    )
    circuit = replace(config.circuits["main"], limits=limits)
    return Bench(replace(config, circuits={"main": circuit}))


class TestTheNoteOf:
    def test_each_limit_says_what_it_sees(self, all_limits):
        all_limits.take_over().scan_for(60.0, T1h=47.5, T2h=44.0, Q1=3210.0)
        notes = [link(all_limits, name).note for name in all_limits.plan.circuits[0].override]
        assert notes == ["T1h 47.5 of 51.0 °C", "T1h - T2h 3.5 of 8 K", "Q1 3210 of 4000 kW"]

    @pytest.mark.parametrize(
        ("lost", "name", "note"),
        [
            ("T1h", "T1h_max", "abstains, T1h out of range"),
            ("T2h", "T1h_over_T2h", "abstains, T2h out of range"),
            ("Q1", "Q1_max", "abstains, Q1 out of range"),
        ],
    )
    def test_a_limit_says_what_it_lacks(self, all_limits, lost, name, note):
        all_limits.spoil(lost)
        all_limits.take_over().scan_for(10.0)
        assert link(all_limits, name).note == note

    def test_a_limit_by_the_weather_abstains_without_any_weather(self, all_limits):
        """A person's setpoint needs no outdoor temperature, so the loop is in control."""
        all_limits.spoil("T_out")
        all_limits.take_over().scan(TO_56)
        all_limits.scan_for(10.0)
        assert link(all_limits, "T1h_max").note == "abstains, its limit is not known"


class TestWhoGoesBefore:
    def test_is_a_person(self, moved):
        moved.scan(MAN)
        moved.scan(TO_70)
        moved.scan_for(60.0, T2g=52.0)
        assert valve_pct(moved) == 70.0
        assert moved.state.circuits[0].override == AT_REST

    def test_is_a_trip(self, moved):
        moved.scan_for(40.0, T2g=91.0)
        assert moved.last.held[VALVE].holder is Holder.TRIP
        assert valve_pct(moved) == 0.0

    def test_is_frost(self, moved):
        for _ in range(240):
            moved.values["F1"] = 200.0
            moved.scan(T2g=40.0, T2h=6.0)
        assert moved.last.held[VALVE].holder is Holder.FROST
        assert valve_pct(moved) == moved.config.circuits["main"].frost.valve_pct

    def test_is_a_supply_that_cannot_be_seen(self, moved):
        moved.spoil("T2g")
        moved.values["F1"] = 100.0
        moved.scan()
        assert moved.last.held[VALVE].holder is Holder.HOLD
