"""Limits that act on the valve: the lowest loop rules, and the others stand ready beside it."""

from dataclasses import replace
from itertools import pairwise
from math import nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from control_loops.limits import REST as NOT_LIMITED
from control_loops.limits import LimitFacts, SupplyLimits, bounds_of, supply_limit
from control_loops.override import (
    AT_REST,
    HOLD_S,
    Bound,
    LowestSupply,
    OverrideState,
    ValveOverride,
    keep_lowest,
    override_gains,
    override_step,
)
from control_loops.pid import Gains, PidState, PidStep, step, track

SUPPLY = Gains(gain=0.7, reset_time_s=35.0, low=5.0, high=100.0)
QUICK = ValveOverride(by=("F1_max",), quota_gain=0.2, quota_reset_time_s=60.0)
BOTH = ValveOverride(by=("F1_max", "T1h_max"))


class Loops:
    """A supply loop and the limits over it; everything stands where it was selected."""

    def __init__(self, override: ValveOverride, supply: Gains = SUPPLY, *, stands: float = 60.0):
        self.gains, self.supply_gains = override_gains(override, supply), supply
        self.supply = track(supply, output=stands, setpoint=50.0, measured=50.0)
        self.state: OverrideState = AT_REST
        self.wanted: PidStep | None = None

    def scan(self, bounds: dict, *, error_k: float = 0.0, dt_s: float = 5.0) -> float:
        stands = self.supply.output
        self.wanted = step(
            self.supply_gains,
            self.supply,
            setpoint=50.0 + error_k,
            measured=50.0,
            external_reset=stands,
            dt_s=dt_s,
        )
        selected, self.state = override_step(
            self.gains,
            self.state,
            self.wanted,
            bounds,
            stands_pct=stands,
            external_reset=stands,
            dt_s=dt_s,
        )
        self.supply = selected.state
        return selected.output

    def allowed(self, name: str) -> float:
        return next(one.allowed_pct for one in self.state.members if one.name == name)


def flow(percent: float) -> dict[str, Bound]:
    """F1 in percent of its limit."""
    return {"F1_max": Bound(100.0, percent)}


@pytest.mark.parametrize("h", [1.0, 5.0, 20.0])
def test_an_idle_limit_stands_its_own_error_beside_what_was_selected(h):
    """u_idle = u_selected + K e_idle, with what rules standing still."""
    loops = Loops(QUICK)
    loops.scan(flow(120.0), dt_s=h)
    for _ in range(2000):
        selected = loops.scan(flow(90.0), dt_s=h)
    assert loops.state.ruling == ""
    assert loops.allowed("F1_max") == pytest.approx(selected + 0.2 * 10.0, abs=1e-6)


@pytest.mark.parametrize("h", [1.0, 5.0, 20.0])
def test_an_idle_supply_loop_stands_its_own_error_beside_what_was_selected(h):
    loops = Loops(QUICK)
    for _ in range(2000):
        # At its limit exactly the flow neither closes nor opens the valve.
        selected = loops.scan(flow(100.0), error_k=4.0, dt_s=h)
    assert loops.state.ruling == "F1_max"
    assert loops.wanted.terms.raw == pytest.approx(selected + 0.7 * 4.0, abs=1e-6)


@given(
    scans=st.lists(
        st.tuples(
            st.floats(0.0, 300.0) | st.just(nan),
            st.floats(30.0, 90.0) | st.just(nan),
            st.floats(-20.0, 20.0),
        ),
        min_size=1,
        max_size=60,
    ),
    h=st.sampled_from([1.0, 5.0, 20.0]),
)
def test_what_is_selected_is_the_lowest_of_the_members_and_no_integral_winds_up(scans, h):
    supply = replace(SUPPLY, deadband=1.2, gap=0.75, rate_per_s=1.2)
    loops = Loops(BOTH, supply)
    for percent, return_c, error_k in scans:
        before = loops.supply.output
        bounds = {"F1_max": Bound(100.0, percent), "T1h_max": Bound(60.0, return_c)}
        selected = loops.scan(bounds, error_k=error_k, dt_s=h)
        allowed = [
            one.allowed_pct for one in loops.state.members if one.allowed_pct == one.allowed_pct
        ]
        assert selected == min([loops.wanted.output, *allowed])
        assert supply.low <= selected <= supply.high
        assert abs(selected - before) <= supply.rate_per_s * h + 1e-9
        # The integral lies between openings that stood, but for what its own gap and deadband keep.
        for one in loops.state.members:
            most = loops.gains[one.name].gain * 300.0 + supply.deadband
            assert supply.low - most <= one.pid.integral <= supply.high + most


