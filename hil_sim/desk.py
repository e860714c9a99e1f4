"""Simulated PLCs for every station of a configuration, at an engineer's desk.

Rule: the ports are the configuration's own, so that a daemon with the same folder finds them.
"""

import asyncio
import signal
from collections.abc import Callable
from contextlib import AsyncExitStack, closing
from datetime import UTC, datetime

from config.model import Site, Station
from core.clock import LoopClock
from hil_sim.demo_plan import is_listening, port_of
from hil_sim.doors import fault_door
from hil_sim.plant.weather import SteadyWeather
from hil_sim.plc import SimPlc
from hil_sim.scaled_loop import ScaledLoop
from hil_sim.serve import make_station, open_bus, open_fault_door, scan_plc

# A winter noon: the simulated day has no date of its own.
_EPOCH = datetime(2026, 1, 12, 4, 0, tzinfo=UTC)
_START_HOUR = 12.0
# As `heatd check` asks of a real PLC's timeout.
_SCANS_BEFORE_FALLBACK = 3


class PortTaken(Exception):  # noqa: N818 - it reads as the claim it makes
    """Another process listens where a simulated PLC should."""


class NotSimulated(Exception):  # noqa: N818 - it reads as the claim it makes
    """A station has points that no simulated PLC has."""


def serve_site(
    site: Site, *, speed: float, outdoor_c: float, seed: int, say: Callable[[str], None]
) -> None:
    """Serve simulated PLCs until SIGINT or SIGTERM.

    Args:
        site: The configuration.
        speed: Times real time, 1..60.
        outdoor_c: Outdoor temperature, in °C.
        seed: Of all chance.
        say: Told what runs where.

    Raises:
        PortTaken: Somebody listens there already.
        NotSimulated: A station has points that the simulated PLC lacks.
    """
    for station in site.stations:
        if hasty := too_fast(station, speed):
            say(hasty)
        port = port_of(next(iter(station.devices.values())))
        if is_listening(port):
            raise PortTaken(
                f"port {port} of {station.station} is taken (by a running demo?): end that, or "
                f"change the port in stations/{station.station}.yaml"
            )
    with closing(asyncio.SelectorEventLoop()) as machine:
        origin_s = machine.time()
    with asyncio.Runner(loop_factory=lambda: ScaledLoop(speed, origin_s)) as runner:
        runner.run(_serve(site, outdoor_c, seed, say))


def too_fast(station: Station, speed: float) -> str:
    """Return why a daemon in real time would never control this PLC; empty where it would."""
    if station.authority.write == "none":
        return ""
    timeout_s = station.authority.heartbeat.plc_timeout_s
    scan_s = min(device.scan_s for device in station.devices.values())
    most = timeout_s / (_SCANS_BEFORE_FALLBACK * scan_s)
    if speed <= most:
        return ""
    return (
        f"{station.station}: at {speed:g} times real time its PLC waits {timeout_s / speed:.1f} s "
        f"for a heartbeat that heatd in real time sends every {scan_s:g} s, and never hands over; "
        f"give --speed {most:.3g} or less, or take `heatd-sim demo`, where heatd is as fast"
    )


async def _serve(site: Site, outdoor_c: float, seed: int, say: Callable[[str], None]) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    clock = LoopClock(_EPOCH)
    async with AsyncExitStack() as stack:
        scans = []
        for station in site.stations:
            weather = SteadyWeather(outdoor_c)
            made = make_station(station, weather=weather, seed=seed, start_hour=_START_HOUR)
            _check_points(station, made.plc)
            await open_bus(stack, station, made.plc, clock)
            await open_fault_door(stack, made, fault_door(station.station))
            scans.append(asyncio.create_task(scan_plc(made.plc)))
            device = next(iter(station.devices.values()))
            say(f"{station.station}: {device.driver} on port {port_of(device)}")
        say("serving; Ctrl-C ends it")
        await stop.wait()
        for scan in scans:
            scan.cancel()


def _check_points(station: Station, plc: SimPlc) -> None:
    known = plc.registers
    lacking = [tag for tag, p in station.points.items() if tag not in known and not p.is_pulse]
    if lacking:
        raise NotSimulated(
            f"the simulated PLC of {station.station} has no {', '.join(lacking)}: to rehearse "
            "the rest, leave them out of a copy of the station and its map, and what needs them "
            "too (as `valve.split`)"
        )
