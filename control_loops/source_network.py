"""What the measurements say about the heating network: failed, back, good, or nothing at all.

Rule: every verdict is True, False or None, and None (an unusable signal) moves no timer.
"""

from math import isnan
from typing import NamedTuple

from control_loops.source_model import NetworkSource, SourceFacts, SourceState
from control_loops.valve import expected_flow_m3h

COLD_MARGIN_K = 3.0
"""Less than this above the secondary return, and the primary carries no heat in."""
GOOD_MARGIN_K = 8.0
"""More than this above the secondary return, and the network heats again."""
_STARVED_SHARE = 0.2
_STARVED_OPENING_PCT = 70.0
_SEEN_OPENING_PCT = 3.0
"""Below this opening next to nothing flows, and T1g tells of the pipe, not of the network."""


class Votes(NamedTuple):
    """What this scan says about the network.

    Attributes:
        is_failed: A hard cause is seen; False only with a usable T1g that says otherwise.
        cause: The hard cause for people, empty without one.
        is_cold: The primary supply would cool the secondary.
        is_under_pressure: The primary differential pressure is that of a network that works.
        is_hot: The primary supply is well above the secondary return.
    """

    is_failed: bool | None
    cause: str
    is_cold: bool | None
    is_under_pressure: bool | None
    is_hot: bool | None


def is_well(*, t1g_c: float, t2h_c: float, valve_pct: float, is_tripped: bool | None) -> bool:
    """Return whether the network heats beyond doubt; False where only `vote` can tell."""
    is_warm = t1g_c - t2h_c >= COLD_MARGIN_K
    return is_warm and not is_tripped and not valve_pct > _STARVED_OPENING_PCT


def vote(network: NetworkSource, state: SourceState, facts: SourceFacts) -> Votes:
    """Return what the measurements of this scan say about the network."""
    margin_k = facts.t1g_c - facts.t2h_c
    is_known = not isnan(margin_k)
    # A closed valve makes T1g a dead leg. It counts only where we closed it for being cold.
    is_seen = is_known and (state.valve != "regulate" or not facts.valve_pct < _SEEN_OPENING_PCT)
    is_cold = margin_k < COLD_MARGIN_K if is_seen else None
    dp_kpa = 1000.0 * (facts.p1g_mpa - facts.p1h_mpa)
    cause = _cause(network, facts, is_cold=is_cold)
    return Votes(
        True if cause else (False if is_cold is False else None),
        cause,
        is_cold,
        None if isnan(dp_kpa) else dp_kpa > network.dp_min_kpa,
        margin_k > GOOD_MARGIN_K if is_known else None,
    )


def _cause(network: NetworkSource, facts: SourceFacts, *, is_cold: bool | None) -> str:
    if facts.is_tripped:
        return "the heat plant has tripped (SRC_trip)"
    if is_cold:
        return f"T1g {facts.t1g_c:.1f} °C is not above T2h {facts.t2h_c:.1f} °C + 3 K"
    if facts.valve_pct > _STARVED_OPENING_PCT:
        expected_m3h = expected_flow_m3h(
            opening_pct=facts.valve_pct,
            design_m3h=network.F1_design_m3h,
            rangeability=network.rangeability,
        )
        if facts.f1_m3h < _STARVED_SHARE * expected_m3h:
            return (
                f"F1 {facts.f1_m3h:.1f} m³/h is below 20 % of the {expected_m3h:.0f} m³/h "
                f"that the valve at {facts.valve_pct:.0f} % should give"
            )
    return ""
