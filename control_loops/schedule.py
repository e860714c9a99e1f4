"""Hours in which less heat is wanted: night setback, office hours, and the boost behind them.

Rule: a setback is a wish for comfort and cost, so it gives way to the cold: it glides out when the
night is cold, ends earlier the colder it is, and is off while rooms are cold.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from math import isnan, nan
from typing import Annotated, Literal, NamedTuple

from annotated_types import Ge, Gt, Le

from core.parameters import Unreadable, parameters
from core.point import Unit

Days = Literal["every", "work", "free"]

_WINDOW = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])-([01][0-9]|2[0-3]):([0-5][0-9])")
_DAY_MIN = 24 * 60
# Optimised start after the makers' rule: nothing at +10 °C outdoors, all of it at -12 °C.
_START_MILD_C, _START_COLD_C = 10.0, -12.0


@dataclass(frozen=True, slots=True)
class Hours:
    """A stretch of the day in minutes after midnight; it may go over midnight."""

    begin_min: int
    end_min: int

    @classmethod
    def from_text(cls, text: str) -> "Hours":
        """Return the stretch written as in `23:00-05:00`.

        Raises:
            Unreadable: It is not written so, or it is empty.
        """
        match = _WINDOW.fullmatch(text)
        if match is None:
            raise Unreadable(f"`{text}` is no stretch of a day", "write it as in `23:00-05:00`")
        begin, end = (60 * int(match[i]) + int(match[i + 1]) for i in (1, 3))
        if begin == end:
            raise Unreadable(f"`{text}` begins when it ends", "write two different times")
        return cls(begin, end)

    @property
    def length_min(self) -> int:
        """How long it is, 1..1439 min."""
        return (self.end_min - self.begin_min) % _DAY_MIN


@parameters
class Setback:
    """One kind of hours with less heat.

    Attributes:
        between: From when to when, by the clock of the place; over midnight it belongs to the day
            on which it begins.
        days: `every` day, `work` days, or days `free` of work (weekends and holidays).
        lower_k: By how much the supply setpoint is lowered.
        full_above_c: Above this outdoor temperature the whole setback applies.
        none_below_c: Below this one none of it does; straight between the two.
        start_early_s: How much earlier the setback ends at -12 °C outdoors, less the milder it is,
            not at all from +10 °C on, so that the rooms are warm when the hours end. With a
            forecast the temperature at their end counts, if it is the colder one.
        boost_k: By how much the setpoint is raised after the end.
        boost_for_s: For how long.
    """

    between: Hours
    days: Days = "every"
    lower_k: Annotated[float, Unit.KELVIN, Gt(0), Le(20)]
    full_above_c: Annotated[float, Unit.CELSIUS, Ge(-50), Le(30)] = -5.0
    none_below_c: Annotated[float, Unit.CELSIUS, Ge(-50), Le(30)] = -15.0
    start_early_s: Annotated[float, Unit.SECOND, Ge(0), Le(21600)] = 0.0
    boost_k: Annotated[float, Unit.KELVIN, Ge(0), Le(10)] = 0.0
    boost_for_s: Annotated[float, Unit.SECOND, Ge(0), Le(14400)] = 3600.0


class ScheduleShift(NamedTuple):
    """By how much the schedule shifts the supply setpoint, in K, and what of it rules."""

    shift_k: float
    why: str


NO_SHIFT = ScheduleShift(0.0, "")


def _nothing(_ahead_s: float) -> float:
    """Return what is expected without a forecast."""
    return nan


class Working(NamedTuple):
    """Whether people work today, and whether they did yesterday: a night began then."""

    today: bool
    yesterday: bool


def schedule_shift(
    schedule: Mapping[str, Setback],
    *,
    local: datetime,
    working: Working,
    outdoor_c: float,
    are_rooms_cold: bool,
    expected_c: Callable[[float], float] = _nothing,
) -> ScheduleShift:
    """Return how the schedule shifts the supply setpoint now.

    Of setbacks that overlap the deepest rules; a boost counts only while no setback applies.

    Args:
        schedule: The setbacks by name; empty for none.
        local: The civil time of the place.
        working: Which days are work days.
        outdoor_c: The damped outdoor temperature, NaN if unknown: then nothing is lowered.
        are_rooms_cold: Rooms are colder than they should be: then nothing is lowered either.
        expected_c: The outdoor temperature forecast for so many seconds ahead, NaN if none is. A
            colder end of the hours is prepared for; a warmer one is not believed.
    """
    deepest = boost = NO_SHIFT
    for name, setback in schedule.items():
        since_min = _since_begin(setback, local, working)
        if since_min is None:
            continue
        early_min = 0.0
        if setback.start_early_s:
            left_s = 60.0 * (setback.between.length_min - since_min)
            ahead_c = expected_c(left_s) if left_s > 0.0 else nan
            early_min = _early_min(setback, min(outdoor_c, ahead_c))
        length_min = setback.between.length_min - early_min
        if since_min < length_min:
            lower_k = 0.0 if are_rooms_cold else setback.lower_k * _share(setback, outdoor_c)
            if -lower_k < deepest.shift_k:
                deepest = ScheduleShift(-lower_k, name)
        elif (
            since_min < length_min + setback.boost_for_s / 60.0 and setback.boost_k > boost.shift_k
        ):
            boost = ScheduleShift(setback.boost_k, f"{name} boost")
    return deepest if deepest.shift_k < 0.0 else boost


def _since_begin(setback: Setback, local: datetime, working: Working) -> float | None:
    """Return the minutes since the newest begin of the setback on a day that counts."""
    now_min = 60 * local.hour + local.minute + local.second / 60.0
    since_min = now_min - setback.between.begin_min
    if since_min >= 0.0:
        return since_min if _counts(setback.days, is_work=working.today) else None
    if _counts(setback.days, is_work=working.yesterday):
        return since_min + _DAY_MIN
    return None


def _counts(days: Days, *, is_work: bool) -> bool:
    return days == "every" or (days == "work") == is_work


def _share(setback: Setback, outdoor_c: float) -> float:
    """Return how much of the setback the outdoor temperature leaves, 0..1; NaN leaves none."""
    if not outdoor_c > setback.none_below_c:
        return 0.0
    if outdoor_c >= setback.full_above_c:
        return 1.0
    return (outdoor_c - setback.none_below_c) / (setback.full_above_c - setback.none_below_c)


def _early_min(setback: Setback, outdoor_c: float) -> float:
    """Return how many minutes earlier than written the setback ends."""
    # An unknown outdoor temperature is taken for a cold one.
    share = 1.0
    if not isnan(outdoor_c):
        share = (_START_MILD_C - outdoor_c) / (_START_MILD_C - _START_COLD_C)
    return min(max(share, 0.0), 1.0) * setback.start_early_s / 60.0
