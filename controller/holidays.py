"""Work days and free days: by the station's file, then the calendar of the state, then the week.

Rule: a pure function of the day; the one home of chinese_calendar, whose data end with the year for
which the State Council has published the holidays.
"""

from datetime import date, timedelta
from functools import lru_cache

import chinese_calendar  # type: ignore[import-untyped] # the library has no types

from config.season import Holidays
from control_loops.schedule import Working

CHINA = timedelta(hours=8)
"""By how much the clock of the place is ahead of UTC."""
_SATURDAY = 5
_DAYS_MAX = 64
"""So many days are kept; a scan asks for two, in a cold loop of months."""


def working_days(holidays: Holidays, day: date) -> Working:
    """Return whether people work on `day`, and whether they did on the day before it."""
    return Working(_is_workday(holidays, day), _is_workday(holidays, day - timedelta(days=1)))


def _is_workday(holidays: Holidays, day: date) -> bool:
    if day in holidays.free:
        return False
    if day in holidays.work:
        return True
    return _by_calendar(day) if holidays.calendar == "china" else day.weekday() < _SATURDAY


@lru_cache(maxsize=_DAYS_MAX)
def _by_calendar(day: date) -> bool:
    """Return whether `day` is a work day in China; beyond the published years the week decides."""
    try:
        return bool(chinese_calendar.is_workday(day))
    except NotImplementedError:
        return day.weekday() < _SATURDAY
