"""What the processes of a demo agree on: the clock, the ports, the weather, written in one file.

Rule: every process reads the same file and derives the same configuration from it.
"""

import json
import random
import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

from config.devices import Device, ModbusDevice, OpcUaDevice
from config.load import load
from config.model import Site, Station
from core.clock import LoopClock
from hil_sim.plant.weather import ClimateParameters, SyntheticWeather, Weather
from hil_sim.scaled_loop import ScaledLoop

PLAN = "demo.json"
PREFILL_H = 24
_PORTS_TRIED = 200
_PROBE_S = 0.25
# At 30 times speed 10 s pass in a third of a second: enough for a busy machine to answer in.
_SCAN_S = 10.0
_PREFILL_SCAN_S = 20.0
_TIMEOUT_S = 7.0
_DAY_OF_SEASON = 90.0
_CHINA = timedelta(hours=8)


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoPlan:
    """One demo.

    Attributes:
        config: Folder of the configuration.
        speed: How much faster than the machine's clock everything runs, 1..60.
        origin_monotonic_s: The machine's monotonic clock at the demo's start.
        epoch: Civil time at the demo's start, ISO 8601 with zone.
        seed: Of weather and plant.
        ports: The port of each station's PLC: the configured one until it says where it listens.
    """

    config: str
    speed: float
    origin_monotonic_s: float
    epoch: str
    seed: int
    ports: dict[str, int]

    def save(self, folder: Path) -> None:
        """Write the plan where the other processes look for it."""
        (folder / PLAN).write_text(json.dumps(asdict(self), indent=1), encoding="utf-8")

    def loop(self) -> ScaledLoop:
        """Return a new event loop on the demo's clock."""
        return ScaledLoop(self.speed, self.origin_monotonic_s)

    def clock(self) -> LoopClock:
        """Return the demo's civil clock, for code that runs on `loop`."""
        return LoopClock(datetime.fromisoformat(self.epoch))

    def site(self) -> Site:
        """Return the configuration with the demo's ports, scan and time-outs."""
        site = load(Path(self.config))
        return replace(
            site, stations=tuple(on_port(s, self.ports[s.station]) for s in site.stations)
        )

    def prefill_site(self) -> Site:
        """Return the configuration with every PLC on Modbus and a slower scan."""
        site = self.site()
        devices = [next(iter(station.devices.values())) for station in site.stations]
        modbus = next(device for device in devices if isinstance(device, ModbusDevice))
        stations = tuple(
            replace(
                station, devices={name: _as_modbus(device, modbus, self.ports[station.station])}
            )
            for station in site.stations
            for name, device in station.devices.items()
        )
        return replace(site, stations=stations)

    def weather(self, *, before_h: float = 0.0) -> Weather:
        """Return the weather from `before_h` hours before the epoch on."""
        return SyntheticWeather(
            ClimateParameters(),
            random.Random(f"{self.seed} weather"),
            start_day=_DAY_OF_SEASON,
            start_hour=self.start_hour() - before_h,
        )

    def start_hour(self) -> float:
        """Return the civil hour in China at the epoch."""
        local = datetime.fromisoformat(self.epoch).astimezone(UTC) + _CHINA
        return local.hour + local.minute / 60.0


def read_plan(folder: Path) -> DemoPlan:
    """Return the plan of the demo that runs in `folder`."""
    return DemoPlan(**json.loads((folder / PLAN).read_text(encoding="utf-8")))


def wanted_ports(site: Site) -> dict[str, int]:
    """Return a port for each station, the configured one or the next above that no other wants."""
    ports: dict[str, int] = {}
    for station in site.stations:
        port = port_of(next(iter(station.devices.values())))
        while port in ports.values():
            port += 1
        ports[station.station] = port
    return ports


async def listen_near(wanted: int, listen: Callable[[int], Awaitable[None]]) -> int:
    """Listen on a port or on the next above that is free, and return it.

    Only who listens has a port: one that was free when it was looked at may be another's by now.

    Args:
        wanted: The port to begin with.
        listen: Listens on a port; OSError if that cannot be.

    Raises:
        OSError: None of 200 ports could be listened on.
    """
    for port in range(wanted, wanted + _PORTS_TRIED):
        # A look first, for a whole address space is built before an OPC UA server listens.
        if _is_free(port):
            with suppress(OSError):
                await listen(port)
                return port
    raise OSError(f"no free port from {wanted} to {wanted + _PORTS_TRIED - 1}")


def say_port(folder: Path, station: str, port: int) -> None:
    """Tell the demo where the PLC of a station listens."""
    said = folder / f"{station}.port.new"
    said.write_text(str(port), encoding="ascii")
    said.replace(_port_file(folder, station))


def said_port(folder: Path, station: str) -> int | None:
    """Return where the PLC of a station listens, None before it does."""
    path = _port_file(folder, station)
    return int(path.read_text(encoding="ascii")) if path.exists() else None


def port_of(device: Device) -> int:
    """Return the TCP port that a device is configured with."""
    match device:
        case ModbusDevice(settings=modbus):
            return modbus.port
        case OpcUaDevice(settings=opcua):
            return urlsplit(opcua.endpoint).port or 4840
        case _:
            raise _not_simulated(device)


def is_listening(port: int) -> bool:
    """Return whether somebody listens on a port of this machine."""
    with socket.socket() as probe:
        probe.settimeout(_PROBE_S)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def on_port(station: Station, port: int) -> Station:
    """Return a station with its PLC on another port, and the demo's scan and time-out."""
    return replace(
        station,
        devices={name: _device_on(device, port) for name, device in station.devices.items()},
    )


def _as_modbus(device: Device, like: ModbusDevice, port: int) -> ModbusDevice:
    return replace(
        like,
        settings=replace(like.settings, port=port),
        scan_s=_PREFILL_SCAN_S,
        identity=device.identity,
    )


def _device_on(device: Device, port: int) -> Device:
    match device:
        case ModbusDevice(settings=modbus):
            settings = replace(modbus, port=port, timeout_s=_TIMEOUT_S)
            return replace(device, settings=settings, scan_s=_SCAN_S)
        case OpcUaDevice(settings=opcua):
            parts = urlsplit(opcua.endpoint)
            endpoint = parts._replace(netloc=f"{parts.hostname}:{port}").geturl()
            ua = replace(opcua, endpoint=endpoint, timeout_s=_TIMEOUT_S)
            return replace(device, settings=ua, scan_s=_SCAN_S)
        case _:
            raise _not_simulated(device)


def _not_simulated(device: Device) -> ValueError:
    return ValueError(f"no simulated PLC speaks {device.driver}")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def _port_file(folder: Path, station: str) -> Path:
    return folder / f"{station}.port"
