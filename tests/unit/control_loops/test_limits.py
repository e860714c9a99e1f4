"""Limits of the supply setpoint: which one rules, and how the return limiter lets go."""

from math import isnan, nan

import pytest

from control_loops.heating_curve import CurvePoints
from control_loops.limits import REST, LimitFacts, SupplyLimits, supply_limit

LIMITS = SupplyLimits(T2g_c=(35.0, 80.0), T1h_max_c=60.0, ramp_k_per_h=10.0)
COLD = LimitFacts(outdoor_c=-10.0, t1h_c=50.0, t2h_c=40.0, f1_m3h=40.0, q1_kw=2000.0)


def after(state, t1h_c, seconds, setpoint_c=60.0):
    facts = COLD._replace(t1h_c=t1h_c)
    return limited(LIMITS, state, facts, seconds, setpoint_c)


def limited(limits, state, facts, seconds, setpoint_c=60.0):
    result = None
    for _ in range(round(seconds / 5.0)):
        *result, state = supply_limit(setpoint_c, limits=limits, facts=facts, state=state, dt_s=5.0)
    return (*result, state)


@pytest.mark.parametrize(
    ("asked_c", "given_c", "ruling"),
    [(60.0, 60.0, ""), (85.0, 80.0, "T2g_high"), (20.0, 35.0, "T2g_low")],
)
def test_the_setpoint_stays_in_its_range(asked_c, given_c, ruling):
    result = supply_limit(asked_c, limits=LIMITS, facts=COLD, state=REST, dt_s=5.0)
    assert result[:2] == (given_c, ruling)


def test_a_warm_return_lowers_the_setpoint_slowly_and_lets_it_go_again():
    given_c, ruling, state = after(REST, 62.0, 600.0)
    assert ruling == "T1h_max"
    assert 58.0 < given_c < 60.0
    given_c, ruling, state = after(state, 70.0, 6 * 3600.0)
    assert given_c == pytest.approx(50.0)
    given_c, ruling, state = after(state, 55.0, 5.0)
    assert given_c > 50.0
    given_c, ruling, _ = after(state, 55.0, 3 * 3600.0)
    assert (given_c, ruling) == (60.0, "")


def test_no_limit_moves_the_setpoint_faster_than_its_ramp():
    state, before = REST, 60.0
    for t1h_c in [70.0] * 300 + [30.0] * 300:
        given_c, _, state = after(state, t1h_c, 5.0)
        assert abs(given_c - before) <= 10.0 * 5.0 / 3600.0 + 1e-9
        before = given_c


def test_the_return_limiter_never_goes_below_the_range():
    given_c, ruling, _ = after(REST, 75.0, 6 * 3600.0, setpoint_c=40.0)
    assert (given_c, ruling) == (35.0, "T2g_low")


def test_a_lost_return_holds_the_lowering_for_ten_minutes_and_then_lets_it_go():
    lowered_c, _, state = after(REST, 66.0, 3600.0)
    held_c, _, state = after(state, nan, 600.0)
    assert held_c == lowered_c
    given_c, ruling, _ = after(state, nan, 3600.0)
    assert (given_c, ruling) == (60.0, "")


def test_an_unusable_setpoint_stays_unusable():
    given_c, _, _ = supply_limit(nan, limits=LIMITS, facts=COLD, state=REST, dt_s=5.0)
    assert isnan(given_c)


CURVE = CurvePoints(points={-20.0: 60.0, 10.0: 45.0})


@pytest.mark.parametrize(
    ("more", "facts", "ruling"),
    [
        ({"T1h_curve": CURVE}, COLD._replace(t1h_c=57.0), "T1h_max"),
        ({"T1h_curve": CURVE}, COLD._replace(t1h_c=57.0, outdoor_c=-20.0), ""),
        ({"T1h_over_T2h_k": 8.0}, COLD, "T1h_over_T2h"),
        ({"T1h_over_T2h_k": 12.0}, COLD, ""),
        ({"F1_max_m3h": 36.0}, COLD, "F1_max"),
        ({"F1_max_m3h": 44.0}, COLD, ""),
        ({"Q1_max_kw": 1800.0}, COLD, "Q1_max"),
        ({"Q1_max_kw": 2200.0}, COLD, ""),
    ],
)
def test_each_limit_rules_where_it_is_exceeded_and_only_there(more, facts, ruling):
    limits = SupplyLimits(T2g_c=(35.0, 80.0), T1h_max_c=60.0, **more)
    given_c, found, _ = limited(limits, REST, facts, 3600.0)
    assert found == ruling
    assert (given_c < 60.0) == bool(ruling)


def test_of_several_limits_the_lowest_rules_and_the_others_are_ready_to_follow():
    """An idle limiter stands at the ruling lowering plus its own proportional part."""
    limits = SupplyLimits(T2g_c=(35.0, 80.0), T1h_max_c=55.0, F1_max_m3h=36.0)
    both = COLD._replace(t1h_c=55.2)
    given_c, ruling, state = limited(limits, REST, both, 1800.0)
    assert ruling == "F1_max"
    # The flow falls back; the return, still warm, takes over from where the setpoint stands.
    rulings = []
    for _ in range(180):
        then_c, ruling, state = limited(limits, state, both._replace(f1_m3h=30.0), 5.0)
        assert abs(then_c - given_c) <= 10.0 * 5.0 / 3600.0 + 1e-9
        given_c = then_c
        rulings.append(ruling)
    assert rulings[0] == "F1_max"
    assert rulings[-1] == "T1h_max"
    assert given_c < 60.0
    free_c, ruling, _ = limited(limits, state, COLD._replace(f1_m3h=20.0, t1h_c=45.0), 4 * 3600.0)
    assert (free_c, ruling) == (60.0, "")


def test_a_lost_flow_meter_lets_its_limit_go_and_leaves_the_others():
    limits = SupplyLimits(T2g_c=(35.0, 80.0), T1h_max_c=55.0, F1_max_m3h=36.0)
    _, _, state = limited(limits, REST, COLD._replace(t1h_c=58.0), 3 * 3600.0)
    lost = COLD._replace(t1h_c=58.0, f1_m3h=nan)
    given_c, ruling, _ = limited(limits, state, lost, 3 * 3600.0)
    assert ruling == "T1h_max"
    assert 45.0 <= given_c < 60.0
