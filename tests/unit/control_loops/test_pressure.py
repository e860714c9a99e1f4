"""Which differential pressure is wanted: constant, by the weather, or for a spread."""

from math import isnan, nan

import pytest

from control_loops.pressure import DpPoints, SpreadControl, lowest_usable, wanted_dp

BY_OUTDOOR = DpPoints(points={-20.0: 200.0, 5.0: 120.0})
SPREAD = SpreadControl(spread_k=20.0, dp_kpa=(80.0, 220.0))


def wanted(state=None, *, by_outdoor=None, spread=None, outdoor_c=-7.5, spread_k=20.0):
    return wanted_dp(
        180.0, by_outdoor, spread, state, outdoor_c=outdoor_c, spread_k=spread_k, dt_s=5.0
    )


def after(seconds, state, spread_k):
    for _ in range(round(seconds / 5.0)):
        last = wanted(state, spread=SPREAD, spread_k=spread_k)
        state = last.spread
    return last


def test_a_constant_pressure_stays():
    assert wanted() == (180.0, "", None)


@pytest.mark.parametrize(
    ("outdoor_c", "dp_kpa"),
    [(-30.0, 200.0), (-20.0, 200.0), (-7.5, 160.0), (5.0, 120.0), (15.0, 120.0), (nan, 180.0)],
)
def test_the_weather_sets_it_where_points_are_given(outdoor_c, dp_kpa):
    assert wanted(by_outdoor=BY_OUTDOOR, outdoor_c=outdoor_c).dp_kpa == pytest.approx(dp_kpa)


def test_a_spread_that_is_too_large_asks_for_more_flow_and_one_too_small_for_less():
    start = wanted(spread=SPREAD)
    assert start.dp_kpa == pytest.approx(180.0)
    assert after(1800.0, start.spread, 24.0).dp_kpa > 185.0
    assert after(1800.0, start.spread, 16.0).dp_kpa < 175.0
    assert after(36_000.0, start.spread, 40.0).dp_kpa == 220.0


def test_it_moves_from_end_to_end_in_an_hour_at_the_fastest():
    state, before = wanted(spread=SPREAD).spread, 180.0
    for _ in range(400):
        moved = wanted(state, spread=SPREAD, spread_k=60.0)
        assert abs(moved.dp_kpa - before) <= 140.0 * 5.0 / 3600.0 + 1e-9
        state, before = moved.spread, moved.dp_kpa


def test_an_unusable_spread_holds_the_pressure():
    state = wanted(spread=SPREAD).spread
    assert after(600.0, state, nan).dp_kpa == pytest.approx(180.0)


def test_a_spread_that_is_unusable_from_the_start_is_no_number_that_anybody_acts_on():
    first = wanted(spread=SPREAD, spread_k=nan)
    assert first.dp_kpa == pytest.approx(180.0)


def test_of_several_points_the_worst_counts():
    assert lowest_usable((180.0, 95.0, nan)) == 95.0
    assert isnan(lowest_usable((nan, nan)))
