"""What the loop knows beforehand: the opening that the primary asks for, and the gain that fits it.

Rule: an input that is lost, or that moved as no pipe can, changes nothing: the last feedforward
stands, and what comes after it continues from there without a step.
"""

from dataclasses import dataclass, replace
from functools import lru_cache
from math import isfinite
from typing import NamedTuple

from control_loops.exchanger import Duty, ValveModel, opening_pct, strength_k_per_pct
from control_loops.feedforward import lead_lag
from control_loops.pid import Gains

EVERY_S = 60.0
"""The model is asked once a minute, and at once when the primary has moved."""
_MOVED_K = 0.5
_MOVED_SHARE = 0.03
_LAG_S = 10.0
# A thermowell of 15 s shows a fall of 20 K by at most 1.4 K/s: what is faster is the sensor.
_FASTEST_K_PER_S = 1.5
# A surge of the network moves the flow too; a third of what the square root says is proof enough.
_SURGE_SHARE = 0.2
_PROOF_SHARE = 1.0 / 3.0
_LEAST_KPA = 10.0
# The gain may follow the model this far: the model is rough.
_GAIN_LOW, _GAIN_HIGH = 0.4, 2.5
_SAME_GAIN = 0.02
# As a gear has play: the output hangs back by at most this, to either side.
_PLAY_DEADBANDS = 0.55


class Primary(NamedTuple):
    """What is measured beside the loop: °C, kPa and m³/h, NaN where unusable."""

    t1g_c: float
    t2h_c: float
    dp_kpa: float
    f1_m3h: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Forward:
    """The model of one circuit, and the gains that hold at its design point."""

    model: ValveModel
    gains: Gains
    lead_s: float
    strength_k_per_pct: float


class ForwardState(NamedTuple):
    """The feedforward in % with what it rests on, and the gains of this scan.

    `offset_pct` is what keeps it where it was when an input went and came back. `left_s` is the
    time until the model is asked again; `is_following` whether the last scan's inputs were sound.
    """

    output_pct: float
    offset_pct: float
    gain_share: float
    duty: Duty
    seen: Primary
    lag_c: float
    left_s: float
    is_following: bool


_NOTHING_SEEN = Primary(*[float("nan")] * 4)
REST = ForwardState(0.0, 0.0, 1.0, Duty(*[float("nan")] * 4), _NOTHING_SEEN, 0.0, 0.0, False)  # noqa: FBT003 - the state to start from


def forward_of(model: ValveModel, gains: Gains, *, lead_s: float) -> Forward:
    """Return the feedforward of a circuit; `gains` are those at the model's design point."""
    eased = model.design._replace(setpoint_c=model.design.setpoint_c - 2.0)
    strength = strength_k_per_pct(model, model.design) or strength_k_per_pct(model, eased)
    return Forward(model=model, gains=gains, lead_s=lead_s, strength_k_per_pct=strength or 0.0)


def forward_step(
    forward: Forward, state: ForwardState, *, setpoint_c: float, seen: Primary, dt_s: float
) -> ForwardState:
    """Return the state of this scan; its `output_pct` is the feedforward.

    Args:
        forward: The circuit's model.
        state: The state of the previous scan, at first `REST`.
        setpoint_c: Supply setpoint.
        seen: What is measured of primary and return.
        dt_s: Time since the previous scan, > 0.
    """
    if not isfinite(setpoint_c + seen.t1g_c + seen.t2h_c + seen.dp_kpa) or seen.dp_kpa < _LEAST_KPA:
        return state._replace(is_following=False) if state.is_following else state
    is_believed = state.is_following and _is_possible(state.seen, seen, dt_s)
    lag_c = state.lag_c if is_believed else seen.t1g_c
    led_c, lag_c = lead_lag(
        lag_c, seen.t1g_c, gain=1.0, lead_s=max(forward.lead_s, _LAG_S), lag_s=_LAG_S, dt_s=dt_s
    )
    duty, left_s = state.duty, state.left_s - dt_s
    if is_believed and left_s > 0.0 and not _has_moved(duty, led_c, seen.dp_kpa):
        return ForwardState(
            state.output_pct,
            state.offset_pct,
            state.gain_share,
            duty,
            seen,
            lag_c,
            left_s,
            True,  # noqa: FBT003 - one value of a state
        )
    duty = Duty(setpoint_c, led_c, seen.t2h_c, seen.dp_kpa)
    asked_pct = opening_pct(forward.model, duty)
    offset_pct = state.offset_pct if is_believed else state.output_pct - asked_pct
    wanted_pct = asked_pct + offset_pct
    # What moves back and forth within the play moves no valve; what goes on is followed.
    play_pct = _PLAY_DEADBANDS * forward.gains.deadband
    return ForwardState(
        min(max(state.output_pct, wanted_pct - play_pct), wanted_pct + play_pct),
        offset_pct,
        _gain_share(forward, state.gain_share, duty),
        duty,
        seen,
        lag_c,
        EVERY_S,
        True,  # noqa: FBT003 - one value of a state
    )


@lru_cache(maxsize=4096)
def gains_at(gains: Gains, share: float) -> Gains:
    """Return the gains with their gain multiplied by `share`, ready-made where they were before."""
    return replace(gains, gain=gains.gain * share)


def _has_moved(duty: Duty, led_c: float, dp_kpa: float) -> bool:
    is_warmer = abs(led_c - duty.t1g_c) > _MOVED_K
    return is_warmer or abs(dp_kpa - duty.dp_kpa) > _MOVED_SHARE * duty.dp_kpa


def _is_possible(before: Primary, now: Primary, dt_s: float) -> bool:
    """Return whether pipes can have done this: a surge shows in the flow, water has no jumps."""
    most_k = _FASTEST_K_PER_S * dt_s
    if abs(now.t1g_c - before.t1g_c) > most_k or abs(now.t2h_c - before.t2h_c) > most_k:
        return False
    surge = now.dp_kpa / before.dp_kpa - 1.0
    if abs(surge) <= _SURGE_SHARE:
        return True
    if not before.f1_m3h > 0.0:
        return False
    flow = now.f1_m3h / before.f1_m3h - 1.0
    return flow * surge > 0.0 and abs(flow) >= _PROOF_SHARE * abs((1.0 + surge) ** 0.5 - 1.0)


def _gain_share(forward: Forward, before: float, duty: Duty) -> float:
    """Return by how much the gain differs from that at design: the inverse of the strength."""
    strength = strength_k_per_pct(forward.model, duty)
    if strength is None or forward.strength_k_per_pct <= 0.0:
        return before
    share = min(max(forward.strength_k_per_pct / strength, _GAIN_LOW), _GAIN_HIGH)
    # Rounded, so that a few sets of gains serve all scans.
    rounded = round(share / _SAME_GAIN) * _SAME_GAIN
    return before if abs(share - before) < _SAME_GAIN else rounded
