"""What a scan needs of a station's configuration, worked out once: tags, gains, names of loops.

Rule: derived from the configuration alone and frozen; nothing here is looked up again in a scan.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from alarms.condition import Bit
from config.flats import flats_of
from config.model import DEVICE_FACTS, HEAT_METERS, Circuit, Station, measures_heat
from config.season import Holidays
from control_loops.exchanger import valve_model
from control_loops.forward import Forward, forward_of
from control_loops.heating_curve import CurvePoints, as_points
from control_loops.makeup import MakeUp
from control_loops.outdoor import FORECAST, RESERVED
from control_loops.override import Limiter, override_gains
from control_loops.pid import Gains, OnBad
from control_loops.pumps import CirculationPumps
from control_loops.room_trim import FLOOR_GAIN, RADIATOR_GAIN, Rooms, RoomTarget
from control_loops.source import GasBoiler, NetworkSource
from control_loops.weather import WeatherTerms
from controller.movers import Motor, Pair, motor_of, pair_of
from controller.relations import RelationPlan, relation_plans
from core.image import Pick
from core.point import Tag
from core.rooms import Flat


@dataclass(frozen=True, slots=True)
class PumpTags:
    """The signals of one pump."""

    run: Tag
    fault: Tag
    hz: Tag


@dataclass(frozen=True, slots=True)
class CircuitFactNames:
    """What the facts that heatd computes for one circuit are called in the conditions of alarms."""

    none_running: Tag
    duty_failed: Tag
    run_on: Tag
    no_move: Tag
    reversals: Tag
    fallback_differs: Tag
    leases: Mapping[str, Tag]
    offset_lease: Tag
    setpoint_lease: Tag


@dataclass(frozen=True, slots=True, kw_only=True)
class CircuitPlan:
    """One circuit: its configuration, its tags and the gains of its loops.

    Attributes:
        prefix: Empty in a station with one circuit, else the circuit's name and a dot; all tags
            have it.
        circulation: The circulation pumps under their full names, so that their pulses are tags.
        makeup: The make-up pumps likewise.
        dp_tags: Where the differential pressure is measured.
        pumps_report: Reads run bit, fault bit and speed of each pump; `makeup_report` likewise.
        pump_alarms: The alarms that tell of pumps: who acknowledges one lets failed pumps be tried.
        fallback: What the PLC's own curve must hold; `fallback_pick` reads what it does hold.
        valve: The opening that the loop moves: of the valve, or of both valves of a pair. That of a
            pair, and of a valve with contacts, stands in no register.
        motor: The contacts of a valve without a positioner; None where it takes a position.
        pair: The two valves of a sequence; None where there is one valve.
        has_position: One point says where the valve stands; else two of a pair do, or the motor's
            estimate.
        flats: Its measured flats; `core.rooms.room_readings` finds them in an image.
        weather: What acts on the curve beside the damped outdoor temperature; None for nothing.
        in_sun: The outdoor sensors on which the sun shines.
        trim_gain: Kelvin of supply per kelvin of room, 0 where rooms correct nothing.
        rooms_target: What the rooms should be.
        holidays: Which days are free of work.
        forward: What the loop knows of exchanger and valve; None without a data sheet.
        override: The loops of the limits that act on the valve; empty where none does.
        loops: The loops by name, each with the output that it moves.
        calibrated: The points whose sensors read wrong, with the correction and who says so.
    """

    name: str
    prefix: str
    config: Circuit
    gains: Gains
    forward: Forward | None
    override: Mapping[Limiter, Gains]
    on_bad: OnBad
    circulation: CirculationPumps
    circulation_gains: Gains
    dp_tags: tuple[Tag, ...]
    dp_why: str
    makeup: MakeUp
    makeup_gains: Gains
    makeup_why: str
    t2g: Tag
    t2h: Tag
    p2h: Tag
    p2d: Tag
    tank: Tag
    room: Tag
    flats: tuple[Flat, ...]
    rooms_avg: Tag
    rooms_count: Tag
    rooms: Rooms
    weather: WeatherTerms | None
    in_sun: tuple[str, ...]
    trim_gain: float
    rooms_target: RoomTarget
    holidays: Holidays
    valve: Tag
    position: Tag
    motor: Motor | None
    pair: Pair | None
    has_position: bool
    pump_speed: Tag
    makeup_speed: Tag
    setpoint: Tag
    fallback: Mapping[Tag, float]
    fallback_pick: Pick
    pumps: tuple[PumpTags, ...]
    makeup_pumps: tuple[PumpTags, ...]
    pumps_report: Pick
    makeup_report: Pick
    pump_alarms: frozenset[str]
    loops: Mapping[str, Tag]
    calibrated: Mapping[Tag, str]
    facts: CircuitFactNames

    @property
    def has_valve_register(self) -> bool:
        """The opening that the loop moves is what is written; else others carry it out."""
        return self.motor is None and self.pair is None


@dataclass(frozen=True, slots=True, kw_only=True)
class StationPlan:
    """One station, ready to be decided for.

    Attributes:
        moves_outputs: Our loops move valves, pumps and boiler; False where the PLC's own do, from
            our setpoint or alone.
        boiler: The backup source; where heatd does not move it, a person must start it.
        outputs: The loops of all circuits by name, each with the output that it moves.
        outdoor: The sources of the outdoor temperature that are points, of this or other stations.
        elsewhere: Names of all points that may be another station's.
        identities: The points that prove which PLC this is.
        relations: What must hold between its values.
        heat_meters: What the heat balance looks at; None in a station that does not measure it.
        device_facts: By device, the names of its facts, in the order of `DEVICE_FACTS`.
    """

    config: Station
    circuits: tuple[CircuitPlan, ...]
    moves_outputs: bool
    network: NetworkSource
    t1_plan: CurvePoints
    boiler: GasBoiler | None
    outputs: Mapping[str, Tag]
    outdoor: tuple[Tag, ...]
    elsewhere: tuple[Tag, ...]
    heartbeat_write: Tag
    heartbeat_read: Tag
    identities: tuple[Tag, ...]
    device_facts: Mapping[str, tuple[Tag, ...]]
    relations: tuple[RelationPlan, ...]
    heat_meters: Pick | None

    @property
    def station(self) -> str:
        """The station's name."""
        return self.config.station


