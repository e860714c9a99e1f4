"""The contender `heatd`: the whole daemon, or only its links and its journal, under measurement.

Rule: what is measured is the product's own code on a configuration of its own kind; nothing here
does any of its work.

Run as a process of its own with a `Job` as JSON, so that neither the server nor whoever asks is
measured. It prints a JSON object a line: {"share": ...} while it goes on, last {"figures": ...}.
"""

import asyncio
import sqlite3
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from config.load import load
from config.model import Site
from controller.daemon import JOURNAL, Daemon, Options
from controller.decide import Decision
from controller.facts import Facts
from controller.grid import first_grid_point, next_grid_point
from controller.live import settle_memory
from controller.station import StationShell
from core.clock import SystemClock
from core.image import Outputs, ProcessImage
from core.point import Quality
from core.record import ScanRecord
from drivers.link import Link
from hil_sim.bench_poll.figures import Figures, Mark, figures_of, new_loop, tell
from hil_sim.bench_poll.job import Job, Scope
from hil_sim.quiet import quiet_logs
from history.schema import UtcDateTime
from history.writer import NotRecorded

_WARM_SCANS = 3
_WARM_S_MAX = 60.0
_TICK_S = 0.2


@dataclass(slots=True)
class Count:
    """What the scans of the window brought."""

    is_open: bool = False
    good_scans: int = 0
    late_s: list[float] = field(default_factory=list)

    def take(self, image: ProcessImage, late_s: float) -> None:
        """Count a scan if all its values are true."""
        if self.is_open:
            self.good_scans += image.qualities.count(Quality.GOOD) == len(image.qualities)
            self.late_s.append(late_s)

    def on_scan(self, shell: StationShell, _: Decision) -> None:
        """Count the scan that a station has just completed."""
        image = shell.image
        if image is not None:
            self.take(image, shell.late_s)


async def measure(job: Job, site: Site, say: Callable[[float], None]) -> Figures:
    """Return the figures of one run.

    Raises:
        TimeoutError: The stations do not come up, or the disk does not keep up with them.
    """
    count = Count()
    daemon = Daemon(site, SystemClock(), Options(state_dir=Path(job.state), on_scan=count.on_scan))
    settle_memory()
    shells = list(daemon.stations.values())
    stop = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        tasks = _start(job, daemon, count, stop, group)
        async with asyncio.timeout(_WARM_S_MAX):
            await _until_warm(shells)
            await _stored(daemon)
        answers, overruns = _all_answers(shells), sum(shell.overruns for shell in shells)
        begin, begin_at = Mark.now(), daemon.clock.now().utc
        count.is_open = True
        for tick in range(round(job.seconds / _TICK_S)):
            await asyncio.sleep(_TICK_S)
            say(tick * _TICK_S / job.seconds)
        count.is_open = False
        end_at = daemon.clock.now().utc
        answers = _all_answers(shells) - answers
        overruns = sum(shell.overruns for shell in shells) - overruns
        for task in tasks[:-1]:
            task.cancel()
        # What was polled in the window is stored in the window, and paid for.
        await _stored(daemon)
        end = Mark.now()
        stop.set()
        for task in tasks[-1:]:
            task.cancel()
    return figures_of(
        job,
        (begin, end),
        polled=job.tags * min(count.good_scans, answers),
        stored=job.tags * _rows(Path(job.state) / JOURNAL, begin_at, end_at),
        late_s=count.late_s if job.scope in {Scope.WHOLE, Scope.RECORD} else (),
        alarms=sum(len(shell.state.alarms.rows) for shell in shells),
        overruns=overruns,
    )


async def _stored(daemon: Daemon) -> None:
    """Return when all that was put into the journal so far is on the disk."""
    while True:
        with suppress(NotRecorded):
            await daemon.journal.commit()
            return