def test_a_limit_takes_over_and_lets_go_without_a_step():
    loops = Loops(QUICK)
    openings = [loops.scan(flow(50.0)) for _ in range(50)]
    openings += [loops.scan(flow(95.0 + 0.05 * k), error_k=5.0) for k in range(200)]
    assert loops.state.ruling == "F1_max"
    openings += [loops.scan(flow(105.0 - 0.2 * k), error_k=5.0) for k in range(200)]
    assert loops.state.ruling == ""
    # Beside its gain, 3.5 % at once, the supply loop moves 0.5 % in a scan.
    assert max(abs(b - a) for a, b in pairwise(openings[51:])) <= 0.51


def test_it_closes_above_the_limit_and_rests_in_the_gap_below():
    supply = replace(SUPPLY, deadband=1.2)
    gap = override_gains(QUICK, supply)["F1_max"].gap
    moves = {}
    for percent in (100.0 + 5.0, 100.0 - gap, 100.0 - 2.0 * gap - 5.0):
        loops = Loops(QUICK, supply)
        loops.scan(flow(100.0), error_k=20.0)
        begin = loops.supply.output
        for _ in range(60):
            end = loops.scan(flow(percent), error_k=20.0)
        moves[percent] = end - begin
    assert list(moves.values()) == [
        pytest.approx(-10.0, abs=9.0),
        0.0,
        pytest.approx(10.0, abs=9.0),
    ]


class TestWithoutItsValue:
    def test_a_limit_that_ruled_lets_nobody_open_further_for_ten_minutes(self):
        loops = Loops(QUICK)
        for _ in range(100):
            held = loops.scan(flow(100.0), error_k=5.0)
        seconds = 0.0
        while loops.scan(flow(nan), error_k=5.0) == held:
            assert loops.state.ruling == "F1_max"
            seconds += 5.0
        assert seconds == HOLD_S

    def test_meanwhile_the_loop_may_close(self):
        loops = Loops(QUICK)
        for _ in range(100):
            held = loops.scan(flow(100.0), error_k=5.0)
        assert loops.scan(flow(nan), error_k=-5.0) < held
        assert loops.state.ruling == ""

    def test_a_limit_that_was_idle_abstains_at_once(self):
        loops = Loops(QUICK)
        for _ in range(10):
            loops.scan(flow(50.0))
        opened = [loops.scan(flow(nan), error_k=5.0) for _ in range(20)]
        assert loops.state.ruling == ""
        assert loops.allowed("F1_max") != loops.allowed("F1_max")
        assert opened[-1] > opened[0] > 60.0

    def test_one_that_is_back_begins_where_the_valve_stands(self):
        loops = Loops(QUICK)
        for _ in range(10):
            loops.scan(flow(nan), error_k=5.0)
        stands = loops.supply.output
        assert loops.scan(flow(110.0), error_k=5.0) == pytest.approx(stands - 0.2 * 10.0, abs=1e-9)

    def test_the_valve_may_come_back_to_where_it_was_held(self):
        loops = Loops(QUICK)
        for _ in range(100):
            held = loops.scan(flow(100.0), error_k=5.0)
        loops.scan(flow(nan), error_k=-5.0)
        opened = [loops.scan(flow(nan), error_k=5.0) for _ in range(100)]
        assert max(opened) == opened[-1] == held
        assert loops.state.ruling == "F1_max"

    def test_one_whose_value_comes_and_goes_closes_no_faster_than_with_all_of_it(self):
        steady, broken = Loops(BOTH), Loops(BOTH)
        warm = {**flow(50.0), "T1h_max": Bound(60.0, 60.5)}
        unknown = {**flow(50.0), "T1h_max": Bound(60.0, nan)}
        for _ in range(60):
            steady.scan(warm, error_k=10.0)
            steady.scan(warm, error_k=10.0)
            broken.scan(warm, error_k=10.0)
            broken.scan(unknown, error_k=10.0)
        assert steady.supply.output < 59.1
        assert broken.supply.output == pytest.approx(steady.supply.output, abs=0.5)


