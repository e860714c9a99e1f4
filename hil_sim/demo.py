"""The demo: a day of history in virtual time, then real processes on real sockets, shown live.

Rule: everything it starts it ends, by process id; whatever it leaves lies in one folder.
"""

import asyncio
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, closing, contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from api.client import Client, UnreachableError
from api.messages import StationStatus, Status
from config.load import load
from controller.daemon import JOURNAL, Daemon, Options
from controller.live import SOCKET
from core.clock import LoopClock
from hil_sim.demo_plan import PREFILL_H, DemoPlan, said_port, wanted_ports
from hil_sim.doors import runtime_dir
from hil_sim.play import EXAMPLES, Progress
from hil_sim.quiet import quiet_logs
from hil_sim.serve import make_station, open_bus, scan_plc
from hil_sim.virtual_loop import VirtualLoop
from history.reader import Reader

# A winter morning: the example stations heat from 1 October to 15 April.
_EPOCH = datetime(2026, 1, 12, 0, 0, tzinfo=UTC)
_READY_S_MAX = 60.0
_STOP_S_MAX = 10.0
_LOOK_S = 0.25
_SHOW_S = 0.5
_HOUR_S = 3600.0
# The names that programs read; the configuration's own are drivers, not protocols.
_PROTOCOLS = {"modbus_tcp": "modbus_tcp", "opcua": "opc_ua"}


class DemoFailed(Exception):  # noqa: N818 - it reads as the claim it makes
    """A process of the demo ended or never answered; the text shows what it said last."""


def prepare(*, speed: float, seed: int, config: Path = EXAMPLES) -> tuple[Path, DemoPlan]:
    """Return a fresh folder for a demo, and its plan without a running clock yet.

    Raises:
        DemoFailed: Another demo of this user runs.
    """
    folder = runtime_dir()
    if _answers(folder / SOCKET):
        raise DemoFailed(f"a demo already runs in {folder}; end it first (Ctrl-C there)")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700, parents=True)
    plan = DemoPlan(
        config=str(config),
        speed=speed,
        origin_monotonic_s=0.0,
        epoch=_EPOCH.isoformat(),
        seed=seed,
        ports=wanted_ports(load(config)),
    )
    return folder, plan


def prefill(folder: Path, plan: DemoPlan, progress: Progress) -> None:
    """Write a day of history up to the demo's start, in virtual time, by the real daemon.

    All stations speak Modbus for that: a day of OPC UA would take minutes.
    """

    async def run() -> None:
        start = datetime.fromisoformat(plan.epoch) - timedelta(hours=PREFILL_H)
        clock = LoopClock(start)
        site = plan.prefill_site()
        stop = asyncio.Event()
        async with AsyncExitStack() as stack, asyncio.TaskGroup() as group:
            scans = []
            for station in site.stations:
                made = make_station(
                    station,
                    weather=plan.weather(before_h=PREFILL_H),
                    seed=plan.seed,
                    start_hour=plan.start_hour(),
                )
                await open_bus(stack, station, made.plc, clock)
                scans.append(group.create_task(scan_plc(made.plc)))
            options = Options(state_dir=folder, is_durable=False)
            running = group.create_task(Daemon(site, clock, options).run(stop))
            for hour in range(PREFILL_H):
                await asyncio.sleep(_HOUR_S)
                progress((hour + 1) / PREFILL_H)
            stop.set()
            await running
            for scan in scans:
                scan.cancel()

    with quiet_logs(), asyncio.Runner(loop_factory=lambda: VirtualLoop(plan.seed)) as runner:
        runner.run(run())


@contextmanager
def processes(folder: Path, plan: DemoPlan) -> Iterator[dict[str, subprocess.Popen[bytes]]]:
    """Run the demo's processes: one for each simulated station, and the daemon."""
    plan.save(folder)
    running: dict[str, subprocess.Popen[bytes]] = {}
    try:
        for part in plan.ports:
            running[part] = _start(folder, part)
        # The PLCs were there before the daemon: it must not begin with an outage.
        replace(plan, ports=_wait_ports(folder, plan, running)).save(folder)
        running["daemon"] = _start(folder, "daemon")
        yield running
    finally:
        for process in reversed(running.values()):
            _end(process)


