"""What people have asked of a station at run time: commands taken, leases counted down.

Rule: every value a person sets has an end; when the lease ends the loop goes on from where it is.
"""

import math
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from types import MappingProxyType
from typing import NamedTuple, TypeVar

from alarms.table import AlarmTable
from controller.contacts import opening_pct
from controller.plan import StationPlan
from controller.state import (
    CircuitState,
    GivenSetpoint,
    Manual,
    Offset,
    OperatorValues,
    StationState,
    Substitute,
)
from core import command as commands
from core.image import ProcessImage
from core.point import Doubt, Quality, Tag
from core.record import ModeRecord, OperatorAction, Record

MANUAL_LEASE_S = 4 * 3600.0
SETPOINT_LEASE_S = 4 * 3600.0
OFFSET_LEASE_S = 24 * 3600.0
SUBSTITUTE_LEASE_S = 4 * 3600.0
_ENDED = "the lease ended"


class Asked(NamedTuple):
    """What the commands of one scan come to; `acknowledged` are the names of alarms.

    `tune` is what was asked of autotunes, by loop.
    """

    operator: OperatorValues
    alarms: AlarmTable
    records: tuple[Record, ...] = ()
    acknowledged: frozenset[str] = frozenset()
    is_start_asked: bool = False
    is_stop_asked: bool = False
    tune: Mapping[str, commands.StartTune | commands.StopTune] = MappingProxyType({})


def take(
    plan: StationPlan,
    image: ProcessImage,
    state: StationState,
    given: tuple[commands.Command, ...],
    *,
    dt_s: float,
) -> Asked:
    """Return what people ask for after leases have run for `dt_s` and the commands are taken.

    Args:
        plan: The station.
        image: Its inputs.
        state: Its state after the previous scan.
        given: The commands of this scan; each has passed its checks.
        dt_s: Time since the previous scan, in s.
    """
    asked = Asked(state.operator, state.alarms)
    held = asked.operator
    if held.manual or held.offsets or held.setpoints or held.substitutes:
        asked = _expire(plan, asked, image.taken_at.utc, dt_s=dt_s)
    for command in given:
        if isinstance(command, commands.StartTune | commands.StopTune):
            asked = asked._replace(tune={**asked.tune, command.loop: command})
        elif isinstance(command, commands.SetSubstitute | commands.EndSubstitute):
            asked = _substitute(plan, command, asked, image.taken_at.utc)
        elif isinstance(command, commands.SetSetpoint | commands.EndSetpoint):
            asked = _setpoint(plan, command, asked, image.taken_at.utc)
        else:
            asked = _take_one(plan, image, state.circuits, command, asked)
    return asked


def _take_one(
    plan: StationPlan,
    image: ProcessImage,
    circuits: tuple[CircuitState, ...],
    command: commands.Command,
    asked: Asked,
) -> Asked:
    at = image.taken_at.utc
    match command:
        case commands.SetMode(loop=loop, mode=commands.LoopMode.MAN):
            present = _present(plan, image, circuits, loop)
            return _manual(plan, command, asked, at, loop, present)
        case commands.SetMode(loop=loop):
            return _automatic(plan, asked, at, loop, f"{command.who}: {command.why}")
        case commands.SetOutput(loop=loop, value=value):
            return _manual(plan, command, asked, at, loop, value)
        case commands.SetOffset():
            return _shift(command, asked)
        case commands.Acknowledge():
            return _acknowledge(plan, command, asked, at)
        case commands.StartSource() | commands.StopSource():
            is_start = isinstance(command, commands.StartSource)
            return asked._replace(is_start_asked=is_start, is_stop_asked=not is_start)
        case _:
            raise TypeError(f"no station takes {type(command).__name__}")


def _shift(command: commands.SetOffset, asked: Asked) -> Asked:
    offsets = {
        circuit: offset
        for circuit, offset in asked.operator.offsets.items()
        if circuit != command.circuit
    }
    if command.offset_k:
        offsets[command.circuit] = Offset(
            offset_k=command.offset_k,
            who=command.who,
            why=command.why,
            left_s=command.lease_s or OFFSET_LEASE_S,
        )
    return asked._replace(operator=replace(asked.operator, offsets=offsets))


def _setpoint(
    plan: StationPlan,
    command: commands.SetSetpoint | commands.EndSetpoint,
    asked: Asked,
    at: datetime,
) -> Asked:
    circuit, held = command.circuit, dict(asked.operator.setpoints)
    was_set = held.pop(circuit, None) is not None
    is_set = isinstance(command, commands.SetSetpoint)
    if isinstance(command, commands.SetSetpoint):
        held[circuit] = GivenSetpoint(
            setpoint_c=command.setpoint_c,
            who=command.who,
            why=command.why,
            left_s=command.lease_s or SETPOINT_LEASE_S,
        )
    asked = asked._replace(operator=replace(asked.operator, setpoints=held))
    if is_set == was_set:
        return asked
    old, new = ("curve", "operator") if is_set else ("operator", "curve")
    record = _mode(plan, at, f"{circuit} setpoint", old, new, f"{command.who}: {command.why}")
    return asked._replace(records=(*asked.records, record))


def _substitute(
    plan: StationPlan,
    command: commands.SetSubstitute | commands.EndSubstitute,
    asked: Asked,
    at: datetime,
) -> Asked:
    tag, held = command.tag, dict(asked.operator.substitutes)
    was_set = held.pop(tag, None) is not None
    is_set = isinstance(command, commands.SetSubstitute)
    if isinstance(command, commands.SetSubstitute):
        left_s = command.lease_s or SUBSTITUTE_LEASE_S
        held[tag] = Substitute(value=command.value, who=command.who, why=command.why, left_s=left_s)
    asked = asked._replace(operator=replace(asked.operator, substitutes=held))
    if is_set == was_set:
        return asked
    old, new = ("measured", "substitute") if is_set else ("substitute", "measured")
    record = _mode(plan, at, tag, old, new, f"{command.who}: {command.why}")
    return asked._replace(records=(*asked.records, record))


