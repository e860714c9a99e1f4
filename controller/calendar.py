"""Jobs by the calendar: what happens at a time of day, never what controls the plant.

Rule: a job runs once for each due time, also when the clock steps or changes to summer time; a job
missed while the process slept runs once when it wakes.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import structlog
from apscheduler.triggers.cron import (  # type: ignore[import-untyped] # it ships no types
    CronTrigger,
)

from core.clock import Clock

log = structlog.get_logger(__name__)

LOOK_S_MAX = 600.0
"""The calendar looks at the clock at least this often, so a step is noticed by then."""

# A dead clock battery says 1970 or 2200; "older than a year" must not be judged by such a clock.
_SANE_YEARS = range(2025, 2100)
_TICK = timedelta(microseconds=1)


Trigger = Callable[[datetime], datetime | None]
"""Gives the first time due at or after a moment, None for never; both are UTC."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A named piece of work.

    Attributes:
        name: For the log.
        trigger: When it is due.
        work: Does it in short steps, off the loop where they are not short; what it returns is
            logged.
    """

    name: str
    trigger: Trigger
    work: Callable[[], Awaitable[object]]


def daily(at: str, zone: str = "Asia/Shanghai") -> Trigger:
    """Return the trigger of every day at the local time `at`, "03:30".

    Where summer time's end repeats that time, the first one counts; where its start leaves it out,
    the next one that exists does.
    """
    hour, minute = (int(part) for part in at.split(":"))
    cron = CronTrigger(hour=hour, minute=minute, timezone=ZoneInfo(zone))

    def first_due(moment: datetime) -> datetime | None:
        due: datetime | None = cron.get_next_fire_time(None, moment)
        while due is not None and due.astimezone(UTC).astimezone(due.tzinfo).fold:
            due = cron.get_next_fire_time(None, due.astimezone(UTC) + _TICK)
        return None if due is None else due.astimezone(UTC)

    return first_due


def next_due(trigger: Trigger, due: datetime | None, now: datetime) -> datetime | None:
    """Return when a job that waits for `due` is due by a clock that may have stepped.

    A step back of less than one round keeps `due`: the times before it have been served. A longer
    one, from a clock that was wrong altogether, starts the calendar anew.
    """
    coming = trigger(now)
    if due is None or coming is None:
        return coming
    after = trigger(coming + _TICK)
    return coming if after is not None and due > after else due


@dataclass(slots=True)
class Calendar:
    """The task that runs the jobs of a daemon, one after the other."""

    clock: Clock
    jobs: Iterable[Job]
    _due: dict[str, datetime | None] = field(default_factory=dict, init=False)

    async def run(self) -> None:
        """Run each job when it is due, for ever."""
        jobs = tuple(self.jobs)
        while True:
            now = self.clock.now().utc
            wait_s = LOOK_S_MAX
            if now.year in _SANE_YEARS:
                for job in jobs:
                    await self._serve(job, now)
                wait_s = self._wait_s()
            await asyncio.sleep(wait_s)

    async def _serve(self, job: Job, now: datetime) -> None:
        due = next_due(job.trigger, self._due.get(job.name), now)
        if due is not None and due <= now:
            await _work(job)
            # Later than now, so that what was missed several times runs once.
            due = job.trigger(max(now, self.clock.now().utc) + _TICK)
        self._due[job.name] = due

    def _wait_s(self) -> float:
        now = self.clock.now().utc
        waits = ((due - now).total_seconds() for due in self._due.values() if due is not None)
        return max(0.0, min((*waits, LOOK_S_MAX)))


async def _work(job: Job) -> None:
    """Do a job; if it fails, it gets another chance next time, and the other jobs go on."""
    log.info("job_started", job=job.name)
    try:
        result = await job.work()
    except Exception:
        log.exception("job_failed", job=job.name)
    else:
        log.info("job_done", job=job.name, result=result)
