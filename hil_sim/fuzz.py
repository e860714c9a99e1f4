"""Rounds of fuzz for as long as one likes, in processes of their own, and what they came to.

Rule: a round that fails is named by its seed and number, which play it again.
"""

import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from multiprocessing import get_context

from hil_sim.fuzz_modbus import Findings, play_round

_ROUNDS_PER_JOB = 10
# A round takes a tenth of a second.
_HANG_S = 60
_AGAIN_MAX = 5

Progress = Callable[[float], None]


class _Hang(BaseException):
    """A round takes far longer than it may; nothing on the way may catch it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FuzzResult:
    """What a fuzz came to: the result object that programs read.

    Attributes:
        verdict: `pass` if nothing was found, else `fail`.
        target: What was fuzzed.
        seed: Of all chance.
        seconds: How long it ran.
        rounds: How many rounds were played, from 0 on.
        frames: Frames that were fed.
        frames_per_s: How many of them in a second.
        accepted: Replies that were taken for right.
        values: Values of these that the judge agreed with.
        wrong_values: What was taken and should not have been, or the other way round.
        crashes: Errors that are none of a device.
        hangs: Rounds that did not end.
        again: Commands that play the failing rounds again.
    """

    verdict: str
    target: str
    seed: int
    seconds: float
    rounds: int
    frames: int
    frames_per_s: int
    accepted: int
    values: int
    wrong_values: tuple[str, ...]
    crashes: tuple[str, ...]
    hangs: int
    again: tuple[str, ...]


@dataclass(slots=True)
class _Job:
    """Some rounds, what they came to, and which of them failed."""

    rounds: range
    found: Findings
    failed: list[int]
    hangs: int = 0

    def add(self, other: "_Job") -> None:
        """Add what another job came to."""
        self.found.add(other.found)
        self.failed += other.failed
        self.hangs += other.hangs


def fuzz_modbus(
    *,
    seed: int,
    seconds: float,
    only_round: int | None = None,
    processes: int = 1,
    progress: Progress | None = None,
) -> FuzzResult:
    """Fuzz the Modbus protocol and return what came of it.

    Args:
        seed: Of all chance.
        seconds: For how long; what has begun then is finished.
        only_round: Play this round alone.
        processes: How many work at once.
        progress: Told the share that is done, 0..1.
    """
    began_s = time.perf_counter()
    if only_round is not None:
        jobs = iter([range(only_round, only_round + 1)])
    else:
        jobs = _jobs_until(began_s + seconds, lambda s: progress and progress(1 - s / seconds))
    total = _Job(range(0), Findings(), [])
    rounds = 0
    for job in _played(seed, jobs, processes):
        total.add(job)
        rounds += len(job.rounds)
    return _result(total, seed=seed, rounds=rounds, seconds=time.perf_counter() - began_s)


def _result(total: "_Job", *, seed: int, rounds: int, seconds: float) -> FuzzResult:
    found = total.found
    is_passed = not (found.wrong or found.crashes or total.hangs)
    return FuzzResult(
        verdict="pass" if is_passed else "fail",
        target="modbus",
        seed=seed,
        seconds=round(seconds, 1),
        rounds=rounds,
        frames=found.frames,
        frames_per_s=round(found.frames / seconds),
        accepted=found.accepted,
        values=found.values,
        wrong_values=tuple(found.wrong),
        crashes=tuple(found.crashes),
        hangs=total.hangs,
        again=tuple(
            f"./run heatd-sim fuzz modbus --seed {seed} --round {number}"
            for number in sorted(total.failed)[:_AGAIN_MAX]
        ),
    )


def _jobs_until(end_s: float, tell: Callable[[float], object]) -> Iterator[range]:
    for first in count(step=_ROUNDS_PER_JOB):
        left_s = end_s - time.perf_counter()
        tell(max(0.0, left_s))
        if first and left_s <= 0.0:
            return
        yield range(first, first + _ROUNDS_PER_JOB)


def _played(seed: int, jobs: Iterator[range], processes: int) -> Iterator[_Job]:
    """Yield the jobs as they are done, no more than two for each process under way."""
    waiting: set[Future[_Job]] = set()
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        for rounds in jobs:
            waiting.add(pool.submit(_play_job, seed, rounds))
            if len(waiting) >= 2 * processes:
                done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                yield from (job.result() for job in done)
        yield from (job.result() for job in wait(waiting).done)


def _play_job(seed: int, rounds: range) -> _Job:
    """Play some rounds; called in a process of its own."""
    job = _Job(rounds, Findings(), [])
    for number in rounds:
        try:
            with _time_limit(_HANG_S):
                found = play_round(seed, number)
        except _Hang:
            job.hangs += 1
            job.failed.append(number)
            continue
        job.found.add(found)
        if found.wrong or found.crashes:
            job.failed.append(number)
    return job


@contextmanager
def _time_limit(seconds: int) -> Iterator[None]:
    def stop(*_: object) -> None:
        raise _Hang

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
