"""A decision as people see it: the snapshot of a station and the explanation chain of its loops.

Rule: only translates; nothing is decided here.
"""

from collections.abc import Mapping
from math import isfinite, isnan
from typing import NamedTuple

from alarms.table import Standing
from config.devices import Device
from control_loops.monitor import LoopFigures, MonitorState, figures
from control_loops.outdoor import OutdoorChoice, stages
from control_loops.room_trim import TrimMove
from control_loops.weather import Felt
from controller.circuit import CircuitResult
from controller.decide import Decision
from controller.overridden import override_steps
from controller.plan import CircuitPlan, PumpTags, StationPlan
from controller.snapshot import (
    GIVEN_STEP,
    OUTDOOR_STEP,
    AlarmView,
    ChainStep,
    DeviceView,
    LoopView,
    StationSnapshot,
    WearView,
)
from controller.state import GivenSetpoint
from controller.tuning import tune_view
from core.image import ProcessImage
from core.point import Quality, Sample, Tag
from core.record import ScanRecord
from drivers.link import LinkStatus

_NAN = float("nan")
_MINUTE_S = 60.0
_FAILED = "the controller failed; the PLC runs on its own"
_VERIFIED = {None: "not written", True: "verified", False: "not read back yet"}


def snapshot_of(
    plan: StationPlan,
    decision: Decision,
    *,
    links: Mapping[str, LinkStatus],
    scans: int,
    overruns: int,
    is_simulation: bool,
    is_read_only: bool,
    is_faulty: bool,
) -> StationSnapshot:
    """Return a station as it stands after the scan that gave `decision`.

    Args:
        plan: The station.
        decision: What its newest complete scan decided.
        links: How the links to its devices fare, by device.
        scans: Scans since the daemon's start.
        overruns: Grid points that were missed.
        is_simulation: The PLC is simulated.
        is_read_only: Nothing is written.
        is_faulty: The controller failed after that scan; nobody has scanned since.
    """
    image = _image_of(decision).image
    authority = decision.state.authority
    room = plan.circuits[0].prefix
    rooms = image[Tag(f"{room}T_room_p10")]
    return StationSnapshot(
        station=plan.station,
        name_zh=plan.config.name.zh,
        name_en=plan.config.name.en,
        at=image.taken_at.utc,
        scans=scans,
        overruns=overruns,
        is_simulation=is_simulation,
        is_read_only=is_read_only,
        authority="fault" if is_faulty else authority.holds.value,
        authority_why=_FAILED if is_faulty else authority.reason,
        outdoor_c=decision.outdoor.value_c,
        outdoor_source=decision.outdoor.source,
        rooms_p10_c=image.value(Tag(f"{room}T_room_p10")),
        rooms_avg_c=image.value(Tag(f"{room}T_room_avg")),
        source=decision.source.name.lower(),
        source_why=decision.source.why,
        loops=loops_of(decision, links),
        alarms=tuple(_alarm(standing, decision) for standing in decision.state.alarms.active()),
        devices=tuple(
            _device(name, link, plan.config.devices[name]) for name, link in links.items()
        ),
        image=image,
        outdoor_quality=_name(decision.outdoor.quality),
        outdoor_age_s=decision.outdoor.age_s,
        outdoor_stages=_stages(decision.outdoor),
        rooms_quality=_name(rooms.quality),
        rooms_age_s=rooms.age_s,
        substitutes=tuple(decision.state.operator.substitutes),
    )


def _stages(outdoor: OutdoorChoice) -> tuple[ChainStep, ...]:
    return tuple(
        ChainStep(stage.name, stage.value_c, "°C", stage.note, _name(stage.quality), stage.age_s)
        for stage in stages(outdoor)
    )


def _name(quality: Quality) -> str:
    return quality.name.lower()


def _image_of(decision: Decision) -> ScanRecord:
    scan = decision.records[-1]
    assert isinstance(scan, ScanRecord), "a decision ends with its scan"
    return scan


