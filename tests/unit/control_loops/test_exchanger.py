"""The rough model of exchanger and valve, held against the plant and against hand calculation."""

from dataclasses import replace

import pytest

from control_loops.exchanger import (
    Duty,
    ExchangerData,
    data_problems,
    opening_pct,
    strength_k_per_pct,
    valve_model,
)
from control_loops.valve import Valve

SHEET = ExchangerData(
    power_kw=4630.0, T1g_c=110.0, T1h_c=52.0, T2g_c=70.4, T2h_c=47.9, F1_open_m3h=80.0
)
MODEL = valve_model(SHEET, Valve())
DESIGN = Duty(70.4, 110.0, 47.9, 150.0)


def test_the_data_sheet_gives_back_its_own_numbers():
    """C = P / dT on both sides; the log mean of 39.6 K and 4.1 K is 15.65 K."""
    assert MODEL.c1 == pytest.approx(4630.0 / 58.0)
    assert MODEL.c2 == pytest.approx(4630.0 / 22.5)
    ua = MODEL.film1 * MODEL.film2 / (MODEL.film1 + MODEL.film2)
    assert ua == pytest.approx(4630.0 / 15.65, rel=1e-3)


def test_at_design_the_valve_passes_the_design_flow():
    # A valve without authority loss of its own and 0.9 of the open flow stands at 1 + ln 0.9/ln R.
    alone = valve_model(replace(SHEET, F1_open_m3h=None), Valve(authority=1.0, rangeability=50.0))
    assert opening_pct(alone, DESIGN) == pytest.approx(97.56, abs=0.05)


@pytest.mark.parametrize(
    ("changed", "opens"),
    [
        ({"setpoint_c": 68.0}, False),
        ({"t1g_c": 120.0}, False),
        ({"t2h_c": 49.0}, False),
        ({"dp_kpa": 250.0}, False),
        ({"t1g_c": 108.0}, True),
        ({"dp_kpa": 140.0}, True),
    ],
)
def test_it_moves_the_way_that_keeps_the_supply(changed, opens):
    assert (opening_pct(MODEL, DESIGN._replace(**changed)) > opening_pct(MODEL, DESIGN)) is opens


@pytest.mark.parametrize(
    ("duty", "opening"),
    [
        (DESIGN._replace(setpoint_c=40.0), 0.0),
        (DESIGN._replace(t1g_c=60.0), 100.0),
        (DESIGN._replace(t1g_c=40.0), 100.0),
        (DESIGN._replace(dp_kpa=0.01), 0.0),
    ],
)
def test_what_cannot_be_ends_at_a_stop(duty, opening):
    assert opening_pct(MODEL, duty) == opening


@pytest.mark.parametrize(
    ("duty", "published"),
    [
        (Duty(62.4, 101.0, 44.2, 150.0), 0.46),
        (Duty(56.2, 95.0, 41.3, 150.0), 0.43),
        (Duty(43.1, 82.0, 34.7, 150.0), 0.30),
        (Duty(38.9, 78.0, 32.4, 150.0), 0.24),
    ],
)
def test_its_strength_is_that_of_the_reference_plant_within_a_tenth(duty, published):
    assert strength_k_per_pct(MODEL, duty) == pytest.approx(published, rel=0.1)


def test_near_the_stops_it_has_no_strength_to_tell():
    assert strength_k_per_pct(MODEL, DESIGN._replace(t1g_c=60.0)) is None
    assert strength_k_per_pct(MODEL, DESIGN._replace(setpoint_c=48.0)) is None


@pytest.mark.parametrize("crossed", [{"T1h_c": 115.0}, {"T2h_c": 75.0}, {"T2g_c": 111.0}])
def test_a_sheet_in_which_heat_flows_uphill_is_refused(crossed):
    assert data_problems(SHEET) == ()
    assert data_problems(replace(SHEET, **crossed))
