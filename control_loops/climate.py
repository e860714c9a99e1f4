"""What the outdoor temperature usually is at a place: by the month and by the hour of the day.

Rule: a normal is no measurement. It only carries the last reading on for a while, and says so.
"""

from collections.abc import Mapping
from datetime import datetime
from math import cos, pi
from typing import Annotated

from annotated_types import Ge, Gt, Le, Len

from core.parameters import parameters
from core.point import Unit

_MONTHS = 12
_DAYS = 30.4375
_COLDEST_H, _WARMEST_H = 6.0, 14.0
_DAY_H = 24.0

Month = Annotated[int, Ge(1), Le(12)]
Usual = Annotated[float, Ge(-50), Le(40)]


@parameters
class Climate:
    """What the weather of the place usually is, to go on from the last reading.

    Attributes:
        monthly: Usual mean outdoor temperature in °C by month, 1 to 12, at least of the months in
            which heat is due: the 30-year normals that the weather service publishes for the
            nearest station (WMO-No. 1203 says how they are made).
        swing_k: By how much the warmest hour of a day is usually warmer than the coldest.
        fade_s: How fast the distance of the last reading from what was usual then is forgotten: a
            spell of weather lasts about two days.
        max_age_s: For so long after the last reading this is believed.
    """

    monthly: Annotated[Mapping[Month, Usual], Len(1, 12)]
    swing_k: Annotated[float, Unit.KELVIN, Ge(0), Le(30)] = 9.0
    fade_s: Annotated[float, Unit.SECOND, Gt(0)] = 172800.0
    max_age_s: Annotated[float, Unit.SECOND, Ge(0)] = 259200.0


def normal_c(climate: Climate, local: datetime) -> float:
    """Return what the outdoor temperature usually is at a civil time of the place, °C.

    Means lie in the middle of their months, straight lines between those that are given. Over the
    day it falls on half a cosine from 14 h to 6 h and rises on half a cosine back: the
    wave of the Wageningen crop models (Goudriaan and van Laar 1978), with a fixed sunrise.
    """
    place = local.month - 1 + (local.day - 1) / _DAYS
    return _mean_c(climate.monthly, place) + 0.5 * climate.swing_k * _wave(
        local.hour + local.minute / 60.0 + local.second / 3600.0
    )


def _mean_c(monthly: Mapping[int, float], place: float) -> float:
    """Return the mean at a place of the year in months, 0 on 1 January."""
    middles = sorted(month - 0.5 for month in monthly)
    after = next((middle for middle in middles if middle >= place), middles[0] + _MONTHS)
    before = next(
        (middle for middle in reversed(middles) if middle <= place), middles[-1] - _MONTHS
    )
    left, right = (monthly[_month(middle)] for middle in (before, after))
    share = 0.0 if after == before else (place - before) / (after - before)
    return left + share * (right - left)


def _month(middle: float) -> int:
    return round(middle - 0.5) % _MONTHS + 1


def _wave(hour: float) -> float:
    """Return -1 in the coldest hour of the day and +1 in the warmest."""
    if _COLDEST_H <= hour <= _WARMEST_H:
        return -cos(pi * (hour - _COLDEST_H) / (_WARMEST_H - _COLDEST_H))
    since_h = (hour - _WARMEST_H) % _DAY_H
    return cos(pi * since_h / (_DAY_H - _WARMEST_H + _COLDEST_H))
