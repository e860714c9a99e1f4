"""Several loops and one output: whoever does not rule follows what was selected, and is ready."""

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from control_loops.pid import Gains, step, track

GAINS = Gains(gain=2.0, reset_time_s=50.0, low=-1000.0, high=1000.0)


@pytest.mark.parametrize("h", [1.0, 5.0, 20.0])
def test_an_idle_loop_stands_its_own_error_beside_the_one_that_rules(h):
    """u_idle = u_selected + K e_idle, whatever it began with."""
    idle = track(GAINS, output=300.0, setpoint=10.0, measured=10.0)
    for _ in range(2000):
        result = step(GAINS, idle, setpoint=10.0, measured=7.0, external_reset=40.0, dt_s=h)
        idle = result.state
    assert result.output == pytest.approx(40.0 + 2.0 * 3.0, abs=1e-6)


@given(errors=st.lists(st.floats(-50.0, 50.0), min_size=20, max_size=60))
def test_the_integral_of_an_idle_loop_stays_bounded(errors):
    idle = track(GAINS, output=40.0, setpoint=0.0, measured=0.0)
    for error in errors:
        idle = step(GAINS, idle, setpoint=error, measured=0.0, external_reset=40.0, dt_s=5.0).state
        assert abs(idle.integral - 40.0) <= 1e-6


def test_an_idle_limiter_takes_over_without_a_step():
    gains = replace(GAINS, low=0.0, high=100.0)
    main = track(gains, output=50.0, setpoint=60.0, measured=60.0)
    limiter = track(gains, output=100.0, setpoint=50.0, measured=45.0)
    outputs = []
    for scan in range(400):
        hot = 45.0 if scan < 200 else 50.0 + 0.02 * (scan - 200)
        a = step(gains, main, setpoint=60.0, measured=60.0, external_reset=main.output, dt_s=5.0)
        b = step(gains, limiter, setpoint=50.0, measured=hot, dt_s=5.0)
        output, ruler = min((a.output, "T2g"), (b.output, "T1h"))
        main = a.state._replace(output=output)
        limiter = step(
            gains, limiter, setpoint=50.0, measured=hot, external_reset=output, dt_s=5.0
        ).state._replace(output=output)
        outputs.append((output, ruler))
    assert outputs[0][1] == "T2g"
    assert outputs[-1][1] == "T1h"
    jumps = [abs(two[0] - one[0]) for one, two in pairwise(outputs[201:])]
    # The proportional part moves 0.04 per scan; the integral adds what the error has grown to.
    assert max(jumps) <= 0.7
