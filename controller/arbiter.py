"""One writer per output: who may move it in this scan, and why.

Rule: the highest holder with a claim wins; where nobody claims a value, nothing is written and the
output holds.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from typing import Literal, NamedTuple

from core.point import Tag


class Holder(IntEnum):
    """Who may hold an output, strongest first: emergency stop before trip before frost ..."""

    LOCAL = 0  # emergency stop, local panel, tag-out, no authority: nothing is written
    TRIP = 1
    FROST = 2
    OPERATOR = 3
    SOURCE = 4
    LOOP = 5
    HOLD = 6


class Claim(NamedTuple):
    """What one holder wants of one output. `value` None claims that nothing be written."""

    holder: Holder
    value: float | None
    why: str


HOLD = Claim(Holder.HOLD, None, "nobody claims this output")


def arbitrate(claims: Iterable[Claim]) -> Claim:
    """Return the claim that wins: the strongest holder's, the first of equals."""
    winner = HOLD
    for claim in claims:
        if winner is HOLD or claim.holder < winner.holder:
            winner = claim
    return winner


@dataclass(frozen=True, slots=True)
class Held:
    """Who holds an output after a scan. `Held.of` tells the fleet's screens and the explanation."""

    tag: Tag
    claim: Claim

    @property
    def holder(self) -> Literal["local", "trip", "frost", "operator", "source", "loop", "hold"]:
        """Return the holder's name as people read it."""
        return _NAMES[self.claim.holder]


_NAMES: dict[Holder, Literal["local", "trip", "frost", "operator", "source", "loop", "hold"]] = {
    Holder.LOCAL: "local",
    Holder.TRIP: "trip",
    Holder.FROST: "frost",
    Holder.OPERATOR: "operator",
    Holder.SOURCE: "source",
    Holder.LOOP: "loop",
    Holder.HOLD: "hold",
}
