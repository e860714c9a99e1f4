"""One hostile PLC at an engineer's desk, told by the fault door what to do to whoever polls it.

Rule: faults of the wire and lies come through the same door as those of the plant; `--off` of any
of them ends all of them.
"""

import asyncio
import json
import signal
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress
from functools import partial
from typing import Any

from config.devices import ModbusDevice
from config.model import Station
from hil_sim.doors import fault_door
from hil_sim.hostile import FAULTS, HostileServer
from hil_sim.hostile_bank import Bank
from hil_sim.plant.weather import SteadyWeather
from hil_sim.plc import SimPlc
from hil_sim.serve import make_station, open_fault_door

_START_HOUR = 12.0
_PLC_SCAN_S = 1.0


async def take_fault(server: HostileServer, line: bytes) -> dict[str, Any] | None:
    """Carry out one request that is about the wire or a lie; None where it is about the plant.

    The request is `{"do": NAME, "on": true, "amount": 3, "unit": 1, "tag": TAG}`.
    """
    try:
        request = json.loads(line)
        fault = request["do"]
        if fault not in FAULTS:
            return None
        if not request.get("on", True):
            await server.mend()
            return {"ok": True, "said": "it behaves again"}
        amount, unit = request.get("amount"), request.get("unit")
        await server.put(
            fault,
            amount=None if amount is None else float(amount),
            unit=unit,
            tag=str(request.get("tag", "")),
        )
    except (ValueError, KeyError, TypeError) as error:
        return {"ok": False, "said": str(error)}
    return {"ok": True, "said": f"{fault} is on; so far: {server.counts}"}


def serve_hostile(station: Station, *, port: int, seed: int, say: Callable[[str], None]) -> None:
    """Serve a hostile PLC of a station until SIGINT or SIGTERM.

    Args:
        station: Its configuration; its first device speaks Modbus TCP.
        port: Where to listen, on the loopback.
        seed: Of all chance.
        say: Told what runs where.

    Raises:
        OSError: The port is taken.
    """
    asyncio.run(_serve(station, port, seed, say))


async def _serve(station: Station, port: int, seed: int, say: Callable[[str], None]) -> None:
    device = next(iter(station.devices.values()))
    if not isinstance(device, ModbusDevice):
        raise TypeError("a hostile PLC speaks Modbus")
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    made = make_station(station, weather=SteadyWeather(-10.0), seed=seed, start_hour=_START_HOUR)
    settings = device.settings
    bank = Bank(made.plc, device.registers, word_order=settings.word_order)
    server = HostileServer({settings.unit: bank}, port=port)
    async with AsyncExitStack() as stack:
        await server.start()
        stack.callback(server.stop)
        await open_fault_door(
            stack, made, fault_door(station.station), first=partial(take_fault, server)
        )
        say(f"{station.station}: unit {settings.unit} on port {server.port} of {server.host}")
        say(f"misbehave: heatd-sim fault {station.station} late --amount 3; Ctrl-C ends it")
        await _scan_until(stop, made.plc, server)
    say(f"it saw {server.counts}")


async def _scan_until(stop: asyncio.Event, plc: SimPlc, server: HostileServer) -> None:
    while not stop.is_set():
        if not server.is_frozen:
            plc.scan(_PLC_SCAN_S)
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), _PLC_SCAN_S)
