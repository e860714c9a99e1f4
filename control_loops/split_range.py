"""Two valves in sequence: one opening of both becomes one of each, and two become one.

Rule: at every opening the two together pass what one valve with the capacity of both would, so the
gain of a loop does not depend on which of them moves.

With the share phi of its capacity that a valve of rangeability R passes at its opening y,

    phi(y) = (R^y - 1) / (R - 1)           equal-percentage, and shut at y = 0
    first  = sat(phi / s)                  s: capacity of the first over that of both
    second = sat((phi - s) / (1 - s))

as shares of their own capacities. The rangeability of the pair is R' = 1 + (R - 1) / s: with it the
first one's opening rises in a straight line.
"""

from dataclasses import dataclass
from math import expm1, log, log1p
from typing import Annotated

from annotated_types import Ge, Le

from core.parameters import parameters


@parameters
class SplitRange:
    """A second valve beside the first, smaller one, which is open before the second moves.

    Attributes:
        share: Capacity (Kvs) of the first valve over that of both.
    """

    share: Annotated[float, Ge(0.1), Le(0.5)]


@dataclass(frozen=True, slots=True)
class Sequence:
    """Two valves of one rangeability; the first has `share` of the capacity of both, 0..1."""

    share: float
    rangeability: float

    @property
    def pair_rangeability(self) -> float:
        """R of the one valve that the two stand for."""
        return 1.0 + (self.rangeability - 1.0) / self.share


def split_pct(sequence: Sequence, opening_pct: float) -> tuple[float, float]:
    """Return the openings of the first and of the second valve, 0..100 %.

    Args:
        sequence: The two valves.
        opening_pct: The opening of both, finite; outside of 0..100 % it counts as the nearer end.
    """
    share = sequence.share
    capacity = _capacity(opening_pct / 100.0, sequence.pair_rangeability)
    wanted = capacity / share, (capacity - share) / (1.0 - share)
    first, second = (
        100.0 * _opening(min(max(one, 0.0), 1.0), sequence.rangeability) for one in wanted
    )
    return min(first, 100.0), min(second, 100.0)


def joined_pct(sequence: Sequence, first_pct: float, second_pct: float) -> float:
    """Return the opening of both at which one valve would pass as much; NaN where one is NaN."""
    share, rangeability = sequence.share, sequence.rangeability
    first = _capacity(first_pct / 100.0, rangeability)
    second = _capacity(second_pct / 100.0, rangeability)
    both = share * first + (1.0 - share) * second
    return 100.0 * _opening(both, sequence.pair_rangeability)


def _capacity(opening: float, rangeability: float) -> float:
    """Return which share of its capacity a valve passes at an opening 0..1."""
    return expm1(opening * log(rangeability)) / (rangeability - 1.0)


def _opening(capacity: float, rangeability: float) -> float:
    return log1p(capacity * (rangeability - 1.0)) / log(rangeability)
