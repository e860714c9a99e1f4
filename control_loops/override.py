"""Limits that act on the valve: it opens no further than the strictest of several loops lets it.

Rule: the lowest output rules and the result says whose it is. Every loop, the supply's too, takes
what was selected as its external reset, so whoever takes over does so without a step and nobody
winds up meanwhile.

An idle member stands where the valve is, and its own error beside it: u = u_selected + K e. Below
its limit it stands there at once, and opens within minutes while it rules: one with a slow integral
would hold a valve back for an hour though nothing is at its limit.

A meter that reads too much and never moves would close the valve for good. So one more loop keeps
the supply at the lowest that its setpoint may have, whatever the limits ask:
u = min(supply, max(lowest, min(limits))). It opens no valve further than the supply loop does.
"""

from collections.abc import Mapping
from dataclasses import replace
from math import isfinite, isnan, nan
from typing import Annotated, Literal, NamedTuple

from annotated_types import Gt, Le, MinLen

from control_loops.pid import Gains, PidState, PidStep, retune, step
from core.parameters import parameters
from core.point import Unit

Limiter = Literal["T1h_max", "T1h_over_T2h", "F1_max", "Q1_max"]

HOLD_S = 600.0
"""So long a member that ruled keeps the valve from opening further without its measured value."""


_LET_GO_S = 300.0
"""Below its limit no member takes longer than this to repeat its move: slow is only the closing."""


@parameters
class ValveOverride:
    """The limits that act on the valve at once, in the place of acting on the setpoint.

    Attributes:
        by: Which limits do.
        T1h_gain_pct_per_k: Opening per kelvin of return above its limit.
        T1h_reset_time_s: Time in which the move repeats itself while the return stays warm; below
            its limit at most 5 min.
        quota_gain: Percent of opening per percent of flow or heat above its limit.
        quota_reset_time_s: As `T1h_reset_time`, for flow and heat.
    """

    by: Annotated[tuple[Limiter, ...], MinLen(1)]
    T1h_gain_pct_per_k: Annotated[float, Unit.PERCENT_PER_KELVIN, Gt(0), Le(20)] = 2.0
    T1h_reset_time_s: Annotated[float, Unit.SECOND, Gt(0)] = 1800.0
    quota_gain: Annotated[float, Gt(0), Le(10)] = 0.2
    quota_reset_time_s: Annotated[float, Unit.SECOND, Gt(0)] = 60.0


class Bound(NamedTuple):
    """A limit and what is held against it, in the same unit; NaN where it is not known."""

    limit: float
    measured: float


class Member(NamedTuple):
    """One limit's loop, and the opening that it allows, in %; NaN while it abstains."""

    name: Limiter
    pid: PidState
    allowed_pct: float


class LowestSupply(NamedTuple):
    """What the limits leave of the supply: the supply loop's gains, the least and what is, in °C.

    `is_elsewhere` says that the measured value comes from another sensor than in the scan before.
    """

    gains: Gains
    least_c: float
    measured_c: float
    is_elsewhere: bool = False


class Floor(NamedTuple):
    """The loop of the lowest supply, and how far the limits may close, in %; NaN: not known."""

    gains: Gains
    pid: PidState
    least_pct: float


class OverrideState(NamedTuple):
    """The members in a scan, and which of them rules the valve; none while the loop itself does.

    `is_lowest` says that the one which rules may close no further, for the supply is as cold as it
    may be.
    """

    members: tuple[Member, ...] = ()
    ruling: Limiter | Literal[""] = ""
    floor: Floor | None = None
    is_lowest: bool = False


AT_REST = OverrideState()
"""The state to start from, and while somebody else than the loop moves the valve."""


def override_gains(override: ValveOverride, supply: Gains) -> dict[Limiter, Gains]:
    """Return the gains of each member; range, rate and deadband are those of the supply loop."""
    return {name: _gains(override, name, supply) for name in override.by}


def override_step(
    gains: Mapping[Limiter, Gains],
    state: OverrideState,
    supply: PidStep,
    bounds: Mapping[Limiter, Bound],
    *,
    stands_pct: float,
    external_reset: float | None,
    dt_s: float,
) -> tuple[PidStep, OverrideState]:
    """Return the step of the supply loop as the members let it, and their next state.

    Args:
        gains: The gains of each member.
        state: Their state after the previous scan, `AT_REST` if the loop did not move the valve.
        supply: What the supply loop would do.
        bounds: What each member looks at.
        stands_pct: The opening that was selected in the previous scan.
        external_reset: What stands in the field, as the supply loop took it; None: `stands_pct`.
        dt_s: Time since the previous scan, > 0.
    """
    reset = stands_pct if external_reset is None else external_reset
    before = {member.name: member for member in state.members}
    members = []
    for name, own in gains.items():
        bound, was = bounds[name], before.get(name)
        if not isfinite(bound.limit - bound.measured):
            lost = _lost(name, was, stands_pct, dt_s, has_ruled=state.ruling == name)
            members.append(lost)
            continue
        # The gap lies below the limit: above it the valve closes, in it nothing moves.
        setpoint = bound.limit - own.gap
        is_below = bound.measured < setpoint
        is_idle = state.ruling != name or state.is_lowest
        ready = _ready(was, stands_pct, reset, is_idle=is_idle, is_below=is_below)
        made = step(
            _letting_go(own) if is_below else own,
            ready,
            setpoint=setpoint,
            measured=bound.measured,
            external_reset=reset,
            dt_s=dt_s,
        )
        members.append(Member(name, made.state, made.output))
    return _selected(supply, tuple(members), state.ruling)


