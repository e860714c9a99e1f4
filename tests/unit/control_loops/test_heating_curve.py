"""Heating curves against the steady state of two reference stations."""

from itertools import pairwise
from math import isnan

import pytest

from control_loops.heating_curve import (
    CurveFormula,
    CurvePoints,
    CurveSlope,
    as_points,
    curve_problems,
    interpolate,
    supply_c,
)

RADIATOR = CurveFormula(
    design_outdoor_c=-16.8, design_supply_c=70.4, design_return_c=47.9, exponent=1.3, free_k=2.95
)
FLOOR = CurveFormula(
    design_outdoor_c=-16.8, design_supply_c=43.8, design_return_c=34.8, exponent=1.1, free_k=2.95
)
POINTS = CurvePoints(points={-25.0: 79.5, -15.0: 68.5, -5.0: 56.2, 5.0: 43.1, 10.0: 36.0})
TOO_MANY = CurvePoints(points={float(i): 50.0 for i in range(5)})


@pytest.mark.parametrize(
    ("outdoor_c", "radiator_c", "floor_c"),
    [
        (-28.4, 83.6, 50.8),
        (-19.6, 73.7, 45.5),
        (-16.8, 70.4, 43.8),
        (-10.0, 62.4, 39.7),
        (-5.0, 56.2, 36.6),
        (0.0, 49.8, 33.4),
        (5.0, 43.1, 30.2),
        (8.0, 38.9, 28.2),
    ],
)
def test_the_formula_meets_the_steady_state_of_both_reference_stations(
    outdoor_c, radiator_c, floor_c
):
    assert supply_c(RADIATOR, outdoor_c) == pytest.approx(radiator_c, abs=0.1)
    assert supply_c(FLOOR, outdoor_c) == pytest.approx(floor_c, abs=0.1)


def test_the_formula_asks_for_room_temperature_where_no_heat_is_needed():
    assert supply_c(RADIATOR, 18.05) == 21.0
    assert supply_c(RADIATOR, 30.0) == 21.0


@pytest.mark.parametrize(
    ("outdoor_c", "expected_c"),
    [(-40, 79.5), (-25, 79.5), (-20, 74.0), (-15, 68.5), (0, 49.65), (10, 36.0), (25, 36.0)],
)
def test_points_are_joined_straight_and_flat_beyond_the_outer_ones(outdoor_c, expected_c):
    assert supply_c(POINTS, outdoor_c) == pytest.approx(expected_c)


def test_the_order_in_which_points_are_written_does_not_matter():
    mixed = CurvePoints(points={10.0: 36.0, -25.0: 79.5, -5.0: 56.2, 5.0: 43.1, -15.0: 68.5})
    assert supply_c(mixed, -11.0) == supply_c(POINTS, -11.0)


@pytest.mark.parametrize(
    ("outdoor_c", "expected_c"), [(-25.0, 80.5), (0.0, 49.25), (21.0, 23.0), (30.0, 23.0)]
)
def test_a_straight_curve_has_a_slope_and_a_level(outdoor_c, expected_c):
    curve = CurveSlope(slope=1.25, level_k=2.0)
    assert supply_c(curve, outdoor_c) == pytest.approx(expected_c)


def test_a_plc_gets_a_straight_curve_exactly():
    curve = CurveSlope(slope=1.25, level_k=2.0)
    points = dict(as_points(curve))
    assert len(points) == 8
    for outdoor_c in (-40.0, -17.3, 4.4, 21.0):
        assert interpolate(points, outdoor_c) == pytest.approx(supply_c(curve, outdoor_c))


@pytest.mark.parametrize("curve", [POINTS, RADIATOR, CurveSlope(slope=1.2)])
def test_an_unusable_outdoor_temperature_gives_no_setpoint(curve):
    assert isnan(supply_c(curve, float("nan")))


def test_interpolation_serves_any_mapping():
    assert interpolate({10.0: 75.0, -16.8: 110.0}, -3.4) == pytest.approx(92.5)


def test_a_plc_gets_eight_points_that_are_the_same_curve():
    points = as_points(POINTS)
    assert len(points) == 8
    assert set(POINTS.points.items()) <= set(points)
    same = CurvePoints(points=dict(points))
    for tenth in range(-300, 200):
        assert supply_c(same, tenth / 10) == pytest.approx(supply_c(POINTS, tenth / 10))


def test_a_plc_gets_a_formula_within_half_a_kelvin():
    points = as_points(RADIATOR)
    assert len(points) == 8
    assert all(cold[0] < warm[0] and cold[1] > warm[1] for cold, warm in pairwise(points))
    same = CurvePoints(points=dict(points))
    for tenth in range(-280, 120):
        assert supply_c(same, tenth / 10) == pytest.approx(supply_c(RADIATOR, tenth / 10), abs=0.5)


def test_a_curve_with_more_points_than_fit_is_refused():
    with pytest.raises(ValueError, match="5 points does not fit into 4"):
        as_points(TOO_MANY, 4)


@pytest.mark.parametrize(
    ("curve", "words"),
    [
        (POINTS, ()),
        (RADIATOR, ()),
        (
            CurvePoints(points={-10.0: 50.0, 0.0: 55.0, 10.0: 30.0}),
            ("55 °C at 0 °C outdoors", "50 °C it asks for at -10 °C"),
        ),
        (
            CurveFormula(design_outdoor_c=-17.0, design_supply_c=40.0, design_return_c=50.0),
            ("design_return 50 °C must be below",),
        ),
        (
            CurveFormula(design_outdoor_c=-17.0, design_supply_c=22.0, design_return_c=19.0),
            ("must be above the room",),
        ),
        (
            CurveFormula(
                design_outdoor_c=9.0,
                room_c=14.0,
                free_k=6.0,
                design_supply_c=70.0,
                design_return_c=50.0,
            ),
            ("design_outdoor must be below",),
        ),
    ],
)
def test_what_is_wrong_with_a_curve_is_said_in_words(curve, words):
    problems = curve_problems(curve)
    assert bool(problems) == bool(words)
    for word in words:
        assert word in problems[0]