class _Row(NamedTuple):
    """A loop's setpoint and output, each with its unit, and how it fares."""

    setpoint: float
    unit: str
    output: float
    output_unit: str
    watched: MonitorState


def loops_of(decision: Decision, links: Mapping[str, LinkStatus]) -> tuple[LoopView, ...]:
    """Return the loops of a station, each with why it does what it does.

    Args:
        decision: What its newest complete scan decided.
        links: How the links to its devices fare, by device.
    """
    image = _image_of(decision).image
    return tuple(
        [
            _loop(decision, circuit, name, row, links)
            for circuit in decision.circuits
            for name, row in _rows(circuit, image)
        ]
    )


def _rows(circuit: CircuitResult, image: ProcessImage) -> tuple[tuple[Tag, _Row], ...]:
    plan, watch, makeup = circuit.plan, circuit.state.watch, circuit.plan.config.makeup
    circulated_hz, made_up_hz = _speed_hz(image, plan.pumps), _speed_hz(image, plan.makeup_pumps)
    return (
        (plan.t2g, _Row(circuit.chain.setpoint_c, "°C", circuit.position_pct, "%", watch.valve)),
        (plan.p2d, _Row(circuit.pumps.dp_kpa, "kPa", circulated_hz, "Hz", watch.circulation)),
        (plan.p2h, _Row(makeup.P2h_mpa, "MPa", made_up_hz, "Hz", watch.makeup)),
    )


def _speed_hz(image: ProcessImage, pumps: tuple[PumpTags, ...]) -> float:
    """Return the speed in the field: of the pumps of a set one runs."""
    return max((hz for pump in pumps if not isnan(hz := image.value(pump.hz))), default=_NAN)


def _is_verified(
    decision: Decision, tags: tuple[Tag, ...], links: Mapping[str, LinkStatus]
) -> bool | None:
    if not all(tag in decision.outputs.values for tag in tags):
        return None
    return not any(tag in link.unverified for link in links.values() for tag in tags)


def _held(tag: Tag, links: Mapping[str, LinkStatus]) -> str:
    """Return what holds an output back from where it is wanted; empty where nothing does."""
    return next((link.held[tag] for link in links.values() if tag in link.held), "")


def _written(
    decision: Decision, step: str, tag: Tag, unit: str, links: Mapping[str, LinkStatus]
) -> ChainStep:
    """Return what was written to an output, and whether it stands there, as the step `step`."""
    note = _held(tag, links) or _VERIFIED[_is_verified(decision, (tag,), links)]
    written = decision.outputs.values.get(tag, _NAN)
    return ChainStep(step, written, unit, note, *_trust(_image_of(decision).image[tag]))


def _loop(
    decision: Decision,
    circuit: CircuitResult,
    name: Tag,
    row: _Row,
    links: Mapping[str, LinkStatus],
) -> LoopView:
    plan, image = circuit.plan, _image_of(decision).image
    tag, measured, is_supply = plan.loops[name], image[name], name == plan.t2g
    claim, has_no_register = circuit.held[tag], is_supply and not plan.has_valve_register
    pair = plan.pair if is_supply else None
    outputs = (tag,) if pair is None else pair.outputs
    is_verified = _is_verified(decision, outputs, links)
    if is_supply:
        wish = _setpoint_steps(circuit, image[plan.rooms_avg])
        terms = _pid_steps(circuit, measured, image)
    else:
        wish, terms = (ChainStep("setpoint", row.setpoint, row.unit),), ()
    arbiter = ChainStep(
        "arbiter",
        _NAN if claim.value is None else claim.value,
        row.output_unit,
        f"{claim.holder.name.lower()}: {claim.why}",
    )
    if is_supply and plan.motor is not None:
        ends: tuple[ChainStep, ...] = (_pulsed(circuit),)
    elif pair is None:
        ends = (_written(decision, "written", tag, row.output_unit, links),)
    else:
        ends = tuple(_written(decision, one, one, row.output_unit, links) for one in pair.outputs)
    return LoopView(
        name=name,
        output_tag=tag,
        mode="man" if name in decision.state.operator.manual else "auto",
        setpoint=row.setpoint,
        measured=image.value(name),
        unit=row.unit,
        output=row.output,
        output_unit=row.output_unit,
        holder=claim.holder.name.lower(),
        why=claim.why,
        ruling=circuit.chain.rules if is_supply else "",
        output_ruling=_output_ruling(circuit) if is_supply else "",
        is_verified=is_verified,
        chain=(*wish, _measured(image, plan, name, row.unit), *terms, arbiter, *ends),
        quality=_name(measured.quality),
        age_s=measured.age_s,
        reason=image.reason(name),
        figures=_figures(row.watched),
        has_no_register=has_no_register,
        can_tune=is_supply,
        tune=tune_view(plan, circuit.state.tune) if is_supply else None,
    )