class TestAValveThatWasShut:
    """A trip closed it for an hour, and it opens again."""

    def opened_pct(self, return_c: float) -> float:
        bounds = {**flow(50.0), "T1h_max": Bound(60.0, return_c)}
        loops = Loops(BOTH, replace(SUPPLY, deadband=1.2, rate_per_s=1.2))
        for _ in range(720):
            loops.scan(bounds, error_k=20.0)
            loops.supply = loops.supply._replace(output=0.0)
        for _ in range(6):
            loops.scan(bounds, error_k=60.0)
        return loops.supply.output

    def test_is_held_back_by_no_slow_integral(self):
        assert self.opened_pct(50.0) == pytest.approx(36.0)

    def test_is_held_back_by_a_limit_that_is_passed(self):
        assert self.opened_pct(61.0) <= 6.0


def test_a_return_that_is_kept_lets_the_valve_open_within_minutes_and_closes_it_slowly():
    moves = []
    for return_c in (55.0, 65.0):
        loops = Loops(BOTH)
        loops.scan({**flow(50.0), "T1h_max": Bound(60.0, 60.0)}, error_k=30.0)
        first = loops.scan({**flow(50.0), "T1h_max": Bound(60.0, return_c)}, error_k=30.0)
        for _ in range(60):
            last = loops.scan({**flow(50.0), "T1h_max": Bound(60.0, return_c)}, error_k=30.0)
        moves.append(last - first)
    assert moves == [pytest.approx(10.0, abs=0.5), pytest.approx(-1.67, abs=0.1)]


def test_who_rules_is_told_while_the_loop_would_open_by_less_than_its_deadband():
    """Else the rooms, the records and people would hear every few scans that nobody rules."""
    loops = Loops(QUICK, replace(SUPPLY, deadband=1.2, gap=0.75))
    for _ in range(20):
        loops.scan(flow(110.0), error_k=5.0)
    ruling = set()
    for _ in range(200):
        loops.scan(flow(99.0), error_k=1.8)
        ruling.add(loops.state.ruling)
    assert ruling == {"F1_max"}
    for _ in range(20):
        loops.scan(flow(99.0), error_k=-1.0)
    assert loops.state.ruling == ""


class TestTheSetpoint:
    limits = SupplyLimits(T2g_c=(35.0, 83.0), F1_max_m3h=60.0, Q1_max_kw=4000.0)
    facts = LimitFacts(-5.0, 48.0, 44.0, 66.0, 3000.0)

    def lowered(self, limits, **facts) -> float:
        state = NOT_LIMITED
        for _ in range(200):
            setpoint_c, _, state = supply_limit(
                60.0, limits=limits, facts=self.facts._replace(**facts), state=state, dt_s=5.0
            )
        return 60.0 - setpoint_c

    def test_is_left_alone_by_a_limit_that_acts_on_the_valve(self):
        acts = replace(self.limits, valve_override=ValveOverride(by=("F1_max",)))
        assert self.lowered(self.limits) > 0.5
        assert self.lowered(acts) == 0.0

    def test_is_still_lowered_by_the_others(self):
        acts = replace(self.limits, valve_override=ValveOverride(by=("F1_max",)))
        assert self.lowered(acts, q1_kw=4400.0) > 0.5

    def test_is_lowered_by_nobody_where_all_act_on_the_valve(self):
        acts = replace(
            self.limits, valve_override=ValveOverride(by=("T1h_max", "F1_max", "Q1_max"))
        )
        assert self.lowered(acts, q1_kw=4400.0, t1h_c=80.0) == 0.0

    def test_bounds_are_those_of_the_limits(self):
        assert bounds_of(self.limits, self.facts) == {
            "T1h_max": Bound(65.0, 48.0),
            "F1_max": Bound(100.0, pytest.approx(110.0)),
            "Q1_max": Bound(100.0, 75.0),
        }


