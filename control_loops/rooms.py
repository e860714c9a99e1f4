"""How warm the flats are, from many collectors of which some lie.

Rule: what one flat does (an open window, a stove, a collector in a pocket) does not move the
result; what most flats say does.
"""

from collections.abc import Sequence
from math import nan
from typing import Annotated, NamedTuple

from annotated_types import Ge, Gt, Le

from core.parameters import parameters
from core.point import Unit
from core.rooms import FlatPosition, RoomReading

_PLAUSIBLE_C = (5.0, 40.0)
_COLD_SHARE = 0.1


@parameters
class FlatWeights:
    """How much one flat counts, by where it lies in its house.

    Collectors are put where it is cold: edge, top and bottom flats are many among the measured and
    few among all.
    """

    edge: Annotated[float, Ge(0), Le(10)] = 0.5
    top: Annotated[float, Ge(0), Le(10)] = 0.5
    bottom: Annotated[float, Ge(0), Le(10)] = 0.5
    middle: Annotated[float, Gt(0), Le(10)] = 1.0

    def of(self, position: FlatPosition) -> float:
        """Return the weight of a flat that lies there."""
        match position:
            case "edge":
                return self.edge
            case "top":
                return self.top
            case "bottom":
                return self.bottom
            case "middle":
                return self.middle


@parameters
class Trimming:
    """Which flats are left out of the mean.

    Attributes:
        beyond_k: A flat this far from the median has a window open, or a stove.
        share: Of what remains, this share of the weight is cut off at either end.
    """

    beyond_k: Annotated[float, Unit.KELVIN, Gt(0), Le(20)] = 3.0
    share: Annotated[float, Ge(0), Le(0.4)] = 0.1


class RobustRooms(NamedTuple):
    """What the flats say: robust mean and coldest tenth in °C, NaN if unknown; how many count."""

    mean_c: float
    p10_c: float
    good: int


NO_ROOMS = RobustRooms(nan, nan, 0)


def robust_rooms(
    readings: Sequence[RoomReading],
    *,
    max_age_s: float,
    weights: FlatWeights,
    trimming: Trimming,
) -> RobustRooms:
    """Return the robust mean of the flats, their coldest tenth, and how many were fit to count.

    Only usable values between 5 and 40 °C, not older than `max_age_s`, count. The mean is taken
    after flats far from the median are left out and both ends are cut.
    """
    low_c, high_c = _PLAUSIBLE_C
    fit = sorted(
        (reading.sample.value, weights.of(reading.flat.position))
        for reading in readings
        if reading.sample.is_usable
        and reading.sample.age_s <= max_age_s
        and low_c <= reading.sample.value <= high_c
    )
    if not fit:
        return NO_ROOMS
    values = [value for value, _ in fit]
    median_c = _quantile(values, 0.5)
    near = [row for row in fit if abs(row[0] - median_c) <= trimming.beyond_k]
    return RobustRooms(
        _trimmed_mean(near, trimming.share), _quantile(values, _COLD_SHARE), len(near)
    )


def _trimmed_mean(rows: Sequence[tuple[float, float]], share: float) -> float:
    """Return the weighted mean of rising (value, weight) without a share of weight at each end."""
    whole = sum(weight for _, weight in rows)
    if whole <= 0.0:
        return nan
    begin, end = share * whole, (1.0 - share) * whole
    passed = total = 0.0
    for value, weight in rows:
        inside = min(passed + weight, end) - max(passed, begin)
        passed += weight
        total += value * max(inside, 0.0)
    return total / (end - begin)


def _quantile(values: Sequence[float], share: float) -> float:
    """Return the value below which `share` of the rising values lie, linear between ranks."""
    place = share * (len(values) - 1)
    low = int(place)
    high = min(low + 1, len(values) - 1)
    return values[low] + (place - low) * (values[high] - values[low])
