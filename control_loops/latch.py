"""Two small memories that interlocks and machines share: a latch and a stopwatch.

Rule: a comparison with NaN is False, so an unusable value neither sets nor clears a latch.
"""


def latched(state: bool, *, sets: bool, clears: bool) -> bool:  # noqa: FBT001 - it is the state
    """Return the latch after this scan; setting wins over clearing."""
    return sets or (state and not clears)


def lasting(state_s: float, dt_s: float, *, is_so: bool | None) -> float:
    """Return how long a condition has lasted: 0 where it does not hold, frozen where unknown."""
    if is_so is None:
        return state_s
    return state_s + dt_s if is_so else 0.0
