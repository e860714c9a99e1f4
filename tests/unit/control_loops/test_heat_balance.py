"""The supply sensor held against the heat of the primary."""

import math

import pytest

from control_loops.heat_balance import MEAN_S, Sides, supply_off_k

NAN = math.nan
# 50 m³/h lose 40 K, 160 m³/h gain 12.5 K.
RIGHT = Sides(t1g_c=95.0, t1h_c=55.0, f1_m3h=50.0, t2g_c=57.5, t2h_c=45.0, f2_m3h=160.0)


def off_k(sides, before_k=NAN, *, dt_s=5.0):
    return supply_off_k(before_k, sides, design_m3h=80.0, dt_s=dt_s)


@pytest.mark.parametrize(
    ("changes", "wanted_k"),
    [
        ({}, 0.0),
        ({"t2g_c": 60.5}, 3.0),
        ({"t2g_c": 54.5}, -3.0),
        ({"t2h_c": 44.0}, 1.0),
        ({"f1_m3h": 40.0}, 2.5),
        ({"t2g_c": 75.0}, 5.0),
        ({"t2g_c": 45.5}, -5.0),
    ],
)
def test_what_lasts_counts_whole_up_to_five_kelvin(changes, wanted_k):
    assert off_k(RIGHT._replace(**changes), dt_s=24.0 * 3600.0) == pytest.approx(wanted_k)


def test_it_is_a_mean_of_a_quarter_of_an_hour():
    drifted = RIGHT._replace(t2g_c=60.5)
    now_k = 0.0
    for _ in range(round(MEAN_S / 5.0)):
        now_k = off_k(drifted, now_k)
    assert now_k == pytest.approx(3.0 * (1.0 - math.exp(-1.0)))
    assert off_k(drifted, 0.0, dt_s=MEAN_S) == pytest.approx(now_k)


@pytest.mark.parametrize(
    "changes",
    [
        *({name: NAN} for name in Sides._fields),
        {"f1_m3h": 7.9},
        {"f1_m3h": 0.0},
        {"f2_m3h": 49.0},
        {"f2_m3h": 0.0},
    ],
)
def test_where_nothing_can_be_compared_it_is_not_known_and_begins_anew(changes):
    assert math.isnan(off_k(RIGHT._replace(**changes), 1.0))
    assert off_k(RIGHT._replace(t2g_c=58.5), NAN) == pytest.approx(5.0 / MEAN_S, rel=0.01)
