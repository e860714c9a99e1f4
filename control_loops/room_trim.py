"""Room feedback: a slow correction of the supply setpoint by what the flats say.

Rule: the weather leads. The correction is bounded, slow, and weaker downwards than upwards; without
trustworthy rooms it stands still, and is gone within a day.

It shifts the supply, not the room setpoint of the curve: its bounds are promises about the water
("forged flats lower the supply by at most 2 K"), and a person who reads or types an offset meets
the same kelvins. With a curve of slope s one kelvin of room setpoint is 1 + s K of supply, 2.2 to
2.4 K over the whole winter, so nothing is lost but a constant.
"""

from dataclasses import dataclass, replace
from functools import lru_cache
from math import isnan, nan
from typing import Annotated, Literal, NamedTuple

from annotated_types import Ge, Gt, Le

from control_loops.pid import Gains, PidState, step
from control_loops.rooms import FlatWeights, RobustRooms, Trimming
from control_loops.shaping import damp
from core.parameters import parameters
from core.point import Unit

RADIATOR_GAIN, FLOOR_GAIN = 2.0, 1.0
FEWEST_FLATS = 5
"""With fewer good flats the supply is not lowered."""
_DECAY_S = 24.0 * 3600.0
_CIRCUITS_MAX = 4096

Frozen = Literal[
    "",
    "off",
    "no rooms",
    "not in control",
    "source",
    "operator",
    "schedule",
    "valve open",
    "valve shut",
    "valve limited",
]
"""Why the correction does not follow the rooms; with the valve at an end it may still go back."""


@parameters
class RoomTrim:
    """How strongly the flats correct the supply setpoint.

    Attributes:
        gain: Kelvin of supply per kelvin that the rooms are off; none means 2 for radiators and 1
            for floor heating, 0 switches the correction off.
        reset_time_s: Time in which the integral repeats the proportional part.
        max_k: Most by which the supply is raised.
        max_down_k: Most by which it is lowered.
        rate_k_per_h: Fastest change of the correction.
        filter_s: Time constant of the rooms' filter.
    """

    gain: Annotated[float, Unit.KELVIN_PER_KELVIN, Ge(0), Le(20)] | None = None
    reset_time_s: Annotated[float, Unit.SECOND, Gt(0)] = 6.0 * 3600.0
    max_k: Annotated[float, Unit.KELVIN, Ge(0), Le(20)] = 6.0
    max_down_k: Annotated[float, Unit.KELVIN, Ge(0), Le(20)] = 2.0
    rate_k_per_h: Annotated[float, Unit.KELVIN_PER_HOUR, Gt(0), Le(20)] = 1.0
    filter_s: Annotated[float, Unit.SECOND, Ge(0)] = 1800.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RoomTarget:
    """What the rooms are held against: wanted mean and lowest guard figure, °C."""

    target_c: float
    lowest_c: float

    def warmer(self, by_k: float) -> "RoomTarget":
        """Return the target with a mean that is `by_k` warmer; what is too cold stays."""
        return replace(self, target_c=self.target_c + by_k) if by_k else self


@parameters
class Rooms:
    """What the heat is for.

    Attributes:
        target_c: Wanted room temperature.
        tolerance_k: How much colder a room may be.
        guard: Which figure of the rooms is held against it: the tag T_room_<guard>.
        max_age_s: Older room temperatures count for nothing.
        trim: How strongly they correct the supply.
        weights: How much a flat counts by its place.
        trimming: Which flats are left out.
    """

    target_c: Annotated[float, Unit.CELSIUS, Ge(5), Le(30)] = 21.0
    tolerance_k: Annotated[float, Unit.KELVIN, Ge(0), Le(10)] = 2.0
    guard: Literal["p10", "min", "avg"] = "p10"
    max_age_s: Annotated[float, Unit.SECOND, Gt(0)] = 7200.0
    trim: RoomTrim = RoomTrim()
    weights: FlatWeights = FlatWeights()
    trimming: Trimming = Trimming()

    def as_target(self) -> RoomTarget:
        """Return what the rooms are held against."""
        return RoomTarget(target_c=self.target_c, lowest_c=self.target_c - self.tolerance_k)


class TrimState(NamedTuple):
    """The loop whose output is the shift in K, and the filtered mean and guard figure, °C."""

    pid: PidState
    mean_c: float
    guard_c: float


REST = TrimState(PidState(0.0, 0.0, 0.0, 0.0, 0.0), nan, nan)
"""The state to start from: no correction."""


