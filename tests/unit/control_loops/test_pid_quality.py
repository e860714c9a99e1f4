"""A loop whose measured value is lost: hold, substitute, and back without a bump."""

from dataclasses import replace

import pytest

from control_loops.pid import Gains, OnBad, PidTuning, guard, step, track

NAN, INF = float("nan"), float("inf")
GAINS = Gains(gain=0.7, reset_time_s=35.0, low=0.0, high=100.0)
FALL_BACK = OnBad(hold_s=60.0, substitute=30.0)
scans = pytest.mark.parametrize("h", [1.0, 5.0, 20.0])


def running(gains=GAINS):
    state = track(gains, output=50.0, setpoint=60.0, measured=58.0)
    return step(gains, state, setpoint=60.0, measured=57.0, dt_s=5.0).state


@scans
def test_a_lost_value_holds_then_substitutes_then_returns_without_a_bump(h):
    state = running()
    held = state.output
    for _ in range(round(60.0 / h)):
        result = guard(GAINS, state, on_bad=FALL_BACK, setpoint=60.0, measured=NAN, dt_s=h)
        state = result.state
        assert result.output == held
        assert result.terms.limited_by == "hold"
    for _ in range(10):
        result = guard(GAINS, state, on_bad=FALL_BACK, setpoint=60.0, measured=NAN, dt_s=h)
        state = result.state
        assert result.output == 30.0
        assert result.terms.limited_by == "substitute"
    result = guard(GAINS, state, on_bad=FALL_BACK, setpoint=63.0, measured=41.0, dt_s=h)
    assert result.output == pytest.approx(30.0, abs=1e-12)
    assert result.state.bad_s == 0.0
    after = guard(GAINS, result.state, on_bad=FALL_BACK, setpoint=63.0, measured=41.0, dt_s=h)
    assert after.output > 30.0


def test_the_way_to_the_substitute_keeps_the_rate():
    gains = replace(GAINS, rate_per_s=1.0)
    state, outputs = running(gains)._replace(output=50.0, bad_s=60.0), []
    for _ in range(6):
        result = guard(gains, state, on_bad=FALL_BACK, setpoint=60.0, measured=NAN, dt_s=5.0)
        state = result.state
        outputs.append(result.output)
    assert outputs == [45.0, 40.0, 35.0, 30.0, 30.0, 30.0]


def test_without_a_substitute_the_hold_goes_on():
    state = running()
    for _ in range(1000):
        state = guard(GAINS, state, on_bad=OnBad(), setpoint=60.0, measured=NAN, dt_s=20.0).state
    assert state.output == running().output
    assert state.bad_s == pytest.approx(20000.0)


def test_a_good_value_passes_the_guard_like_a_plain_step():
    state = running()
    guarded = guard(
        GAINS,
        state,
        on_bad=FALL_BACK,
        setpoint=60.0,
        measured=59.0,
        feedforward=1.0,
        external_reset=48.0,
        dt_s=5.0,
    )
    plain = step(
        GAINS,
        state,
        setpoint=60.0,
        measured=59.0,
        feedforward=1.0,
        external_reset=48.0,
        dt_s=5.0,
    )
    assert guarded == plain


@pytest.mark.parametrize(
    ("setpoint", "measured", "feedforward"),
    [(NAN, 57.0, 0.0), (60.0, INF, 0.0), (60.0, 57.0, NAN), (1e308, -1e308, 0.0)],
)
def test_a_step_without_usable_inputs_holds_and_then_tracks(setpoint, measured, feedforward):
    state = running()
    result = step(
        GAINS, state, setpoint=setpoint, measured=measured, feedforward=feedforward, dt_s=5.0
    )
    assert result.output == state.output
    assert result.terms.limited_by == "hold"
    back = step(GAINS, result.state, setpoint=70.0, measured=50.0, dt_s=5.0)
    assert back.output == pytest.approx(state.output, abs=1e-12)


def test_a_sum_that_overflows_holds():
    gains = replace(GAINS, gain=1e300)
    state = track(gains, output=50.0, setpoint=0.0, measured=0.0)
    result = step(gains, state, setpoint=1e300, measured=0.0, dt_s=5.0)
    assert result.output == 50.0
    assert result.terms.limited_by == "hold"


def test_an_unusable_external_reset_counts_as_none():
    state = running()
    lost = step(GAINS, state, setpoint=60.0, measured=58.0, external_reset=NAN, dt_s=5.0)
    assert lost == step(GAINS, state, setpoint=60.0, measured=58.0, dt_s=5.0)


def test_a_start_without_a_measured_value_tracks_the_first_one():
    state = track(GAINS, output=37.0, setpoint=NAN, measured=NAN)
    assert state.output == 37.0
    result = step(GAINS, state, setpoint=60.0, measured=20.0, dt_s=5.0)
    assert result.output == pytest.approx(37.0, abs=1e-12)


def test_the_tuning_says_what_a_lost_value_leads_to():
    assert PidTuning().on_bad() == OnBad(hold_s=60.0, substitute=None)
    assert PidTuning(hold_s=30.0, substitute_pct=40.0).on_bad() == OnBad(
        hold_s=30.0, substitute=40.0
    )
