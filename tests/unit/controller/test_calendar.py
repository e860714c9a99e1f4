"""A job of the calendar runs once for each due time, however the clock behaves."""

import asyncio
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from controller.calendar import Calendar, Job, daily, next_due
from core.clock import Instant
from hil_sim.virtual_loop import VirtualLoop

NIGHT = daily("03:30")
SHANGHAI = ZoneInfo("Asia/Shanghai")


def at(text, zone=SHANGHAI):
    return datetime.fromisoformat(text).replace(tzinfo=zone)


class StepClock:
    """Civil time that runs with the loop, and steps by so much at a second of the loop."""

    def __init__(self, start, steps):
        self._start, self._steps = start.astimezone(UTC), steps

    def now(self):
        loop_s = asyncio.get_running_loop().time()
        stepped = sum(
            (step for at_s, step in self._steps.items() if at_s <= loop_s), start=timedelta()
        )
        return Instant(loop_s, self._start + timedelta(seconds=loop_s) + stepped)


def runs(start, hours, *, steps=None, zone="Asia/Shanghai", due="03:30", fails=False):
    """Let a calendar live for some hours, and return the local times at which its job ran."""
    ran = []

    async def live():
        clock = StepClock(start, steps or {})

        async def note():
            ran.append(clock.now().utc.astimezone(ZoneInfo(zone)).strftime("%m-%d %H:%M"))
            if fails:
                raise OSError("disk full")

        job = Job(name="prune", trigger=daily(due, zone), work=note)
        with suppress(TimeoutError):
            await asyncio.wait_for(Calendar(clock=clock, jobs=[job]).run(), hours * 3600.0)

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(live())
    return ran


def test_a_daily_job_runs_once_a_day_at_its_local_time():
    assert runs(at("2026-01-15T02:00"), 47) == ["01-15 03:30", "01-16 03:30"]


def test_it_does_not_run_at_the_start_for_a_time_that_is_over():
    assert runs(at("2026-01-15T03:31"), 20) == []


@pytest.mark.parametrize(
    ("start", "step", "ran"),
    [
        pytest.param("02:00", timedelta(hours=3), ["01-15 05:10"], id="over the time: once"),
        pytest.param(
            "04:00", timedelta(days=5), ["01-20 04:10"], id="over days: once for all of them"
        ),
        pytest.param("03:28", timedelta(hours=-1), ["01-15 03:30"], id="back, and not again"),
        pytest.param("03:00", timedelta(hours=-1), ["01-15 03:30"], id="back, and still to come"),
    ],
)
def test_a_clock_that_steps_makes_no_run_too_few_or_too_many(start, step, ran):
    # The step comes after 200 s, and is noticed when the calendar looks the next time.
    found = runs(at(f"2026-01-15T{start}"), 3, steps={200.0: step})
    assert found == ran


@pytest.mark.parametrize("dead", ["1970-01-01T00:00", "2200-06-01T03:25"])
def test_nothing_runs_by_a_dead_clock_and_all_is_well_once_it_is_set(dead):
    start = at(dead)
    set_right = at("2026-01-15T03:00") - start
    assert runs(start, 2, steps={1000.0: set_right}) == ["01-15 03:30"]


def test_a_clock_that_was_years_ahead_does_not_hold_the_calendar_up():
    start = at("2040-01-15T04:00")
    set_right = at("2026-01-15T03:00") - start
    assert runs(start, 2, steps={1000.0: set_right}) == ["01-15 03:30"]


@pytest.mark.parametrize("due", ["02:30", "03:30"])
@pytest.mark.parametrize("day", ["2026-03-29", "2026-10-25"])
def test_summer_time_comes_and_goes_and_the_job_runs_once_a_day(day, due):
    berlin = ZoneInfo("Europe/Berlin")
    before = at(f"{day}T00:10", berlin)
    ran = runs(before, 30, zone="Europe/Berlin", due=due)
    assert [when[:5] for when in ran] == [day[5:], f"{day[5:8]}{int(day[8:]) + 1:02}"]


def test_a_job_that_fails_runs_again_the_next_day():
    assert runs(at("2026-01-15T03:25"), 26, fails=True) == ["01-15 03:30", "01-16 03:30"]


def test_a_job_that_takes_long_does_not_run_twice():
    async def live():
        ran = []

        async def work():
            ran.append(1)
            await asyncio.sleep(3 * 3600.0)

        clock = StepClock(at("2026-01-15T03:00"), {})
        job = Job(name="slow", trigger=daily("03:30"), work=work)
        with suppress(TimeoutError):
            await asyncio.wait_for(Calendar(clock=clock, jobs=[job]).run(), 12 * 3600.0)
        return ran

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        assert runner.run(live()) == [1]


@pytest.mark.parametrize(
    ("due", "now", "wanted"),
    [
        (None, "2026-01-15T02:00", "2026-01-15T03:30"),
        ("2026-01-16T03:30", "2026-01-15T04:00", "2026-01-16T03:30"),
        ("2026-01-16T03:30", "2026-01-15T03:00", "2026-01-16T03:30"),
        ("2026-01-16T03:30", "2026-01-14T03:00", "2026-01-14T03:30"),
        ("2026-01-15T03:30", "2026-01-20T03:00", "2026-01-15T03:30"),
    ],
)
def test_the_next_due_time_survives_steps_of_the_clock(due, now, wanted):
    found = next_due(NIGHT, due and at(due), at(now))
    assert found == at(wanted)