def plan_station(config: Station) -> StationPlan:
    """Return the plan of a station whose configuration has passed its checks."""
    is_alone = len(config.circuits) == 1
    circuits = tuple(
        _plan_circuit(config, name, "" if is_alone else f"{name}.") for name in config.circuits
    )
    sources = config.sources.values()
    network = next(source for source in sources if isinstance(source, NetworkSource))
    pairs = [one.valve for one in config.circuits.values() if one.valve.split is not None]
    if pairs:
        # What flows at an opening is what tells a network that has failed.
        network = replace(network, rangeability=max(one.loop_rangeability for one in pairs))
    boiler = next((source for source in sources if isinstance(source, GasBoiler)), None)
    outdoor = tuple(Tag(name) for name in config.outdoor.order if name not in RESERVED)
    moves_outputs = config.authority.write == "valve"
    if boiler is not None and not moves_outputs:
        # Only who can close the primary valve may heat behind it, or it heats a dead network.
        boiler = replace(boiler, start="confirm")
    return StationPlan(
        config=config,
        circuits=circuits,
        moves_outputs=moves_outputs,
        network=network,
        t1_plan=CurvePoints(points=network.T1_plan),
        boiler=boiler,
        outputs={loop: tag for circuit in circuits for loop, tag in circuit.loops.items()},
        outdoor=outdoor,
        elsewhere=tuple(dict.fromkeys((*outdoor, *_weather_points(config)))),
        heartbeat_write=config.authority.heartbeat.write,
        heartbeat_read=config.authority.heartbeat.read,
        identities=tuple(
            device.identity.tag for device in config.devices.values() if device.identity is not None
        ),
        relations=relation_plans(config),
        heat_meters=Pick(HEAT_METERS) if measures_heat(config.points, len(circuits)) else None,
        device_facts={
            name: tuple(Tag(f"device.{name}.{fact}") for fact in DEVICE_FACTS)
            for name in config.devices
        },
    )


def _weather_points(config: Station) -> Iterator[Tag]:
    for circuit in config.circuits.values():
        for term in (circuit.weather.wind, circuit.weather.sun):
            if term is not None and term.source != FORECAST:
                yield Tag(term.source)


