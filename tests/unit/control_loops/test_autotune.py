"""The step-bump autotune: what it finds, when it may begin, and that giving up restores exactly."""

import math
from dataclasses import replace

import pytest

from control_loops.autotune import (
    IDLE,
    AutotuneFacts,
    AutotuneLimits,
    Process,
    abort,
    autotune_step,
    begin,
    identify,
    is_busy,
    simc,
)

LIMITS = AutotuneLimits()
CALM = AutotuneFacts(60.0, 56.2, 56.3, 95.0, is_alarm=False, is_ours=True)
DT_S = 5.0
TRUE = Process(gain_k_per_pct=0.46, tau_s=28.0, dead_s=17.0)


def answer(process: Process, pct: float, at_s: float) -> float:
    late_s = at_s - process.dead_s
    return (
        0.0
        if late_s <= 0
        else process.gain_k_per_pct * pct * (1 - math.exp(-late_s / process.tau_s))
    )


def calmed(facts: AutotuneFacts = CALM):
    state, output = begin(IDLE), None
    while output is None and is_busy(state):
        output, state = autotune_step(LIMITS, state, facts, dt_s=DT_S)
    return output, state


def played(process: Process = TRUE, spoil=None):
    """Play an autotune on a process; `spoil` changes the facts of a scan by its time."""
    output, state = calmed()
    at_s, outputs, bumped_at = 0.0, [output], None
    while is_busy(state):
        at_s += DT_S
        moved = answer(process, LIMITS.pre_move_pct, at_s)
        if bumped_at is not None:
            moved += answer(process, LIMITS.bump_pct, at_s - bumped_at)
        facts = CALM._replace(output_pct=outputs[-1], measured_c=CALM.measured_c + moved)
        output, state = autotune_step(
            LIMITS, state, spoil(at_s, facts) if spoil else facts, dt_s=DT_S
        )
        if bumped_at is None and state.phase == "bump":
            bumped_at = at_s
        outputs.append(output)
    return outputs, state


class TestWhatItFinds:
    @pytest.mark.parametrize("tau_s", [15.0, 28.0, 60.0])
    @pytest.mark.parametrize("dead_s", [5.0, 17.0])
    def test_two_points_give_back_the_process(self, tau_s, dead_s):
        process = Process(0.46, tau_s, dead_s)
        seen = tuple(answer(process, 5.0, (i + 1) * 0.5) for i in range(1200))
        found = identify(seen, bump_pct=5.0, dt_s=0.5)
        assert found.gain_k_per_pct == pytest.approx(0.46, rel=0.01)
        assert found.tau_s == pytest.approx(tau_s, rel=0.05)
        assert found.dead_s == pytest.approx(dead_s, rel=0.1, abs=0.5)

    @pytest.mark.parametrize("seen", [(), (0.0,) * 60, (-1.0,) * 60])
    def test_no_answer_is_no_process(self, seen):
        assert identify(seen, bump_pct=5.0, dt_s=5.0) is None

    def test_simc_is_the_published_rule(self):
        """tau 28 s, theta 17 s, K 0.533 K/%, tc = theta: Kc 1.55 %/K, Ti 28 s."""
        tuned = simc(Process(0.533, 28.0, 17.0), closed_loop_s=17.0)
        assert tuned.gain_pct_per_k == pytest.approx(28.0 / (0.533 * 34.0))
        assert tuned.reset_time_s == 28.0
        assert simc(Process(0.5, 500.0, 10.0)).reset_time_s == 4.0 * 25.0

    def test_simc_with_tc_theta_has_the_published_margins(self):
        """GM pi, PM 61.4 degrees, Ms 1.59, for every process."""
        tuned = simc(Process(2.0, 40.0, 10.0), closed_loop_s=10.0)

        def loop(w: float) -> complex:
            s = complex(0.0, w)
            controller = tuned.gain_pct_per_k * (1 + 1 / (tuned.reset_time_s * s))
            process = 2.0 / (1 + 40.0 * s)
            return controller * process * complex(math.cos(10 * w), -math.sin(10 * w))

        # Ti = tau, so the loop is exp(-theta s) / (2 theta s): both crossings are known.
        assert 1.0 / abs(loop(math.pi / 20.0)) == pytest.approx(math.pi, abs=1e-6)
        crossing = loop(1.0 / 20.0)
        assert abs(crossing) == pytest.approx(1.0, abs=1e-6)
        margin = 180.0 + math.degrees(math.atan2(crossing.imag, crossing.real))
        assert margin == pytest.approx(90.0 - math.degrees(0.5), abs=1e-6)
        assert max(1 / abs(1 + loop(0.0005 * n)) for n in range(1, 1000)) == pytest.approx(
            1.5905, abs=1e-3
        )

    def test_a_whole_autotune_ends_near_the_truth_and_where_it_began(self):
        outputs, state = played()
        assert state.phase == "done"
        assert outputs[0] == 62.0
        assert 67.0 in outputs
        assert outputs[-1] == 60.0
        found = state.found
        assert found.gain_k_per_pct == pytest.approx(0.46, rel=0.03)
        assert found.tau_s == pytest.approx(28.0, rel=0.2)
        assert found.dead_s == pytest.approx(17.0, abs=DT_S)
        assert autotune_step(LIMITS, state, CALM, dt_s=DT_S) == (None, state)


