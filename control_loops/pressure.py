"""Which differential pressure the circulation pumps are to hold, and where it is measured.

Rule: one number is wanted at a time, and it never jumps: constant, by the outdoor temperature, or
moved slowly so that supply and return stay apart as they should.
"""

from collections.abc import Mapping
from functools import lru_cache
from math import isnan, nan
from typing import Annotated, NamedTuple

from annotated_types import Gt, Le, Len

from control_loops.heating_curve import interpolate
from control_loops.pid import Gains, PidState, step, track
from core.parameters import parameters
from core.point import Unit

_POINTS_MAX = 8
_LOOPS_MAX = 1024
"""How many loops' gains are kept ready; making them anew costs microseconds, no more."""


@parameters
class DpPoints:
    """The wanted differential pressure by outdoor temperature.

    Attributes:
        points: Pressure in kPa by outdoor temperature in °C, straight between the points.
    """

    points: Annotated[Mapping[float, float], Unit.KILOPASCAL, Len(2, _POINTS_MAX)]


@parameters
class SpreadControl:
    """Circulation that keeps supply and return apart: a larger spread asks for more flow.

    It moves the wanted differential pressure, so the pressure loop stays in charge of the pumps.

    Attributes:
        spread_k: Wanted difference of supply and return.
        dp_kpa: Lowest and highest differential pressure that it may ask for.
        gain_kpa_per_k: Pressure per kelvin of spread that is too much.
        reset_time_s: Time in which the pressure goes on moving by as much again; far longer than
            the water takes round the circuit, or it cycles.
    """

    spread_k: Annotated[float, Unit.KELVIN, Gt(0), Le(60)]
    dp_kpa: Annotated[tuple[float, float], Unit.KILOPASCAL]
    gain_kpa_per_k: Annotated[float, Gt(0), Le(50)] = 2.0
    reset_time_s: Annotated[float, Unit.SECOND, Gt(0)] = 7200.0


class WantedDp(NamedTuple):
    """The wanted differential pressure in kPa, why, and the next state of the spread's loop."""

    dp_kpa: float
    why: str
    spread: PidState | None


def wanted_dp(
    constant_kpa: float,
    by_outdoor: DpPoints | None,
    spread: SpreadControl | None,
    state: PidState | None,
    *,
    outdoor_c: float,
    spread_k: float,
    dt_s: float,
) -> WantedDp:
    """Return the differential pressure that is wanted in this scan.

    Args:
        constant_kpa: What is wanted where nothing else says more.
        by_outdoor: The pressure by outdoor temperature, if there is one.
        spread: The control of the spread, if there is one; it then starts from the other two.
        state: Of the spread's loop, None at first.
        outdoor_c: Damped outdoor temperature; NaN gives the constant pressure.
        spread_k: Supply less return, NaN if unusable: the pressure is held.
        dt_s: Time since the previous scan, in s, > 0.
    """
    base_kpa, why = constant_kpa, ""
    if by_outdoor is not None and not isnan(outdoor_c):
        base_kpa, why = interpolate(by_outdoor.points, outdoor_c), f"at {outdoor_c:.0f} °C outdoors"
    if spread is None:
        return WantedDp(base_kpa, why, None)
    gains = _gains(spread.gain_kpa_per_k, spread.reset_time_s, *spread.dp_kpa)
    if state is None:
        start_kpa = min(max(base_kpa, gains.low), gains.high)
        state = track(gains, output=start_kpa, setpoint=-spread.spread_k, measured=-spread_k)
    # More spread than wanted asks for more pressure, so both sides are turned over.
    moved = step(gains, state, setpoint=-spread.spread_k, measured=-spread_k, dt_s=dt_s)
    return WantedDp(moved.output, f"for a spread of {spread.spread_k:g} K", moved.state)


def lowest_usable(values: tuple[float, ...]) -> float:
    """Return the lowest of what is measured, the worst point's; NaN where none is usable."""
    lowest = nan
    for value in values:
        if value < lowest or isnan(lowest):
            lowest = value
    return lowest


@lru_cache(maxsize=_LOOPS_MAX)
def _gains(gain: float, reset_time_s: float, low: float, high: float) -> Gains:
    # From end to end in an hour: the users' valves must be able to follow.
    rate_per_s = (high - low) / 3600.0
    return Gains(gain=gain, reset_time_s=reset_time_s, low=low, high=high, rate_per_s=rate_per_s)
