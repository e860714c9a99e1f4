"""What may hold a supply setpoint back: its range, a warm return, and too much flow or heat.

Rule: the lowest limit rules and the result says which one; no limit moves the setpoint faster than
its ramp, and the range goes before every other limit.

A limit of `valve_override` acts on the valve instead (`control_loops.override`). Of the others each
is a PI loop whose output lowers the setpoint. All of them get the lowering that really
rules as their external reset, so that one which takes over does so without a step.
"""

from functools import lru_cache
from typing import Annotated, Literal, NamedTuple

from annotated_types import Ge, Gt, Lt

from control_loops.heating_curve import CurvePoints, supply_c
from control_loops.override import Bound, Limiter, ValveOverride
from control_loops.pid import Gains, OnBad, PidState, guard
from core.parameters import parameters
from core.point import Unit

Ruling = Literal["", "T2g_low", "T2g_high"] | Limiter


@parameters
class SupplyLimits:
    """The limits of one circuit's supply setpoint.

    Attributes:
        T2g_c: Lowest and highest supply setpoint.
        T1h_max_c: Warmest primary return; above it the setpoint is lowered slowly.
        T1h_curve: The warmest primary return by outdoor temperature, in the place of `T1h_max`.
        T1h_over_T2h_k: Most by which the primary return may be warmer than the secondary.
            More means a fouled exchanger, or water that runs past it; none if absent.
        F1_max_m3h: Most primary flow (a contract, or a quota in a shortage); none if absent.
        Q1_max_kw: Most heat from the primary; none if absent.
        T1h_gain: Kelvin of setpoint per kelvin of return above the limit.
        T1h_reset_time_s: Time in which the lowering repeats itself while the return stays warm.
        T1h_authority_k: The most by which a warm return may lower the setpoint.
        quota_gain: Kelvin of setpoint per percent of flow or heat above its limit.
        quota_reset_time_s: As `T1h_reset_time`, for flow and heat.
        quota_authority_k: The most by which flow or heat may lower the setpoint.
        ramp_k_per_h: Fastest change of the setpoint, whatever the weather's sensors do: less than
            a kelvin a minute.
        valve_override: Which of the limits act on the valve, at once; the others act on the
            setpoint.
    """

    T2g_c: Annotated[tuple[float, float], Unit.CELSIUS]
    T1h_max_c: Annotated[float, Unit.CELSIUS, Gt(0)] = 65.0
    T1h_curve: CurvePoints | None = None
    T1h_over_T2h_k: Annotated[float, Unit.KELVIN, Gt(0)] | None = None
    F1_max_m3h: Annotated[float, Unit.CUBIC_METRE_PER_HOUR, Gt(0)] | None = None
    Q1_max_kw: Annotated[float, Unit.KILOWATT, Gt(0)] | None = None
    T1h_gain: Annotated[float, Gt(0)] = 0.5
    T1h_reset_time_s: Annotated[float, Unit.SECOND, Gt(0)] = 1200.0
    T1h_authority_k: Annotated[float, Unit.KELVIN, Ge(0)] = 10.0
    quota_gain: Annotated[float, Gt(0)] = 0.1
    quota_reset_time_s: Annotated[float, Unit.SECOND, Gt(0)] = 900.0
    quota_authority_k: Annotated[float, Unit.KELVIN, Ge(0)] = 20.0
    ramp_k_per_h: Annotated[float, Unit.KELVIN_PER_HOUR, Gt(0), Lt(60)] = 10.0
    valve_override: ValveOverride | None = None


class LimitFacts(NamedTuple):
    """What the limiters look at, NaN where unusable: temperatures in °C, flow, and heat in kW."""

    outdoor_c: float
    t1h_c: float
    t2h_c: float
    f1_m3h: float
    q1_kw: float


class LimitState(NamedTuple):
    """The limiters' loops in the order of `Limiter`, and the lowering that ruled last, <= 0 K."""

    limiters: tuple[PidState, PidState, PidState, PidState]
    lowered_k: float = 0.0


class _Member(NamedTuple):
    """A limiter that is wanted: its place in the state, its loop, limit and measured value."""

    place: int
    name: Limiter
    gains: Gains
    limit: float
    measured: float


