"""The rows of the fault catalogue, all at once against one daemon, as often as one likes.

Rule: each row has a station of its own in the same daemon, so that every row also shows that a
fault stays where it is; nothing here knows whether time is real or virtual.
"""

import asyncio
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from config.load import load
from config.model import HistorySettings
from controller.daemon import Daemon, Options
from controller.decide import Decision
from controller.station import StationShell
from core.clock import Clock, LoopClock, SystemClock
from hil_sim.fault_house import FaultHouse, make_house
from hil_sim.fault_rows import LONG_ROWS, ROWS, FaultRow
from hil_sim.quiet import quiet_logs
from hil_sim.virtual_loop import VirtualLoop
from hil_sim.withheld import Withheld

_EXAMPLES = Path(__file__).parent.parent / "config" / "examples"
_EPOCH = datetime(2026, 1, 12, 4, 0, tzinfo=UTC)
_SCAN_S = 1.0
HOLD_S = 7.0
_TAKE_OVER_S = 40.0
_RECOVER_S = 10.0
_PAGE_MB = os.sysconf("SC_PAGE_SIZE") / 1e6
_WARM_UP = 1
_FLAT_SHARE = 0.05

Progress = Callable[[float], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """What this process holds of the machine."""

    fds: int
    tasks: int
    rss_mb: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RowResult:
    """What came of one row; times and counts are the worst of all repetitions.

    Attributes:
        row: Its number in the catalogue.
        fault: Its name.
        survived: Everything that must hold did, every time.
        recovery_s: From the end of the cause until all data were true; None if they never were.
        alarms: Alarms raised.
        duplicate_writes: Writes that nobody had a reason to send.
        fds: File descriptors of the process after the last repetition.
        tasks: Tasks of its event loop then.
        rss_mb: Its memory then.
        why: What did not hold.
    """

    row: int
    fault: str
    survived: bool
    recovery_s: float | None
    alarms: int
    duplicate_writes: int
    fds: int
    tasks: int
    rss_mb: float
    why: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultsResult:
    """What came of all rows.

    `withheld_s` is how much of its `seconds` the machine kept from it, which is counted against
    nobody; `held` is what the process held after each repetition; `grew` says what did not stay
    flat. The verdict is `pass` where every row survived, nothing grew and no record was lost.
    """

    verdict: str
    repeats: int
    seconds: float
    withheld_s: float
    rows: tuple[RowResult, ...]
    held: tuple[Held, ...]
    grew: tuple[str, ...]
    records_lost: int


def chosen(names: Sequence[str]) -> tuple[FaultRow, ...]:
    """Return the rows of these names; for none, all that take no more than a minute.

    Raises:
        ValueError: There is no such row; the text lists those that there are.
    """
    known = {row.name: row for row in (*ROWS, *LONG_ROWS)}
    if missing := [name for name in names if name not in known]:
        raise ValueError(f"no fault is called {missing[0]}; there are {', '.join(known)}")
    return tuple(known[name] for name in names) or ROWS


def play_rows(
    rows: Sequence[FaultRow],
    *,
    repeat: int = 1,
    seed: int = 1,
    is_virtual: bool = False,
    hold_s: float = HOLD_S,
    progress: Progress | None = None,
) -> FaultsResult:
    """Play the rows side by side, on real sockets or in virtual time, and return what came of them.

    Args:
        rows: Which.
        repeat: How often each is played.
        seed: Of all chance in plants, PLCs and the virtual network.
        is_virtual: In virtual time.
        hold_s: How long each fault lasts, s.
        progress: Told the share that is done, 0..1.
    """
    clock: Clock = LoopClock(_EPOCH) if is_virtual else SystemClock()
    factory = partial(VirtualLoop, seed) if is_virtual else None
    play = partial(
        run_rows, rows, clock, repeat=repeat, seed=seed, hold_s=hold_s, progress=progress
    )
    with quiet_logs(), asyncio.Runner(loop_factory=factory) as runner:
        if is_virtual:
            return runner.run(play(withheld_s=lambda: 0.0))
        with Withheld() as withheld:
            return runner.run(play(withheld_s=withheld.so_far_s))


async def run_rows(
    rows: Sequence[FaultRow],
    clock: Clock,
    *,
    repeat: int = 1,
    seed: int = 1,
    hold_s: float = HOLD_S,
    progress: Progress | None = None,
    withheld_s: Callable[[], float],
) -> FaultsResult:
    """Play the rows side by side and return what came of them.

    Args:
        rows: Which.
        clock: Civil time of the daemon.
        repeat: How often each is played.
        seed: Of all chance in plants and PLCs.
        hold_s: How long each fault lasts, s.
        progress: Told the share that is done, 0..1.
        withheld_s: For how long the machine has kept this process from running so far, s.
    """
    site = load(_EXAMPLES)
    example = next(station for station in site.stations if station.station == "st-01")
    houses = [
        await make_house(row, example, scan_s=_SCAN_S, seed=seed, withheld_s=withheld_s)
        for row in rows
    ]
    by_name = {house.station.station: house for house in houses}
    with tempfile.TemporaryDirectory(prefix="heatd-faults-") as folder:
        daemon = Daemon(
            replace(
                site,
                stations=tuple(house.station for house in houses),
                history=HistorySettings(),
            ),
            clock,
            Options(
                state_dir=Path(folder),
                is_durable=False,
                on_scan=lambda *scan: _tell(by_name, *scan),
            ),
        )
        return await _through(daemon, houses, repeat, hold_s, progress, withheld_s)


def _tell(houses: dict[str, FaultHouse], shell: StationShell, decision: Decision) -> None:
    houses[shell.config.station].on_scan(shell, decision)


async def _through(
    daemon: Daemon,
    houses: list[FaultHouse],
    repeat: int,
    hold_s: float,
    progress: Progress | None,
    withheld_s: Callable[[], float],
) -> FaultsResult:
    began_s = time.perf_counter()
    stop = asyncio.Event()
    held: list[Held] = []
    trials: list[list[_Trial]] = [[] for _ in houses]
    lives = [asyncio.create_task(house.live()) for house in houses]
    running = asyncio.create_task(daemon.run(stop))
    for done in range(repeat):
        for kept, trial in zip(
            trials, await asyncio.gather(*(_trial(house, hold_s) for house in houses)), strict=True
        ):
            kept.append(trial)
        held.append(held_now())
        if progress is not None:
            progress((done + 1) / repeat)
    stop.set()
    await running
    for life in lives:
        life.cancel()
    for house in houses:
        house.server.stop()
    await asyncio.sleep(0.0)
    results = tuple(
        _summed(house.row, kept, held[-1]) for house, kept in zip(houses, trials, strict=True)
    )
    grew = _grown(held)
    lost = daemon.journal.stats.dropped + daemon.journal.stats.waiting
    is_passed = all(row.survived for row in results) and not grew and not lost
    return FaultsResult(
        verdict="pass" if is_passed else "fail",
        repeats=repeat,
        seconds=round(time.perf_counter() - began_s, 1),
        withheld_s=round(withheld_s(), 1),
        rows=results,
        held=tuple(held),
        grew=grew,
        records_lost=lost,
    )


@dataclass(frozen=True, slots=True)
class _Trial:
    recovery_s: float | None
    alarms: int
    duplicate_writes: int
    findings: tuple[str, ...]


async def _trial(house: FaultHouse, hold_s: float) -> _Trial:
    """Play a row once: heatd controls, the fault comes, lasts and goes, and all is well again."""
    is_ready = await house.until("is_ours", _TAKE_OVER_S)
    await house.begin()
    await asyncio.sleep(hold_s)
    await house.end()
    await house.until("is_quiet", _RECOVER_S + 2 * house.row.recover_s)
    # An alarm too many would come now.
    await asyncio.sleep(2 * _SCAN_S)
    house.close_trial()
    findings = tuple(house.findings) if is_ready else (*house.findings, "heatd did not take over")
    return _Trial(house.recovery_s, house.raised, house.duplicate_writes, findings)


def _summed(row: FaultRow, trials: list[_Trial], held: Held) -> RowResult:
    recoveries = [trial.recovery_s for trial in trials]
    times_s = [time_s for time_s in recoveries if time_s is not None]
    findings = dict.fromkeys(finding for trial in trials for finding in trial.findings)
    return RowResult(
        row=row.row,
        fault=row.name,
        survived=not findings,
        recovery_s=round(max(times_s), 2) if len(times_s) == len(recoveries) else None,
        alarms=max(trial.alarms for trial in trials),
        duplicate_writes=sum(trial.duplicate_writes for trial in trials),
        fds=held.fds,
        tasks=held.tasks,
        rss_mb=held.rss_mb,
        why=tuple(findings)[:10],
    )


def held_now() -> Held:
    """Return what this process holds now."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return Held(
        fds=sum(1 for _ in Path("/proc/self/fd").iterdir()),
        tasks=len(asyncio.all_tasks()),
        rss_mb=round(pages * _PAGE_MB, 1),
    )


def _grown(held: list[Held]) -> tuple[str, ...]:
    """Return what grew from the repetition after the first, which fills caches, to the last."""
    if len(held) <= _WARM_UP + 1:
        return ()
    first, last = held[_WARM_UP], held[-1]
    pairs = (
        ("file descriptors", first.fds, last.fds),
        ("tasks", first.tasks, last.tasks),
        ("memory in MB", first.rss_mb, last.rss_mb),
    )
    return tuple(
        f"{what}: {before} became {after}"
        for what, before, after in pairs
        if after > before * (1 + _FLAT_SHARE)
    )