def _figures(watched: MonitorState) -> LoopFigures | None:
    """Return how a loop fares, in as many digits as it is known to."""
    found = figures(watched)
    return None if found is None else LoopFigures(*[round(figure, 4) for figure in found])


def _pulsed(circuit: CircuitResult) -> ChainStep:
    """Return which contact of a valve's motor is closed, and for how long."""
    tag, seconds = next(iter(circuit.timed.items()), ("no contact", _NAN))
    stands = f"the motor is believed to stand at {circuit.state.motor.position_pct:.1f} %"
    return ChainStep("pulse", seconds, "s", f"{tag}; {stands}")


def _measured(image: ProcessImage, plan: CircuitPlan, name: Tag, unit: str) -> ChainStep:
    """Return what is measured, with what is wrong with it and who corrected its sensor."""
    reason = image.reason(name)
    note = f"{name}: {reason}" if reason else str(name)
    if name in plan.calibrated:
        note = f"{note}, {plan.calibrated[name]}"
    return ChainStep("measured", image.value(name), unit, note, *_trust(image[name]))


def _trust(sample: Sample) -> tuple[str, float]:
    """Return how far a value may be trusted, as a link of a chain says it."""
    return _name(sample.quality), sample.age_s


def _setpoint_steps(circuit: CircuitResult, rooms: Sample) -> tuple[ChainStep, ...]:
    chain, outdoor, shift = circuit.chain, circuit.chain.outdoor, circuit.chain.rooms
    preheat = chain.preheat
    warmer = [ChainStep("preheat", preheat.supply_k, "K", preheat.why)]
    ruling = f"{chain.rules} rules" if chain.rules else ""
    rests = _name(outdoor.quality), outdoor.age_s
    rooms_rest = _name(rooms.quality), rooms.age_s
    # What a person gave rests on nothing that is measured.
    wish_rests = rests if chain.given is None else ("", _NAN)
    return (
        ChainStep(OUTDOOR_STEP, outdoor.value_c, "°C", _outdoor_note(outdoor), *rests),
        ChainStep("damped", outdoor.damped_c, "°C", "", *rests),
        *_felt_steps(chain.felt, rests),
        ChainStep("curve", chain.curve_c, "°C", "", *rests),
        *(warmer if circuit.plan.config.preheat is not None else ()),
        ChainStep("schedule", chain.schedule.shift_k, "K", chain.schedule.why),
        ChainStep("rooms", shift.shift_k, "K", _rooms_note(shift), *rooms_rest),
        ChainStep("offset", chain.offset_k, "K"),
        *_given_steps(chain.given),
        ChainStep("limits", chain.wanted_c, "°C", ruling, *wish_rests),
        ChainStep("setpoint", chain.setpoint_c, "°C", "after the ramp", *wish_rests),
    )


def _given_steps(given: GivenSetpoint | None) -> tuple[ChainStep, ...]:
    """Return what a person put in the place of all that stands above; nothing without one."""
    if given is None:
        return ()
    note = f"{given.who}: {given.why}, {given.left_s / _MINUTE_S:.0f} min left"
    return (ChainStep(GIVEN_STEP, given.setpoint_c, "°C", note),)


