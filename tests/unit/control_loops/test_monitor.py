"""The figures by which a loop is judged, on loops whose answer is known."""

import math
import random

import pytest

from control_loops.monitor import (
    CYCLES_R,
    NOT_WATCHED,
    RECORD,
    SAMPLE_S,
    autocorrelation,
    figures,
    moved,
    regularity,
    resumed,
    sampled,
    stood_by,
    sums_of,
)


def watched(outputs, errors, *, is_limited=False, dt_s=60.0, state=NOT_WATCHED):
    for output, error in zip(outputs, errors, strict=True):
        state = moved(state, output)
        state = sampled(state, error=error, is_limited=is_limited, dt_s=dt_s)
    return state


def test_a_day_of_hourly_moves_counts_its_starts_and_its_travel():
    outputs = [50.0 + 2.0 * ((i // 60) % 2) for i in range(5 * 1440)]
    found = figures(watched(outputs, [0.0] * len(outputs)))
    assert found.watched_h == pytest.approx(24.0, rel=0.05)
    assert found.starts_per_day == pytest.approx(24.0, rel=0.05)
    assert found.strokes_per_day == pytest.approx(24 * 0.02, rel=0.05)
    assert found.saturated_share == 0.0


def test_one_long_move_is_one_start():
    state = watched([50.0, *[50.0 + i for i in range(1, 11)]], [0.0] * 11)
    assert state.starts == pytest.approx(1.0, rel=0.01)
    assert state.travel_pct == pytest.approx(10.0, rel=0.01)


def test_a_turn_without_a_rest_is_a_start_and_a_reversal():
    state = watched([50.0, 52.0, 50.0, 50.0, 49.0], [0.0] * 5, dt_s=0.1)
    assert (state.starts, state.reversals) == pytest.approx((3.0, 1.0), rel=0.001)


def test_a_creep_counts_when_it_has_become_a_move():
    state = watched([50.0 + 0.01 * i for i in range(100)], [0.0] * 100)
    assert state.travel_pct == pytest.approx(0.99, abs=0.1)


def test_an_actuator_that_stays_costs_nothing():
    state = moved(moved(NOT_WATCHED, 50.0), 50.0)
    assert moved(state, 50.0) is state


@pytest.mark.parametrize(("every_s", "low", "high"), [(60.0, 9.0, 11.0), (240.0, 2.0, 3.0)])
def test_reversals_are_those_of_ten_minutes(every_s, low, high):
    outputs = [50.0 + 2.0 * (int(i * 10.0 // every_s) % 2) for i in range(720)]
    assert low < watched(outputs, [0.0] * 720, dt_s=10.0).reversals < high


def test_what_somebody_else_does_is_not_the_loops_doing():
    before = watched([50.0, 52.0, 50.0], [0.5] * 3)
    away = stood_by(before)
    assert stood_by(away) is away
    after = moved(away, 80.0)
    assert (after.starts, after.travel_pct) == (before.starts, before.travel_pct)
    assert (after.reversals, after.errors) == (0.0, ())


def test_the_errors_mean_and_spread():
    errors = [0.3 + 0.2 * math.sin(i / 5.0) for i in range(5000)]
    found = figures(watched([50.0] * 5000, errors))
    assert (found.error_mean, found.error_std) == pytest.approx(
        (0.3, 0.2 / math.sqrt(2.0)), abs=0.01
    )


def test_the_share_at_a_limit():
    state = watched([100.0] * 100, [1.0] * 100, is_limited=True)
    state = sampled(moved(state, 50.0), error=0.0, is_limited=False, dt_s=6000.0)
    assert figures(state).saturated_share == pytest.approx(0.5, abs=0.03)


def test_an_unusable_value_adds_nothing():
    before = watched([50.0] * 10, [0.1] * 10)
    assert figures(moved(before, math.nan)) == figures(before)
    assert figures(sampled(before, error=math.nan, is_limited=False, dt_s=60.0)) == figures(before)
    assert figures(NOT_WATCHED) is None


def test_the_sums_survive_a_restart_and_the_output_is_found_anew():
    before = watched([50.0, 52.0, 50.0], [0.5, 0.1, 0.2])
    after = resumed(sums_of(before))
    assert figures(after) == figures(before)
    assert moved(after, 20.0).travel_pct == before.travel_pct


def test_an_hour_of_a_cycle_tells_its_regularity_and_its_period():
    errors = [math.sin(2 * math.pi * i * SAMPLE_S / 240.0) for i in range(RECORD)]
    almost = watched([50.0] * (RECORD - 1), errors[:-1], dt_s=SAMPLE_S)
    assert math.isnan(figures(almost).regularity)
    found = figures(watched([50.0], errors[-1:], dt_s=SAMPLE_S, state=almost))
    assert found.regularity > CYCLES_R
    assert found.period_s == pytest.approx(240.0, rel=0.05)


@pytest.mark.parametrize("period_s", [140.0, 240.0, 550.0])
def test_a_cycle_is_regular_and_its_period_is_found(period_s):
    rng = random.Random(1)
    errors = [math.sin(2 * math.pi * i * 5.0 / period_s) + rng.gauss(0.0, 0.2) for i in range(2000)]
    found = regularity(errors, dt_s=5.0)
    assert found.r > CYCLES_R
    assert found.period_s == pytest.approx(period_s, rel=0.05)


def test_chance_is_not_regular():
    rng = random.Random(2)
    value, errors = 0.0, []
    for _ in range(2000):
        value = 0.9 * value + rng.gauss(0.0, 0.1)
        errors.append(value)
    found = regularity(errors, dt_s=5.0)
    assert found is None or found.r < CYCLES_R


@pytest.mark.parametrize("errors", [[], [1.0], [0.0] * 100, [float(i) for i in range(100)]])
def test_too_little_tells_nothing(errors):
    assert regularity(errors, dt_s=5.0) is None


def test_an_autocorrelation_begins_at_one():
    assert autocorrelation([1.0, -1.0, 1.0, -1.0], 2) == pytest.approx([1.0, -0.75, 0.5])
