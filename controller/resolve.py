"""What a person's words mean at one station: which loop moves a point, which source is the backup.

Rule: pure; a name that means nothing is refused with the names that do.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Protocol

from controller.preview import Cause, Refusal, SetPoint, listed
from controller.snapshot import StationSnapshot
from core.command import (
    Command,
    EndSetpoint,
    EndSubstitute,
    LoopMode,
    SetMode,
    SetOffset,
    SetOutput,
    SetSetpoint,
    SetSubstitute,
    StartSource,
    StopSource,
)
from core.point import Point, Tag


class _Source(Protocol):
    @property
    def kind(self) -> str: ...


class _Limits(Protocol):
    @property
    def T2g_c(self) -> tuple[float, float]: ...  # noqa: N802 - the field's name

    @property
    def ramp_k_per_h(self) -> float: ...


class _Circuit(Protocol):
    @property
    def limits(self) -> _Limits: ...


class _Authority(Protocol):
    @property
    def write(self) -> str: ...


class _Outdoor(Protocol):
    @property
    def order(self) -> tuple[str, ...]: ...


class StationConfig(Protocol):
    """What the checks read of a station's configuration."""

    @property
    def outdoor(self) -> _Outdoor:
        """Where the outdoor temperature comes from, best first."""
        ...

    @property
    def authority(self) -> _Authority:
        """What heatd may move: valve, setpoint or none."""
        ...

    @property
    def points(self) -> Mapping[Tag, Point]:
        """All points of the station's devices by tag."""
        ...

    @property
    def circuits(self) -> Mapping[str, _Circuit]:
        """Circuit name to circuit."""
        ...

    @property
    def sources(self) -> Mapping[str, _Source]:
        """Source name to source; the network is one of them."""
        ...


def resolve(command: Command, config: StationConfig, now: StationSnapshot) -> Command | Refusal:
    """Return the command with its point or source made out, or why that cannot be."""
    match command:
        case SetPoint():
            return _resolve_point(command, config, now)
        case SetMode(loop=name, mode=LoopMode.AUTO) if circuit := _circuit(
            name, "setpoint", config
        ):
            return EndSetpoint(
                station=command.station, who=command.who, why=command.why, circuit=circuit
            )
        case SetMode(loop=tag, mode=LoopMode.AUTO) if _is_measured(tag, config, now):
            return EndSubstitute(
                station=command.station, who=command.who, why=command.why, tag=Tag(tag)
            )
        case StartSource(source="") | StopSource(source=""):
            backups = backups_of(config)
            if len(backups) == 1:
                return replace(command, source=backups[0])
            return no_source("", command.station, backups)
        case _:
            return command


def _resolve_point(
    command: SetPoint, config: StationConfig, now: StationSnapshot
) -> Command | Refusal:
    if circuit := _circuit(command.point, "offset", config):
        return SetOffset(
            station=command.station,
            who=command.who,
            why=command.why,
            lease_s=command.lease_s,
            circuit=circuit,
            offset_k=command.value,
        )
    if circuit := _circuit(command.point, "setpoint", config):
        return SetSetpoint(
            station=command.station,
            who=command.who,
            why=command.why,
            lease_s=command.lease_s,
            circuit=circuit,
            setpoint_c=command.value,
        )
    loop = next((loop for loop in now.loops if loop.output_tag == command.point), None)
    if loop is not None:
        return SetOutput(
            station=command.station,
            who=command.who,
            why=command.why,
            lease_s=command.lease_s,
            loop=loop.name,
            value=command.value,
        )
    if _is_measured(command.point, config, now):
        return SetSubstitute(
            station=command.station,
            who=command.who,
            why=command.why,
            lease_s=command.lease_s,
            tag=Tag(command.point),
            value=command.value,
        )
    prefixes = [""] if len(config.circuits) == 1 else [f"{name}." for name in config.circuits]
    of_circuits = [prefix + what for prefix in prefixes for what in ("offset", "setpoint")]
    points = [*(loop.output_tag for loop in now.loops), *of_circuits]
    return Refusal(
        Cause.UNKNOWN,
        f"{command.station} has no point {command.point} that a person may set.",
        f"It has {listed(points)}, and while it is not good each measured point of no loop.",
    )


def _is_measured(name: str, config: StationConfig, now: StationSnapshot) -> bool:
    """Return whether `name` is a point that heatd only reads, and not what a loop controls."""
    point = config.points.get(Tag(name))
    is_read = point is not None and not (point.is_writable or point.is_pulse)
    return is_read and all(loop.name != name for loop in now.loops)


def _circuit(point: str, what: str, config: StationConfig) -> str:
    """Return the circuit whose `what` is named by `point`, empty if it names none."""
    if point == what and len(config.circuits) == 1:
        return next(iter(config.circuits))
    circuit, dot, name = point.rpartition(".")
    return circuit if dot and name == what and circuit in config.circuits else ""


def backups_of(config: StationConfig) -> list[str]:
    """Return the names of the sources that a person may start: all but the network."""
    return [name for name, source in config.sources.items() if source.kind != "network"]


def no_source(name: str, station: str, backups: Sequence[str]) -> Refusal:
    """Return the refusal of a request for a backup source that the station lacks."""
    if not backups:
        return Refusal(
            Cause.UNKNOWN,
            f"{station} has no backup source.",
            "Sources stand under `sources` in the station's file.",
        )
    sentence = f"{station} has no backup source {name}." if name else f"{station} has several."
    return Refusal(Cause.UNKNOWN, sentence, f"Name one with --source: {listed(backups)}.")
