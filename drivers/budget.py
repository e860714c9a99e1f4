"""How often a register may be written in a day, and how long its memory will live at that rate.

Rule: a budget runs over restarts and refills with time, so a register that has had its day's writes
takes one more now and then, and never a burst at midnight.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from core.point import Tag
from drivers.base import Target

DAY_S = 86_400.0
EEPROM_WRITES = 100_000
"""What the data sheets of serial EEPROMs promise at the least."""

# Below this share of a day's writes only larger changes are worth one.
_LOW_SHARE = 0.5
# A change that is worth a write when the last one is at stake, as a share of the range.
_STEP_SHARE = 0.02
# An alarm about a budget ends when so much of it is there again.
_BACK_SHARE = 0.05
_YEAR_S = 365.25 * DAY_S


@dataclass(frozen=True, slots=True)
class Wear:
    """What a register has been through.

    Attributes:
        left: Writes that it may take now.
        total: Writes since the first.
        over_s: For how long they have been counted, s.
    """

    left: float
    total: int = 0
    over_s: float = 0.0

    def after(self, dt_s: float, per_day: int) -> "Wear":
        """Return the wear when `dt_s` more have passed."""
        left = min(float(per_day), self.left + per_day * dt_s / DAY_S)
        return Wear(left, self.total, self.over_s + dt_s)

    def spent(self) -> "Wear":
        """Return the wear after one write more, which a protective write takes on credit."""
        return Wear(self.left - 1.0, self.total + 1, self.over_s)

    def life_years(self) -> float:
        """Return how long an EEPROM lives at the mean rate so far; infinite without a write.

        The first day is too short to be a rate: it counts as a whole one.
        """
        if not self.total:
            return math.inf
        per_s = self.total / max(self.over_s, DAY_S)
        return max(0, EEPROM_WRITES - self.total) / per_s / _YEAR_S


NO_WEAR: Mapping[Tag, Wear] = MappingProxyType({})


def is_worth_it(target: Target, wear: Wear, change: float) -> bool:
    """Return whether a change (NaN: nobody knows how large) is worth one of the writes left.

    The less is left of the day's budget, the larger a change must be; with nothing left none is.
    """
    if wear.left < 1.0:
        return False
    scarce = 1.0 - wear.left / (_LOW_SHARE * target.per_day)
    least = _STEP_SHARE * (target.high - target.low) * scarce
    return not change < least


class Budget:
    """Counts the writes of one device.

    Args:
        targets: What may be written; a target with `per_day` 0 is not counted.
    """

    __slots__ = ("_at_s", "_out", "_targets", "wear")

    def __init__(self, targets: Mapping[Tag, Target]) -> None:
        self._targets = {tag: target for tag, target in targets.items() if target.per_day}
        self.wear = {tag: Wear(float(target.per_day)) for tag, target in self._targets.items()}
        self._at_s: dict[Tag, float] = {}
        self._out: set[Tag] = set()

    def remember(self, wear: Mapping[Tag, Wear]) -> None:
        """Go on from what was counted before a restart; a budget may have been cut since."""
        for tag, one in wear.items():
            if tag in self._targets:
                self.wear[tag] = one.after(0.0, self._targets[tag].per_day)

    def allows(self, tag: Tag, change: float, now_s: float) -> bool:
        """Return whether a change may be written now; a refusal is remembered for the alarm."""
        target = self._targets.get(tag)
        if target is None:
            return True
        wear = self._now(tag, target, now_s)
        if wear.left < 1.0:
            self._out.add(tag)
        return is_worth_it(target, wear, change)

    def spend(self, tag: Tag, now_s: float) -> None:
        """Count one write."""
        target = self._targets.get(tag)
        if target is not None:
            wear = self._now(tag, target, now_s).spent()
            self._at_s[tag] = now_s
            # A new mapping: who was given the old one keeps it as it was.
            self.wear = {**self.wear, tag: wear}

    def out(self, now_s: float) -> tuple[Tag, ...]:
        """Return the registers that have had their day's writes, until some are to be had again."""
        if not self._out:
            return ()
        for tag in tuple(self._out):
            target = self._targets[tag]
            if self._now(tag, target, now_s).left >= _BACK_SHARE * target.per_day:
                self._out.remove(tag)
        return tuple(sorted(self._out))

    def _now(self, tag: Tag, target: Target, now_s: float) -> Wear:
        return self.wear[tag].after(now_s - self._at_s.setdefault(tag, now_s), target.per_day)