def keep_lowest(
    lowest: LowestSupply,
    state: OverrideState,
    supply: PidStep,
    limited: tuple[PidStep, OverrideState],
    *,
    stands_pct: float,
    external_reset: float | None,
    dt_s: float,
) -> tuple[PidStep, OverrideState]:
    """Return what `override_step` gave, closed no further than the lowest supply allows.

    Args:
        lowest: The lowest supply; without its measured value the limits close as far as they want.
        state: The state after the previous scan.
        supply: What the supply loop would do; the result never lies above it.
        limited: What `override_step` made of it.
        stands_pct: As there, like the others.
        external_reset: As there.
        dt_s: As there.
    """
    reset = stands_pct if external_reset is None else external_reset
    floor = _floor(lowest, state, stands_pct, reset, dt_s)
    step_of, now = limited
    now, least_pct = now._replace(floor=floor), floor.least_pct
    # Within the deadband both stand where the valve does: who held goes on, as in `_selected`.
    is_held = least_pct > step_of.output or (state.is_lowest and least_pct == step_of.output)
    if not (now.ruling and is_held):
        return step_of, now
    output = min(supply.output, least_pct)
    if output == supply.output and not (state.ruling and output < supply.terms.raw):
        return supply, now._replace(ruling="")
    held = step_of._replace(output=output, state=step_of.state._replace(output=output))
    return held, now._replace(is_lowest=True)


def _floor(
    lowest: LowestSupply, state: OverrideState, stands_pct: float, reset: float, dt_s: float
) -> Floor:
    was, pid = state.floor, _begin(stands_pct)
    if was is not None:
        pid = retune(was.gains, lowest.gains, was.pid)._replace(output=stands_pct)
    if not isfinite(lowest.measured_c):
        # It goes on with its integral, or a value that comes and goes would hold up every limit.
        return Floor(lowest.gains, pid, nan)
    if lowest.is_elsewhere and state.is_lowest:
        # What it jumps by is nothing that the plant did: the valve stays where it is.
        pid = pid._replace(bad_s=dt_s)
    made = step(
        lowest.gains,
        pid,
        # The gap lies above: at the lowest the valve opens, in the gap nothing moves.
        setpoint=lowest.least_c + lowest.gains.gap,
        measured=lowest.measured_c,
        external_reset=reset,
        dt_s=dt_s,
    )
    return Floor(lowest.gains, made.state, made.output)


def _selected(
    supply: PidStep, members: tuple[Member, ...], ruled: Limiter | Literal[""]
) -> tuple[PidStep, OverrideState]:
    lowest_pct = supply.output
    ruling: Limiter | Literal[""] = ""
    for member in members:
        if member.allowed_pct < lowest_pct:
            lowest_pct, ruling = member.allowed_pct, member.name
        elif member.allowed_pct == lowest_pct < supply.terms.raw and member.name == ruled:
            # The loop would open if its deadband let it: who ruled goes on, or it would be told
            # every few scans that nobody does.
            ruling = ruled
    if not ruling:
        return supply, OverrideState(members)
    return (
        supply._replace(output=lowest_pct, state=supply.state._replace(output=lowest_pct)),
        OverrideState(members, ruling),
    )


def _ready(
    was: Member | None, stands_pct: float, reset: float, *, is_idle: bool, is_below: bool
) -> PidState:
    """Return the state from which a member with a value goes on."""
    if was is None or isnan(was.allowed_pct):
        return _begin(stands_pct)
    integral = max(was.pid.integral, reset) if is_idle and is_below else was.pid.integral
    # One that kept the valve without its value goes on with its integral, or a value that comes
    # and goes would begin it anew again and again.
    return was.pid._replace(integral=integral, output=stands_pct, bad_s=0.0)


def _letting_go(own: Gains) -> Gains:
    return own if own.reset_time_s <= _LET_GO_S else replace(own, reset_time_s=_LET_GO_S)


def _begin(stands_pct: float) -> PidState:
    return PidState(stands_pct, 0.0, 0.0, 0.0, stands_pct)


def _lost(
    name: Limiter, was: Member | None, stands_pct: float, dt_s: float, *, has_ruled: bool
) -> Member:
    """Return a member without a value: one that ruled lets nobody open further for a while."""
    pid, allowed_pct = _begin(stands_pct), nan
    bad_s = dt_s if was is None else was.pid.bad_s + dt_s
    if was is not None and bad_s <= HOLD_S:
        if was.pid.bad_s > 0.0:
            pid, allowed_pct = was.pid, was.allowed_pct
        elif has_ruled:
            pid, allowed_pct = was.pid, stands_pct
    return Member(name, pid._replace(bad_s=bad_s), allowed_pct)


_FLOW_GAP, _RETURN_GAP_K = 1.7, 0.3
"""Half of what 1 % of opening does to the flow, in % of it, and to the return, in K.

With a smaller gap the deadband would never let a loop rest.
"""


def _gains(override: ValveOverride, name: Limiter, supply: Gains) -> Gains:
    is_return = name in {"T1h_max", "T1h_over_T2h"}
    return Gains(
        gain=override.T1h_gain_pct_per_k if is_return else override.quota_gain,
        reset_time_s=override.T1h_reset_time_s if is_return else override.quota_reset_time_s,
        low=supply.low,
        high=supply.high,
        gap=(_RETURN_GAP_K if is_return else _FLOW_GAP) * supply.deadband,
        deadband=supply.deadband,
        rate_per_s=supply.rate_per_s,
    )
