"""How far the supply sensor is from what the heat of the primary makes of it.

Rule: it says that two sides differ, never which of the six sensors is wrong.
"""

from math import exp, isnan, nan
from typing import NamedTuple

MEAN_S = 900.0
"""The exchanger stores heat for minutes; a drift takes hours."""
MOST_K = 5.0
"""What is further off at once is no drift: a pump changes over, or the valve has just moved."""
_FLOW_SHARE_MIN = 0.1
"""Below this share of its design flow a meter of class 2 shows little but noise."""


class Sides(NamedTuple):
    """Both sides of an exchanger as measured, in degC and m³/h; NaN where not known."""

    t1g_c: float
    t1h_c: float
    f1_m3h: float
    t2g_c: float
    t2h_c: float
    f2_m3h: float


def supply_off_k(before_k: float, sides: Sides, *, design_m3h: float, dt_s: float) -> float:
    """Return by how much T2g is above what T2h and the primary's heat make of it, a mean, in K.

    The heat that the primary gives up is the heat that the secondary takes, so that T2g is
    T2h + F1 / F2 (T1g - T1h). Both sides are water; its density at the two meters differs by 3 % at
    most, which is 0.4 K of a spread of 12 K.

    Args:
        before_k: What it was after the previous scan; NaN: there was nothing to compare.
        sides: The measurements of this scan.
        design_m3h: Primary flow with the valve fully open, > 0.
        dt_s: Time since the previous scan, in s, > 0.

    Returns:
        Within -5..5; NaN where a measurement is missing or hardly anything flows.
    """
    off_k = sides.t2g_c - sides.t2h_c - sides.f1_m3h * (sides.t1g_c - sides.t1h_c) / _some(sides)
    if isnan(off_k) or sides.f1_m3h < _FLOW_SHARE_MIN * design_m3h:
        return nan
    off_k = min(max(off_k, -MOST_K), MOST_K)
    # The first scan with flow again is the worst of all to judge by: the mean begins at nothing.
    known_k = 0.0 if isnan(before_k) else before_k
    return known_k + (1.0 - exp(-dt_s / MEAN_S)) * (off_k - known_k)


def _some(sides: Sides) -> float:
    """Return the secondary flow; NaN where it is less than the primary's, as in no station."""
    return sides.f2_m3h if sides.f2_m3h >= sides.f1_m3h > 0.0 else nan
