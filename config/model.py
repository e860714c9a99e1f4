"""A site as the rest of heatd sees it: stations with devices, circuits, sources and alarms.

Rule: parameter classes of drivers, loops and alarms are put together here and never declared again;
everything is frozen, and what has no unit suffix in its name has no unit.
"""

from collections.abc import Container, Iterable, Mapping
from dataclasses import field
from datetime import date
from typing import Annotated, Literal

from annotated_types import Ge, Gt, Le, MinLen

from alarms.condition import Condition, Text
from config.devices import Device
from config.formula import Amount
from config.relations import Relation
from config.season import Holidays, Season
from config.shape import Mark, Named
from control_loops.autotune import AutotuneLimits
from control_loops.exchanger import ExchangerData
from control_loops.frost import FrostLimits
from control_loops.heating_curve import PLC_POINTS, HeatingCurve
from control_loops.interlock import Protection
from control_loops.limits import SupplyLimits
from control_loops.makeup import MakeUp
from control_loops.outdoor import Outdoor
from control_loops.pid import PidTuning
from control_loops.preheat import Preheat
from control_loops.pumps import CirculationPumps
from control_loops.room_trim import Rooms
from control_loops.schedule import Setback
from control_loops.source import GasBoiler, NetworkSource
from control_loops.valve import Valve
from control_loops.weather import WeatherTerms
from core.parameters import parameters
from core.point import Point, Tag, Unit
from drivers.collector_settings import FlatRow, MqttBroker
from drivers.forecast_settings import ForecastSource

UseClass = Literal["residential", "public", "commercial", "industrial"]
Source = NetworkSource | GasBoiler

SIMULATOR_IDS = range(65000, 65536)
"""Identities that only simulated PLCs have."""


@parameters
class Heartbeat:
    """How heatd and the PLC see that the other one lives.

    Attributes:
        write: Our counter; it advances only after a completed scan.
        read: The PLC's counter.
        plc_timeout_s: After this time without our counter the PLC follows its own curve.
    """

    write: Tag = Tag("HB_SCADA")
    read: Tag = Tag("HB_PLC")
    plc_timeout_s: Annotated[float, Unit.SECOND, Ge(20), Le(300)] = 60.0


@parameters
class AuthoritySettings:
    """What heatd may move in a station.

    Attributes:
        write: `valve`: our loop positions the valve. `setpoint`: the PLC's own loop gets the
            supply setpoint. `none`: heatd watches only.
        fallback_proven: Day on which the PLC's own curve was proven on site.
        heartbeat: The counters on both sides.
        hand_back_after_s: How long data must be good before the PLC hands control back.
    """

    write: Literal["valve", "setpoint", "none"]
    fallback_proven: date | None = None
    heartbeat: Heartbeat = Heartbeat()
    hand_back_after_s: Annotated[float, Unit.SECOND, Ge(0), Le(3600)] = 60.0


@parameters
class Calibration:
    """How much one sensor reads wrong, and who says so.

    Attributes:
        offset: What is added to its value, before that is held against its range; at most 5 K, or a
            tenth of the range.
        on: The day on which it was compared.
        by: Who compared it.
        why: With what it was compared, and what was found.
    """

    offset: Amount
    on: Annotated[date, Named("date")]
    by: Annotated[str, MinLen(1)]
    why: str = ""


@parameters
class Circuit:
    """One secondary circuit: what it feeds and how it is controlled.

    Attributes:
        area_m2: Heated floor area.
        klass: Who lives off it (`class` in YAML); the order of shedding goes by it.
        emitter: What gives off the heat in the rooms.
        curve: Supply temperature by outdoor temperature.
        weather: What the curve is asked with beside the damped outdoor temperature.
        limits: Limits of the supply setpoint.
        pumps: Circulation.
        makeup: Pressure keeping.
        valve: The control valve of the primary.
        exchanger: Its data sheet; with it the loop moves with the primary, and its gain with the
            opening.
        pid: The supply temperature loop.
        autotune: How its autotune may move the valve.
        protection: The interlocks.
        frost: Frost protection.
        schedule: Hours in which less heat is wanted, by name.
        preheat: Before which cold the rooms are warmed up; none for never.
        alarms: As written, with the circuit's own tags; `Station.alarms` has them with full names.
    """

    area_m2: Annotated[float, Unit.SQUARE_METRE, Gt(0)]
    klass: Annotated[UseClass, Named("class")]
    emitter: Literal["radiator", "floor"]
    curve: HeatingCurve
    weather: WeatherTerms = WeatherTerms()
    limits: SupplyLimits
    pumps: CirculationPumps
    makeup: MakeUp
    valve: Valve = Valve()
    exchanger: ExchangerData | None = None
    pid: PidTuning = PidTuning()
    autotune: AutotuneLimits = AutotuneLimits()
    protection: Protection = Protection()
    frost: FrostLimits = FrostLimits()
    schedule: Mapping[str, Setback] = field(default_factory=dict)
    preheat: Preheat | None = None
    alarms: Mapping[str, Condition] = field(default_factory=dict)


