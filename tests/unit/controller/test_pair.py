"""Two valves in sequence: loop, people and trips move one opening, and each valve gets its own."""

import json
from dataclasses import replace

import pytest

from control_loops.split_range import Sequence, SplitRange, joined_pct, split_pct
from control_loops.valve import Valve
from controller.arbiter import Holder
from controller.authority import Authority
from controller.checkpoint import keep, restore
from controller.loop_checks import check_range
from controller.plan import plan_station
from controller.state import first_state
from core.command import LoopMode, SetMode, SetOutput
from core.point import Tag
from tests.pair_plant import pair_station
from tests.unit.controller.conftest import Bench

BOTH, FIRST, SECOND = Tag("CV_SV"), Tag("CV1_SV"), Tag("CV2_SV")
SEQUENCE = Sequence(0.3, 50.0)
MAN = SetMode(station="st-01", who="ann", why="test", loop="T2g", mode=LoopMode.MAN)


class PairBench(Bench):
    """Both valves follow at once, but for one that sticks."""

    stuck: tuple[Tag, ...] = ()

    def _carry_out(self, decision):
        super()._carry_out(decision)
        for output in (FIRST, SECOND):
            if output in decision.outputs.values and output not in self.stuck:
                self.values[output.replace("SV", "U")] = decision.outputs.values[output]


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    return pair_station(tmp_path_factory.mktemp("pair"))


@pytest.fixture
def moved(config):
    return PairBench(config).take_over()


def to(value: float) -> SetOutput:
    return SetOutput(station="st-01", who="ann", why="test", loop="T2g", value=value)


def written(bench: Bench) -> tuple[float, float]:
    values = bench.last.outputs.values
    return values[FIRST], values[SECOND]


class TestOneOpeningOfBoth:
    def test_is_split_behind_the_loop(self, moved):
        moved.scan_for(200.0, T2g=50.0)
        claim = moved.last.held[BOTH]
        assert claim.holder is Holder.LOOP
        assert claim.value > 40.0
        assert written(moved) == pytest.approx(split_pct(SEQUENCE, claim.value), abs=0.01)

    def test_is_joined_in_front_of_it(self, moved):
        moved.scan_for(50.0)
        stands = joined_pct(SEQUENCE, moved.values["CV1_U"], moved.values["CV2_U"])
        assert moved.scan().circuits[0].position_pct == pytest.approx(stands)

    def test_stands_in_no_register(self, moved):
        moved.scan_for(50.0)
        assert BOTH not in moved.last.outputs.values

    def test_has_one_holder_who_holds_each_valve(self, moved):
        moved.scan_for(50.0)
        held = moved.last.held
        assert {(held[tag].holder, held[tag].why) for tag in (BOTH, FIRST, SECOND)} == {
            (held[BOTH].holder, held[BOTH].why)
        }

    def test_a_person_sets(self, moved):
        moved.scan(MAN)
        moved.scan(to(90.0))
        moved.scan_for(120.0)
        assert written(moved) == pytest.approx((100.0, 78.85), abs=0.02)
        assert moved.last.held[SECOND].holder is Holder.OPERATOR

    def test_a_trip_closes_at_once(self, moved):
        moved.scan(MAN)
        moved.scan(to(90.0))
        moved.scan_for(120.0)
        moved.scan_for(40.0, T2g=91.0)
        assert moved.last.held[BOTH].holder is Holder.TRIP
        assert written(moved) == (0.0, 0.0)
        assert {FIRST, SECOND} <= moved.last.outputs.urgent

    def test_nobody_moves_while_the_supply_cannot_be_seen(self, moved):
        moved.scan_for(30.0)
        moved.spoil("T2g")
        moved.scan_for(30.0)
        assert not {FIRST, SECOND} & set(moved.last.outputs.values)
        assert moved.last.held[SECOND].holder is Holder.HOLD


