"""Three-step output: a wanted opening becomes pulses that raise or lower a motor.

Rule: no demand is lost. What is too short for a pulse waits for the next scan, and the sum of all
pulses is the sum of all demands within one pulse; `position_pct` is the estimate that a loop takes
for its external reset.
"""

from dataclasses import dataclass
from math import isfinite
from typing import Annotated, NamedTuple

from annotated_types import Ge, Gt, Le

from core.parameters import parameters
from core.point import Unit

_SHUT_PCT, _OPEN_PCT = 0.0, 100.0


@parameters
class ThreeStep:
    """A motor that is driven by a raise and a lower contact.

    Attributes:
        pulse_min_s: Shortest pulse that moves it; shorter demands wait.
        backlash_s: Time that a reversal takes before the stem moves.
        resync_share: At an end stop the motor is driven on until it has run this share of a stroke
            towards it, so that estimate and motor agree again.
    """

    pulse_min_s: Annotated[float, Unit.SECOND, Gt(0), Le(10)] = 0.5
    backlash_s: Annotated[float, Unit.SECOND, Ge(0), Le(30)] = 0.0
    resync_share: Annotated[float, Ge(1), Le(2)] = 1.2


@dataclass(frozen=True, slots=True)
class ThreeStepState:
    """What is remembered: the estimated position in %, the demand that waits and the last way.

    `residual_s` is demanded and not yet given; `way` the last direction, +1, -1 or 0; `at_stop_s`
    for how long the motor has been driven against the end at which it is wanted.
    """

    position_pct: float
    residual_s: float = 0.0
    way: int = 0
    at_stop_s: float = 0.0


class Pulse(NamedTuple):
    """What the contacts do in this scan: seconds of raise or of lower, never both."""

    raise_s: float
    lower_s: float


def three_step(
    motor: ThreeStep, state: ThreeStepState, *, stroke_s: float, wanted_pct: float, dt_s: float
) -> tuple[Pulse, ThreeStepState]:
    """Return the pulse of this scan and the next state.

    Args:
        motor: The motor.
        state: The state of the previous scan; at first the best guess of the position.
        stroke_s: Time of a full stroke, as measured from stop to stop, > 0.
        wanted_pct: Wanted opening; not finite holds the motor.
        dt_s: The longest pulse, > 0: it ends before the next scan.
    """
    if not isfinite(wanted_pct):
        return Pulse(0.0, 0.0), state
    wanted_pct = min(max(wanted_pct, _SHUT_PCT), _OPEN_PCT)
    if wanted_pct in {_SHUT_PCT, _OPEN_PCT}:
        return _to_the_stop(motor, state, stroke_s, wanted_pct, dt_s)
    demand_s = (wanted_pct - state.position_pct) / 100.0 * stroke_s
    if abs(demand_s) < motor.pulse_min_s:
        return Pulse(0.0, 0.0), ThreeStepState(state.position_pct, demand_s, state.way)
    way = 1 if demand_s > 0.0 else -1
    # A reversal takes up the backlash first; that time moves no stem.
    slack_s = motor.backlash_s if state.way == -way else 0.0
    run_s = min(abs(demand_s) + slack_s, dt_s)
    moved_s = max(run_s - slack_s, 0.0)
    # A pulse that the scan cuts inside the backlash has not turned the motor round yet.
    turned = way if run_s >= slack_s else state.way
    position_pct = state.position_pct + way * 100.0 * moved_s / stroke_s
    residual_s = way * (abs(demand_s) - moved_s)
    return _pulse(way, run_s), ThreeStepState(position_pct, residual_s, turned)


def _to_the_stop(
    motor: ThreeStep, state: ThreeStepState, stroke_s: float, stop_pct: float, dt_s: float
) -> tuple[Pulse, ThreeStepState]:
    """Return the pulse that drives the motor against its end, until it must be there."""
    way = 1 if stop_pct == _OPEN_PCT else -1
    before_s = state.at_stop_s if state.way == way else 0.0
    left_s = motor.resync_share * stroke_s - before_s
    if left_s <= 0.0:
        return Pulse(0.0, 0.0), ThreeStepState(stop_pct, 0.0, way, before_s)
    run_s = min(left_s, dt_s)
    position_pct = state.position_pct + way * 100.0 * run_s / stroke_s
    position_pct = min(max(position_pct, _SHUT_PCT), _OPEN_PCT)
    return _pulse(way, run_s), ThreeStepState(position_pct, 0.0, way, before_s + run_s)


def _pulse(way: int, seconds: float) -> Pulse:
    return Pulse(seconds, 0.0) if way > 0 else Pulse(0.0, seconds)
