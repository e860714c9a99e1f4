"""Damping of what is measured, and ramps for what is wanted.

Rule: exact for a constant input, whatever the scan time; what is not finite moves nothing.
"""

from math import exp, isfinite


def damp(state_c: float, outdoor_c: float, *, time_constant_s: float, dt_s: float) -> float:
    """Return the first-order damped value; exact for a constant input, whatever the scan time.

    An input that is not finite leaves the damped value where it is; a time constant of 0 follows.
    """
    if not isfinite(outdoor_c):
        return state_c
    if time_constant_s <= 0.0:
        return outdoor_c
    return state_c + (1.0 - exp(-dt_s / time_constant_s)) * (outdoor_c - state_c)


def ramp(
    previous: float, wanted: float, *, up_per_h: float, down_per_h: float, dt_s: float
) -> float:
    """Return the value between `previous` and `wanted` that the two rates allow, both > 0 per hour.

    A `wanted` that is not finite leaves `previous`; from a `previous` that is not finite it jumps.
    """
    if not isfinite(wanted):
        return previous
    if not isfinite(previous):
        return wanted
    highest = previous + up_per_h * dt_s / 3600.0
    lowest = previous - down_per_h * dt_s / 3600.0
    return min(max(wanted, lowest), highest)