def test_a_member_of_a_loop_that_was_elsewhere_begins_where_the_valve_stands():
    loops = Loops(QUICK, stands=30.0)
    assert loops.scan(flow(104.0)) == pytest.approx(30.0 - 0.2 * 4.0)
    assert loops.state.members[0].pid.bad_s == 0.0
    assert isinstance(loops.state.members[0].pid, PidState)


class KeptLoops(Loops):
    """The same with a lowest supply of 35 °C."""

    def kept(self, bounds: dict, supply_c: float, *, error_k: float = 20.0, **lowest) -> float:
        """Scan once; `supply_c` is what the floor sees, `error_k` what the supply loop does."""
        before, stands = self.state, self.supply.output
        self.scan(bounds, error_k=error_k)
        limited = self.wanted._replace(output=self.supply.output, state=self.supply), self.state
        selected, self.state = keep_lowest(
            LowestSupply(
                **{"gains": self.supply_gains, **lowest}, least_c=35.0, measured_c=supply_c
            ),
            before,
            self.wanted,
            limited,
            stands_pct=stands,
            external_reset=stands,
            dt_s=5.0,
        )
        self.supply = selected.state
        return selected.output


class TestTheLowestSupply:
    """A limit closes the valve no further than to the lowest supply that a setpoint may have."""

    def test_stands_its_own_error_beside_what_was_selected_while_idle(self):
        """u_idle = u_selected + K e_idle."""
        loops = KeptLoops(QUICK)
        loops.kept(flow(120.0), 25.0)
        for _ in range(2000):
            selected = loops.kept(flow(100.0), 45.0)
        assert (loops.state.ruling, loops.state.is_lowest) == ("F1_max", False)
        assert loops.state.floor.least_pct == pytest.approx(selected + 0.7 * -10.0, abs=1e-6)

    @given(
        scans=st.lists(
            st.tuples(
                st.floats(0.0, 300.0) | st.just(nan),
                st.floats(10.0, 60.0) | st.just(nan),
                st.floats(-20.0, 20.0),
                st.booleans(),
            ),
            min_size=1,
            max_size=60,
        )
    )
    def test_never_opens_the_valve_beyond_the_supply_loop_and_never_winds_up(self, scans):
        supply = replace(SUPPLY, deadband=1.2, gap=0.75, rate_per_s=1.2)
        loops = KeptLoops(QUICK, supply)
        for percent, supply_c, error_k, is_elsewhere in scans:
            before = loops.supply.output
            selected = loops.kept(
                flow(percent), supply_c, error_k=error_k, is_elsewhere=is_elsewhere
            )
            allowed = [one.allowed_pct for one in loops.state.members]
            least = loops.state.floor.least_pct
            # NaN, which is not known, comes last in both: the other one stays.
            assert selected == min(loops.wanted.output, max(allowed[0], least))
            assert abs(selected - before) <= supply.rate_per_s * 5.0 + 1e-9
            most = supply.gain * 60.0 + supply.deadband
            assert supply.low - most <= loops.state.floor.pid.integral <= supply.high + most

    def test_takes_over_and_lets_go_without_a_step(self):
        loops = KeptLoops(replace(QUICK, quota_gain=0.05))
        openings, ruled = [loops.kept(flow(130.0), 50.0)], []
        supplies_c = [
            *(50.0 - 0.05 * k for k in range(300)),
            *(35.0 + 0.05 * k for k in range(100)),
        ]
        for supply_c in supplies_c:
            openings.append(loops.kept(flow(130.0), supply_c))
            ruled.append(loops.state.is_lowest)
        assert (ruled[0], True in ruled, ruled[-1]) == (False, True, False)
        # A limit whose error stands moves by 0.12 % in a scan, and by 1.5 % at first.
        assert max(abs(b - a) for a, b in pairwise(openings)) < 0.2

    def test_holds_a_valve_that_a_meter_would_close_for_good(self):
        loops = KeptLoops(QUICK)
        for _ in range(500):
            loops.kept(flow(150.0), 35.0)
        assert loops.state.is_lowest
        assert loops.supply.output > 50.0

    def test_lets_the_supply_loop_close_as_far_as_it_wants(self):
        loops = KeptLoops(QUICK)
        for _ in range(200):
            loops.kept(flow(150.0), 30.0, error_k=-5.0)
        assert (loops.supply.output, loops.state.ruling) == (SUPPLY.low, "")

    def test_is_told_while_the_loop_would_open_by_less_than_its_deadband(self):
        loops = KeptLoops(QUICK, replace(SUPPLY, deadband=1.2, gap=0.75))
        told = set()
        for scan in range(300):
            loops.kept(flow(102.0), 35.5, error_k=1.8)
            if scan > 100:
                told.add((loops.state.ruling, loops.state.is_lowest))
        assert told == {("F1_max", True)}

    def test_abstains_without_its_value_and_goes_on_with_its_integral(self):
        """One that began anew with each value would hold the limits up."""
        steady, broken = KeptLoops(QUICK), KeptLoops(QUICK)
        for _ in range(40):
            steady.kept(flow(110.0), 60.0)
            broken.kept(flow(110.0), 60.0)
            stands = broken.supply
            broken.kept(flow(110.0), nan)
            assert broken.state.floor.least_pct != broken.state.floor.least_pct
            # Without its value the supply loop holds the valve.
            broken.supply = stands
        assert broken.supply.output <= steady.supply.output + 0.5

    def test_stays_where_it_is_when_its_value_comes_from_another_sensor(self):
        loops = KeptLoops(QUICK)
        for _ in range(200):
            before = loops.kept(flow(150.0), 35.0)
        assert loops.kept(flow(150.0), 38.0, is_elsewhere=True) == pytest.approx(before)

    def test_moves_no_valve_when_the_gains_change(self):
        loops = KeptLoops(QUICK)
        for _ in range(200):
            loops.kept(flow(150.0), 35.0)
        before = [loops.kept(flow(150.0), 33.0) for _ in range(3)][-1]
        softer = replace(SUPPLY, gain=0.3)
        # Its integral moves it by 0.2 % in a scan; the gain alone would close it by 0.8 %.
        assert before < loops.kept(flow(150.0), 33.0, gains=softer) < before + 0.4

    def test_is_held_back_by_no_slow_limit_that_is_kept_again(self):
        loops = KeptLoops(BOTH, stands=10.0)
        for _ in range(60):
            stands = loops.kept({**flow(50.0), "T1h_max": Bound(60.0, 75.0)}, 33.0)
        assert loops.state.is_lowest
        loops.kept({**flow(50.0), "T1h_max": Bound(60.0, 59.0)}, 33.0)
        assert loops.allowed("T1h_max") >= stands

    def test_hands_over_to_a_limit_that_has_waited_for_the_supply_to_be_warm(self):
        """While the floor rules, the limit stands beside the valve and does not wind up."""
        loops = KeptLoops(QUICK)
        for _ in range(2000):
            stands = loops.kept(flow(110.0), 35.0)
        assert loops.allowed("F1_max") == pytest.approx(stands - 0.2 * 10.0, abs=1e-6)
