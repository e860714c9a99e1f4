"""What a station keeps over a restart: its alarms, what people set, where the sources stand.

Rule: loops are not kept. They track the actuators as they are found, so a restart makes no step.
"""

from collections.abc import Mapping
from dataclasses import asdict, fields, replace
from math import isfinite, isnan, nan
from typing import Any, Literal, TypeVar, get_args, get_origin

import structlog

from alarms.table import AlarmTable
from control_loops.monitor import NOT_WATCHED, MonitorState, resumed, sums_of
from control_loops.outdoor import OutdoorState
from control_loops.room_trim import TrimState, shifted
from control_loops.source import SourceState
from control_loops.three_step import ThreeStepState
from control_loops.weather import WeatherState
from controller.leases import Leased
from controller.plan import CircuitPlan, StationPlan
from controller.state import (
    UNWATCHED,
    CircuitState,
    GivenSetpoint,
    Manual,
    Offset,
    OperatorValues,
    StationState,
    Substitute,
    Watch,
)
from core.point import Tag
from drivers.budget import Wear

log = structlog.get_logger(__name__)

RECENT_S = 1800.0
"""After a longer stop the damped outdoor temperature and the setpoints are those of old weather."""

Made = TypeVar("Made")


def keep(plan: StationPlan, state: StationState) -> dict[str, Any]:
    """Return the part of the state that survives a restart, as plain JSON values."""
    return {
        "alarms": state.alarms.to_dict(),
        "source": asdict(state.source),
        "manual": {loop: asdict(held) for loop, held in state.operator.manual.items()},
        "offsets": {circuit: asdict(held) for circuit, held in state.operator.offsets.items()},
        "setpoints": {circuit: asdict(held) for circuit, held in state.operator.setpoints.items()},
        "substitutes": {tag: asdict(held) for tag, held in state.operator.substitutes.items()},
        "wear": {tag: asdict(one) for tag, one in state.wear.items()},
        "outdoor": None if state.outdoor is None else _kept_outdoor(state.outdoor),
        "circuits": {
            circuit.name: _kept_circuit(circuit, its_state)
            for circuit, its_state in zip(plan.circuits, state.circuits, strict=True)
        },
    }


def restore(
    plan: StationPlan,
    first: StationState,
    kept: Mapping[str, Any] | None,
    *,
    away_s: float = 0.0,
) -> StationState:
    """Return `first` with everything laid over it that `keep` kept and that still has a meaning.

    A checkpoint that cannot be understood (another version wrote it) is left aside with a warning:
    the station starts as new, which is safe, for it tracks before it controls.

    Args:
        plan: The station as it is configured now.
        first: The state of a station that has never been scanned.
        kept: What `keep` returned, None if there is nothing.
        away_s: For how long nobody has scanned since, in s; leases have run on meanwhile.
    """
    if kept is None:
        return first
    try:
        return _restored(plan, first, kept, away_s)
    except (AttributeError, KeyError, OverflowError, TypeError, ValueError) as error:
        log.warning("checkpoint_not_used", station=plan.station, error=repr(error))
        return first


def _kept_outdoor(state: OutdoorState) -> dict[str, Any]:
    kept = asdict(state)
    # What only a climate or a forecast knows is kept where it is known.
    return {n: v for n, v in kept.items() if v or n not in {"anomaly_k", "apart_s"}}


def _kept_circuit(plan: CircuitPlan, state: CircuitState) -> dict[str, Any]:
    pumps = state.pumps.pumps
    weather = {} if state.weather is None else {"weather": asdict(state.weather)}
    return {
        **weather,
        "setpoint_c": None if isnan(state.setpoint_c) else state.setpoint_c,
        "recorded_c": None if isnan(state.recorded_c) else state.recorded_c,
        "trim_k": state.trim.pid.output,
        "preheat_k": state.preheat_k,
        "motor_pct": state.motor.position_pct,
        "watch": {name: sums_of(one) for name, one in _loops(state.watch)},
        "duty": pumps.duty,
        "run_s": pumps.run_s,
        "fallback": list(plan.fallback.values()) if state.is_fallback_confirmed else None,
    }


def _restored(
    plan: StationPlan, first: StationState, kept: Mapping[str, Any], away_s: float
) -> StationState:
    is_recent = away_s <= RECENT_S
    circuits, outdoor = kept["circuits"], kept["outdoor"]
    names = {circuit.name for circuit in plan.circuits}
    alarms = AlarmTable.from_dict(plan.config.alarms, kept["alarms"])
    for state in alarms.states:
        _check(type(state), {field.name: getattr(state, field.name) for field in fields(state)})
    return first._replace(
        circuits=tuple(
            _restored_circuit(circuit, new, circuits[circuit.name], is_recent=is_recent)
            if circuit.name in circuits
            else new
            for circuit, new in zip(plan.circuits, first.circuits, strict=True)
        ),
        alarms=alarms,
        outdoor=_made(OutdoorState, outdoor) if outdoor is not None and is_recent else None,
        source=_made(SourceState, kept["source"]),
        wear=_worn(kept.get("wear", {}), away_s),
        operator=OperatorValues(
            manual=_leased(Manual, kept["manual"], _possible_loops(plan, kept["manual"]), away_s),
            offsets=_leased(Offset, kept["offsets"], names, away_s),
            # One outside of limits that were changed meanwhile is what the new limits make of it.
            setpoints=_leased(GivenSetpoint, kept.get("setpoints", {}), names, away_s),
            substitutes=_restored_substitutes(plan, kept.get("substitutes", {}), away_s),
        ),
    )


