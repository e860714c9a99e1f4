"""What the loop knows beforehand: how the valve moves with the primary, and when it must not."""

from itertools import pairwise
from math import nan

import pytest

from control_loops.exchanger import ExchangerData, opening_pct, valve_model
from control_loops.forward import REST, ForwardState, Primary, forward_of, forward_step, gains_at
from control_loops.pid import PidTuning, step, track
from control_loops.valve import Valve

SHEET = ExchangerData(
    power_kw=4630.0, T1g_c=110.0, T1h_c=52.0, T2g_c=70.4, T2h_c=47.9, F1_open_m3h=80.0
)
GAINS = PidTuning().gains()
FORWARD = forward_of(valve_model(SHEET, Valve()), GAINS, lead_s=20.0)
CALM = Primary(t1g_c=95.0, t2h_c=41.3, dp_kpa=150.0, f1_m3h=50.0)
DT_S = 5.0
PLAY_PCT = 0.55 * GAINS.deadband


def after(state: ForwardState, seen: Primary, scans: int = 1, setpoint_c: float = 56.2):
    for _ in range(scans):
        state = forward_step(FORWARD, state, setpoint_c=setpoint_c, seen=seen, dt_s=DT_S)
    return state


def drifted(state: ForwardState, from_c: float, to_c: float) -> ForwardState:
    """Let T1g drift so slowly that bringing it forward hardly shows, then rest."""
    way_c = [from_c + (to_c - from_c) * i / 400 for i in range(401)]
    for t1g_c in [*way_c, *[to_c] * 60]:
        state = after(state, CALM._replace(t1g_c=t1g_c))
    return state


def asked_pct(state: ForwardState) -> float:
    """Return what the model asked for when it was asked last, in the output's terms."""
    return opening_pct(FORWARD.model, state.duty) + state.offset_pct


@pytest.fixture
def calm():
    return after(REST, CALM, scans=30)


def test_it_begins_without_a_step():
    assert after(REST, CALM).output_pct == 0.0


@pytest.mark.parametrize(
    ("changed", "opens"),
    [({"t1g_c": 91.0}, True), ({"t1g_c": 99.0}, False), ({"dp_kpa": 130.0}, True)],
)
def test_the_valve_moves_with_the_primary_before_the_supply_is_off(calm, changed, opens):
    moved = after(calm, CALM._replace(**changed), scans=3).output_pct - calm.output_pct
    assert abs(moved) > 1.0
    assert (moved > 0.0) is opens


def test_what_is_brought_forward_comes_back_to_what_is_measured(calm):
    first = after(calm, CALM._replace(t1g_c=91.0)).output_pct
    settled = after(calm, CALM._replace(t1g_c=91.0), scans=60).output_pct
    assert first > settled > calm.output_pct


@pytest.mark.parametrize("lost", ["t1g_c", "t2h_c", "dp_kpa"])
def test_a_lost_input_changes_nothing_when_it_goes_or_comes_back(calm, lost):
    gone = after(calm, CALM._replace(**{lost: nan}), scans=100)
    assert gone.output_pct == calm.output_pct
    back = after(gone, CALM._replace(t1g_c=85.0, dp_kpa=200.0))
    assert back.output_pct == calm.output_pct
    assert abs(after(back, CALM._replace(t1g_c=81.0, dp_kpa=200.0), 3).output_pct) > 1.0


@pytest.mark.parametrize(
    "jumped",
    [
        {"t1g_c": 120.0},
        {"t1g_c": 60.0},
        {"t2h_c": 7.0},
        {"dp_kpa": 400.0},
        {"dp_kpa": 0.0},
        {"dp_kpa": 400.0, "f1_m3h": nan},
        {"dp_kpa": 400.0, "f1_m3h": 40.0},
    ],
)
def test_what_no_pipe_can_do_moves_no_valve(calm, jumped):
    assert after(calm, CALM._replace(**jumped), scans=20).output_pct == calm.output_pct


def test_a_surge_that_the_flow_confirms_is_answered_at_once(calm):
    surge = CALM._replace(dp_kpa=350.0, f1_m3h=76.0)
    assert after(calm, surge).output_pct < calm.output_pct - 5.0


UNREST = [(95.8, 152.0), (94.3, 147.0), (95.5, 155.0)]


def test_a_little_unrest_moves_no_valve(calm):
    loop = track(GAINS, output=60.0, setpoint=56.2, measured=56.2, feedforward=calm.output_pct)
    for t1g_c, dp_kpa in [row for row in UNREST for _ in range(20)]:
        calm = after(calm, CALM._replace(t1g_c=t1g_c, dp_kpa=dp_kpa))
        loop = step(
            GAINS, loop, setpoint=56.2, measured=56.2, feedforward=calm.output_pct, dt_s=DT_S
        ).state
        assert loop.output == 60.0


def test_unrest_within_the_play_does_not_even_move_the_feedforward(calm):
    for t1g_c, dp_kpa in [(95.3, 151.0), (94.7, 149.0), (95.0, 153.0)]:
        still = after(calm, CALM._replace(t1g_c=t1g_c, dp_kpa=dp_kpa), scans=20)
        assert asked_pct(still) != asked_pct(calm)
        assert still.output_pct == calm.output_pct


def test_the_output_is_never_further_from_what_is_asked_than_the_play(calm):
    for t1g_c, dp_kpa in [*UNREST, (97.0, 140.0), (91.0, 165.0), (96.0, 150.0)]:
        for _ in range(20):
            calm = after(calm, CALM._replace(t1g_c=t1g_c, dp_kpa=dp_kpa))
            assert abs(asked_pct(calm) - calm.output_pct) <= PLAY_PCT + 1e-9


def test_what_turns_round_crosses_the_whole_play_before_the_output_turns(calm):
    colder = drifted(calm, 95.0, 91.0)
    assert colder.output_pct == pytest.approx(asked_pct(colder) - PLAY_PCT, abs=0.02)
    turned = drifted(colder, 91.0, 91.8)
    assert 0.0 < asked_pct(colder) - asked_pct(turned) < 2.0 * PLAY_PCT
    assert turned.output_pct == colder.output_pct
    back = drifted(turned, 91.8, 95.0)
    assert back.output_pct == pytest.approx(asked_pct(back) + PLAY_PCT, abs=0.02)


@pytest.mark.parametrize(
    ("setpoint_c", "seen", "share"),
    [
        (43.1, Primary(82.0, 34.7, 150.0, 35.0), 0.51 / 0.30),
        (38.9, Primary(78.0, 32.4, 150.0, 28.0), 0.51 / 0.24),
    ],
)
def test_the_gain_grows_where_the_valve_is_weak(setpoint_c, seen, share):
    state = after(REST, seen, scans=30, setpoint_c=setpoint_c)
    assert state.gain_share == pytest.approx(share, rel=0.1)
    assert gains_at(GAINS, state.gain_share).gain == GAINS.gain * state.gain_share


def test_the_model_is_asked_once_a_minute_while_nothing_moves(calm):
    states = [after(calm, CALM, scans=n) for n in range(1, 40)]
    asked = [one for one, two in pairwise(states) if two.left_s > one.left_s]
    assert len(asked) == pytest.approx(39 * DT_S / 60.0, abs=1.0)
