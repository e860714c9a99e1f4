"""The PID block against closed-form answers: every row holds for a scan of 1, 5 and 20 s."""

from dataclasses import replace
from math import exp

import pytest

from control_loops.pid import (
    Gains,
    MakeUpTuning,
    PidState,
    PidTuning,
    PumpTuning,
    reset_from,
    retune,
    step,
    track,
)

WIDE = Gains(gain=0.7, reset_time_s=35.0, low=-1e6, high=1e6)
REST = PidState(0.0, 0.0, 0.0, 0.0, 0.0)
EXACT = pytest.approx
scans = pytest.mark.parametrize("h", [1.0, 5.0, 20.0])


def run(gains, state, errors, h, **more):
    """Return the outputs for a sequence of errors at setpoint 0."""
    outputs = []
    for error in errors:
        result = step(gains, state, setpoint=0.0, measured=-error, dt_s=h, **more)
        state = result.state
        outputs.append(result.output)
    return outputs, state


@scans
def test_a_loop_with_the_reset_time_of_its_plant_answers_without_overshoot(h):
    tau, plant_gain, controller_gain = 35.0, 0.46, 0.7
    gains = replace(WIDE, gain=controller_gain, reset_time_s=tau)
    state, y = REST, 0.0
    share = 1.0 - exp(-h / tau)
    for k in range(200):
        assert y == EXACT(1.0 - (1.0 - controller_gain * plant_gain * share) ** k, abs=1e-12)
        result = step(gains, state, setpoint=1.0, measured=y, dt_s=h)
        state = result.state
        y += share * (plant_gain * result.output - y)


@scans
def test_a_constant_error_ramps_the_output(h):
    outputs, _ = run(WIDE, REST, [2.0] * 50, h)
    share = 1.0 - exp(-h / 35.0)
    assert outputs == EXACT([0.7 * 2.0 * (1.0 + k * share) for k in range(50)], abs=1e-9)


@scans
def test_the_derivative_of_a_step_has_the_peak_and_the_area_of_the_analogue_one(h):
    gains = replace(WIDE, rate_time_s=8.0, filter_n=10.0, reset_time_s=1e12)
    state, derivative = REST, []
    for _ in range(4000):
        result = step(gains, state, setpoint=0.0, measured=1.0, dt_s=h)
        state = result.state
        derivative.append(result.terms.d)
    assert derivative[0] == EXACT(-0.7 * 10.0 * 8.0 / (8.0 + 10.0 * h), abs=1e-9)
    assert sum(derivative) * h == EXACT(-0.7 * 8.0, abs=1e-9)


@scans
def test_a_saturated_loop_leaves_its_limit_in_the_very_step_in_which_the_error_turns(h):
    gains = replace(WIDE, low=0.0, high=100.0)
    outputs, state = run(gains, REST, [50.0] * 2000, h)
    assert outputs[-1] == 100.0
    assert state.integral == EXACT(100.0, abs=1e-6)
    outputs, _ = run(gains, state, [-0.1], h)
    assert outputs[0] == EXACT(100.0 - 0.7 * 0.1, abs=1e-6)


@scans
def test_a_stuck_valve_does_not_wind_the_loop_up(h):
    outputs, _ = run(WIDE, REST, [3.0] * 3000, h, external_reset=40.0)
    assert outputs[-1] == EXACT(0.7 * 3.0 + 40.0, abs=1e-6)


@scans
def test_manual_to_automatic_is_bumpless(h):
    for gains in (WIDE, replace(WIDE, setpoint_weight=0.3), replace(WIDE, gap=1.0)):
        state = track(gains, output=42.0, setpoint=60.0, measured=53.0, feedforward=3.0)
        result = step(gains, state, setpoint=60.0, measured=53.0, feedforward=3.0, dt_s=h)
        assert result.output == EXACT(42.0, abs=1e-12)


@scans
@pytest.mark.parametrize("rate_time_s", [0.0, 6.0])
def test_a_change_of_gain_at_an_error_is_bumpless(h, rate_time_s):
    old = replace(WIDE, rate_time_s=rate_time_s)
    new = replace(WIDE, gain=2.1, gap=0.5, reset_time_s=80.0, rate_time_s=rate_time_s)
    _, state = run(old, REST, [4.0] * 40, h)
    before = step(old, state, setpoint=0.0, measured=-4.0, dt_s=h)
    after = step(new, retune(old, new, state), setpoint=0.0, measured=-4.0, dt_s=h)
    assert after.output == EXACT(before.output, abs=1e-9)


