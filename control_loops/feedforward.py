"""Dynamic feedforward: a lead-lag filter that brings a known disturbance forward in time.

Rule: exact for an input that is constant between scans, so the result does not depend on the scan.
"""

from math import exp, isfinite


def lead_lag(
    state: float, value: float, *, gain: float, lead_s: float, lag_s: float, dt_s: float
) -> tuple[float, float]:
    """Return the filtered feedforward and the next state.

    A unit step from rest gives gain * (1 + (lead/lag - 1) exp(-k h / lag)) after k scans.

    Args:
        state: The lagged value; start it with the first input for a start without a kick.
        value: The disturbance; where it is not finite the lagged value stands in.
        gain: Output per unit of the disturbance.
        lead_s: Lead time, >= 0.
        lag_s: Lag time, > 0.
        dt_s: Time since the previous scan, > 0.
    """
    if not isfinite(value):
        return gain * state, state
    output = gain * (state + lead_s / lag_s * (value - state))
    share = 1.0 - exp(-dt_s / lag_s)
    return output, state + share * (value - state)
