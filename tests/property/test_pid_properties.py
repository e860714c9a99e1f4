"""What a PID block must never do, whatever comes in."""

import json
from dataclasses import replace
from math import isfinite

from hypothesis import given
from hypothesis import strategies as st

from control_loops.pid import Gains, OnBad, PidState, guard, retune, step, track

anything = st.floats(allow_nan=True, allow_infinity=True)
sensible = st.floats(-200.0, 200.0)
scans = st.floats(0.1, 60.0)
gains = st.builds(
    Gains,
    gain=st.floats(0.01, 20.0),
    reset_time_s=st.floats(1.0, 3600.0),
    low=st.floats(0.0, 40.0),
    high=st.floats(60.0, 100.0),
    rate_time_s=st.sampled_from([0.0, 5.0, 60.0]),
    filter_n=st.floats(1.0, 20.0),
    setpoint_weight=st.floats(0.0, 1.0),
    rate_weight=st.floats(0.0, 1.0),
    gap=st.sampled_from([0.0, 0.3, 2.0]),
    deadband=st.sampled_from([0.0, 0.5]),
    rate_per_s=st.sampled_from([0.01, 1.2, float("inf")]),
)
resets = st.none() | anything
inputs = st.lists(st.tuples(anything, anything, anything, resets, scans), min_size=1, max_size=30)
sane = st.lists(
    st.tuples(sensible, sensible, sensible, st.none() | sensible, scans), min_size=1, max_size=30
)


def first(loop):
    return track(loop, output=50.0, setpoint=60.0, measured=58.0)


@given(loop=gains, rows=inputs, substitute=st.none() | st.floats(40.0, 60.0))
def test_the_output_is_finite_in_range_and_in_rate_whatever_comes_in(loop, rows, substitute):
    state = first(loop)
    on_bad = OnBad(hold_s=30.0, substitute=substitute)
    for setpoint, measured, feedforward, reset, dt_s in rows:
        result = guard(
            loop,
            state,
            on_bad=on_bad,
            setpoint=setpoint,
            measured=measured,
            feedforward=feedforward,
            external_reset=reset,
            dt_s=dt_s,
        )
        assert isfinite(result.output)
        assert all(isfinite(value) for value in result.terms[:-1])
        assert all(isfinite(value) for value in result.state)
        assert loop.low <= result.output <= loop.high
        assert abs(result.output - state.output) <= loop.rate_per_s * dt_s + 1e-9
        state = result.state


@given(loop=gains, rows=sane)
def test_a_state_that_was_saved_and_restored_gives_the_same_output(loop, rows):
    state = first(loop)
    for setpoint, measured, feedforward, reset, dt_s in rows:
        restored = PidState(**json.loads(json.dumps(state._asdict())))
        result, again = (
            step(
                loop,
                one,
                setpoint=setpoint,
                measured=measured,
                feedforward=feedforward,
                external_reset=reset,
                dt_s=dt_s,
            )
            for one in (state, restored)
        )
        assert result == again
        state = result.state


@given(loop=gains, output=st.floats(0.0, 100.0), setpoint=sensible, measured=sensible, dt_s=scans)
def test_tracking_is_bumpless_from_every_output_within_the_limits(
    loop, output, setpoint, measured, dt_s
):
    output = min(max(output, loop.low), loop.high)
    state = track(loop, output=output, setpoint=setpoint, measured=measured)
    result = step(loop, state, setpoint=setpoint, measured=measured, dt_s=dt_s)
    assert abs(result.output - output) <= 1e-9


@given(loop=gains, rows=sane, gain=st.floats(0.01, 20.0), gap=st.sampled_from([0.0, 0.5]))
def test_retuning_is_bumpless_after_every_history(loop, rows, gain, gap):
    state = first(loop)
    for setpoint, measured, feedforward, reset, dt_s in rows:
        state = step(
            loop,
            state,
            setpoint=setpoint,
            measured=measured,
            feedforward=feedforward,
            external_reset=reset,
            dt_s=dt_s,
        ).state
    new = replace(loop, gain=gain, gap=gap)
    same = {"setpoint": state.setpoint, "measured": state.measured, "dt_s": 5.0}
    before = step(loop, state, **same).terms.raw
    after = step(new, retune(loop, new, state), **same).terms.raw
    assert abs(after - before) <= 1e-6 * (1.0 + abs(before))


@given(loop=gains, rows=sane, dt_s=scans, errors=st.lists(st.floats(-1.0, 1.0), max_size=20))
def test_inside_the_gap_nothing_moves_from_any_state_that_rests(loop, rows, dt_s, errors):
    loop = replace(loop, gap=1.0, rate_time_s=0.0, deadband=0.0)
    state = first(loop)
    for setpoint, measured, _, _, row_dt_s in rows:
        state = step(loop, state, setpoint=setpoint, measured=measured, dt_s=row_dt_s).state
    state = track(loop, output=state.output, setpoint=60.0, measured=60.0)
    for error in errors:
        result = step(loop, state, setpoint=60.0, measured=60.0 - error, dt_s=dt_s)
        assert result.output == state.output
        state = result.state
