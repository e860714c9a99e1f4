"""Control valve with its motor: equal-percentage body, slow stroke, backlash.

Rule: flow follows the stem; the position feedback follows the motor, as in the field.
"""

import math
from typing import Annotated

from annotated_types import Gt, Interval

from core.parameters import parameters
from core.point import Unit

_BLEND = 0.01


@parameters
class ValveParameters:
    """Body (Kvs, rangeability, leakage) and motor (stroke time, dead band, backlash).

    `closes_on_power_loss`: a spring drives the valve shut; otherwise it stays where it is.
    """

    kvs_m3h: Annotated[float, Unit.CUBIC_METRE_PER_HOUR, Gt(0)] = 100.0
    rangeability: Annotated[float, Gt(1)] = 50.0
    leakage: Annotated[float, Interval(ge=0, lt=0.02)] = 1e-4
    # Mean density of the primary water between supply and return, as maker's tables use it.
    density_kg_per_m3: Annotated[float, Gt(0)] = 955.0
    stroke_s: Annotated[float, Unit.SECOND, Gt(0)] = 90.0
    deadband_pct: Annotated[float, Unit.PERCENT, Interval(ge=0, le=10)] = 0.5
    backlash_pct: Annotated[float, Unit.PERCENT, Interval(ge=0, le=10)] = 1.0
    closes_on_power_loss: bool = True


def relative_flow_coefficient(opening: float, *, rangeability: float, leakage: float) -> float:
    """Return Kv/Kvs of an equal-percentage valve at `opening` 0..1.

    R^(y-1) from 1.5 % up; a straight line from the leakage below 0.5 %; between them a cubic that
    meets both in value and slope.
    """
    low, high = _BLEND / 2.0, 1.5 * _BLEND
    log_r = math.log(rangeability)
    foot = (math.exp((_BLEND - 1.0) * log_r) - leakage) / _BLEND
    if opening >= high:
        return math.exp((opening - 1.0) * log_r)
    if opening <= low:
        return leakage + foot * max(opening, 0.0)
    at_low, at_high = leakage + foot * low, math.exp((high - 1.0) * log_r)
    span = high - low
    x = (opening - low) / span
    slope_low, slope_high = foot * span, at_high * log_r * span
    return (
        at_low * (1.0 + 2.0 * x) * (1.0 - x) ** 2
        + slope_low * x * (1.0 - x) ** 2
        + at_high * x * x * (3.0 - 2.0 * x)
        + slope_high * x * x * (x - 1.0)
    )


def resistance_kpa_per_kg2s2(parameters: ValveParameters, opening: float) -> float:
    """Return Δp/ṁ² of the valve at `opening` 0..1, in kPa/(kg/s)².

    From the definition of Kv: 1 m³/h of water of 1000 kg/m³ at 1 bar.
    """
    coefficient = parameters.kvs_m3h * relative_flow_coefficient(
        opening, rangeability=parameters.rangeability, leakage=parameters.leakage
    )
    at_one_bar_kg_s = coefficient / 3.6 * parameters.density_kg_per_m3 / 1000.0
    return 100.0 / max(at_one_bar_kg_s, 1e-9) ** 2


class Actuator:
    """The motor and the stem; counts what wears them.

    `motor_pct` is the feedback, `stem_pct` what the water sees, `travel_pct` the sum of the motor's
    movements, `starts` its starts and `reversals` its changes of direction. While `contact_s` is
    not 0, a contact drives the motor for so many seconds more, below 0 towards shut.
    """

    __slots__ = (
        "_direction",
        "_half_lash",
        "_rate_pct_s",
        "command_pct",
        "contact_s",
        "deadband_pct",
        "is_moving",
        "is_stuck",
        "motor_pct",
        "reversals",
        "starts",
        "stem_pct",
        "travel_pct",
    )

    def __init__(self, parameters: ValveParameters, position_pct: float = 0.0) -> None:
        self._rate_pct_s = 100.0 / parameters.stroke_s
        self._half_lash = parameters.backlash_pct / 2.0
        self.deadband_pct = parameters.deadband_pct
        self.is_stuck = False
        self.starts = self.reversals = 0
        self.travel_pct = 0.0
        self._direction = 0
        self.place(position_pct)

    def place(self, position_pct: float) -> None:
        """Put motor, stem and command at one position without any wear."""
        self.command_pct = self.motor_pct = self.stem_pct = position_pct
        self.is_moving = False
        self.contact_s = 0.0

    def step(self, dt_s: float) -> bool:
        """Advance by `dt_s`; return True where the stem moved."""
        if self.contact_s != 0.0:
            return self._step_by_contact(dt_s)
        error = self.command_pct - self.motor_pct
        if not self.is_moving:
            at_stop = error != 0.0 and (self.command_pct <= 0.0 or self.command_pct >= 100.0)  # noqa: PLR2004 - the end stops
            if -self.deadband_pct <= error <= self.deadband_pct and not at_stop:
                return False
        if self.is_stuck or error == 0.0:
            self.is_moving = False
            return False
        self._count(1 if error > 0.0 else -1)
        most = self._rate_pct_s * dt_s
        move = most if error > most else (max(error, -most))
        self.is_moving = move != error
        self.motor_pct += move
        self.travel_pct += abs(move)
        return self._drag_stem()

    def _step_by_contact(self, dt_s: float) -> bool:
        way = 1 if self.contact_s > 0.0 else -1
        run_s = min(abs(self.contact_s), dt_s)
        self.contact_s -= way * run_s
        move = 0.0 if self.is_stuck else self._rate_pct_s * run_s
        at_pct = min(max(self.motor_pct + way * move, 0.0), 100.0)
        move, self.motor_pct = abs(at_pct - self.motor_pct), at_pct
        self.command_pct = at_pct
        if move > 0.0:
            self._count(way)
        self.travel_pct += move
        self.is_moving = self.contact_s != 0.0
        return self._drag_stem()

    def _count(self, direction: int) -> None:
        if not self.is_moving:
            self.starts += 1
        if self._direction == -direction:
            self.reversals += 1
        self._direction = direction

    def _drag_stem(self) -> bool:
        motor, lash, before = self.motor_pct, self._half_lash, self.stem_pct
        if motor <= 0.0 or motor >= 100.0:  # noqa: PLR2004 - an end stop takes up the backlash
            self.stem_pct = motor
        else:
            self.stem_pct = min(max(before, motor - lash), motor + lash)
        return self.stem_pct != before