class TrimMove(NamedTuple):
    """The correction of this scan for people and for the setpoint."""

    shift_k: float
    room_c: float
    rules: Literal["", "mean", "guard"]
    frozen: Frozen


NO_TRIM = TrimMove(0.0, nan, "", "off")


class TrimFacts(NamedTuple):
    """What the correction looks at: the rooms, the valve and its bounds in %.

    `frozen` says why it must stand still: what the rooms do while somebody else controls, while
    another source heats, or while a person gives the setpoint, is not the curve's doing.
    `is_limited`: a limit keeps the valve from opening further.
    """

    rooms: RobustRooms
    valve_pct: float
    lowest_pct: float
    highest_pct: float
    frozen: Frozen = ""
    is_limited: bool = False


def trim_step(
    trim: RoomTrim, gain: float, target: RoomTarget, state: TrimState, facts: TrimFacts, dt_s: float
) -> tuple[TrimMove, TrimState]:
    """Return the correction in K and the next state.

    Args:
        trim: Its parameters.
        gain: K of supply per K of room, the emitter's own if the parameters have none.
        target: What the rooms should be.
        state: The state of the previous scan, at first `REST`.
        facts: Rooms and valve of this scan.
        dt_s: Time since the previous scan, in s, > 0.
    """
    if gain == 0.0:
        return NO_TRIM, REST
    mean_c = _filtered(state.mean_c, facts.rooms.mean_c, trim.filter_s, dt_s)
    guard_c = _filtered(state.guard_c, facts.rooms.p10_c, trim.filter_s, dt_s)
    if isnan(mean_c):
        return _faded(trim, state, dt_s)
    if facts.frozen:
        return TrimMove(state.pid.output, mean_c, "", facts.frozen), TrimState(
            state.pid, mean_c, guard_c
        )
    missing_k = target.target_c - mean_c
    rules: Literal["mean", "guard"] = "mean"
    if target.lowest_c - guard_c > missing_k:
        missing_k, rules = target.lowest_c - guard_c, "guard"
    gains, frozen = _bounded(trim, gain, state.pid.output, facts)
    moved = step(gains, state.pid, setpoint=missing_k, measured=0.0, dt_s=dt_s)
    move = TrimMove(moved.output, mean_c, rules, frozen)
    return move, TrimState(moved.state, mean_c, guard_c)


def shifted(state: TrimState, shift_k: float) -> TrimState:
    """Return the state that goes on from a shift that was kept."""
    return state._replace(pid=PidState(shift_k, 0.0, 0.0, 0.0, shift_k))


def _filtered(before_c: float, now_c: float, filter_s: float, dt_s: float) -> float:
    """Return the filtered figure: it begins with the first one, and is unknown while that is."""
    if isnan(now_c) or isnan(before_c):
        return now_c
    return damp(before_c, now_c, time_constant_s=filter_s, dt_s=dt_s)


def _faded(trim: RoomTrim, state: TrimState, dt_s: float) -> tuple[TrimMove, TrimState]:
    """Return the correction without rooms: on its way to nothing, there within a day."""
    shift_k = state.pid.output
    most_k = max(trim.max_k, trim.max_down_k) * dt_s / _DECAY_S
    shift_k = max(shift_k - most_k, 0.0) if shift_k > 0.0 else min(shift_k + most_k, 0.0)
    return TrimMove(shift_k, nan, "", "no rooms"), shifted(REST, shift_k)


def _bounded(trim: RoomTrim, gain: float, shift_k: float, facts: TrimFacts) -> tuple[Gains, Frozen]:
    """Return the gains with the bounds that hold now.

    A valve at its end, or held by a limit, cannot follow: the shift may only go back.
    """
    low_k = -trim.max_down_k if facts.rooms.good >= FEWEST_FLATS else 0.0
    gains = _gains(gain, trim.reset_time_s, low_k, trim.max_k, trim.rate_k_per_h)
    if facts.is_limited or facts.valve_pct >= facts.highest_pct:
        why: Frozen = "valve limited" if facts.is_limited else "valve open"
        return replace(gains, high=max(shift_k, gains.low)), why
    if facts.valve_pct <= facts.lowest_pct:
        return replace(gains, low=min(shift_k, gains.high)), "valve shut"
    return gains, ""


@lru_cache(maxsize=_CIRCUITS_MAX)
def _gains(
    gain: float, reset_time_s: float, low_k: float, high_k: float, rate_k_per_h: float
) -> Gains:
    return Gains(
        gain=gain,
        reset_time_s=reset_time_s,
        low=low_k,
        high=high_k,
        rate_per_s=rate_k_per_h / 3600.0,
    )
