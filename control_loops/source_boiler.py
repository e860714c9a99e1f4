"""The boiler as the source machine sees it: may it run, does it heat, and which setpoint it gets.

Rule: a permissive must be proven before the boiler is enabled; once it runs, only a permissive that
is proven false stops it, for the boiler guards itself.
"""

from collections.abc import Callable
from math import isfinite, isnan

from control_loops.shaping import ramp
from control_loops.source_model import GasBoiler, SourceFacts, SourceState, StateName

HEAT_S = 60.0
"""Heat counts as flowing after it has been proven for this long."""
RETRY_REST_S = 60.0
"""Rest after a fault that is over; shorter than `min_off`, for the station is without heat."""
BOOST_K = 3.0
"""The boiler starts this much above the supply setpoint, so that the valve's loop hands over."""
SAG_K = 2.0
"""The supply may fall this far below its setpoint while one source takes over from the other."""
ALONE_K = 5.0
"""A boiler whose setpoint is this far below the supply temperature does not fire."""
_HEAT_SHARE = 0.1
_IDLE_SHARE = 0.05
_KW_PER_M3H_K = 1.163
_DOWN_PER_H = 60.0
"""The setpoint falls by at most 1 K/min, slower than the valve can follow."""
_AT_ONCE_PER_H = 1e9
_NOT = "not "


def missing_permissives(
    permissives: tuple[str, ...], flag: Callable[[str], bool | None]
) -> tuple[str, ...]:
    """Return the permissives that are not proven; `flag` gives a bit, None where unusable."""
    return tuple(name for name in permissives if _given(name, flag) is not True)


def lost_permissives(
    permissives: tuple[str, ...], flag: Callable[[str], bool | None]
) -> tuple[str, ...]:
    """Return the permissives that are proven false; these stop a boiler that runs."""
    return tuple(name for name in permissives if _given(name, flag) is False)


def trouble(facts: SourceFacts) -> str:
    """Return why the boiler cannot run, for people; empty if nothing is known against it."""
    if facts.is_b_locked:
        return "the burner is locked out: reset it at the boiler"
    if facts.is_b_faulted:
        return "the boiler reports a fault"
    if facts.lost:
        return "the boiler lacks " + ", ".join(facts.lost)
    return ""


def is_heating(boiler: GasBoiler, facts: SourceFacts) -> bool | None:
    """Return whether the boiler gives at least 10 % of its capacity to water that flows.

    Without a usable heat the product of flow and temperature rise stands in, then the flame.
    """
    has_flow = facts.is_b_flow_ok
    if has_flow is None and not isnan(facts.b_flow_m3h):
        has_flow = facts.b_flow_m3h > 0.0
    if not has_flow:
        return has_flow
    power_kw = _power_kw(facts)
    if isnan(power_kw):
        return facts.is_b_firing
    return power_kw >= _HEAT_SHARE * boiler.capacity_kw


def is_idle(boiler: GasBoiler, facts: SourceFacts) -> bool:
    """Return True unless the boiler is known to add heat."""
    return not _power_kw(facts) >= _IDLE_SHARE * boiler.capacity_kw


def setpoint_c(
    name: StateName, boiler: GasBoiler, state: SourceState, facts: SourceFacts, *, dt_s: float
) -> float:
    """Return the boiler's setpoint in °C in the state `name`.

    An unusable supply setpoint leaves the boiler's where it is.
    """
    wanted_c = facts.t2g_setpoint_c
    if name in {"NORMAL", "SUSPECT"}:
        return boiler.keep_warm_c
    if not isfinite(wanted_c):
        return state.setpoint_c
    if name == "START":
        return wanted_c + BOOST_K
    if name == "RETURN":
        is_carried = facts.t2g_c >= wanted_c - SAG_K
        wanted_c = boiler.keep_warm_c if is_carried else min(state.setpoint_c, wanted_c)
    return ramp(
        state.setpoint_c, wanted_c, up_per_h=_AT_ONCE_PER_H, down_per_h=_DOWN_PER_H, dt_s=dt_s
    )


def _power_kw(facts: SourceFacts) -> float:
    if not isnan(facts.b_power_kw):
        return facts.b_power_kw
    return _KW_PER_M3H_K * facts.b_flow_m3h * (facts.b_tsup_c - facts.b_tret_c)


def _given(name: str, flag: Callable[[str], bool | None]) -> bool | None:
    if not name.startswith(_NOT):
        return flag(name)
    value = flag(name.removeprefix(_NOT).strip())
    return None if value is None else not value