_REST = PidState(0.0, 0.0, 0.0, 0.0, 0.0)
REST = LimitState((_REST, _REST, _REST, _REST))
"""The state to start from: nothing is limited."""
_LET_GO = OnBad(hold_s=600.0, substitute=0.0)
_PERCENT = 100.0
_LOOPS_MAX = 1024
"""How many limiters' gains are kept ready; making them anew costs microseconds, no more."""


def supply_limit(
    setpoint_c: float, *, limits: SupplyLimits, facts: LimitFacts, state: LimitState, dt_s: float
) -> tuple[float, Ruling, LimitState]:
    """Return the setpoint that the limits allow in °C, which limit rules, and the next state.

    Args:
        setpoint_c: What curve, schedule and trims ask for; NaN stays NaN (nobody may act on it).
        limits: The limits.
        facts: What is measured; NaN holds a limiter's lowering for 10 min, then lets it go.
        state: The state of the previous scan, at first `REST`.
        dt_s: Time since the previous scan, > 0.
    """
    low_c, high_c = limits.T2g_c
    lowered_k, limiter, next_state = _lowering(limits, facts, state, dt_s)
    ruling: Ruling = ""
    if setpoint_c > high_c:
        setpoint_c, ruling = high_c, "T2g_high"
    if lowered_k < 0.0:
        setpoint_c, ruling = setpoint_c + lowered_k, limiter
    if setpoint_c < low_c:
        setpoint_c, ruling = low_c, "T2g_low"
    return setpoint_c, ruling, next_state


def bounds_of(limits: SupplyLimits, facts: LimitFacts) -> dict[Limiter, Bound]:
    """Return each limit that is wanted with what is held against it; flow and heat in % of it."""
    return {one.name: Bound(one.limit, one.measured) for one in _members(limits, facts)}


def _lowering(
    limits: SupplyLimits, facts: LimitFacts, state: LimitState, dt_s: float
) -> tuple[float, Limiter, LimitState]:
    """Return by how much the setpoint is lowered, which limiter rules, and the next state."""
    members = _members(limits, facts)
    if limits.valve_override is not None:
        members = [one for one in members if one.name not in limits.valve_override.by]
        if not members:
            return 0.0, "T1h_max", state
    # A limiter that is alone follows its own output, which its ramp has shaped already.
    reset = state.lowered_k if len(members) > 1 else None
    loops = list(state.limiters)
    lowered_k, ruling = 0.0, members[0].name
    for member in members:
        step = guard(
            member.gains,
            loops[member.place],
            on_bad=_LET_GO,
            setpoint=member.limit,
            measured=member.measured,
            external_reset=reset,
            dt_s=dt_s,
        )
        loops[member.place] = step.state
        if step.output < lowered_k:
            lowered_k, ruling = step.output, member.name
    return lowered_k, ruling, LimitState((loops[0], loops[1], loops[2], loops[3]), lowered_k)


def _members(limits: SupplyLimits, facts: LimitFacts) -> list[_Member]:
    ramp = limits.ramp_k_per_h
    warm = _loop(limits.T1h_gain, limits.T1h_reset_time_s, limits.T1h_authority_k, ramp)
    quota = _loop(limits.quota_gain, limits.quota_reset_time_s, limits.quota_authority_k, ramp)
    limit_c = limits.T1h_max_c
    if limits.T1h_curve is not None:
        limit_c = supply_c(limits.T1h_curve, facts.outdoor_c)
    members = [_Member(0, "T1h_max", warm, limit_c, facts.t1h_c)]
    if limits.T1h_over_T2h_k is not None:
        members.append(
            _Member(1, "T1h_over_T2h", warm, limits.T1h_over_T2h_k, facts.t1h_c - facts.t2h_c)
        )
    if limits.F1_max_m3h is not None:
        share = _PERCENT * facts.f1_m3h / limits.F1_max_m3h
        members.append(_Member(2, "F1_max", quota, _PERCENT, share))
    if limits.Q1_max_kw is not None:
        share = _PERCENT * facts.q1_kw / limits.Q1_max_kw
        members.append(_Member(3, "Q1_max", quota, _PERCENT, share))
    return members


@lru_cache(maxsize=_LOOPS_MAX)
def _loop(gain: float, reset_time_s: float, authority_k: float, ramp_k_per_h: float) -> Gains:
    """Return the gains of a limiter that lowers a setpoint by up to its authority."""
    return Gains(
        gain=gain,
        reset_time_s=reset_time_s,
        low=-authority_k,
        high=0.0,
        rate_per_s=ramp_k_per_h / 3600.0,
    )