@parameters
class Station:
    """One station.

    Attributes:
        station: Its name in the system, unique in the site.
        name: Its name for people.
        template: Name of the template that it is laid over; empty if there is none.
        devices: Its devices by name.
        calibration: What its sensors read wrong, by tag.
        holidays: Which days are free of work.
        circuits: Its circuits by name.
        flats: Its measured flats by name.
        sources: Its heat sources by name; exactly one is the network.
        checks: Relations that must hold between its values, by name.
        alarms: Conditions of all alarms by name, those of the circuits included.
        shed_order: Who loses heat first when there is not enough.
    """

    station: Annotated[str, MinLen(1)]
    name: Text
    template: str = ""
    devices: Annotated[Mapping[str, Device], MinLen(1)]
    calibration: Mapping[str, Calibration] = field(default_factory=dict)
    authority: AuthoritySettings
    outdoor: Outdoor = Outdoor()
    season: Season
    rooms: Rooms = Rooms()
    holidays: Holidays = Holidays()
    circuits: Annotated[Mapping[str, Circuit], MinLen(1)]
    flats: Mapping[str, FlatRow] = field(default_factory=dict)
    sources: Annotated[Mapping[str, Source], MinLen(1)]
    checks: Mapping[str, Relation] = field(default_factory=dict)
    alarms: Mapping[str, Condition] = field(default_factory=dict)
    shed_order: tuple[UseClass, ...] = ("industrial", "commercial", "public", "residential")

    @property
    def points(self) -> dict[Tag, Point]:
        """All points of the station's devices by tag; made anew at each call."""
        return {
            row.point.tag: row.point for device in self.devices.values() for row in device.registers
        }

    @property
    def outputs(self) -> frozenset[Tag]:
        """The tags that heatd writes in this station, pulses included; made anew at each call."""
        if self.authority.write == "none":
            return frozenset()
        wanted = {self.authority.heartbeat.write, *BOILER_OUTPUTS}
        for name, circuit in self.circuits.items():
            own = circuit_outputs(circuit, self.authority.write)
            wanted.update(circuit_tag(self, name, tag) for tag in own)
        points = self.points.values()
        return frozenset(
            point.tag
            for point in points
            if point.tag in wanted and may_be_written(point, self.authority.write)
        )


@parameters
class HistorySettings:
    """How the journal is kept.

    Attributes:
        file: The database; None stands for the one in the state directory.
        sample_flush_s: How long samples may wait in memory before they are written.
        keep_samples_s: How long samples are kept; events are kept for ever.
    """

    file: Annotated[str, MinLen(1)] | None = None
    sample_flush_s: Annotated[float, Unit.SECOND, Ge(1), Le(600)] = 10.0
    keep_samples_s: Annotated[float, Unit.SECOND, Ge(86400)] = 400 * 86400.0


@parameters
class Site:
    """Everything that one daemon looks after.

    Attributes:
        simulation: The PLCs are simulated; every screen says so.
        history: The journal.
        collectors: Brokers that bring room temperatures, by name.
        forecast: Where the weather forecast comes from; none is normal.
        stations: The stations, in the order of their names.
    """

    simulation: bool
    history: HistorySettings = HistorySettings()
    collectors: Mapping[str, MqttBroker] = field(default_factory=dict)
    forecast: ForecastSource | None = None
    stations: Annotated[tuple[Station, ...], Mark.FILLED] = ()


BOILER_OUTPUTS = (Tag("B_enable"), Tag("B_Tset"))
FALLBACK_TAGS = tuple(Tag(f"FB_{axis}{i}") for axis in "xy" for i in range(1, PLC_POINTS + 1))
"""The PLC's own curve: outdoor temperatures FB_x1.., supply temperatures FB_y1.., coldest first."""

STATION_FACTS: Mapping[str, Unit] = {
    "T1g_plan": Unit.CELSIUS,
    "source.state": Unit.NONE,
    "source.base_lost": Unit.NONE,
    "source.start_failed": Unit.NONE,
    "heartbeat.stuck": Unit.NONE,
    "outdoor.substituted": Unit.NONE,
    "outdoor.poor": Unit.NONE,
    "T_out_forecast": Unit.CELSIUS,
    "forecast.lost": Unit.NONE,
    "history.degraded": Unit.NONE,
    "rooms.lost": Unit.NONE,
    "sensors.frozen": Unit.NONE,
    "heat.T2g_off": Unit.KELVIN,
    "lease.substitute": Unit.NONE,
}
"""Facts that heatd computes in every scan of a station, for conditions to name."""