def substituted(image: ProcessImage, substitutes: Mapping[str, Substitute]) -> ProcessImage:
    """Return the image with what people put in the place of values that are not GOOD.

    A GOOD value is never hidden: while the measurement is back, the substitute waits.
    """
    if not substitutes:
        return image
    index = image.table.index
    columns = {index[Tag(tag)]: one for tag, one in substitutes.items() if Tag(tag) in index}
    columns = {i: one for i, one in columns.items() if image.qualities[i] != Quality.GOOD}
    if not columns:
        return image
    values, qualities, ages_s = list(image.values), bytearray(image.qualities), list(image.ages_s)
    doubts = dict(image.doubts)
    for i, one in columns.items():
        values[i], qualities[i], ages_s[i] = one.value, Quality.SUBSTITUTED, one.age_s
        doubts[i] = Doubt("substitute", f"set by {one.who}: {one.why}")
    return replace(
        image,
        values=tuple(values),
        qualities=bytes(qualities),
        ages_s=tuple(ages_s),
        doubts=doubts,
    )


def _acknowledge(
    plan: StationPlan, command: commands.Acknowledge, asked: Asked, at: datetime
) -> Asked:
    table, records = asked.alarms.acknowledge(
        command.alarm, who=command.who, why=command.why, at=at, station=plan.station
    )
    return asked._replace(
        alarms=table,
        records=(*asked.records, *records),
        acknowledged=asked.acknowledged | {command.alarm},
    )


def _present(
    plan: StationPlan, image: ProcessImage, circuits: tuple[CircuitState, ...], loop: str
) -> float:
    """Return the output of a loop as it stands in the field, NaN where nobody knows.

    What we wrote comes before what is measured: position noise must not move a valve.
    """
    output = plan.outputs[loop]
    for circuit, state in zip(plan.circuits, circuits, strict=True):
        if output == circuit.valve:
            is_written = not math.isnan(state.valve_pct)
            return state.valve_pct if is_written else opening_pct(circuit, state, image)
        if output == circuit.pump_speed:
            return state.pumps.pid.output
        if output == circuit.makeup_speed:
            return state.makeup.pid.output
    raise KeyError(loop)


def _manual(
    plan: StationPlan,
    command: commands.Command,
    asked: Asked,
    at: datetime,
    loop: str,
    value: float,
) -> Asked:
    if math.isnan(value):
        # The output that should stay where it is cannot be seen: the loop keeps it instead.
        refusal = OperatorAction(
            at=at,
            station=plan.station,
            who=command.who,
            action="set_mode",
            detail=f"{loop}: man",
            why=command.why,
            outcome=f"refused: where {plan.outputs[loop]} stands is not known",
        )
        return asked._replace(records=(*asked.records, refusal))
    before = asked.operator.manual.get(loop)
    manual = dict(asked.operator.manual)
    left_s = command.lease_s or MANUAL_LEASE_S
    manual[loop] = Manual(value=value, who=command.who, why=command.why, left_s=left_s)
    operator = replace(asked.operator, manual=manual)
    if before is not None:
        return asked._replace(operator=operator)
    record = _mode(plan, at, loop, "auto", "man", f"{command.who}: {command.why}")
    return asked._replace(operator=operator, records=(*asked.records, record))


def _automatic(plan: StationPlan, asked: Asked, at: datetime, loop: str, why: str) -> Asked:
    if loop not in asked.operator.manual:
        return asked
    manual = {name: held for name, held in asked.operator.manual.items() if name != loop}
    record = _mode(plan, at, loop, "man", "auto", why)
    operator = replace(asked.operator, manual=manual)
    return asked._replace(operator=operator, records=(*asked.records, record))


def _expire(plan: StationPlan, asked: Asked, at: datetime, *, dt_s: float) -> Asked:
    manual, ended = _run_down(asked.operator.manual, dt_s)
    offsets, ended_offsets = _run_down(asked.operator.offsets, dt_s)
    records = [_mode(plan, at, loop, "man", "auto", _ENDED) for loop in ended]
    records += [
        _mode(plan, at, f"{circuit} offset", "set", "none", _ENDED) for circuit in ended_offsets
    ]
    setpoints, ended_setpoints = _run_down(asked.operator.setpoints, dt_s)
    records += [
        _mode(plan, at, f"{circuit} setpoint", "operator", "curve", _ENDED)
        for circuit in ended_setpoints
    ]
    substitutes, ended_substitutes = _run_down(asked.operator.substitutes, dt_s)
    records += [_mode(plan, at, tag, "substitute", "measured", _ENDED) for tag in ended_substitutes]
    operator = OperatorValues(
        manual=manual, offsets=offsets, setpoints=setpoints, substitutes=substitutes
    )
    return asked._replace(operator=operator, records=(*asked.records, *records))


Leased = TypeVar("Leased", Manual, Offset, GivenSetpoint, Substitute)


def _run_down(held: Mapping[str, Leased], dt_s: float) -> tuple[dict[str, Leased], list[str]]:
    left = {name: value.after(dt_s) for name, value in held.items()}
    ended = [name for name, value in left.items() if value.left_s <= 0.0]
    return {name: value for name, value in left.items() if value.left_s > 0.0}, ended


def _mode(
    plan: StationPlan, at: datetime, subject: str, old: str, new: str, why: str
) -> ModeRecord:
    return ModeRecord(at=at, station=plan.station, subject=subject, old=old, new=new, why=why)
