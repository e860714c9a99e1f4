"""Frost: when a station must circulate and heat whatever its setpoints say.

Rule: frost opens a valve only while a pump is proven to run, and unusable values never start it.
"""

from typing import Annotated, NamedTuple

from annotated_types import Ge, Gt, Le

from core.parameters import parameters
from core.point import Unit


@parameters
class FrostLimits:
    """When frost protection starts and ends, and how far it opens the valve."""

    T2h_c: Annotated[float, Unit.CELSIUS, Gt(0)] = 8.0
    room_c: Annotated[float, Unit.CELSIUS, Gt(0)] = 12.0
    pump_off_s: Annotated[float, Unit.SECOND, Gt(0)] = 600.0
    outdoor_c: Annotated[float, Unit.CELSIUS] = 0.0
    T2h_end_c: Annotated[float, Unit.CELSIUS, Gt(0)] = 15.0
    end_s: Annotated[float, Unit.SECOND, Gt(0)] = 1800.0
    valve_pct: Annotated[float, Unit.PERCENT, Ge(0), Le(100)] = 20.0


class FrostFacts(NamedTuple):
    """What frost looks at; NaN and None where a value is unusable."""

    t2h_c: float
    room_c: float
    outdoor_c: float
    is_pump_proven: bool | None


class FrostState(NamedTuple):
    """Whether frost is active, for how long it has looked over, and how long no pump has run."""

    is_active: bool = False
    warm_s: float = 0.0
    pump_off_s: float = 0.0


class FrostMove(NamedTuple):
    """What frost asks for: circulation, and at least this opening (0 without a proven pump)."""

    is_active: bool
    wants_pump: bool
    valve_min_pct: float
    why: str


def frost_step(
    limits: FrostLimits, state: FrostState, facts: FrostFacts, *, dt_s: float
) -> tuple[FrostMove, FrostState]:
    """Return what frost protection asks for in this scan, and the next state.

    It starts on a return below `T2h_c`, a room below `room_c`, or no pump for `pump_off_s` below
    `outdoor_c`; it ends after the return has been above `T2h_end_c` for `end_s` without a cause.
    """
    off_s = state.pump_off_s
    if facts.is_pump_proven is not None:
        off_s = 0.0 if facts.is_pump_proven else off_s + dt_s
    why = _cause(limits, facts, off_s)
    # The end needs a return that is warm; one that is unusable leaves the matter open.
    is_warm = facts.t2h_c > limits.T2h_end_c
    warm_s = state.warm_s + dt_s if is_warm and not why else 0.0
    is_active = bool(why) or (state.is_active and warm_s < limits.end_s)
    if is_active and not why:
        why = f"frost protection goes on until T2h has been above {limits.T2h_end_c:g} °C"
    valve_pct = limits.valve_pct if is_active and facts.is_pump_proven else 0.0
    return FrostMove(is_active, is_active, valve_pct, why), FrostState(is_active, warm_s, off_s)


def _cause(limits: FrostLimits, facts: FrostFacts, off_s: float) -> str:
    if facts.t2h_c < limits.T2h_c:
        return f"T2h {facts.t2h_c:.1f} °C is below {limits.T2h_c:g} °C"
    if facts.room_c < limits.room_c:
        return f"a room at {facts.room_c:.1f} °C is below {limits.room_c:g} °C"
    if off_s >= limits.pump_off_s and facts.outdoor_c < limits.outdoor_c:
        return f"no pump has run for {off_s / 60.0:.0f} min at {facts.outdoor_c:.1f} °C outdoors"
    return ""
