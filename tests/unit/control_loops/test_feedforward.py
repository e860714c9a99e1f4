"""The lead-lag filter against its closed form."""

from math import exp

import pytest

from control_loops.feedforward import lead_lag


@pytest.mark.parametrize("h", [1.0, 5.0, 20.0])
@pytest.mark.parametrize("lead_s", [0.0, 10.0, 90.0])
def test_a_step_gives_the_closed_form_at_every_scan(h, lead_s):
    state = 0.0
    for k in range(100):
        output, state = lead_lag(state, 1.0, gain=2.5, lead_s=lead_s, lag_s=30.0, dt_s=h)
        expected = 2.5 * (1.0 + (lead_s / 30.0 - 1.0) * exp(-k * h / 30.0))
        assert output == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_an_unusable_disturbance_leaves_the_filter_where_it_is(value):
    assert lead_lag(3.0, value, gain=2.0, lead_s=10.0, lag_s=30.0, dt_s=5.0) == (6.0, 3.0)
