"""One simulated station as a process of its own: plant, PLC, its bus server, and a door for faults.

Rule: faults come in through this process's own Unix socket; the daemon has no such door.
"""

import asyncio
import json
import random
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog

from config.devices import ModbusDevice, OpcUaDevice
from config.model import Station
from control_loops.heating_curve import as_points
from core.clock import Clock
from hil_sim.plant.station import StationParameters, StationPlant
from hil_sim.plant.weather import Weather
from hil_sim.plc import SimPlc
from hil_sim.plc_faults import FAULTS

log = structlog.get_logger(__name__)

FaultTaker = Callable[[bytes], Awaitable[dict[str, Any] | None]]
"""Carries out one line of the fault door and returns the answer; None if it is not its own."""

_PLC_SCAN_S = 1.0
_LINE_BYTES_MAX = 4096
_CATCH_UP_S_MAX = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SimStation:
    """A simulated PLC and its plant, started in steady operation."""

    name: str
    plc: SimPlc


def make_station(station: Station, *, weather: Weather, seed: int, start_hour: float) -> SimStation:
    """Return the simulated PLC of a station, running steadily on its own curve.

    Args:
        station: Its configuration; identity, curve and time-out are taken from it.
        weather: What the air does from now on.
        seed: Of all chance in plant and PLC.
        start_hour: Civil hour at the start.
    """
    device = next(iter(station.devices.values()))
    circuit = next(iter(station.circuits.values()))
    plant = StationPlant(
        StationParameters(),
        random.Random(f"{seed} {station.station} plant"),
        weather=weather,
        start_hour=start_hour,
    )
    plc = SimPlc(
        plant,
        rng=random.Random(f"{seed} {station.station} plc"),
        curve=as_points(circuit.curve),
        plc_timeout_s=station.authority.heartbeat.plc_timeout_s,
        plc_id=device.identity.equals if device.identity else 0,
    )
    plc.warm_start()
    return SimStation(name=station.station, plc=plc)


async def open_bus(stack: AsyncExitStack, station: Station, plc: SimPlc, clock: Clock) -> None:
    """Serve a simulated PLC over the protocol that its station's device speaks."""
    device = next(iter(station.devices.values()))
    match device:
        case ModbusDevice(settings=settings):
            from hil_sim.modbus_plc import serve_modbus  # noqa: PLC0415 - only what is used

            modbus = await serve_modbus(
                plc,
                device.registers,
                settings.host,
                settings.port,
                unit=settings.unit,
                word_order=settings.word_order,
            )
            stack.push_async_callback(modbus.stop)
        case OpcUaDevice(settings=settings):
            from hil_sim.opcua_plc import serve_opcua  # noqa: PLC0415 - slow to import

            opcua = await serve_opcua(
                plc,
                device.registers,
                settings.endpoint,
                settings.namespace,
                clock=clock,
                station=station.station,
            )
            stack.push_async_callback(opcua.stop)
        case _:
            raise ValueError(f"no simulated PLC speaks {device.driver}")


async def scan_plc(plc: SimPlc) -> None:
    """Scan a PLC once a second of the loop's time, for ever; what was missed is caught up."""
    loop = asyncio.get_running_loop()
    done_s = loop.time()
    while True:
        await asyncio.sleep(_PLC_SCAN_S)
        owed_s = min(loop.time() - done_s, _CATCH_UP_S_MAX)
        done_s = loop.time()
        plc.scan(owed_s)


async def open_fault_door(
    stack: AsyncExitStack, station: SimStation, path: Path, *, first: FaultTaker | None = None
) -> None:
    """Listen on a Unix socket for faults: one JSON object a line in, one out.

    Args:
        stack: Closes it.
        station: What the faults are of.
        path: Where to listen.
        first: Is asked first, and returns None for what it does not know.
    """

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            line = await reader.readline()
            said = None if first is None else await first(line)
            said = inject(station, line) if said is None else said
            writer.write((json.dumps(said, ensure_ascii=False) + "\n").encode())
            await writer.drain()
        writer.close()

    _clear(path)
    server = await asyncio.start_unix_server(answer, path, limit=_LINE_BYTES_MAX)
    stack.callback(path.unlink, missing_ok=True)
    stack.callback(server.close)


def _clear(path: Path) -> None:
    """Make room for a socket in a folder that only this user can enter."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.unlink(missing_ok=True)


def inject(station: SimStation, line: bytes) -> dict[str, Any]:
    """Carry out one request of the fault door and return its answer.

    The request is `{"do": NAME, "on": true, ...}`; the answer has `ok` and a sentence.
    """
    try:
        request = json.loads(line)
        fault, is_on = str(request.pop("do")), bool(request.pop("on", True))
        station.plc.inject(fault, is_on, **request)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        known = ", ".join(sorted(FAULTS))
        return {"ok": False, "said": f"{error}. Faults are: {known}"}
    log.info("fault_injected", station=station.name, fault=fault, on=is_on)
    return {"ok": True, "said": f"{station.name}: {fault} is {'on' if is_on else 'off'}"}