CIRCUIT_FACTS: Mapping[str, Unit] = {
    "T2g_SP": Unit.CELSIUS,
    "pumps.none_running": Unit.NONE,
    "pumps.duty_failed": Unit.NONE,
    "makeup.run_on": Unit.NONE,
    "valve.no_move": Unit.NONE,
    "valve.reversals": Unit.NONE,
    "plc.fallback_differs": Unit.NONE,
    "lease.T2g": Unit.NONE,
    "lease.P2D": Unit.NONE,
    "lease.P2h": Unit.NONE,
    "lease.offset": Unit.NONE,
    "lease.setpoint": Unit.NONE,
}
"""Facts that heatd computes for every circuit; with several circuits `low.T2g_SP` and so on."""

DEVICE_FACTS = ("lost", "unverified", "untrusted", "worn_out", "blocked", "refused")
"""Facts about every device, e.g. device.<name>.lost."""


HEAT_METERS = tuple(Tag(tag) for tag in ("T1g", "T1h", "F1", "T2g", "T2h", "F2"))
"""What tells the heat on both sides of the exchanger."""


def measures_heat(points: Container[Tag], circuits: int) -> bool:
    """Return whether a station can hold the heat of both sides against each other.

    With several circuits F1 is the flow of all of them.
    """
    return circuits == 1 and all(tag in points for tag in HEAT_METERS)


def computed_facts(
    devices: Iterable[str], circuits: Iterable[str], checks: Iterable[str] = ()
) -> dict[Tag, Unit]:
    """Return the names that conditions may use beside the tags of the maps, with their units.

    Args:
        devices: Names of the station's devices.
        circuits: Names of its circuits.
        checks: Names of its relations.
    """
    names = tuple(circuits)
    facts = {Tag(name): unit for name, unit in STATION_FACTS.items()}
    for device in devices:
        facts.update({Tag(f"device.{device}.{fact}"): Unit.NONE for fact in DEVICE_FACTS})
    facts.update({Tag(f"check.{check}"): Unit.NONE for check in checks})
    for name in names:
        prefix = f"{name}." if len(names) > 1 else ""
        facts.update({Tag(f"{prefix}{fact}"): unit for fact, unit in CIRCUIT_FACTS.items()})
    return facts


def may_be_written(point: Point, write: str) -> bool:
    """Return whether the map lets heatd write a point in a station with `authority: write`."""
    return (point.is_writable or point.is_pulse) and write in point.writing.modes


def circuit_tag(station: Station, circuit: str, tag: str) -> Tag:
    """Return the full tag of a point of a circuit: `T2g` of a single one, else `low.T2g`."""
    return prefixed(tag, circuit, len(station.circuits))


def prefixed(tag: str, circuit: str, circuits: int) -> Tag:
    """Return `tag` of the circuit called `circuit`, one of as many as `circuits`."""
    return Tag(tag if circuits == 1 else f"{circuit}.{tag}")


CONTACTS = ("CV1_raise", "CV1_lower")
"""The contacts of a motor without a positioner: for so many seconds the PLC closes one."""


SEQUENCE = (("CV1_SV", "CV1_U"), ("CV2_SV", "CV2_U"))
"""What is written to the two valves of a sequence, first valve first, and where each stands."""


SECOND_VALVE = SEQUENCE[1]


def valve_outputs(circuit: Circuit) -> tuple[str, ...]:
    """Return what heatd writes to move the circuit's valve, as the circuit calls it."""
    if circuit.valve.split is not None:
        return tuple(output for output, _ in SEQUENCE)
    return ("CV1_SV",) if circuit.valve.three_step is None else CONTACTS


def valve_positions(circuit: Circuit) -> tuple[str, ...]:
    """Return what must tell where the circuit's valve stands, as the circuit calls it."""
    if circuit.valve.split is not None:
        return tuple(position for _, position in SEQUENCE)
    return ("CV1_U",) if circuit.valve.three_step is None else ()


def circuit_outputs(circuit: Circuit, write: Literal["valve", "setpoint"]) -> tuple[Tag, ...]:
    """Return what heatd writes in a circuit, as the circuit calls it."""
    valve = valve_outputs(circuit) if write == "valve" else ()
    pulses = (
        f"{pump}_{order}"
        for pump in (*circuit.pumps.duty, *circuit.makeup.pumps)
        for order in ("start", "stop")
    )
    names = ("T2g_SP", *valve, "XP_SV", "BP_SV", *pulses, *FALLBACK_TAGS)
    return tuple(Tag(name) for name in names)
