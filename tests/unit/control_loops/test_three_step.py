"""Pulses for a motor without a position: nothing demanded is lost, and the stops set it right."""

import random
from dataclasses import replace
from math import nan

import pytest

from control_loops.three_step import ThreeStep, ThreeStepState, three_step

MOTOR, STROKE_S = ThreeStep(pulse_min_s=0.5), 90.0


def run_s(pulse) -> float:
    return pulse.raise_s - pulse.lower_s


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_ten_thousand_demands_are_all_given_within_one_shortest_pulse(seed):
    rng = random.Random(seed)
    state, given_s, wanted_pct = ThreeStepState(50.0), 0.0, 50.0
    for _ in range(10_000):
        wanted_pct = min(max(wanted_pct + rng.uniform(-1.0, 1.0), 1.0), 99.0)
        pulse, state = three_step(MOTOR, state, stroke_s=STROKE_S, wanted_pct=wanted_pct, dt_s=5.0)
        given_s += run_s(pulse)
        assert pulse.raise_s * pulse.lower_s == 0.0
        assert max(pulse) <= 5.0
        assert max(pulse) == 0.0 or max(pulse) >= 0.5
    demanded_s = (wanted_pct - 50.0) / 100.0 * 90.0
    assert abs(given_s - demanded_s) < MOTOR.pulse_min_s
    assert given_s == pytest.approx((state.position_pct - 50.0) * 0.9, abs=1e-6)


def test_what_is_too_short_for_a_pulse_waits_and_is_not_lost():
    state, pulses = ThreeStepState(50.0), []
    for wanted_pct in (50.2, 50.4, 50.6):
        pulse, state = three_step(MOTOR, state, stroke_s=STROKE_S, wanted_pct=wanted_pct, dt_s=5.0)
        pulses.append(run_s(pulse))
    assert pulses == pytest.approx([0.0, 0.0, 0.54])


def test_a_long_way_is_driven_scan_by_scan():
    state = ThreeStepState(50.0)
    pulses = []
    for _ in range(4):
        pulse, state = three_step(MOTOR, state, stroke_s=STROKE_S, wanted_pct=60.0, dt_s=4.0)
        pulses.append(pulse.raise_s)
    assert pulses == pytest.approx([4.0, 4.0, 1.0, 0.0])
    assert state.position_pct == pytest.approx(60.0)


def test_a_reversal_takes_up_the_backlash_first():
    slack = replace(MOTOR, backlash_s=1.0)
    _, state = three_step(slack, ThreeStepState(50.0), stroke_s=STROKE_S, wanted_pct=52.0, dt_s=5.0)
    pulse, state = three_step(slack, state, stroke_s=STROKE_S, wanted_pct=50.0, dt_s=5.0)
    assert pulse.lower_s == pytest.approx(1.8 + 1.0)
    assert state.position_pct == pytest.approx(50.0)
    pulse, _ = three_step(slack, state, stroke_s=STROKE_S, wanted_pct=48.0, dt_s=5.0)
    assert pulse.lower_s == pytest.approx(1.8)


@pytest.mark.parametrize(("stop_pct", "wrong_pct"), [(0.0, 10.0), (100.0, 90.0)])
def test_an_end_stop_sets_a_wrong_estimate_right(stop_pct, wrong_pct):
    state, driven_s = ThreeStepState(wrong_pct), 0.0
    for _ in range(60):
        pulse, state = three_step(MOTOR, state, stroke_s=STROKE_S, wanted_pct=stop_pct, dt_s=5.0)
        driven_s += abs(run_s(pulse))
    assert driven_s == pytest.approx(1.2 * 90.0)
    assert state.position_pct == stop_pct


def test_an_unknown_wish_holds_the_motor():
    state = ThreeStepState(42.0)
    assert three_step(MOTOR, state, stroke_s=STROKE_S, wanted_pct=nan, dt_s=5.0) == (
        (0.0, 0.0),
        state,
    )
