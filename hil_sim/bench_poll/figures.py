"""What a contender is measured by, and how.

Rule: counts are taken where the work ends (a value decoded, a row on the disk), never where it is
asked for.
"""

import asyncio
import json
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from hil_sim.bench_poll.job import Job
from hil_sim.calibration import calibration_s

_MEGA = 1024 * 1024
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """The result object of `bench poll`, one for each contender.

    Attributes:
        stations: Stations polled.
        tags: Float points of each.
        seconds: Length of the measured window, s.
        points_per_s: Float points that came, were decoded and are on the disk, per second.
        cores: CPU time of the contender per second.
        cpu_us_per_point: CPU time of the contender per point, µs.
        lateness_p50_ms: How late a poll began on its grid; None where there is no grid to see.
        lateness_p99_ms: See `lateness_p50_ms`.
        lateness_max_ms: See `lateness_p50_ms`.
        rss_mb: Resident memory at the end, MB.
        loop: Event loop of the contender.
        cpu_per_calibration: CPU time of a million points as a multiple of the calibration loop's.
        polled_points: Float points decoded in the window.
        stored_points: Float points of the window that are on the disk.
        alarms: Alarms that each round of scans checks.
        overruns: Scans left out because an earlier one took too long.
    """

    stations: int
    tags: int
    seconds: float
    points_per_s: float
    cores: float
    cpu_us_per_point: float
    lateness_p50_ms: float | None
    lateness_p99_ms: float | None
    lateness_max_ms: float | None
    rss_mb: float
    loop: str
    cpu_per_calibration: float
    polled_points: int
    stored_points: int
    alarms: int
    overruns: int

    def to_dict(self) -> dict[str, Any]:
        """Return the object as it is printed."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Mark:
    """A moment of the measured window: wall clock, and CPU time of a process, in s."""

    wall_s: float
    cpu_s: float

    @classmethod
    def now(cls) -> "Mark":
        """Return this moment of this process."""
        return cls(time.perf_counter(), time.process_time())

    @classmethod
    def of(cls, pid: int) -> "Mark":
        """Return this moment of another process, its CPU time to a hundredth of a second."""
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        return cls(time.perf_counter(), (int(fields[11]) + int(fields[12])) / _TICKS_PER_S)


def figures_of(
    job: Job,
    window: tuple[Mark, Mark],
    *,
    polled: int,
    stored: int,
    late_s: Sequence[float] = (),
    alarms: int = 0,
    overruns: int = 0,
    pid: int | None = None,
) -> Figures:
    """Return the figures of a run.

    Args:
        job: What was asked for.
        window: Its begin, and its end when all that was polled in it is stored.
        polled: Float points decoded in the window.
        stored: Float points of the window that are on the disk.
        late_s: How late each poll began, s.
        alarms: Alarms that each round of scans checks.
        overruns: Scans left out.
        pid: The contender's process, this one where None.
    """
    begin, end = window
    seconds, cpu_s = end.wall_s - begin.wall_s, end.cpu_s - begin.cpu_s
    points = min(polled, stored)
    us_per_point = 1e6 * cpu_s / max(points, 1)
    p50_ms, p99_ms, max_ms = _lateness_ms(late_s)
    return Figures(
        stations=len(job.ports),
        tags=job.tags,
        seconds=round(seconds, 2),
        points_per_s=round(points / seconds, 1),
        cores=round(cpu_s / seconds, 4),
        cpu_us_per_point=round(us_per_point, 4),
        lateness_p50_ms=p50_ms,
        lateness_p99_ms=p99_ms,
        lateness_max_ms=max_ms,
        rss_mb=_rss_mb("self" if pid is None else str(pid)),
        loop=job.loop,
        cpu_per_calibration=round(us_per_point / calibration_s(), 3),
        polled_points=polled,
        stored_points=stored,
        alarms=alarms,
        overruns=overruns,
    )


def _lateness_ms(late_s: Sequence[float]) -> tuple[float | None, float | None, float | None]:
    """Return the median, the 99th percentile and the greatest of some delays, in ms."""
    if not late_s:
        return None, None, None
    ordered = sorted(late_s)
    picked = (ordered[len(ordered) // 2], ordered[int(0.99 * (len(ordered) - 1))], ordered[-1])
    p50_ms, p99_ms, max_ms = (round(1000.0 * late, 3) for late in picked)
    return p50_ms, p99_ms, max_ms


def _rss_mb(process: str) -> float:
    lines = Path(f"/proc/{process}/status").read_text(encoding="utf-8").splitlines()
    resident = next(line for line in lines if line.startswith("VmRSS:"))
    return round(int(resident.split()[1]) * 1024 / _MEGA, 1)


def new_loop(name: str) -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Return what makes the event loop called `name`; None stands for asyncio's own.

    Raises:
        ImportError: uvloop is not installed.
    """
    if name != "uvloop":
        return None
    import uvloop  # noqa: PLC0415 - an optional extra

    return uvloop.new_event_loop


def tell(**line: object) -> None:
    """Print one line for whoever started this process."""
    print(json.dumps(line), flush=True)  # noqa: T201 - standard output is the way back