async def _until_warm(shells: list[StationShell]) -> None:
    while any(_answers(shell) < _WARM_SCANS for shell in shells):  # noqa: ASYNC110 - nobody tells of it
        await asyncio.sleep(_TICK_S)


def _start(
    job: Job, daemon: Daemon, count: Count, stop: asyncio.Event, group: asyncio.TaskGroup
) -> list[asyncio.Task[None]]:
    """Set the stations going; return the tasks that end only when told to, the journal's last."""
    if job.scope is Scope.WHOLE:
        group.create_task(daemon.run(stop))
        return []
    work = _WORK[job.scope]
    tasks = [group.create_task(work(shell, daemon, count)) for shell in daemon.stations.values()]
    return [*tasks, group.create_task(daemon.journal.run())]


async def _scan_on(shell: StationShell, _daemon: Daemon, _count: Count) -> None:
    """Scan without a pause: polled, decided, stored and written as ever, but off the grid."""
    while True:
        await shell.scan()


async def _check_on(shell: StationShell, daemon: Daemon, count: Count) -> None:
    """Poll, check for alarms and store without a pause, and nothing else."""
    link, station = _link(shell), shell.plan.station
    alarms, before_s = shell.state.alarms, asyncio.get_running_loop().time()
    while True:
        await link.poll()
        image = _image(shell, daemon)
        now = image.taken_at
        dt_s, before_s = now.monotonic_s - before_s, now.monotonic_s
        alarms, records = alarms.step(Facts(image, {}), dt_s, now.utc, station)
        daemon.journal.put([*records, ScanRecord(image, Outputs())])
        count.take(image, 0.0)


async def _record(shell: StationShell, daemon: Daemon, count: Count) -> None:
    """Poll and store on the station's grid, and nothing else."""
    link, loop = _link(shell), asyncio.get_running_loop()
    due_s = first_grid_point(shell.config.station, shell.period_s, loop.time())
    while True:
        await asyncio.sleep(due_s - loop.time())
        late_s = daemon.clock.now().monotonic_s - due_s
        await link.poll()
        image = _image(shell, daemon)
        daemon.journal.put([ScanRecord(image, Outputs())])
        count.take(image, late_s)
        due_s, skipped = next_grid_point(due_s, shell.period_s, loop.time())
        shell.overruns += skipped


_WORK = {Scope.FLAT_OUT: _scan_on, Scope.CHECKED: _check_on, Scope.RECORD: _record}


def _image(shell: StationShell, daemon: Daemon) -> ProcessImage:
    now, link = daemon.clock.now(), _link(shell)
    columns = link.columns(now.monotonic_s)
    return ProcessImage(
        shell.config.station, now, link.table, columns.values, columns.qualities, columns.ages_s
    )


def _link(shell: StationShell) -> Link:
    return shell.links["plc"]


def _answers(shell: StationShell) -> int:
    status = _link(shell).status
    return status.polls - status.poll_errors


def _all_answers(shells: list[StationShell]) -> int:
    return sum(_answers(shell) for shell in shells)


def _rows(journal: Path, begin: datetime, end: datetime) -> int:
    """Return how many scans of a window are on the disk, asked of the file itself."""
    kept = UtcDateTime()
    moments = [kept.process_bind_param(at, None) for at in (begin, end)]  # type: ignore[arg-type] # no dialect is needed
    database = sqlite3.connect(f"file:{journal}?mode=ro", uri=True)
    try:
        found = database.execute("SELECT count(*) FROM scan WHERE at BETWEEN ? AND ?", moments)
        return int(found.fetchone()[0])
    finally:
        database.close()


def main() -> None:
    """Run the job that the first argument describes."""
    job = Job.from_json(sys.argv[1])
    site = load(Path(job.config))
    with quiet_logs(), asyncio.Runner(loop_factory=new_loop(job.loop)) as runner:
        found = runner.run(measure(job, site, lambda share: tell(share=share)))
    tell(figures=found.to_dict())


if __name__ == "__main__":
    main()
