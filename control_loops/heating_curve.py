"""The heating curve: which supply temperature an outdoor temperature asks for.

Rule: colder outdoors never asks for colder water; NaN in gives NaN out, so that nobody acts on it.
"""

from bisect import bisect_left
from collections.abc import Mapping
from itertools import pairwise
from math import isnan
from typing import Annotated

from annotated_types import Ge, Gt, Le, Len

from core.parameters import parameters
from core.point import Unit

PLC_POINTS = 8
"""How many points the fallback curve of a station PLC has."""


@parameters
class CurvePoints:
    """A curve through 2 to 8 points, straight between them and flat beyond the outer ones.

    Attributes:
        points: Supply temperature in °C by outdoor temperature in °C, falling when it gets warmer.
    """

    points: Annotated[Mapping[float, float], Unit.CELSIUS, Len(2, PLC_POINTS)]


@parameters
class CurveFormula:
    """Quality regulation (质调节): the flow is constant, the temperature carries the load.

    T_supply = T_room + dT_mean q^(1/n) + dT_design q / 2 with the load
    q = (T_balance - T_out) / (T_balance - T_design outdoors) and T_balance = T_room - free_k. The
    first part is the emitter's law (EN 442), the second half the spread between supply and return.

    Attributes:
        design_outdoor_c: Outdoor temperature of the design point.
        room_c: Wanted room temperature.
        design_supply_c: Supply temperature at the design point.
        design_return_c: Return temperature at the design point.
        exponent: n of the emitter: 1.3 radiator, 1.1 floor.
        free_k: By how much sun and people warm the rooms without any heating.
    """

    design_outdoor_c: Annotated[float, Unit.CELSIUS, Ge(-50), Le(10)]
    room_c: Annotated[float, Unit.CELSIUS, Ge(10), Le(30)] = 21.0
    design_supply_c: Annotated[float, Unit.CELSIUS, Ge(20), Le(100)]
    design_return_c: Annotated[float, Unit.CELSIUS, Ge(20), Le(100)]
    exponent: Annotated[float, Ge(1), Le(2)] = 1.3
    free_k: Annotated[float, Unit.KELVIN, Ge(0), Le(10)] = 0.0


@parameters
class CurveSlope:
    """A straight curve: T_supply = T_room + level + slope (T_room - T_out).

    Attributes:
        slope: Kelvin of supply per kelvin outdoors; 1.0 to 1.8 with radiators, 0.2 to 0.6 with
            floor heating.
        level_k: Parallel shift.
        room_c: Wanted room temperature.
    """

    slope: Annotated[float, Gt(0), Le(4)]
    level_k: Annotated[float, Unit.KELVIN, Ge(-30), Le(30)] = 0.0
    room_c: Annotated[float, Unit.CELSIUS, Ge(10), Le(30)] = 21.0


HeatingCurve = CurvePoints | CurveFormula | CurveSlope


_BELOW_DESIGN_K = 12.0
"""How far below the design point the coldest days of a long record lie."""
_COLDEST_C = -40.0
"""No station of the north is built for less."""


def supply_c(curve: HeatingCurve, outdoor_c: float) -> float:
    """Return the supply temperature in °C for an outdoor temperature in °C; NaN gives NaN."""
    if isinstance(curve, CurvePoints):
        return interpolate(curve.points, outdoor_c)
    if isinstance(curve, CurveSlope):
        # Above the room temperature nothing is heated; NaN stays NaN.
        below_k = 0.0 if outdoor_c > curve.room_c else curve.room_c - outdoor_c
        return curve.room_c + curve.level_k + curve.slope * below_k
    balance_c = curve.room_c - curve.free_k
    load = (balance_c - outdoor_c) / (balance_c - curve.design_outdoor_c)
    if load <= 0.0:
        return curve.room_c
    mean_k = 0.5 * (curve.design_supply_c + curve.design_return_c) - curve.room_c
    spread_k = curve.design_supply_c - curve.design_return_c
    return curve.room_c + mean_k * float(load ** (1.0 / curve.exponent)) + 0.5 * spread_k * load


def interpolate(points: Mapping[float, float], x: float) -> float:
    """Return the value at `x` on straight lines through the points, flat beyond the outer ones.

    NaN gives NaN.
    """
    if isnan(x):
        return x
    ordered = sorted(points)
    i = bisect_left(ordered, x)
    if i == 0:
        return points[ordered[0]]
    if i == len(ordered):
        return points[ordered[-1]]
    left, right = ordered[i - 1], ordered[i]
    low, high = points[left], points[right]
    return low + (high - low) * (x - left) / (right - left)


def as_points(curve: HeatingCurve, n: int = PLC_POINTS) -> tuple[tuple[float, float], ...]:
    """Return the curve as `n` points (outdoor °C, supply °C), coldest first, for a PLC's own curve.

    Given points are kept exactly and the widest stretches between them are halved until there are
    `n`; a formula is sampled evenly, from 12 K under its design point to where heating ends, and a
    straight line from -40 °C.

    Raises:
        ValueError: The curve has more than `n` points, or `n` is less than 2.
    """
    match curve:
        case CurvePoints():
            outdoors = sorted(curve.points)
        case CurveFormula():
            outdoors = [curve.design_outdoor_c - _BELOW_DESIGN_K, curve.room_c - curve.free_k]
        case CurveSlope():
            outdoors = [_COLDEST_C, curve.room_c]
    if len(outdoors) > n:
        raise ValueError(f"a curve of {len(outdoors)} points does not fit into {n}")
    if isinstance(curve, CurveFormula):
        step_k = (outdoors[1] - outdoors[0]) / (n - 1)
        outdoors = [outdoors[0] + i * step_k for i in range(n)]
    while len(outdoors) < n:
        widths = [right - left for left, right in pairwise(outdoors)]
        i = widths.index(max(widths))
        outdoors.insert(i + 1, 0.5 * (outdoors[i] + outdoors[i + 1]))
    return tuple((outdoor, supply_c(curve, outdoor)) for outdoor in outdoors)


def curve_problems(curve: HeatingCurve) -> tuple[str, ...]:
    """Return what is wrong with a curve in words for the one who wrote it; empty if it is sound."""
    if isinstance(curve, CurvePoints):
        return tuple(
            f"the curve asks for {warm[1]:g} °C at {warm[0]:g} °C outdoors, which is more than the "
            f"{cold[1]:g} °C it asks for at {cold[0]:g} °C: it must fall when it gets warmer"
            for cold, warm in pairwise(sorted(curve.points.items()))
            if warm[1] > cold[1]
        )
    if isinstance(curve, CurveSlope):
        return ()
    problems = []
    if curve.design_return_c >= curve.design_supply_c:
        problems.append(
            f"design_return {curve.design_return_c:g} °C must be below "
            f"design_supply {curve.design_supply_c:g} °C"
        )
    if curve.design_supply_c + curve.design_return_c <= 2.0 * curve.room_c:
        problems.append("the mean of design_supply and design_return must be above the room")
    if curve.design_outdoor_c >= curve.room_c - curve.free_k:
        problems.append("design_outdoor must be below the outdoor temperature that needs no heat")
    return tuple(problems)
