"""The primary valve while its loop does not regulate: unloading, closed, or probing for warmth.

Rule: with the valve closed T1g is a dead leg, so the network's return is proven in two steps: first
by its differential pressure, then by warm water through a small probe opening.

While the network is still warm the valve unloads: it closes slowly, and waits wherever the supply
temperature sags, until the boiler has taken the heat over. A cold network is closed off at once.
"""

from typing import NamedTuple

from control_loops.shaping import ramp
from control_loops.source_boiler import SAG_K
from control_loops.source_model import SourceFacts, SourceState, StateName, ValveAsk
from control_loops.source_network import Votes

COLD_S = 30.0
"""A primary that is too cold for this long is closed off, in every state."""
PROBE_PCT = 10.0
"""Opening that flushes the dead leg: 3 % of the design flow at R = 50, no harm if it is cold."""
_PROBE_COLD_S = 900.0
"""How long a probe may carry cold water before it is given up."""
_REST_S = 600.0
"""Least time between two probes, and before the first."""
_REST_WITHOUT_HEAT_S = 60.0
"""The same while the boiler gives no heat either: then every way to heat is tried soon."""
_PRESSURE_S = 60.0
_WARM_S = 30.0
_PCT_PER_H = 300.0
"""The valve is moved at 5 %/min: a burner follows that."""


class ValveStep(NamedTuple):
    """The valve's part of the next state."""

    valve: ValveAsk
    valve_s: float
    valve_pct: float
    cold_s: float
    good_s: float


def valve_step(
    name: StateName,
    state: SourceState,
    facts: SourceFacts,
    votes: Votes,
    *,
    has_heat: bool,
    dt_s: float,
) -> ValveStep:
    """Return what is asked of the primary valve now that the machine is in state `name`.

    Args:
        name: The state after this scan's transition.
        state: The state so far, with `cold_s`, `dp_s`, `good_s` and `valve_s` of this scan.
        facts: What the machine sees.
        votes: What that says about the network.
        has_heat: The boiler is enabled and nothing speaks against its heat.
        dt_s: Time since the previous scan, > 0.
    """
    valve = _next_ask(name, state, facts, votes, has_heat=has_heat)
    if valve == "regulate":
        return ValveStep(valve, 0.0, 0.0, state.cold_s, 0.0)
    # A position that nobody knows counts as closed: then nothing is opened by mistake.
    pct = max(0.0, facts.valve_pct) if state.valve == "regulate" else state.valve_pct
    if valve == "close":
        pct = 0.0
    elif valve == "probe":
        pct = ramp(pct, PROBE_PCT, up_per_h=_PCT_PER_H, down_per_h=_PCT_PER_H, dt_s=dt_s)
    elif facts.t2g_c >= facts.t2g_setpoint_c - SAG_K:
        pct = ramp(pct, 0.0, up_per_h=_PCT_PER_H, down_per_h=_PCT_PER_H, dt_s=dt_s)
    is_new = valve != state.valve
    return ValveStep(
        valve,
        0.0 if is_new else state.valve_s,
        pct,
        0.0 if is_new and valve == "probe" else state.cold_s,
        state.good_s,
    )


def is_good(state: SourceState, facts: SourceFacts, votes: Votes) -> bool | None:
    """Return whether this scan counts towards the network's return; None leaves the count alone.

    The boiler hands back only to a network whose water was felt through an open valve and whose
    pressure is proven; where there is no boiler to lose, a warm pipe is enough to try.
    """
    is_backup = state.name == "BACKUP"
    if state.valve == "regulate" or facts.is_tripped or (is_backup and state.valve == "close"):
        return False
    if votes.is_hot is False or votes.is_under_pressure is False:
        return False
    is_proven = votes.is_under_pressure or not is_backup or state.is_stop_asked
    return True if votes.is_hot and is_proven else None


def _next_ask(
    name: StateName, state: SourceState, facts: SourceFacts, votes: Votes, *, has_heat: bool
) -> ValveAsk:
    if name == "RETURN":
        return "regulate"
    if state.valve in {"regulate", "unload"}:
        return _while_open(name, state, has_heat=has_heat)
    if name != "BACKUP" and state.good_s >= _WARM_S:
        return "regulate"
    is_back = state.dp_s >= _PRESSURE_S or (state.is_stop_asked and votes.is_under_pressure is None)
    if facts.is_tripped or not is_back:
        return "close"
    if state.valve == "probe":
        return "probe" if state.cold_s < _PROBE_COLD_S else "close"
    rest_s = _REST_WITHOUT_HEAT_S if name == "START" and not has_heat else _REST_S
    return "probe" if state.valve_s >= rest_s else "close"


def _while_open(name: StateName, state: SourceState, *, has_heat: bool) -> ValveAsk:
    is_unloaded = name == "BACKUP" and state.valve == "unload" and state.valve_pct <= 0.0
    if state.cold_s >= COLD_S or is_unloaded:
        return "close"
    return "unload" if name == "BACKUP" or (name == "START" and has_heat) else "regulate"
