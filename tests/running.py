"""Real processes for tests on real sockets: our commands, a station's PLC, and patience.

Whatever is started here is ended here, by its own process id.
"""

import asyncio
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from config.devices import ModbusDevice
from config.load import load
from config.model import Station
from hil_sim.modbus_plc import serve_modbus
from hil_sim.plant.weather import SteadyWeather
from hil_sim.plc import SimPlc
from hil_sim.serve import make_station, scan_plc

ROOT = Path(__file__).parent.parent
EXAMPLES = ROOT / "config" / "examples"
_STEP_S = 0.05
T = TypeVar("T")


def heatd(*words: object) -> list[str]:
    """Return the command line of `heatd`, of this very source tree."""
    return [sys.executable, "-c", "from controller.cli import main; main()", *map(str, words)]


def heatd_sim(*words: object, before: str = "") -> list[str]:
    """Return the command line of `heatd-sim`; `before` is Python that runs first."""
    return [
        sys.executable,
        "-c",
        f"{before}\nfrom hil_sim.cli import main; main()",
        *map(str, words),
    ]


def environment(**more: str) -> dict[str, str]:
    """Return an environment in which this source tree is found, and nothing of systemd's is."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name not in {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "HEATD_SOCKET"}
    }
    return kept | {"PYTHONPATH": str(ROOT)} | more


def until(claim: Callable[[], T], what: str, *, seconds: float) -> T:
    """Return what `claim` returns as soon as that is true; fail after so many seconds."""
    end_s = time.perf_counter() + seconds
    while not (found := claim()):
        assert time.perf_counter() < end_s, f"not within {seconds:g} s: {what}"
        time.sleep(_STEP_S)
    return found


def free_port() -> int:
    """Return a TCP port of the loopback that nobody uses."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def one_station(
    folder: Path,
    port: int,
    *,
    scan: str = "1 s",
    plc_timeout: str = "20 s",
    ramp: str = "10 K/h",
) -> Path:
    """Write the first example station alone, quick and on `port`; return its folder."""
    site = folder / "site"
    shutil.copytree(EXAMPLES, site)
    (site / "stations" / "st-02.yaml").unlink()
    path = site / "stations" / "st-01.yaml"
    text = path.read_text(encoding="utf-8")
    for old, new in (
        ("port: 15021", f"port: {port}"),
        ("scan: 5 s", f"scan: {scan}"),
        ("ramp: 10 K/h", f"ramp: {ramp}"),
        ("order: [T_out, st-02.T_out, last_good]", "order: [T_out, last_good]"),
        (
            "  write: valve ",
            f"  hand_back_after: 3 s\n  heartbeat: {{plc_timeout: {plc_timeout}}}\n  write: valve ",
        ),
    ):
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    path.write_text(text, encoding="utf-8")
    return site


@contextmanager
def process(command: list[str], log: Path, **env: str) -> Iterator["subprocess.Popen[bytes]"]:
    """Run a command with what it says in `log`; it is killed at the end if it still runs."""
    with log.open("ab") as said:
        running = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=said, stderr=said, env=environment(**env)
        )
    try:
        yield running
    finally:
        if running.poll() is None:
            running.kill()
        running.wait()


def terminated(running: "subprocess.Popen[bytes]", *, seconds: float) -> tuple[int, float]:
    """Ask a process to end; return its exit code and how long it took, in s."""
    began_s = time.perf_counter()
    running.send_signal(signal.SIGTERM)
    code = running.wait(seconds)
    return code, time.perf_counter() - began_s


@dataclass(frozen=True)
class Written:
    """One write that a PLC took: where the valve stood then, and for how long the PLC had run."""

    tag: str
    value: float
    valve_pct: float
    at_s: float


@dataclass
class WatchedPlc:
    """A simulated PLC as its bus sees it, which remembers all writes."""

    plc: SimPlc
    writes: list[Written] = field(default_factory=list)

    @property
    def registers(self) -> Mapping[str, float]:
        return self.plc.registers

    @property
    def generation(self) -> int:
        return self.plc.generation

    def write(self, tag: str, value: float) -> bool:
        registers, at_s = self.plc.registers, self.plc.plant.elapsed_s
        self.writes.append(Written(tag, value, registers["CV1_U"], at_s))
        return self.plc.write(tag, value)

    def of(self, tag: str) -> list[Written]:
        """Return the writes to one tag, oldest first."""
        return [write for write in self.writes if write.tag == tag]


@contextmanager
def plc_of(station: Station, *, is_scanning: bool = True) -> Iterator[WatchedPlc]:
    """Serve the PLC of a station on its own port, in a thread; in real time, or standing still."""
    device = next(iter(station.devices.values()))
    assert isinstance(device, ModbusDevice)
    made = make_station(station, weather=SteadyWeather(-10.0), seed=1, start_hour=12.0)
    watched, settings = WatchedPlc(made.plc), device.settings
    begun, ended = threading.Event(), asyncio.Event()
    loops: list[asyncio.AbstractEventLoop] = []

    async def serve() -> None:
        server = await serve_modbus(watched, device.registers, settings.host, settings.port)
        scanning = asyncio.create_task(scan_plc(made.plc) if is_scanning else ended.wait())
        loops.append(asyncio.get_running_loop())
        begun.set()
        await ended.wait()
        scanning.cancel()
        await server.stop()

    thread = threading.Thread(target=lambda: asyncio.run(serve()), name=station.station)
    thread.start()
    try:
        assert begun.wait(10.0), "the PLC does not serve"
        yield watched
    finally:
        loops[0].call_soon_threadsafe(ended.set)
        thread.join()


def station_of(site: Path) -> Station:
    """Return the one station of a folder."""
    (station,) = load(site).stations
    return station
