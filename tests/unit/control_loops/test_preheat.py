"""Preheating: what it asks for, what for, and that it is nothing without a cold ahead."""

from math import isnan, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from control_loops.heating_curve import CurvePoints, CurveSlope
from control_loops.preheat import Preheat, preheat_move

PREHEAT = Preheat(below_c=-20.0, by_k=1.5)
SLOPE = CurveSlope(slope=1.4)


def move_of(coldest_c, before_k=1.5, *, outdoor_c=-10.0, curve=SLOPE, preheat=PREHEAT, dt_s=5.0):
    return preheat_move(
        preheat, curve, before_k, outdoor_c=outdoor_c, coldest_c=coldest_c, dt_s=dt_s
    )


def test_a_kelvin_of_room_is_a_kelvin_and_the_curves_slope_of_supply():
    move = move_of(-20.1)
    assert move.room_k == 1.5
    assert move.supply_k == pytest.approx(1.5 * 2.4)
    assert move.why == "coldest expected -20.1 °C, rooms wanted 1.50 K warmer"


def test_beyond_the_curves_end_it_is_the_kelvin_alone():
    curve = CurvePoints(points={-15.0: 70.0, 5.0: 40.0})
    assert move_of(-25.0, outdoor_c=-15.0, curve=curve).supply_k == 1.5


@pytest.mark.parametrize("coldest_c", [-20.0, -5.0])
def test_a_cold_that_the_station_can_carry_raises_nothing(coldest_c):
    move = move_of(coldest_c, 0.0, outdoor_c=-30.0)
    assert (move.room_k, move.supply_k) == (0.0, 0.0)
    assert move.why == f"coldest expected {coldest_c:.1f} °C"


def test_without_a_forecast_it_raises_nothing_and_says_so():
    move = move_of(nan, 0.0, outdoor_c=-30.0)
    assert (move.room_k, move.supply_k, move.why) == (0.0, 0.0, "no forecast")


@pytest.mark.parametrize(
    ("coldest_c", "before_k", "after_k"),
    [
        (-25.0, 0.0, 0.5),
        (-25.0, 1.4, 1.5),
        (-5.0, 1.5, 1.0),
        (nan, 1.5, 1.0),
        (-5.0, 0.2, 0.0),
    ],
)
@pytest.mark.parametrize("dt_s", [5.0, 60.0, 7200.0])
def test_it_comes_and_goes_by_a_quarter_of_a_kelvin_an_hour(coldest_c, before_k, after_k, dt_s):
    room_k = before_k
    for _ in range(round(7200.0 / dt_s)):
        room_k = move_of(coldest_c, room_k, dt_s=dt_s).room_k
    assert room_k == pytest.approx(after_k)


@given(
    st.floats(-50.0, 25.0) | st.just(nan),
    st.floats(-60.0, 30.0) | st.just(nan),
    st.floats(0.1, 3.0),
    st.floats(0.0, 3.0),
)
def test_it_never_asks_for_less(outdoor_c, coldest_c, by_k, before_k):
    preheat = Preheat(below_c=-20.0, by_k=by_k)
    move = move_of(coldest_c, min(before_k, by_k), outdoor_c=outdoor_c, preheat=preheat)
    assert 0.0 <= move.room_k <= by_k
    # No outdoor temperature, no curve: that there is no setpoint then is the curve's own doing.
    assert isnan(outdoor_c) or move.supply_k >= move.room_k
