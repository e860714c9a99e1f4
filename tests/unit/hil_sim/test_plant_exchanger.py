"""The exchanger against textbook cases and against its own heat balance."""

import math

import pytest

from hil_sim.plant.exchanger import (
    Exchanger,
    ExchangerParameters,
    conductance_kw_per_k,
    effectiveness,
    heat_per_kelvin,
)

SET_A = ExchangerParameters()


@pytest.mark.parametrize(
    ("ntu", "capacity_ratio", "expected"),
    [
        (5.0, 0.7, 0.920670),
        (3.568, 0.4545, 0.9167),
        (2.992, 0.143, 0.9333),
        (2.0, 1.0, 2.0 / 3.0),
        (0.0, 0.5, 0.0),
    ],
)
def test_effectiveness_agrees_with_textbook_cases(
    ntu: float, capacity_ratio: float, expected: float
) -> None:
    assert effectiveness(ntu, capacity_ratio) == pytest.approx(expected, abs=1e-4)


def test_effectiveness_agrees_with_the_logarithmic_mean_difference() -> None:
    # given a textbook's streams: hot 5.2 kg/s of 1860 J/kgK at 130 °C, cold 1.45 kg/s of 1900 J/kgK
    # from 15 to 85 °C, so that the hot one leaves at 110.061 °C
    hot_kw_per_k, cold_kw_per_k = 9.672, 2.755
    heat_kw = cold_kw_per_k * 70.0
    hot_out_c = 130.0 - heat_kw / hot_kw_per_k
    assert hot_out_c == pytest.approx(110.061, abs=1e-3)
    # when UA follows from the mean difference in counterflow
    warm_end, cold_end = 130.0 - 85.0, hot_out_c - 15.0
    mean_k = (cold_end - warm_end) / math.log(cold_end / warm_end)
    ntu = heat_kw / mean_k / cold_kw_per_k
    # then effectiveness gives the cold stream's share of the possible rise
    assert effectiveness(ntu, cold_kw_per_k / hot_kw_per_k) == pytest.approx(70.0 / 115.0, abs=1e-9)


def test_conductance_at_the_nominal_flows_is_the_nominal_one() -> None:
    assert conductance_kw_per_k(SET_A, 90.9, 200.0) == pytest.approx(324.0)


def test_conductance_grows_with_the_flow_to_the_film_exponent() -> None:
    # given both films grow alike
    doubled = conductance_kw_per_k(SET_A, 2 * 90.9, 2 * 200.0)
    # then the whole does too
    assert doubled == pytest.approx(324.0 * 2**0.8)


def test_both_sides_exchange_the_same_heat_at_rest() -> None:
    # given an exchanger run to rest
    exchanger = Exchanger(SET_A)
    for _ in range(600):
        exchanger.step(1.0, t1_c=110.0, c1_kw_per_k=79.4, t2_c=47.7, c2_kw_per_k=200.0)
    # then what one side loses the other gains
    lost = 79.4 * (110.0 - exchanger.primary_out_c)
    gained = 200.0 * (exchanger.secondary_out_c - 47.7)
    assert lost == pytest.approx(gained, rel=1e-6)
    assert gained == pytest.approx(heat_per_kelvin(SET_A, 79.4, 200.0) * (110.0 - 47.7), rel=1e-6)


def test_settling_is_where_stepping_leads() -> None:
    stepped, settled = Exchanger(SET_A), Exchanger(SET_A)
    for _ in range(600):
        stepped.step(1.0, t1_c=95.0, c1_kw_per_k=60.0, t2_c=41.0, c2_kw_per_k=200.0)
    settled.settle(t1_c=95.0, c1_kw_per_k=60.0, t2_c=41.0, c2_kw_per_k=200.0)
    assert stepped.secondary_out_c == pytest.approx(settled.secondary_out_c, abs=1e-6)


def test_the_outlets_lag_by_a_few_seconds() -> None:
    # given an exchanger at rest, when the primary flow doubles
    exchanger = Exchanger(SET_A)
    before = exchanger.settle(t1_c=95.0, c1_kw_per_k=30.0, t2_c=41.0, c2_kw_per_k=200.0)[1]
    after = Exchanger(SET_A).settle(t1_c=95.0, c1_kw_per_k=60.0, t2_c=41.0, c2_kw_per_k=200.0)[1]
    for _ in range(4):
        exchanger.step(1.0, t1_c=95.0, c1_kw_per_k=60.0, t2_c=41.0, c2_kw_per_k=200.0)
    # then about two thirds of the way are gone after one residence time
    assert 0.4 < (exchanger.secondary_out_c - before) / (after - before) < 0.8


def test_standing_water_cools_towards_the_station() -> None:
    # given a hot exchanger without any flow for a day
    exchanger = Exchanger(SET_A)
    exchanger.settle(t1_c=95.0, c1_kw_per_k=60.0, t2_c=41.0, c2_kw_per_k=200.0)
    for _ in range(86_400):
        exchanger.step(1.0, t1_c=95.0, c1_kw_per_k=0.0, t2_c=20.0, c2_kw_per_k=0.0)
    # then it is nearer to the station's air than to either inlet
    assert 15.0 < exchanger.secondary_out_c < 40.0