class TestTakingOver:
    def test_writes_each_valve_as_it_stands(self, config):
        """The PLC had them in another sequence than ours."""
        bench = PairBench(config)
        bench.values.update(CV1_U=60.0, CV2_U=35.0)
        bench.scan_for(60.0)
        assert bench.holds is Authority.TAKING_OVER
        assert written(bench) == (60.0, 35.0)

    def test_goes_on_with_what_the_two_passed(self, config):
        bench = PairBench(config)
        bench.values.update(CV1_U=60.0, CV2_U=35.0)
        bench.take_over()
        assert joined_pct(SEQUENCE, *written(bench)) == pytest.approx(
            joined_pct(SEQUENCE, 60.0, 35.0), abs=0.1
        )
        assert written(bench) == pytest.approx((72.8, 0.0), abs=0.5)

    @pytest.mark.parametrize(
        "shows_pct", [(-10.0, -10.0), (-0.4, 0.0), (100.6, -2.0), (140.0, 140.0)]
    )
    def test_writes_nothing_that_a_valve_cannot_do(self, config, shows_pct):
        """A transmitter shows a little more than its valve can do, and a map may take it."""
        bench = PairBench(config)
        for _ in range(12):
            bench.scan(CV1_U=shows_pct[0], CV2_U=shows_pct[1])
        assert bench.holds is Authority.TAKING_OVER
        stand = tuple(min(max(pct, 0.0), 100.0) for pct in shows_pct)
        assert written(bench) == stand
        assert bench.last.circuits[0].position_pct == pytest.approx(joined_pct(SEQUENCE, *stand))

    @pytest.mark.parametrize("position", ["CV1_U", "CV2_U"])
    def test_waits_until_both_positions_are_known(self, config, position):
        bench = PairBench(config)
        bench.spoil(position)
        bench.scan_for(120.0)
        assert bench.holds is not Authority.TAKING_OVER


class TestWhatPeopleSee:
    def test_ends_with_what_each_valve_gets(self, moved):
        moved.scan_for(100.0, T2g=50.0)
        *_, arbiter, first, second = moved.view().chain
        assert arbiter.value == moved.last.held[BOTH].value
        assert [(one.name, one.value, one.unit) for one in (first, second)] == [
            ("CV1_SV", moved.last.outputs.values[FIRST], "%"),
            ("CV2_SV", moved.last.outputs.values[SECOND], "%"),
        ]
        assert {first.note, second.note} == {"verified"}

    def test_is_not_verified_until_both_are(self, moved):
        moved.scan()
        assert moved.view().is_verified is True
        assert moved.view(unverified=(SECOND,)).is_verified is False

    @pytest.mark.parametrize(("value", "may"), [(0.0, True), (100.0, True), (100.5, False)])
    def test_an_opening_of_both_may_be_set_though_it_has_no_register(self, moved, value, may):
        loop = replace(moved.view(), mode="man")
        assert loop.output_tag == BOTH
        assert (check_range(value, loop, moved.config) is None) is may

    def test_a_second_valve_that_sticks_near_its_seat_does_not_move(self, moved):
        moved.scan_for(60.0)
        assert moved.last.computed["valve.no_move"] == 0.0
        moved.stuck = (SECOND,)
        moved.scan(MAN)
        moved.scan(to(80.0))
        moved.scan_for(120.0)
        circuit = moved.last.circuits[0]
        assert abs(circuit.state.valve_pct - circuit.position_pct) < 5.0
        assert moved.last.computed["valve.no_move"] == 1.0


def test_a_manual_opening_of_both_survives_a_restart(moved):
    moved.scan(MAN)
    moved.scan(to(60.0))
    kept = json.loads(json.dumps(keep(moved.plan, moved.state)))
    assert restore(moved.plan, first_state(moved.plan), kept).operator.manual["T2g"].value == 60


def test_in_a_station_with_several_circuits_each_has_its_own(two_zone_station):
    split = Valve(split=SplitRange(share=0.4), rangeability=30.0)
    high = replace(two_zone_station.circuits["high"], valve=split)
    circuits = {**two_zone_station.circuits, "high": high}
    plan = plan_station(replace(two_zone_station, circuits=circuits))
    low, high_plan = sorted(plan.circuits, key=lambda one: one.name, reverse=True)
    assert (low.valve, low.pair) == ("low.CV1_SV", None)
    assert high_plan.valve == plan.outputs["high.T2g"] == "high.CV_SV"
    assert high_plan.pair.outputs == ("high.CV1_SV", "high.CV2_SV")
    assert high_plan.pair.positions == ("high.CV1_U", "high.CV2_U")
    assert high_plan.pair.sequence == Sequence(0.4, 30.0)
    # A network that has failed shows in the flow that the opening should give.
    assert plan.network.rangeability == high_plan.pair.sequence.pair_rangeability