def _worn(kept: Mapping[str, Any], away_s: float) -> dict[Tag, Wear]:
    """Return the wear of each register; while nobody wrote, none was added."""
    worn = {Tag(tag): _made(Wear, one) for tag, one in kept.items()}
    return {tag: replace(one, over_s=one.over_s + away_s) for tag, one in worn.items()}


def _restored_circuit(
    plan: CircuitPlan, first: CircuitState, kept: Mapping[str, Any], *, is_recent: bool
) -> CircuitState:
    pumps, (low_c, high_c) = first.pumps.pumps, plan.config.limits.T2g_c
    duty, run_s = _number(kept["duty"]), _number(kept["run_s"])
    by_k = 0.0 if plan.config.preheat is None else plan.config.preheat.by_k
    return first._replace(
        setpoint_c=_between(low_c, high_c, kept["setpoint_c"]) if is_recent else nan,
        recorded_c=_number_or_nan(kept["recorded_c"]),
        weather=_made(WeatherState, kept["weather"]) if is_recent and "weather" in kept else None,
        motor=ThreeStepState(_number(kept.get("motor_pct", first.motor.position_pct))),
        watch=_restored_watch(kept.get("watch", {})),
        preheat_k=_between(0.0, by_k, _number(kept.get("preheat_k", 0.0))) if is_recent else 0.0,
        trim=_restored_trim(plan, first.trim, kept.get("trim_k", 0.0), is_recent=is_recent),
        # A curve that was changed since is written anew; one that somebody changed at the panel is
        # not fought.
        is_fallback_confirmed=kept["fallback"] == list(plan.fallback.values()),
        pumps=first.pumps._replace(
            pumps=pumps._replace(duty=int(duty) % len(pumps.pumps), run_s=run_s)
        ),
    )


def _restored_trim(
    plan: CircuitPlan, first: TrimState, kept: object, *, is_recent: bool
) -> TrimState:
    """Return the rooms' correction as it stood, within what may be corrected now."""
    trim = plan.rooms.trim
    if not is_recent or plan.trim_gain == 0.0:
        return first
    return shifted(first, min(max(_number(kept), -trim.max_down_k), trim.max_k))


def _loops(watch: Watch) -> list[tuple[str, MonitorState]]:
    return [("T2g", watch.valve), ("P2D", watch.circulation), ("P2h", watch.makeup)]


def _restored_watch(kept: Mapping[str, Any]) -> Watch:
    """Return how the loops fared, as far as it was kept."""
    loops = [
        resumed([_number(one) for one in kept[name]]) if name in kept else NOT_WATCHED
        for name, _ in _loops(UNWATCHED)
    ]
    return Watch(0.0, *loops)


def _possible_loops(plan: StationPlan, kept: Mapping[str, Any]) -> set[str]:
    """Return the loops that still are, and whose output may still take the value it was given."""
    spans = {point.tag: (point.low, point.high) for point in plan.config.points.values()}
    # The opening of a motor with two contacts, or of two valves, stands in no register.
    spans.update({one.valve: (0.0, 100.0) for one in plan.circuits if not one.has_valve_register})
    return {
        loop
        for loop, output in plan.outputs.items()
        if loop in kept and output in spans
        if spans[output][0] <= kept[loop]["value"] <= spans[output][1]
    }


def _restored_substitutes(
    plan: StationPlan, kept: Mapping[str, Any], away_s: float
) -> Mapping[str, Substitute]:
    """Return the substitutes of points that still are, and may still have these values."""
    points = plan.config.points
    possible = {
        tag
        for tag, one in kept.items()
        if Tag(tag) in points and points[Tag(tag)].low <= one["value"] <= points[Tag(tag)].high
    }
    return _leased(Substitute, kept, possible, away_s)


def _leased(
    cls: type[Leased], kept: Mapping[str, Any], names: set[str], away_s: float
) -> Mapping[str, Leased]:
    # What has run out meanwhile is ended, and recorded, by the first scan.
    held = {name: _made(cls, value) for name, value in kept.items() if name in names}
    return {name: one.after(max(0.0, away_s)) for name, one in held.items()}


def _made(cls: type[Made], kept: Mapping[str, Any]) -> Made:
    """Return `cls` made of what it knows of `kept`.

    Raises:
        ValueError: A value is not what `cls` declares.
        TypeError: Something is missing.
    """
    known = {field.name for field in fields(cls)}  # type: ignore[arg-type] # only dataclasses are made
    given = {name: value for name, value in kept.items() if name in known}
    _check(cls, given)
    return cls(**given)


def _check(cls: type, given: Mapping[str, Any]) -> None:
    declared = {field.name: field.type for field in fields(cls)}
    for name, value in given.items():
        if not _fits(value, declared[name]):
            raise ValueError(f"{cls.__name__}.{name} cannot be {value!r}")


def _fits(value: object, declared: Any) -> bool:  # noqa: ANN401 - a type, a union or a Literal
    """Return whether a field's annotation allows a value; NaN and infinity it never does."""
    options = get_args(declared)
    if get_origin(declared) is Literal:
        return value in options
    if options:
        return any(_fits(value, option) for option in options)
    if declared is float:
        return isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)
    return isinstance(value, declared)


def _number(kept: object) -> float:
    """Return a number as it was kept.

    Raises:
        ValueError: It is none.
    """
    if not _fits(kept, float):
        raise ValueError(f"{kept!r} is not a number")
    return float(kept)  # type: ignore[arg-type] # seen to be one


def _number_or_nan(kept: object) -> float:
    return nan if kept is None else _number(kept)


def _between(low: float, high: float, kept: object) -> float:
    return nan if kept is None else min(max(_number(kept), low), high)
