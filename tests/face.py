"""A small daemon made of real snapshots, for the tests of whatever stands in front of the daemon.

It scans when a test says so, remembers what it was told, and keeps its records in a list.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

from config.model import AuthoritySettings
from control_loops.limits import SupplyLimits
from control_loops.source import GasBoiler, NetworkSource
from controller.commands import CommandDesk
from controller.snapshot import (
    AlarmView,
    ChainStep,
    DeviceView,
    LoopView,
    StationSnapshot,
    TuneView,
)
from controller.socket import ControlSocket
from core.clock import Instant
from core.command import Command
from core.image import ProcessImage
from core.point import Point, Quality, Tag, TagTable, Unit
from core.record import AlarmEvent, AlarmRecord, ExplanationRecord, OperatorAction, Record
from history.writer import NotRecorded

AT = datetime(2026, 1, 15, 4, 0, tzinfo=UTC)
NAN = float("nan")
_SCAN_AFTER_S = 0.05

VALVE = LoopView(
    name="T2g",
    output_tag="CV1_SV",
    mode="auto",
    setpoint=56.2,
    measured=55.8,
    unit="°C",
    output=41.3,
    output_unit="%",
    holder="loop",
    why="PID",
    is_verified=True,
    chain=(
        ChainStep("outdoor", -8.5, "°C", "T_out, 4 s old"),
        ChainStep("curve", 55.2, "°C"),
        ChainStep("offset", 1.0, "K"),
        ChainStep("setpoint", 56.2, "°C", "after the ramp"),
        ChainStep("measured", 55.8, "°C", "T2g"),
        ChainStep("written", 41.3, "%", "verified"),
    ),
)
PUMP = replace(
    VALVE,
    name="P2D",
    output_tag="XP_SV",
    setpoint=180.0,
    measured=NAN,
    unit="kPa",
    output=42.0,
    output_unit="Hz",
    is_verified=None,
    chain=(),
)
SETTLING = TuneView(
    circuit="main",
    phase="settling",
    why="waits for calm",
    who="ann",
    is_busy=True,
    elapsed_s=100.0,
    of_s=600.0,
    bump_pct=NAN,
    moved_k=NAN,
    gain_k_per_pct=NAN,
    tau_s=NAN,
    dead_s=NAN,
    gain_pct_per_k=NAN,
    reset_time_s=NAN,
)
HOT = AlarmView(
    name="T2G_HIGH",
    state="unack_active",
    priority=2,
    text_zh="供水温度高",
    text_en="supply too hot",
    consequence="pipes in floors suffer",
    action="close the valve by hand",
    since=AT - timedelta(minutes=5),
    is_suppressed=False,
)
DOOR = replace(
    HOT, name="DOOR_OPEN", state="ack_active", priority=3, text_en="door open", text_zh="门开"
)
LINK = DeviceView(
    name="plc",
    driver="modbus_tcp",
    is_up=True,
    polls=17,
    poll_errors=1,
    writes=4,
    writes_verified=4,
    unverified=(),
    last_error="",
)


def snapshot(**changes: object) -> StationSnapshot:
    """Return st-01 as it heats on a cold morning, with `changes`."""
    table = TagTable((Tag("T2g"),))
    usual = StationSnapshot(
        station="st-01",
        name_zh="康城",
        name_en="Kangcheng",
        at=AT,
        scans=1,
        overruns=0,
        is_simulation=True,
        is_read_only=False,
        authority="heatd",
        authority_why="the PLC follows heatd",
        outdoor_c=-8.5,
        outdoor_source="T_out",
        rooms_p10_c=NAN,
        rooms_avg_c=21.4,
        source="normal",
        source_why="",
        loops=(VALVE, PUMP),
        alarms=(DOOR, HOT),
        devices=(LINK,),
        image=ProcessImage(
            "st-01", Instant(0.0, AT), table, (55.8,), bytes([Quality.GOOD]), (1.0,)
        ),
    )
    return replace(usual, **changes)


@dataclass
class SetClock:
    """A clock that shows what the test sets."""

    instant: Instant = field(default_factory=lambda: Instant(100.0, AT))

    def now(self) -> Instant:
        return self.instant

    def advance(self, seconds: float) -> None:
        self.instant = Instant(
            self.instant.monotonic_s + seconds, self.instant.utc + timedelta(seconds=seconds)
        )


@dataclass(frozen=True)
class CircuitFile:
    """The part of a circuit that commands are checked against."""

    limits: SupplyLimits


@dataclass(frozen=True)
class StationFile:
    """The part of a station's configuration that commands are checked against."""

    authority: AuthoritySettings
    points: Mapping[Tag, Point]
    circuits: Mapping[str, CircuitFile]
    sources: Mapping[str, NetworkSource | GasBoiler]


