"""From a checked configuration to running objects: the only place that picks classes.

Rule: a protocol library is imported only when a station uses it.
"""

import random
from collections.abc import Callable, Container, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from config.devices import Device, Identity, OpcUaDevice
from config.flats import figure_tags, flats_of
from config.model import Site, Station
from controller.plan import StationPlan, plan_station
from controller.state import StationState, first_state
from controller.station import Shared, StationShell
from core.clock import Clock, Instant
from core.point import Point, Tag
from drivers.base import Driver
from drivers.channel import Channel
from drivers.collector import FlatBoard
from drivers.dial import channel_to
from drivers.forecast import ForecastBoard, ForecastWatch
from drivers.forecast_settings import ForecastFile, ForecastTopic
from drivers.line_key import LineKey
from drivers.link import Link
from drivers.modbus import modbus_tcp
from drivers.plausible import checks_of
from drivers.rooms import Reporter, RoomPoints
from drivers.settings import Modbus

if TYPE_CHECKING:
    from drivers.mqtt import MqttCollector


class Lines:
    """The lines of a daemon: devices at one address share one, in whatever station they are."""

    def __init__(self) -> None:
        self._channels: dict[LineKey, Channel] = {}

    def to(self, settings: Modbus) -> Channel:
        """Return the channel to the line that the settings of a device name."""
        if settings.line not in self._channels:
            self._channels[settings.line] = channel_to(settings)
        return self._channels[settings.line]


def build_station(
    config: Station,
    shared: Shared,
    boards: Mapping[str, FlatBoard],
    lines: Lines,
    *,
    restore: Callable[[StationPlan, StationState], StationState],
) -> StationShell:
    """Return the shell of one station.

    Args:
        config: The station's configuration.
        shared: What all stations of the daemon share.
        boards: What the site's collectors bring.
        lines: The lines of the daemon.
        restore: Gives the state that a checkpoint kept, laid over the first one.
    """
    plan = plan_station(config)
    state = restore(plan, first_state(plan))
    # Who may write nothing has drivers that know no register to write to.
    outputs: frozenset[Tag] = frozenset() if shared.is_read_only else config.outputs
    links = {
        name: _build_link(config, name, only_writing(device, outputs), outputs, shared.clock, lines)
        for name, device in config.devices.items()
    }
    for link in links.values():
        link.remember(state.wear)
    given = {tag for link in links.values() for tag in link.table}
    rooms = _build_rooms(config, boards, given)
    return StationShell(plan, links, rooms, shared, state)


def build_boards(site: Site) -> dict[str, FlatBoard]:
    """Return a board for each collector of a site, which listens to the devices of its flats."""
    only = next(iter(site.collectors), "")
    devices: dict[str, set[str]] = {name: set() for name in site.collectors}
    for station in site.stations:
        for name, row in station.flats.items():
            devices[row.collector or only].add(row.device or name)
    return {
        name: FlatBoard(collector.topics, devices[name])
        for name, collector in site.collectors.items()
    }


def build_forecast(site: Site) -> ForecastBoard:
    """Return the board for the forecast of a site; without one it stays empty."""
    return ForecastBoard() if site.forecast is None else ForecastBoard(site.forecast.max_age_s)


def build_forecast_watch(site: Site, board: ForecastBoard, clock: Clock) -> list[ForecastWatch]:
    """Return what reads the file of a site's forecast, if it comes in one."""
    if not isinstance(site.forecast, ForecastFile):
        return []
    return [ForecastWatch(site.forecast, board, clock)]


def build_collectors(
    site: Site, boards: Mapping[str, FlatBoard], forecast: ForecastBoard, clock: Clock
) -> "dict[str, MqttCollector]":
    """Return what keeps each board up to date; not for virtual time, where no broker is."""
    if not site.collectors:
        return {}
    from drivers.mqtt import MqttCollector  # noqa: PLC0415 - loaded only where it is used

    return {
        name: MqttCollector(
            name,
            broker,
            boards[name],
            clock=clock,
            rng=random.Random(name),
            others=_forecast_topic(site, name, forecast),
        )
        for name, broker in site.collectors.items()
    }


def _forecast_topic(
    site: Site, collector: str, board: ForecastBoard
) -> Mapping[str, Callable[[bytes, Instant], None]]:
    """Return what a collector shall do with the topic of the forecast, if it is the one for it."""
    source = site.forecast
    only = next(iter(site.collectors), "")
    if not isinstance(source, ForecastTopic) or (source.collector or only) != collector:
        return {}
    return {source.topic: lambda data, now: board.take(data, source.topic, now)}


def _build_rooms(
    config: Station, boards: Mapping[str, FlatBoard], given: Container[Tag]
) -> RoomPoints:
    only = next(iter(boards), "")
    reporters = [
        Reporter(
            flat,
            boards[config.flats[name].collector or only],
            config.flats[name].device or name,
        )
        for name, flat in flats_of(config).items()
    ]
    figures = figure_tags(config, given)
    return RoomPoints(reporters, config.rooms.max_age_s, figures)


def only_writing(device: Device, outputs: frozenset[Tag]) -> Device:
    """Return the device with a map that allows no write but to `outputs`."""
    rows = device.registers
    if all(row.point.tag in outputs for row in rows if _is_written(row.point)):
        return device
    kept = tuple(row for row in rows if row.point.tag in outputs or not row.point.is_pulse)
    locked = tuple(
        row
        if row.point.tag in outputs or not row.point.is_writable
        else replace(row, point=replace(row.point, is_writable=False))
        for row in kept
    )
    return replace(device, registers=locked)  # type: ignore[arg-type] # rows of this very device


def _is_written(point: Point) -> bool:
    return point.is_writable or point.is_pulse


def _build_link(
    config: Station, name: str, device: Device, outputs: frozenset[Tag], clock: Clock, lines: Lines
) -> Link:
    identity = device.identity
    full_name = f"{config.station}.{name}"
    return Link(
        full_name,
        _driver_of(full_name, device, clock, lines),
        period_s=device.scan_s,
        # Spreads the attempts of many stations; a name and not a clock, so that a run repeats.
        rng=random.Random(full_name),
        slow_poll_s=device.settings.slow_poll_s,
        identity=None if identity is None else (Tag(identity.tag), float(identity.equals)),
        read_only=not outputs,
        checks=replace(
            checks_of(device.registers, config.authority.heartbeat.read),
            firmware=_firmware(identity),
        ),
    )


def _firmware(identity: Identity | None) -> tuple[Tag, float] | None:
    if identity is None or identity.firmware is None or identity.firmware_is is None:
        return None
    return identity.firmware, identity.firmware_is


def _driver_of(name: str, device: Device, clock: Clock, lines: Lines) -> Callable[[], Driver]:
    match device:
        case OpcUaDevice():
            from drivers.opcua import opc_ua  # noqa: PLC0415 - a second and 80 MB only where it is used

            return opc_ua(name, device.settings, device.registers, clock)
        case _:
            channel = lines.to(device.settings)
            return modbus_tcp(name, device.settings, device.registers, channel)