def run_live(
    folder: Path, plan: DemoPlan, *, seconds: float, show: Callable[[Status, float, float], None]
) -> dict[str, Any]:
    """Run the demo's processes and show them until the time is over, or Ctrl-C.

    Args:
        folder: The demo's folder.
        plan: Its plan; the clock starts now.
        seconds: Real seconds to run for; 0 for ever.
        show: Told the status, the speed and the real seconds since the start, twice a second.

    Raises:
        DemoFailed: A process ended, or never answered.
    """
    with closing(asyncio.SelectorEventLoop()) as machine:
        plan = replace(plan, origin_monotonic_s=machine.time())
    with processes(folder, plan) as running:
        status = wait_ready(folder, running, len(plan.ports))
        began_s = time.perf_counter()
        with suppress(KeyboardInterrupt):
            while not seconds or time.perf_counter() - began_s < seconds:
                check_alive(folder, running)
                status = look(folder) or status
                show(status, plan.speed, time.perf_counter() - began_s)
                time.sleep(_SHOW_S)
        status = look(folder) or status
    return summary(folder, plan, status, seconds=seconds)


def wait_ready(folder: Path, running: dict[str, subprocess.Popen[bytes]], stations: int) -> Status:
    """Return the daemon's first status that shows every station.

    Raises:
        DemoFailed: A process ended, or a minute was not enough.
    """
    for _ in range(int(_READY_S_MAX / _LOOK_S)):
        check_alive(folder, running)
        status = look(folder)
        if status is not None and len(status.stations) == stations:
            return status
        time.sleep(_LOOK_S)
    raise DemoFailed(f"the daemon does not answer after {_READY_S_MAX:.0f} s\n{_tail(folder)}")


def look(folder: Path) -> Status | None:
    """Return the daemon's status, None while it does not answer."""
    try:
        with Client(folder / SOCKET) as client:
            return client.status()
    except UnreachableError:
        return None


def check_alive(folder: Path, running: dict[str, subprocess.Popen[bytes]]) -> None:
    """Raise DemoFailed if one of the demo's processes has ended."""
    for part, process in running.items():
        if process.poll() is not None:
            raise DemoFailed(f"{part} ended with {process.returncode}\n{_tail(folder, part)}")


def summary(folder: Path, plan: DemoPlan, status: Status, *, seconds: float) -> dict[str, Any]:
    """Return the demo's outcome as plain JSON values."""
    reader = Reader(folder / JOURNAL)
    try:
        rows = {s.station: reader.station_rows(s.station) for s in status.stations}
    finally:
        reader.close()
    return {
        "stations": [_station(station, rows[station.station]) for station in status.stations],
        "seconds": seconds,
        "speed": plan.speed,
        "seed": plan.seed,
        "prefill_h": PREFILL_H,
        "simulation": status.is_simulation,
    }


def _station(station: StationStatus, rows: int) -> dict[str, Any]:
    supply, devices = station.loops[0], station.devices
    return {
        "station": station.station,
        "driver": _PROTOCOLS[devices[0].driver],
        "polls": sum(device.polls for device in devices),
        "poll_errors": sum(device.poll_errors for device in devices),
        "supply_c": supply.measured,
        "setpoint_c": supply.setpoint,
        "writes_verified": sum(device.writes_verified for device in devices),
        "history_rows": rows,
        "authority": station.authority,
        "source": station.source,
        "alarms": [alarm.name for alarm in station.alarms],
    }


def _start(folder: Path, part: str) -> subprocess.Popen[bytes]:
    with (folder / f"{part}.log").open("wb") as said:
        return subprocess.Popen(  # noqa: S603 - our own module, our own arguments
            [sys.executable, "-m", "hil_sim.demo_part", str(folder), part],
            # Nothing is ever said through it; that it ends tells them that we are gone.
            stdin=subprocess.PIPE,
            stdout=said,
            stderr=subprocess.STDOUT,
            # Ctrl-C is for the demo, which then ends them in order.
            start_new_session=True,
        )


def _wait_ports(
    folder: Path, plan: DemoPlan, running: dict[str, subprocess.Popen[bytes]]
) -> dict[str, int]:
    """Return where the PLCs listen, as soon as all of them do."""
    for _ in range(int(_READY_S_MAX / _LOOK_S)):
        check_alive(folder, running)
        said = {station: said_port(folder, station) for station in plan.ports}
        ports = {station: port for station, port in said.items() if port is not None}
        if len(ports) == len(said):
            return ports
        time.sleep(_LOOK_S)
    raise DemoFailed(f"the simulated PLCs do not listen after {_READY_S_MAX:.0f} s")


def _end(process: subprocess.Popen[bytes]) -> None:
    with process:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(_STOP_S_MAX)
            except subprocess.TimeoutExpired:
                process.kill()


def _tail(folder: Path, part: str = "daemon", lines: int = 12) -> str:
    path = folder / f"{part}.log"
    text = path.read_text(errors="replace") if path.exists() else ""
    return f"{path}:\n" + "\n".join(text.splitlines()[-lines:])


def _answers(path: Path) -> bool:
    return path.exists() and look(path.parent) is not None
