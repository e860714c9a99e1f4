"""Equal comfort: how far each controller may lower the wanted room until it is too cold too often.

Rule: comfort is the mean room's degree-hours below 20 °C over all weeks together, no more than
0.5 K·h in four weeks beyond what even the clairvoyant cannot avoid.
"""

from collections.abc import Mapping

from hil_sim.bench.clairvoyant import FLOOR_C
from hil_sim.bench.tally import TRACE_S, Outcome

LIMIT_KH_PER_DAY = 0.5 / 28.0
_SHIFT_MAX_K = 3.0
_ROUNDS = 40


def degree_hours_below_floor(outcome: Outcome, shift_k: float = 0.0) -> float:
    """Return the mean room's degree-hours below 20 °C, with all of it moved by `shift_k`."""
    low = FLOOR_C - shift_k
    return sum(low - c for c in outcome.trace.room_mean_c if c < low) * TRACE_S / 3600.0


def shift_to_comfort(outcomes: Mapping[str, Outcome], limit_kh: float) -> float:
    """Return by how much the rooms may be moved so that all weeks together are just at the limit.

    Found by bisection on the recorded rooms, in K; rooms follow an offset one to one once they have
    settled.
    """
    low, high = -_SHIFT_MAX_K, _SHIFT_MAX_K
    for _ in range(_ROUNDS):
        middle = 0.5 * (low + high)
        if sum(degree_hours_below_floor(o, middle) for o in outcomes.values()) > limit_kh:
            low = middle
        else:
            high = middle
    return high