def _plan_circuit(station: Station, name: str, prefix: str) -> CircuitPlan:
    def tag(bare: str) -> Tag:
        return Tag(prefix + bare)

    config = station.circuits[name]
    pumps, makeup, rooms = config.pumps, config.makeup, station.rooms
    pump_tags, makeup_tags = _pump_tags(prefix, pumps.duty), _pump_tags(prefix, makeup.pumps)
    t2g, p2d, p2h, pump_speed, makeup_speed = map(tag, ("T2g", "P2D", "P2h", "XP_SV", "BP_SV"))
    fallback, pair = _fallback(config, prefix), pair_of(config, prefix)
    valve = tag("CV1_SV") if pair is None else pair.opening
    facts, gains = _fact_names(prefix, (t2g, p2d, p2h)), _with_minimum(config)
    return CircuitPlan(
        name=name,
        prefix=prefix,
        config=config,
        gains=gains,
        forward=_forward(config, gains),
        override=_override(config, gains),
        on_bad=config.pid.on_bad(),
        circulation=replace(pumps, duty=tuple(prefix + pump for pump in pumps.duty)),
        circulation_gains=pumps.gains(),
        dp_tags=tuple(tag(point) for point in pumps.dp_at),
        dp_why=f"{p2d} is held at {pumps.dp_kpa:.0f} kPa",
        makeup=replace(makeup, pumps=tuple(prefix + pump for pump in makeup.pumps)),
        makeup_gains=makeup.gains(),
        makeup_why=f"{p2h} is held at {makeup.P2h_mpa:g} MPa",
        t2g=t2g,
        t2h=tag("T2h"),
        p2h=p2h,
        p2d=p2d,
        tank=tag("LT301"),
        flats=tuple(flat for flat in flats_of(station).values() if flat.circuit == name),
        room=tag(f"T_room_{rooms.guard}"),
        rooms_avg=tag("T_room_avg"),
        rooms_count=tag("T_room_n"),
        rooms=rooms,
        in_sun=station.outdoor.in_sun,
        weather=None if config.weather == WeatherTerms() else config.weather,
        trim_gain=_trim_gain(station, config),
        holidays=station.holidays,
        rooms_target=rooms.as_target(),
        valve=valve,
        position=tag("CV1_U"),
        motor=motor_of(station, config, prefix),
        pair=pair,
        has_position=pair is None and tag("CV1_U") in station.points,
        pump_speed=pump_speed,
        makeup_speed=makeup_speed,
        setpoint=tag("T2g_SP"),
        fallback=fallback,
        fallback_pick=Pick(fallback),
        pumps=pump_tags,
        makeup_pumps=makeup_tags,
        pumps_report=_report(pump_tags),
        makeup_report=_report(makeup_tags),
        pump_alarms=_pump_alarms(station, (*pump_tags, *makeup_tags), facts),
        loops={t2g: valve, p2d: pump_speed, p2h: makeup_speed},
        calibrated=_calibrated(station),
        facts=facts,
    )


def _fact_names(prefix: str, loops: tuple[Tag, ...]) -> CircuitFactNames:
    def tag(bare: str) -> Tag:
        return Tag(prefix + bare)

    return CircuitFactNames(
        none_running=tag("pumps.none_running"),
        duty_failed=tag("pumps.duty_failed"),
        run_on=tag("makeup.run_on"),
        no_move=tag("valve.no_move"),
        reversals=tag("valve.reversals"),
        fallback_differs=tag("plc.fallback_differs"),
        leases={loop: tag(f"lease.{loop.removeprefix(prefix)}") for loop in loops},
        offset_lease=tag("lease.offset"),
        setpoint_lease=tag("lease.setpoint"),
    )


def _pump_tags(prefix: str, names: tuple[str, ...]) -> tuple[PumpTags, ...]:
    return tuple(
        PumpTags(
            Tag(f"{prefix}{name}_run"), Tag(f"{prefix}{name}_fault"), Tag(f"{prefix}{name}_Hz")
        )
        for name in names
    )


def _calibrated(station: Station) -> dict[Tag, str]:
    return {
        Tag(name): f"calibrated by {one.offset.text} ({one.by}, {one.on})"
        for name, one in station.calibration.items()
    }


def _report(pumps: tuple[PumpTags, ...]) -> Pick:
    return Pick(tag for pump in pumps for tag in (pump.run, pump.fault, pump.hz))


def _pump_alarms(
    station: Station, pumps: tuple[PumpTags, ...], facts: CircuitFactNames
) -> frozenset[str]:
    tags = {facts.none_running, facts.duty_failed, *(pump.fault for pump in pumps)}
    return frozenset(
        name
        for name, condition in station.alarms.items()
        if isinstance(condition, Bit) and condition.tag in tags
    )


def _fallback(config: Circuit, prefix: str) -> dict[Tag, float]:
    points = as_points(config.curve)
    return {
        Tag(f"{prefix}FB_{axis}{i + 1}"): round(point[place], 2)
        for place, axis in enumerate("xy")
        for i, point in enumerate(points)
    }


def _trim_gain(station: Station, config: Circuit) -> float:
    gain = station.rooms.trim.gain
    if gain is not None:
        return gain
    return RADIATOR_GAIN if config.emitter == "radiator" else FLOOR_GAIN


def _forward(config: Circuit, gains: Gains) -> Forward | None:
    data = config.exchanger
    if data is None:
        return None
    return forward_of(valve_model(data, config.valve), gains, lead_s=data.lead_s)


def _override(config: Circuit, gains: Gains) -> dict[Limiter, Gains]:
    override = config.limits.valve_override
    return {} if override is None else override_gains(override, gains)


def _with_minimum(config: Circuit) -> Gains:
    """Return the gains of the supply loop, never below the valve's own minimum opening."""
    gains = config.pid.gains()
    return replace(gains, low=max(gains.low, config.valve.min_pct))