def test_switching_the_derivative_off_is_bumpless():
    old, new = replace(WIDE, rate_time_s=20.0), WIDE
    state = step(old, REST, setpoint=0.0, measured=-4.0, dt_s=1.0).state
    after = step(new, retune(old, new, state), setpoint=0.0, measured=-4.0, dt_s=1.0)
    integrated = (1.0 - exp(-1.0 / 35.0)) * 0.7 * 4.0
    assert after.output == EXACT(state.output + integrated, abs=1e-9)
    assert after.terms.d == 0.0


@scans
def test_a_load_step_leaves_the_closed_form_sum_of_errors(h):
    tau, plant_gain, load = 35.0, 0.46, 10.0
    state, y, errors = REST, 0.0, 0.0
    share = 1.0 - exp(-h / tau)
    for _ in range(20000):
        result = step(WIDE, state, setpoint=0.0, measured=y, dt_s=h)
        state = result.state
        errors += 0.0 - y
        y += share * (plant_gain * (result.output + load) - y)
    assert errors == EXACT(-load / (0.7 * (1.0 - exp(-h / 35.0))), abs=1e-6)


@scans
def test_the_output_climbs_at_its_rate(h):
    gains = replace(WIDE, rate_per_s=0.5)
    outputs, _ = run(gains, REST, [1000.0] * 20, h)
    assert outputs == EXACT([0.5 * h * (k + 1) for k in range(20)], abs=1e-9)


@scans
@pytest.mark.parametrize("b", [1.0, 0.4, 0.0])
def test_nothing_moves_while_the_error_is_inside_the_gap(h, b):
    gains = replace(WIDE, gap=0.5, setpoint_weight=b)
    state = track(gains, output=50.0, setpoint=60.0, measured=60.0)
    for setpoint, measured in [(60.0, 60.49), (60.0, 59.51), (60.3, 60.1), (59.8, 60.0)]:
        result = step(gains, state, setpoint=setpoint, measured=measured, dt_s=h)
        state = result.state
        assert result.output == 50.0
        assert result.terms.limited_by == "gap"


def test_the_gap_has_no_jump_at_its_edge():
    gains = replace(WIDE, gap=0.5)
    state = track(gains, output=50.0, setpoint=60.0, measured=59.5)
    result = step(gains, state, setpoint=60.0, measured=59.5 - 1e-9, dt_s=5.0)
    assert result.output == EXACT(50.0, abs=1e-8)
    assert result.output > 50.0


@scans
def test_a_setpoint_weight_of_zero_takes_the_kick_out_of_a_setpoint_step(h):
    for gap in (0.0, 0.5):
        gains = replace(WIDE, setpoint_weight=0.0, gap=gap)
        state = track(gains, output=50.0, setpoint=60.0, measured=60.0)
        result = step(gains, state, setpoint=70.0, measured=60.0, dt_s=h)
        assert result.output == EXACT(50.0, abs=1e-9)
        after = step(gains, result.state, setpoint=70.0, measured=60.0, dt_s=h)
        assert after.output > 50.0


@scans
def test_a_setpoint_weight_gives_the_textbook_output(h):
    """u = K (b r - y) + I, with the integral of the textbook's own recursion."""
    b, k, integral = 0.3, 0.7, 12.0
    gains = replace(WIDE, setpoint_weight=b)
    share = 1.0 - exp(-h / 35.0)
    setpoints, measured = [50.0, 50.0, 55.0, 55.0, 48.0], [49.0, 49.5, 50.0, 53.0, 54.0]
    state = track(gains, output=k * (b * 50.0 - 49.0) + integral, setpoint=50.0, measured=49.0)
    for r, y in zip(setpoints, measured, strict=True):
        result = step(gains, state, setpoint=r, measured=y, dt_s=h)
        state = result.state
        assert result.output == EXACT(k * (b * r - y) + integral, abs=1e-9)
        integral += share * k * (r - y)


def test_a_rate_weight_lets_the_derivative_see_the_setpoint():
    gains = replace(WIDE, rate_time_s=8.0, rate_weight=1.0, reset_time_s=1e12)
    seen = step(gains, REST, setpoint=1.0, measured=0.0, dt_s=5.0)
    blind = step(replace(gains, rate_weight=0.0), REST, setpoint=1.0, measured=0.0, dt_s=5.0)
    assert seen.output - blind.output == EXACT(0.7 * 10.0 * 8.0 / (8.0 + 50.0), abs=1e-9)


