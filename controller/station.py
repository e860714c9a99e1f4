"""The async shell around one station's scan: read, decide, record, write, publish.

Rule: everything that decides is in `decide`; everything that waits is here, and waits only within
the scan's period.
"""

import asyncio
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

import structlog

from config.model import Station
from controller import explained
from controller.decide import Decision, decide
from controller.grid import first_grid_point, next_grid_point
from controller.plan import StationPlan
from controller.snapshot import StationSnapshot
from controller.state import StationState, Surroundings
from controller.view import loops_of, snapshot_of
from core.clock import Clock, Instant
from core.command import Command
from core.image import NO_DOUBTS, Outputs, ProcessImage
from core.point import Doubt, Sample, TagTable
from core.record import AlarmEvent, AlarmRecord, ExplanationRecord, Record, ScanRecord
from drivers.forecast import ForecastBoard
from drivers.link import Columns, Link, LinkStatus
from drivers.rooms import RoomPoints
from history.writer import Writer

log = structlog.get_logger(__name__)

COMMANDS_MAX = 64
_CHECKPOINT_S = 60.0
_PERIODS_PER_SCAN_MAX = 2.0
_PAUSE_PERIODS = 3.0
_RESTART_S = (1.0, 2.0, 5.0, 10.0, 30.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shared:
    """What all stations of one daemon share."""

    clock: Clock
    journal: Writer
    outdoor_elsewhere: Callable[[Iterable[str]], Mapping[str, Sample]]
    forecast: ForecastBoard
    on_scan: Callable[["StationShell", Decision], None]
    checkpoint: Callable[[str, datetime, StationState], None]
    is_simulation: bool
    is_read_only: bool


@dataclass(slots=True)
class StationShell:
    """One station: its links, its state, and the task that scans it.

    `late_s` is how long after its point on the grid the newest scan began, in s; `period_s` the
    scan period, the shortest of the station's devices. `scans` are complete; `scans_begun` have
    taken their commands, so whatever is submitted from now on is for the next one.
    """

    plan: StationPlan
    links: dict[str, Link]
    rooms: RoomPoints
    shared: Shared
    state: StationState
    decision: Decision | None = None
    scans: int = 0
    scans_begun: int = 0
    overruns: int = 0
    late_s: float = 0.0
    is_faulty: bool = False
    period_s: float = field(init=False)
    _table: TagTable = field(init=False)
    _commands: list[Command] = field(default_factory=list, init=False)
    _scanned_s: float | None = field(default=None, init=False)
    _checkpoint_due_s: float = field(default=-math.inf, init=False)
    _explained_s: float = field(default=-math.inf, init=False)
    _ruling: tuple[object, ...] = field(default=(), init=False)
    _snapshot: StationSnapshot | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        self.period_s = min(device.scan_s for device in self.config.devices.values())
        of_devices = [tag for link in self.links.values() for tag in link.table]
        self._table = TagTable.of((*of_devices, *self.rooms.table))

    @property
    def config(self) -> Station:
        """The station's configuration."""
        return self.plan.config

    @property
    def image(self) -> ProcessImage | None:
        """The inputs of the newest scan, None before the first."""
        scan = None if self.decision is None else self.decision.records[-1]
        return scan.image if isinstance(scan, ScanRecord) else None

    @property
    def snapshot(self) -> StationSnapshot | None:
        """The station after its newest scan, None before the first; built when first asked for."""
        if self._snapshot is None and self.decision is not None:
            self._snapshot = self._view(self.decision)
        return self._snapshot

    @property
    def to_keep(self) -> StationState:
        """The state for a checkpoint: with what the links have counted."""
        worn = {t: one for link in self.links.values() for t, one in link.status.wear.items()}
        return self.state._replace(wear=worn)

    def submit(self, command: Command) -> None:
        """Hand a checked command to the next scan.

        Raises:
            OverflowError: The station has not taken `COMMANDS_MAX` earlier commands yet.
        """
        if len(self._commands) >= COMMANDS_MAX:
            raise OverflowError(f"{self.config.station}: {COMMANDS_MAX} commands are waiting")
        self._commands.append(command)

    async def run(self) -> None:
        """Scan until cancelled. A bug stops only this station, which then starts anew.

        While it is stopped nothing is written and no heartbeat is sent, so the PLC goes on by its
        own curve.
        """
        faults = 0
        while True:
            scans = self.scans
            try:
                await self._scan_for_ever()
            except Exception as error:
                log.exception("controller_fault", station=self.config.station)
                self._raise_fault(error)
                faults = faults + 1 if self.scans == scans else 1
                await asyncio.sleep(_RESTART_S[min(faults, len(_RESTART_S)) - 1])
                self.state = self.state.after_fault()

    async def close(self) -> None:
        """Give the connections back. Outputs hold; the PLC's own watchdog takes over."""
        for link in self.links.values():
            await link.close()

    async def _scan_for_ever(self) -> None:
        loop = asyncio.get_running_loop()
        period_s = self.period_s
        due_s = first_grid_point(self.config.station, period_s, loop.time())
        while True:
            await asyncio.sleep(due_s - loop.time())
            # A loop may count in milliseconds and once per turn; the clock of the scan does not.
            self.late_s = self.shared.clock.now().monotonic_s - due_s
            await self.scan()
            due_s, skipped = next_grid_point(due_s, period_s, loop.time())
            self.overruns += skipped

    async def scan(self) -> None:
        """Scan once, now: `run` does it on the grid, a bench as often as it can."""
        await self._read()
        now = self.shared.clock.now()
        image = self._freeze(now)
        dt_s, missed_s = self._elapsed(now.monotonic_s)
        commands, self._commands = tuple(self._commands), []
        self.scans_begun = self.scans + 1
        decision = decide(
            self.plan, image, self._surroundings(missed_s), commands, self.state, dt_s=dt_s
        )
        # Queued before the write that they explain.
        self.shared.journal.put(self._with_recovery(decision.records, now.utc))
        self.state = decision.state
        await self._write(decision.outputs, now.monotonic_s)
        self.scans += 1
        self.decision, self._snapshot = decision, None
        # What a person set must outlive a crash in the very next second.
        is_told = any(isinstance(record, AlarmRecord) for record in decision.records)
        is_due = now.monotonic_s >= self._checkpoint_due_s
        if commands or decision.source.transitions or is_told or is_due:
            self.shared.checkpoint(self.config.station, now.utc, self.to_keep)
            self._checkpoint_due_s = now.monotonic_s + _CHECKPOINT_S
        self._explain(decision, now)
        self.shared.on_scan(self, decision)

    def _explain(self, decision: Decision, now: Instant) -> None:
        """Keep why the loops did what they did: every minute, and when something else rules."""
        since_s = now.monotonic_s - self._explained_s
        if since_s < explained.APART_S:
            return
        ruling = explained.reasons(decision)
        if ruling == self._ruling and since_s < explained.EVERY_S:
            return
        self._ruling, self._explained_s = ruling, now.monotonic_s
        loops = explained.written(loops_of(decision, self._statuses()))
        record = ExplanationRecord(at=now.utc, station=self.config.station, loops=loops)
        self.shared.journal.put([record])

    def _elapsed(self, now_s: float) -> tuple[float, float]:
        """Return the time that this scan stands for, and how much more has passed, in s.

        One sample is no proof for a minute: after a pause (a stopped machine, a fault) stopwatches
        and rates go on by two periods at most, and control is won anew.
        """
        since_s = self.period_s if self._scanned_s is None else now_s - self._scanned_s
        self._scanned_s = now_s
        if since_s > _PAUSE_PERIODS * self.period_s:
            self.state = self.state.after_fault()
        dt_s = min(since_s, _PERIODS_PER_SCAN_MAX * self.period_s)
        return dt_s, since_s - dt_s

    async def _read(self) -> None:
        links = list(self.links.values())
        if len(links) == 1:
            await links[0].poll()
            return
        async with asyncio.TaskGroup() as group:
            for link in links:
                group.create_task(link.poll())

    def _freeze(self, now: Instant) -> ProcessImage:
        columns = [link.columns(now.monotonic_s) for link in self.links.values()]
        if self.rooms.table:
            columns.append(self.rooms.columns(now.monotonic_s))
        first = columns[0]
        if len(columns) == 1:
            values, qualities, ages_s = first.values, first.qualities, first.ages_s
            doubts = first.doubts
        else:
            values = tuple(value for part in columns for value in part.values)
            qualities = b"".join(part.qualities for part in columns)
            ages_s = tuple(age_s for part in columns for age_s in part.ages_s)
            doubts = _joined(columns)
        station = self.config.station
        return ProcessImage(station, now, self._table, values, qualities, ages_s, doubts)

    def _surroundings(self, missed_s: float) -> Surroundings:
        return Surroundings(
            outdoor=self.shared.outdoor_elsewhere(self.plan.elsewhere),
            devices=self._statuses(),
            is_journal_degraded=self.shared.journal.is_degraded,
            is_read_only=self.shared.is_read_only,
            is_simulation=self.shared.is_simulation,
            missed_s=missed_s,
            are_rooms_lost=self.rooms.are_lost,
            forecast=self.shared.forecast.newest,
        )

    def _statuses(self) -> dict[str, LinkStatus]:
        return {name: link.status for name, link in self.links.items()}

    async def _write(self, outputs: Outputs, now_s: float) -> None:
        # A link passes over the tags of other devices.
        for link in self.links.values():
            await link.write(outputs, now_s)

    def _view(self, decision: Decision) -> StationSnapshot:
        return snapshot_of(
            self.plan,
            decision,
            links=self._statuses(),
            scans=self.scans,
            overruns=self.overruns,
            is_simulation=self.shared.is_simulation,
            is_read_only=self.shared.is_read_only,
            is_faulty=self.is_faulty,
        )

    def _raise_fault(self, error: Exception) -> None:
        if self.is_faulty:
            return
        self.is_faulty, self._snapshot = True, None
        at = self.shared.clock.now().utc
        self.shared.journal.put([_fault(self.config.station, at, AlarmEvent.RAISED, repr(error))])

    def _with_recovery(self, records: tuple[Record, ...], at: datetime) -> tuple[Record, ...]:
        if not self.is_faulty:
            return records
        self.is_faulty = False
        return (*records, _fault(self.config.station, at, AlarmEvent.CLEARED, "scans complete"))


def _joined(columns: list[Columns]) -> Mapping[int, Doubt]:
    """Return the doubts of several devices by the columns of the station's image."""
    if not any(part.doubts for part in columns):
        return NO_DOUBTS
    joined, start = {}, 0
    for part in columns:
        joined.update({start + column: doubt for column, doubt in part.doubts.items()})
        start += len(part.values)
    return joined


def _fault(station: str, at: datetime, event: AlarmEvent, why: str) -> AlarmRecord:
    return AlarmRecord(
        at=at,
        station=station,
        alarm="CONTROLLER_FAULT",
        event=event,
        priority=1,
        value=float("nan"),
        text="控制器故障 / controller fault: the PLC runs on its own curve",
        why=why,
    )
