"""The contender `collectd`: Debian's, with its plugins modbus and csv.

Rule: it runs with its own defaults; what is measured is its process and the lines that it wrote.
"""

import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from hil_sim.bench_poll.figures import Figures, Mark, figures_of
from hil_sim.bench_poll.job import Job
from hil_sim.bench_poll.points import StationLayout

_PLUGINS = Path("/usr/lib/collectd")
_WARM_S = 5.0
_TICK_S = 0.2
_STOP_S_MAX = 30.0
_CONFIG = """\
BaseDir "{state}"
PIDFile "{state}/collectd.pid"
PluginDir "{plugins}"
TypesDB "/usr/share/collectd/types.db"
Interval {period_s:g}
LoadPlugin modbus
LoadPlugin csv
<Plugin csv>
  DataDir "{state}/csv"
</Plugin>
<Plugin modbus>
{data}{hosts}</Plugin>
"""
_DATA = """\
  <Data "{name}">
    RegisterBase {address}
    RegisterType Float
    RegisterCmd ReadHolding
    Type gauge
    Instance "{name}"
  </Data>
"""
_HOST = """\
  <Host "st-{port}">
    Address "127.0.0.1"
    Port "{port}"
    Interval {period_s:g}
    <Slave 1>
      Instance "plc"
{collect}    </Slave>
  </Host>
"""


def find_collectd() -> str | None:
    """Return the program, None where it or one of its plugins is not installed."""
    is_whole = all((_PLUGINS / f"{name}.so").exists() for name in ("modbus", "csv"))
    return (shutil.which("collectd") or shutil.which("/usr/sbin/collectd")) if is_whole else None


def run_collectd(program: str, job: Job, say: Callable[[float], None]) -> Figures:
    """Return the figures of one run of collectd."""
    state = Path(job.state)
    config = state / "collectd.conf"
    config.write_text(_config(job), encoding="utf-8")
    with _running([program, "-f", "-C", str(config)], state) as process:
        time.sleep(_WARM_S)
        lines, begin = _lines(state / "csv"), Mark.of(process.pid)
        for tick in range(round(job.seconds / _TICK_S)):
            time.sleep(_TICK_S)
            say(tick * _TICK_S / job.seconds)
        end, lines = Mark.of(process.pid), _lines(state / "csv") - lines
        return figures_of(job, (begin, end), polled=lines, stored=lines, pid=process.pid)


@contextmanager
def _running(command: list[str], folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    with (folder / "collectd.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)  # noqa: S603 - a program of Debian, found by name
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(_STOP_S_MAX)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _config(job: Job) -> str:
    floats = StationLayout(job.tags).floats
    collect = "".join(f'      Collect "{name}"\n' for name in floats)
    return _CONFIG.format(
        state=job.state,
        plugins=_PLUGINS,
        period_s=job.period_s,
        data="".join(_DATA.format(name=name, address=at) for name, at in floats.items()),
        hosts="".join(
            _HOST.format(port=port, period_s=job.period_s, collect=collect) for port in job.ports
        ),
    )


def _lines(folder: Path) -> int:
    """Return how many values stand in the files, without the head of each."""
    return sum(path.read_bytes().count(b"\n") - 1 for path in folder.rglob("gauge-*"))