@scans
def test_the_deadband_keeps_small_moves_back_until_they_are_worth_a_start(h):
    gains = replace(WIDE, deadband=0.5)
    state = track(gains, output=50.0, setpoint=60.0, measured=60.0)
    outputs = []
    count = round(4000.0 / h)
    for _ in range(count):
        result = step(gains, state, setpoint=60.0, measured=59.8, dt_s=h)
        state = result.state
        outputs.append(result.output)
    moves = [b - a for a, b in zip([50.0, *outputs], outputs, strict=False) if b != a]
    assert len(moves) > 3
    assert all(move > 0.5 for move in moves)
    ideal = 50.0 + 0.7 * 0.2 * (1.0 + (count - 1) * (1.0 - exp(-h / 35.0)))
    assert abs(outputs[-1] - ideal) <= 0.5 + 1e-9


def test_the_deadband_holds_also_where_the_rate_allows_less_than_it():
    gains = replace(WIDE, deadband=0.5, rate_per_s=0.1)
    state = track(gains, output=50.0, setpoint=60.0, measured=60.0)
    result = step(gains, state, setpoint=70.0, measured=60.0, dt_s=1.0)
    assert result.output == EXACT(50.1)
    assert result.terms.limited_by == "rate"


def test_what_the_deadband_keeps_back_does_not_look_like_a_stuck_valve():
    gains = replace(WIDE, deadband=0.5)
    inside = track(gains, output=50.0, setpoint=60.0, measured=60.0)
    with_feedback = without = inside
    for _ in range(3):
        with_feedback = step(
            gains, with_feedback, setpoint=60.0, measured=59.9, external_reset=50.0, dt_s=5.0
        ).state
        without = step(gains, without, setpoint=60.0, measured=59.9, dt_s=5.0).state
    assert with_feedback == without
    assert with_feedback.output == 50.0


@pytest.mark.parametrize(
    ("setpoint", "measured", "limited_by"),
    [
        (60.0, 59.0, ""),
        (60.0, 60.0, "gap"),
        (90.0, 40.0, "high"),
        (40.0, 90.0, "low"),
        (60.0, 59.2, "deadband"),
        (60.0, 41.0, "rate"),
    ],
)
def test_the_terms_say_what_shaped_the_output(setpoint, measured, limited_by):
    gains = Gains(
        gain=1.0, reset_time_s=35.0, low=45.0, high=55.0, gap=0.5, deadband=0.4, rate_per_s=1.0
    )
    state = track(gains, output=50.0, setpoint=60.0, measured=60.0)
    if limited_by in {"high", "low"}:
        state = track(
            gains, output=55.0 if limited_by == "high" else 45.0, setpoint=60.0, measured=60.0
        )
    dt_s = 1.0 if limited_by == "rate" else 10.0
    terms = step(gains, state, setpoint=setpoint, measured=measured, dt_s=dt_s).terms
    assert terms.limited_by == limited_by
    assert terms.raw == EXACT(terms.p + terms.i + terms.d + terms.ff)


def test_feedforward_acts_behind_the_gap():
    gains = replace(WIDE, gap=0.5)
    state = track(gains, output=50.0, setpoint=60.0, measured=60.2)
    result = step(gains, state, setpoint=60.0, measured=60.2, feedforward=4.0, dt_s=5.0)
    assert result.output == EXACT(54.0)
    assert result.terms.ff == 4.0


def test_from_outside_its_limits_the_output_returns_at_its_rate():
    gains = replace(WIDE, low=20.0, high=100.0, rate_per_s=1.2)
    state = track(gains, output=0.0, setpoint=60.0, measured=60.0)
    outputs = []
    for _ in range(5):
        result = step(gains, state, setpoint=60.0, measured=60.0, dt_s=5.0)
        state = result.state
        outputs.append(result.output)
    assert outputs == EXACT([6.0, 12.0, 18.0, 20.0, 20.0])


@pytest.mark.parametrize(
    ("feedback", "expected"),
    [(50.0, 50.0), (53.0, 50.0), (47.0, 50.0), (60.0, 57.0), (40.0, 43.0), (float("nan"), None)],
)
def test_a_position_feedback_counts_only_beyond_its_tolerance(feedback, expected):
    assert reset_from(feedback, commanded=50.0, tolerance=3.0) == expected


def test_the_tunings_make_gains_in_their_own_units():
    supply = PidTuning(gap_k=0.3, deadband_pct=0.5, output_low_pct=5.0).gains()
    assert (supply.gain, supply.reset_time_s, supply.gap, supply.low, supply.high) == (
        0.7,
        35.0,
        0.3,
        5.0,
        100.0,
    )
    assert supply.rate_per_s == 1.2
    circulation = PumpTuning().gains(min_hz=25.0, max_hz=50.0)
    assert (circulation.low, circulation.high, circulation.gain) == (25.0, 50.0, 0.05)
    makeup = MakeUpTuning().gains(min_hz=25.0, max_hz=50.0)
    assert (makeup.low, makeup.high, makeup.gain) == (25.0, 50.0, 200.0)
