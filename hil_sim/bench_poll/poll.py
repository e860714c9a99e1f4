"""`bench poll`: contenders one after the other against one server, each in a process of its own.

Rule: every contender has the same stations, tags, period and time.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from hil_sim.bench_poll.collectd import find_collectd, run_collectd
from hil_sim.bench_poll.job import Job, Scope
from hil_sim.bench_poll.points import TAGS_MIN
from hil_sim.bench_poll.site import write_site

PRODUCT = "heatd"
OTHERS = ("collectd", "naive")
_SERVER, _HEATD, _NAIVE = (
    "hil_sim.bench_poll.server",
    "hil_sim.bench_poll.product",
    "hil_sim.bench_poll.naive",
)
_STOP_S_MAX = 20.0


class BenchFailed(Exception):  # noqa: N818 - it reads as the claim it makes
    """A contender or the server gave no figures; the text says what it said."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What `bench poll` is asked for.

    Attributes:
        stations: Stations, 1..5000.
        tags: Float points of each, at least `TAGS_MIN`.
        period_s: Scan period, s, at least 1.
        seconds: Length of the measured window of each contender, s.
        loop: "asyncio" or "uvloop".
        is_flat_out: Scan without a pause.
        is_undecided: Flat out, poll, decode, check for alarms and store alone.
        against: Other contenders; poll, decode and store alone are then compared.
    """

    stations: int
    tags: int
    period_s: float
    seconds: float
    loop: str
    is_flat_out: bool = False
    is_undecided: bool = False
    against: Sequence[str] = ()

    def fault(self) -> str:
        """Return what cannot be done about it, in words; empty where all can."""
        unknown = [name for name in self.against if name not in OTHERS]
        if unknown:
            return f"no contender is called {unknown[0]!r}; there are: {', '.join(OTHERS)}"
        if self.is_undecided and not self.is_flat_out:
            return "--undecided goes with --flat-out: at a period the whole product is measured"
        if self.against and self.is_flat_out:
            return "--against compares at one period; leave --flat-out away"
        if self.loop == "uvloop" and find_spec("uvloop") is None:
            return "uvloop is not installed: pip install 'heatd[uvloop]'"
        if self.tags < TAGS_MIN:
            return f"a station needs at least {TAGS_MIN} tags"
        return ""


Share = Callable[[float], None]


def run_bench(asked: Asked, tell: Share, say: Callable[[str], None]) -> dict[str, Any]:
    """Return the result object; with other contenders, one by each one's name.

    Args:
        asked: What is asked for; it has no fault.
        tell: Is told the share that is done, 0..1.
        say: Is told what was left out, and why.

    Raises:
        BenchFailed: The server or a contender gave no figures.
    """
    names = [PRODUCT, *asked.against]
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="heatd-bench-") as folder, _served(asked) as ports:
        job = _job(asked, Path(folder), ports)
        for i, name in enumerate(names):
            own = Path(folder) / name
            own.mkdir()

            def share(done: float, before: int = i) -> None:
                tell((before + done) / len(names))

            figures = _run(name, replace(job, state=str(own)), share)
            if figures is None:
                say(f"{name} is left out: it is not installed (apt-get install collectd-core)")
            else:
                found[name] = figures
    return found if asked.against else dict(found[PRODUCT])


def _job(asked: Asked, folder: Path, ports: tuple[int, ...]) -> Job:
    config = folder / "config"
    config.mkdir()
    write_site(config, ports, tags=asked.tags, period_s=asked.period_s)
    flat_out = Scope.CHECKED if asked.is_undecided else Scope.FLAT_OUT
    alone = flat_out if asked.is_flat_out else Scope.WHOLE
    return Job(
        config=str(config),
        state="",
        ports=ports,
        tags=asked.tags,
        period_s=asked.period_s,
        seconds=asked.seconds,
        loop=asked.loop,
        scope=Scope.RECORD if asked.against else alone,
    )


def _run(name: str, job: Job, share: Share) -> dict[str, Any] | None:
    """Return the figures of one contender, None where it is not installed."""
    if name == "collectd":
        program = find_collectd()
        return None if program is None else run_collectd(program, job, share).to_dict()
    if name == PRODUCT:
        return _run_python(_HEATD, job, share)
    # pymodbus is documented on asyncio's own loop; on uvloop its clients do not always come up.
    return _run_python(_NAIVE, replace(job, loop="asyncio"), share)


def _run_python(module: str, job: Job, share: Share) -> dict[str, Any]:
    command = [sys.executable, "-m", module, job.to_json()]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603 - our own module
        assert process.stdout is not None
        figures: dict[str, Any] | None = None
        for line in process.stdout:
            answer = json.loads(line)
            share(answer.get("share", 1.0))
            figures = answer.get("figures")
            if figures is not None:
                # All is measured; a client that does not end by itself is not waited for.
                process.kill()
    if figures is None:
        raise BenchFailed(f"{module} ended with {process.returncode} and gave no figures")
    return figures


@contextmanager
def _served(asked: Asked) -> Iterator[tuple[int, ...]]:
    """Run the server; yields the ports of its stations."""
    command = [sys.executable, "-m", _SERVER, str(asked.stations), str(asked.tags)]
    with subprocess.Popen(  # noqa: S603 - our own module
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdin is not None
        assert server.stdout is not None
        try:
            line = server.stdout.readline()
            if not line:
                raise BenchFailed("the server did not start; are there enough free ports?")
            yield tuple(json.loads(line))
        finally:
            server.stdin.close()
            try:
                server.wait(_STOP_S_MAX)
            except subprocess.TimeoutExpired:
                server.kill()