def _felt_steps(felt: Felt | None, rests: tuple[str, float]) -> tuple[ChainStep, ...]:
    """Return what the circuit's terms of the weather make of it; nothing where it has none."""
    if felt is None:
        return ()
    wind, sun = (
        f"{value:.1f} {unit}" if isfinite(value) else "not known"
        for value, unit in ((felt.wind_m_s, "m/s"), (felt.sun_w_m2, "W/m²"))
    )
    return (
        ChainStep("mixed", felt.mixed_c, "°C", "", *rests),
        ChainStep("wind", -felt.wind_k, "K", wind),
        ChainStep("sun", felt.sun_k, "K", sun),
        ChainStep("felt", felt.outdoor_c, "°C", "", *rests),
    )


def _outdoor_note(outdoor: OutdoorChoice) -> str:
    """Return which source rules, how old it is, and why better ones do not."""
    notes = [outdoor.source]
    notes += [f"{outdoor.age_s:.0f} s old"] if isfinite(outdoor.age_s) else []
    better = stages(outdoor)[: outdoor.place]
    return ", ".join([*notes, *[f"{stage.name} {stage.note}" for stage in better]])


def _rooms_note(rooms: TrimMove) -> str:
    """Return what the flats say, which figure of them rules, and why they may not be followed."""
    notes = [] if isnan(rooms.room_c) else [f"rooms {rooms.room_c:.1f} °C"]
    notes += [f"{rooms.rules} rules"] if rooms.rules else []
    notes += [f"held: {rooms.frozen}"] if rooms.frozen else []
    return ", ".join(notes)


def _output_ruling(circuit: CircuitResult) -> str:
    """Return which limit rules the valve, and whether one stops it; empty where it is the loop."""
    override = circuit.state.override
    rulers = override.ruling, "T2g_low" if override.is_lowest else ""
    return ", ".join(one for one in rulers if one)


def _pid_steps(
    circuit: CircuitResult, measured: Sample, image: ProcessImage
) -> tuple[ChainStep, ...]:
    terms, outdoor = circuit.terms, circuit.chain.outdoor
    rests = _trust(measured)
    if circuit.chain.given is None:
        worst = min(measured.quality, outdoor.quality)
        rests = _name(worst), max(measured.age_s, outdoor.age_s)
    return (
        ChainStep("proportional", terms.p, "%", "", *rests),
        ChainStep("integral", terms.i, "%", "", *rests),
        ChainStep("derivative", terms.d, "%", "", *rests),
        ChainStep("feedforward", terms.ff, "%", "", *rests),
        *override_steps(circuit.plan, circuit.state.override, image),
        ChainStep("demand", circuit.state.pid.output, "%", terms.limited_by, *rests),
    )


def _alarm(standing: Standing, decision: Decision) -> AlarmView:
    condition, state = standing.condition, standing.state
    return AlarmView(
        name=standing.name,
        state=state.phase.value,
        priority=condition.priority,
        text_zh=condition.text.zh,
        text_en=condition.text.en,
        consequence=str(condition.consequence),
        action=str(condition.action),
        since=state.raised_at or _image_of(decision).image.taken_at.utc,
        is_suppressed=state.is_suppressed,
    )


def _device(name: str, link: LinkStatus, device: Device) -> DeviceView:
    eeprom = {row.point.tag for row in device.registers if row.point.writing.is_eeprom}
    return DeviceView(
        name=name,
        driver=device.driver,
        is_up=link.is_up,
        polls=link.polls,
        poll_errors=link.poll_errors,
        writes=link.writes,
        writes_verified=link.writes_verified,
        unverified=tuple(link.unverified),
        last_error=link.last_error,
        held={str(tag): why for tag, why in link.held.items()},
        worn_out=tuple(link.worn_out),
        blocked=link.blocked,
        wear=tuple(
            WearView(
                tag=tag,
                left=round(wear.left, 1),
                total=wear.total,
                life_years=wear.life_years() if tag in eeprom else _NAN,
            )
            for tag, wear in link.wear.items()
            if wear.total
        ),
    )
