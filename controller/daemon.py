"""The daemon: one task per station, the journal's writer, and an orderly end.

Rule: stations stop one by one in the order of their names, then the journal is closed; outputs are
left as they stand, and each PLC's own watchdog takes over.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import structlog

from config.model import Site
from controller.build import Lines, build_boards, build_forecast, build_station
from controller.checkpoint import keep, restore
from controller.decide import Decision
from controller.plan import StationPlan
from controller.state import StationState
from controller.station import Shared, StationShell
from controller.supervise import keep_going
from controller.watchdog import Watchdog
from core.clock import Clock
from core.point import Quality, Sample, Tag
from history.journal import open_journal
from history.reader import Reader
from history.writer import Writer, WriterSettings

log = structlog.get_logger(__name__)

JOURNAL = "journal.sqlite"
# A station that has not been scanned for more than three periods says nothing that is GOOD.
_LATE_PERIODS = 3.0
_STOP_S = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How a daemon is run.

    `is_durable` False gives up the disk's promise for speed: for simulated runs only. `on_scan` is
    told of every scan, after its writes. `commit_s_max` is how long a command waits for the disk,
    in s of the event loop: a disk is no faster where time is.
    """

    state_dir: Path
    is_read_only: bool = False
    is_durable: bool = True
    on_scan: Callable[[StationShell, Decision], None] | None = None
    commit_s_max: float = 1.0


class Daemon:
    """All stations of a site, on whatever event loop and clock it is given.

    Args:
        site: The checked configuration.
        clock: Civil time.
        options: How it is run.

    Raises:
        history.journal.JournalError: The journal cannot be opened.
    """

    def __init__(self, site: Site, clock: Clock, options: Options) -> None:
        self.site = site
        self.clock = clock
        self.is_simulation = site.simulation
        self.is_read_only = options.is_read_only
        self.started_at: datetime = clock.now().utc
        self._options = options
        path = Path(site.history.file) if site.history.file else options.state_dir / JOURNAL
        self._db = open_journal(path, durable=options.is_durable)
        self.reader = Reader(path)
        self.journal = Writer(
            self._db,
            WriterSettings(
                sample_flush_s=site.history.sample_flush_s, commit_s_max=options.commit_s_max
            ),
        )
        self._scanned = asyncio.Event()
        self.forecast = build_forecast(site)
        shared = Shared(
            clock=clock,
            journal=self.journal,
            outdoor_elsewhere=self._outdoor,
            forecast=self.forecast,
            on_scan=self._on_scan,
            checkpoint=self._checkpoint,
            is_simulation=site.simulation,
            is_read_only=options.is_read_only,
        )
        self.boards = build_boards(site)
        lines = Lines()
        self.stations: dict[str, StationShell] = {
            station.station: build_station(
                station, shared, self.boards, lines, restore=self._restore
            )
            for station in site.stations
        }
        self.watchdog: Watchdog | None = None

    async def run(self, stop: asyncio.Event) -> None:
        """Scan all stations until `stop` is set, then end in order."""
        writer = asyncio.create_task(keep_going("journal", self.journal.run), name="journal")
        tasks = {
            name: asyncio.create_task(shell.run(), name=f"station {name}")
            for name, shell in self.stations.items()
        }
        log.info("daemon_started", stations=len(tasks), read_only=self.is_read_only)
        try:
            await stop.wait()
        finally:
            for name, task in tasks.items():
                await self._stop_station(name, task)
            lost = await self.journal.close()
            await asyncio.wait([writer])
            self.reader.close()
            self._db.close()
            log.info("daemon_stopped", records_lost=lost)

    async def _stop_station(self, name: str, task: asyncio.Task[None]) -> None:
        """End one station; whatever that brings to light, the others and the journal follow."""
        task.cancel()
        await asyncio.wait([task])
        if not task.cancelled() and task.exception() is not None:
            log.error("station_task_failed", station=name, error=repr(task.exception()))
        shell = self.stations[name]
        self._checkpoint(name, self.clock.now().utc, shell.to_keep)
        await shell.close()

    async def wait_scan(self) -> None:
        """Return when some station has completed its next scan."""
        await self._scanned.wait()

    def _on_scan(self, shell: StationShell, decision: Decision) -> None:
        self._scanned.set()
        self._scanned.clear()
        if self.watchdog is not None:
            self.watchdog.fed(shell.config.station, self.clock.now())
        if self._options.on_scan is not None:
            self._options.on_scan(shell, decision)

    def _outdoor(self, wanted: Iterable[str]) -> Mapping[str, Sample]:
        """Return those of the wanted points that another station has, by "st-02.T_out".

        Each is as old as it is by now.
        """
        found: dict[str, Sample] = {}
        for name in wanted:
            station, _, tag = name.partition(".")
            shell = self.stations.get(station) if tag else None
            image = None if shell is None or shell.is_faulty else shell.image
            if shell is None or image is None:
                continue
            sample = image[Tag(tag)]
            since_s = self.clock.now().monotonic_s - image.taken_at.monotonic_s
            is_late = since_s > _LATE_PERIODS * shell.period_s
            quality = min(sample.quality, Quality.STALE) if is_late else sample.quality
            found[name] = Sample(sample.value, quality, sample.age_s + since_s)
        return found

    def _checkpoint(self, station: str, at: datetime, state: StationState) -> None:
        self.journal.put_checkpoint(station, at, keep(self.stations[station].plan, state))

    def _restore(self, plan: StationPlan, first: StationState) -> StationState:
        kept = self.reader.latest_checkpoint(plan.station)
        if kept is None:
            return first
        away_s = (self.clock.now().utc - kept.at).total_seconds()
        return restore(plan, first, kept.state, away_s=max(0.0, away_s))
