"""Which days are work days: the file of the station, the calendar of the state, the week."""

from datetime import date

import pytest

from config.season import Holidays
from control_loops.schedule import Working
from controller.holidays import working_days

CHINA = Holidays()


@pytest.mark.parametrize(
    ("holidays", "day", "today", "yesterday"),
    [
        (CHINA, date(2026, 1, 14), True, True),  # a Wednesday
        (CHINA, date(2026, 2, 14), True, True),  # a Saturday worked for the Spring Festival
        (CHINA, date(2026, 2, 17), False, False),  # the Spring Festival, a Tuesday
        (Holidays(calendar="week"), date(2026, 2, 14), False, True),
        (Holidays(calendar="week"), date(2026, 2, 17), True, True),
        (Holidays(work=(date(2026, 2, 17),)), date(2026, 2, 17), True, False),
        (Holidays(free=(date(2026, 1, 13),)), date(2026, 1, 14), True, False),
        (CHINA, date(2099, 1, 5), True, False),  # not published yet: a Monday after a Sunday
    ],
)
def test_the_file_goes_before_the_calendar_and_that_before_the_week(
    holidays, day, today, yesterday
):
    assert working_days(holidays, day) == Working(today, yesterday)
