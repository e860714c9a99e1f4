"""Days in a station's file: the heating season, and which days are free of work.

Rule: days are those of the place; which time of the day it is, nobody asks here.
"""

from datetime import date
from typing import Literal, NamedTuple

from config.quantities import read_date
from core.parameters import Unreadable, parameters


class MonthDay(NamedTuple):
    """A day of every year."""

    month: int
    day: int

    @classmethod
    def from_text(cls, text: str) -> "MonthDay":
        """Return the day written as month-day, as in 10-01.

        Raises:
            Unreadable: There is no such day.
        """
        try:
            day = read_date(f"2000-{text}")  # a leap year: 02-29 is a day
        except Unreadable as error:
            what = f"`{text}` is not a day of the year"
            raise Unreadable(what, "write month-day, as in `10-01`") from error
        return cls(day.month, day.day)


@parameters
class Season:
    """The heating season, both days included; it may go over the end of the year."""

    start: MonthDay
    end: MonthDay


@parameters
class Holidays:
    """Which days are free of work, for schedules that tell the two apart.

    Attributes:
        calendar: `china`: the holidays and the make-up work days of the State Council, as far as
            they are published. `week`: Saturday and Sunday are free.
        free: Further days free of work.
        work: Days that are worked all the same.
    """

    calendar: Literal["china", "week"] = "china"
    free: tuple[date, ...] = ()
    work: tuple[date, ...] = ()