class TestItBeginsOnlyAtRest:
    @pytest.mark.parametrize(
        "unrest",
        [
            {"measured_c": 57.0},
            {"measured_c": math.nan},
            {"t1g_c": math.nan},
            {"is_alarm": True},
            {"is_ours": False},
        ],
    )
    def test_it_waits(self, unrest):
        state = begin(IDLE)
        for _ in range(500):
            output, state = autotune_step(LIMITS, state, CALM._replace(**unrest), dt_s=DT_S)
            assert output is None
        assert state.phase == "settling"

    @pytest.mark.parametrize("moved", [{"output_pct": 61.5}, {"t1g_c": 97.5}])
    def test_a_move_of_valve_or_primary_begins_the_calm_anew(self, moved):
        state = begin(IDLE)
        for scan in range(200):
            facts = CALM._replace(**moved) if scan >= 100 else CALM
            output, state = autotune_step(LIMITS, state, facts, dt_s=DT_S)
            assert output is None
        assert state.calm_s < 500.0

    def test_inside_the_loops_gap_it_is_calm(self):
        facts = CALM._replace(measured_c=56.9, gap_k=0.8)
        assert calmed(facts)[0] == 62.0

    def test_it_does_not_wait_for_ever(self):
        state, scans = begin(IDLE), 0
        while is_busy(state):
            output, state = autotune_step(LIMITS, state, CALM._replace(is_alarm=True), dt_s=DT_S)
            scans += 1
        assert (output, state.why) == (None, "there was no calm to begin in")
        assert scans * DT_S == pytest.approx(LIMITS.wait_s, abs=2 * DT_S)

    def test_a_strong_valve_is_bumped_less(self):
        _, state = calmed(CALM._replace(strength_k_per_pct=1.0))
        assert state.bump_pct == pytest.approx(2.4)
        assert calmed(CALM._replace(strength_k_per_pct=0.1))[1].bump_pct == LIMITS.bump_pct

    def test_ten_calm_minutes_are_needed(self):
        state = begin(IDLE)
        for scan in range(1, 121):
            output, state = autotune_step(LIMITS, state, CALM, dt_s=DT_S)
            assert (output is None) is (scan < 120)

    def test_a_valve_without_room_is_left_alone(self):
        output, state = calmed(CALM._replace(output_pct=95.0))
        assert (output, state.phase) == (None, "aborted")


class TestGivingUp:
    @pytest.mark.parametrize(
        ("spoilt", "why"),
        [
            ({"t1g_c": 98.0}, "the primary moved"),
            ({"is_alarm": True}, "an alarm came up"),
            ({"is_ours": False}, "control was handed over"),
            ({"measured_c": math.nan}, "a sensor was lost"),
            ({"measured_c": 61.0}, "the supply moved by more than 3 K"),
            ({"setpoint_c": 58.0}, "the setpoint moved"),
        ],
    )
    @pytest.mark.parametrize("after_s", [20.0, 200.0, 400.0])
    def test_restores_the_output_exactly(self, spoilt, why, after_s):
        outputs, state = played(
            spoil=lambda at_s, f: f._replace(**spoilt) if at_s >= after_s else f
        )
        assert (state.phase, state.why) == ("aborted", why)
        assert outputs[-1] == CALM.output_pct

    def test_it_is_given_up_when_it_takes_too_long(self):
        _, state = calmed()
        slow = replace(LIMITS, whole_s=30.0)
        while is_busy(state):
            output, state = autotune_step(slow, state, CALM, dt_s=DT_S)
        assert (output, state.why) == (60.0, "it took too long")

    def test_an_answer_that_goes_the_wrong_way_is_no_result(self):
        outputs, state = played(replace(TRUE, gain_k_per_pct=-0.2))
        assert (state.phase, state.found) == ("aborted", None)
        assert outputs[-1] == CALM.output_pct

    def test_a_person_can_end_it(self):
        _, state = calmed()
        assert abort(state, "ann").phase == "aborted"
        assert abort(IDLE, "ann") is IDLE
        assert begin(state) is state
