"""Damping and ramps: exact for every scan time, and unmoved by what is not finite."""

from math import exp, inf, nan

import pytest

from control_loops.shaping import damp, ramp


@pytest.mark.parametrize("dt_s", [1.0, 60.0, 3600.0])
def test_damping_follows_the_exponential_for_every_scan_time(dt_s):
    value = -5.0
    for _ in range(round(21600.0 / dt_s)):
        value = damp(value, 5.0, time_constant_s=21600.0, dt_s=dt_s)
    assert value == pytest.approx(5.0 - 10.0 * exp(-1.0))


def test_damping_waits_for_a_lost_value_and_follows_without_a_time_constant():
    assert damp(-5.0, nan, time_constant_s=21600.0, dt_s=5.0) == -5.0
    assert damp(-5.0, 3.0, time_constant_s=0.0, dt_s=5.0) == 3.0


@pytest.mark.parametrize(
    ("previous", "wanted", "expected"),
    [
        (50.0, 60.0, 50.5),
        (50.0, 40.0, 49.75),
        (50.0, 50.2, 50.2),
        (50.0, nan, 50.0),
        (nan, 47.0, 47.0),
        (inf, 47.0, 47.0),
    ],
)
def test_a_ramp_has_a_rate_for_each_direction(previous, wanted, expected):
    after = ramp(previous, wanted, up_per_h=10.0, down_per_h=5.0, dt_s=180.0)
    assert after == pytest.approx(expected)