def station_file(
    *,
    circuits: Iterable[str] = ("main",),
    boilers: Iterable[str] = ("gas1",),
    write: str = "valve",
):
    points = (
        Point(tag=Tag("CV1_SV"), unit=Unit.PERCENT, low=0.0, high=100.0, is_writable=True),
        Point(tag=Tag("XP_SV"), unit=Unit.HERTZ, is_writable=True),
    )
    network = NetworkSource(T1_plan={-20.0: 110.0, 5.0: 75.0}, F1_design_m3h=60.0)
    boiler = GasBoiler(capacity_kw=3000.0)
    return StationFile(
        authority=AuthoritySettings(write=write),
        points={point.tag: point for point in points},
        circuits=dict.fromkeys(circuits, CircuitFile(SupplyLimits(T2g_c=(35.0, 83.0)))),
        sources={"base": network, **dict.fromkeys(boilers, boiler)},
    )


@dataclass
class Door:
    """One station: what it shows and what it was told."""

    config: StationFile = field(default_factory=station_file)
    snapshot: StationSnapshot | None = field(default_factory=snapshot)
    told: list[Command] = field(default_factory=list)
    is_full: bool = False
    on_submit: Callable[[], object] = list
    is_writing: bool = False

    @property
    def scans_begun(self) -> int:
        """The newest scan, or the one after it while that is being written."""
        return (0 if self.snapshot is None else self.snapshot.scans) + self.is_writing

    def submit(self, command: Command) -> None:
        if self.is_full:
            raise OverflowError
        self.told.append(command)
        self.on_submit()


@dataclass
class Records:
    """A journal in memory; while it is stuck, what it takes is not durable in time."""

    kept: list[Record] = field(default_factory=list)
    is_stuck: bool = False

    def put(self, records: Iterable[Record]) -> None:
        self.kept.extend(records)

    async def commit(self, records: Iterable[Record]) -> None:
        self.put(records)
        await asyncio.sleep(0)
        if self.is_stuck:
            raise NotRecorded

    @property
    def outcomes(self) -> list[str]:
        return [record.outcome for record in self.kept if isinstance(record, OperatorAction)]


class SmallDaemon:
    """A daemon of one station that scans when the test says so."""

    started_at = AT - timedelta(hours=1)
    is_simulation = True
    is_read_only = False

    def __init__(self, **doors: Door) -> None:
        self.stations = {name.replace("_", "-"): door for name, door in doors.items()}
        self.stations = self.stations or {"st-01": Door()}
        self.clock = SetClock()
        self.journal = Records()
        self.history = one_alarm
        self.explanations: list[ExplanationRecord] = []
        self.loop: asyncio.AbstractEventLoop | None = None
        self._scanned = asyncio.Event()

    def scan(self, station: str = "st-01", **changes: object) -> None:
        """Publish the next snapshot of a station."""
        door = self.stations[station]
        before = door.snapshot or snapshot(station=station, scans=0)
        door.snapshot = replace(before, scans=before.scans + 1, **changes)
        self._scanned.set()
        self._scanned = asyncio.Event()

    def scan_from_a_thread(self, **changes: object) -> None:
        """Publish the next snapshot in the loop that serves."""
        assert self.loop is not None, "nobody serves this daemon"
        self.loop.call_soon_threadsafe(partial(self.scan, **changes))

    async def wait_scan(self) -> None:
        self.loop = asyncio.get_running_loop()
        await self._scanned.wait()

    async def alarms(self, rows_max: int) -> list[AlarmRecord]:
        return (await self.history(rows_max))[:rows_max]

    async def explanation(self, station: str, at: datetime) -> ExplanationRecord | None:
        return next(
            (kept for kept in self.explanations if kept.station == station and kept.at <= at), None
        )


async def one_alarm(_rows: int) -> list[AlarmRecord]:
    """Return the past of a daemon in which one alarm came."""
    raised = AlarmRecord(
        at=AT,
        station="st-01",
        alarm="T2G_HIGH",
        event=AlarmEvent.RAISED,
        priority=2,
        value=NAN,
        text="supply too hot",
    )
    return [raised]


@contextlib.asynccontextmanager
async def serving(daemon: SmallDaemon, folder: Path) -> AsyncIterator[Path]:
    """Serve the daemon on a real Unix socket in `folder` for as long as the context lasts.

    A command is followed by a scan, as in a daemon that lives.
    """
    loop, desk = asyncio.get_running_loop(), CommandDesk(daemon)
    for name, station in daemon.stations.items():
        station.on_submit = partial(loop.call_later, _SCAN_AFTER_S, daemon.scan, name)
    door = ControlSocket(daemon, desk, folder / "control.sock", daemon)
    task = asyncio.create_task(door.run())
    try:
        async with asyncio.timeout(10.0):
            await door.ready.wait()
        yield door.path
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


@contextlib.contextmanager
def served(daemon: SmallDaemon, folder: Path) -> Iterator[Path]:
    """Serve the daemon in a thread of its own, for tests that block."""
    with ThreadPoolExecutor(1) as thread:
        opened: Future[tuple[Path, Callable[[], None]]] = Future()
        serving_it = thread.submit(asyncio.run, _serve_until_told(daemon, folder, opened))
        path, stop = opened.result(20.0)
        try:
            yield path
        finally:
            stop()
            serving_it.result(20.0)


async def _serve_until_told(
    daemon: SmallDaemon, folder: Path, opened: "Future[tuple[Path, Callable[[], None]]]"
) -> None:
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    async with serving(daemon, folder) as path:
        opened.set_result((path, partial(loop.call_soon_threadsafe, stop.set)))
        await stop.wait()
