"""What we wrote into a device, and whether the device shows it.

Rule: a value counts as standing in the device only when a later poll has read it there.
"""

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from core.point import Tag
from drivers.base import Target
from drivers.budget import Budget

_NOTHING_HELD: Mapping[Tag, str] = MappingProxyType({})
_MISSES_MAX = 2
_SLOW_MISSES_MAX = 1


@dataclass(slots=True)
class _Sent:
    """The last value sent to one tag; NaN where it is not known what the device took."""

    value: float
    at_s: float
    misses: int = 0
    is_verified: bool = False


class ReadBack:
    """Decides what has to be written, and checks it against what is read later.

    `held` says of each tag that does not stand as it is wanted why it does not, after `due`.

    Args:
        targets: What may be written.
        columns: Where each of them is read back.
    """

    def __init__(self, targets: Mapping[Tag, Target], columns: Mapping[Tag, int]) -> None:
        self._targets = targets
        self._columns = columns
        self._limited = tuple(tag for tag, t in targets.items() if t.rate_per_s < math.inf)
        self._found: dict[Tag, float] = {}
        self._asked_s = math.inf
        self.budget = Budget(targets)
        self.held: Mapping[Tag, str] = _NOTHING_HELD
        self._sent: dict[Tag, _Sent] = {}
        self.verified = 0

    def due(
        self,
        wanted: Mapping[Tag, float],
        now_s: float,
        urgent: frozenset[Tag] = frozenset(),
    ) -> tuple[dict[Tag, float], dict[Tag, float], list[Tag]]:
        """Return what must be sent, what stands there already, and what may not be sent.

        A tag of another device is in none of them. A value that is no number or outside the range
        of its point may not be sent. No value moves faster than its rate or costs more than its
        budget, but for those of `urgent`, which protect the station.
        """
        passed_s, self._asked_s = max(0.0, now_s - self._asked_s), now_s
        held: dict[Tag, str] = {}
        due: dict[Tag, float] = {}
        standing: dict[Tag, float] = {}
        impossible: list[Tag] = []
        for tag, asked in wanted.items():
            target = self._targets.get(tag)
            if target is None:
                continue
            if target.is_pulse or not target.low <= asked <= target.high:
                impossible.append(tag)
                continue
            sent = self._sent.get(tag)
            value = asked if tag in urgent else self._in_rate(tag, target, asked, passed_s)
            if value != asked:
                held[tag] = "held by its rate"
            is_standing = sent is not None and target.is_met(value, sent.value)
            if sent is not None and is_standing and now_s - sent.at_s < target.refresh_s:
                if not target.is_eeprom:
                    standing[tag] = value
                continue
            change = math.nan if sent is None or is_standing else abs(value - sent.value)
            if tag in urgent or self.budget.allows(tag, change, now_s):
                due[tag] = value
            elif not is_standing:
                held[tag] = "held by its budget of writes"
        self.held = held or _NOTHING_HELD
        return due, standing, impossible

    def _in_rate(self, tag: Tag, target: Target, value: float, passed_s: float) -> float:
        """Return the value towards `value` that the rate allows; all of it from the unknown."""
        if target.rate_per_s == math.inf:
            return value
        sent = self._sent.get(tag)
        here = self._found.get(tag, math.nan)
        if sent is not None and not math.isnan(sent.value):
            here = sent.value
        most = target.rate_per_s * passed_s
        if math.isnan(here) or abs(value - here) <= most:
            return value
        return min(max(here + math.copysign(most, value - here), target.low), target.high)

    def sent(self, values: Mapping[Tag, float], now_s: float, *, due: Collection[Tag]) -> None:
        """Note what the device took. Misses go on counting until a poll shows a value.

        What went along with those that were `due` costs them nothing: no budget was asked for it.
        """
        for tag, value in values.items():
            self._note(tag, value, now_s)
            if tag in due:
                self.budget.spend(tag, now_s)

    def refused(self, tags: Iterable[Tag], now_s: float) -> None:
        """Note that the device says no: due again, and not verified.

        To an EEPROM it costs a write all the same: some say no, or "acknowledged", and write it.
        """
        for tag in tags:
            self._note(tag, math.nan, now_s)
            if self._targets[tag].is_eeprom:
                self.budget.spend(tag, now_s)

    def failed(self, tags: Iterable[Tag], now_s: float) -> None:
        """Note that it is not known whether the device took them: due again, and paid for."""
        for tag in tags:
            self._note(tag, math.nan, now_s)
            self.budget.spend(tag, now_s)

    def _note(self, tag: Tag, value: float, now_s: float) -> None:
        before = self._sent.get(tag)
        self._sent[tag] = _Sent(value, now_s, before.misses if before else 0)

    def compare(self, values: Sequence[float], asked_s: Sequence[float], at_s: float) -> None:
        """Check all that was sent against one poll.

        Args:
            values: The newest value of each column of the device.
            asked_s: When each of them was asked for.
            at_s: When the poll began: a column with another time did not come with it.
        """
        for tag in self._limited:
            self._found[tag] = values[self._columns[tag]]
        for tag, sent in self._sent.items():
            column = self._columns[tag]
            if asked_s[column] != at_s:
                continue
            if self._targets[tag].is_met(sent.value, values[column]):
                self.verified += not sent.is_verified
                sent.is_verified = True
                sent.misses = 0
            else:
                sent.is_verified = False
                sent.misses += 1

    def forget(self) -> None:
        """After a broken link nothing is known: all is due with the next outputs."""
        self._sent.clear()
        self._found.clear()

    def unverified(self) -> tuple[Tag, ...]:
        """Return the tags that the device does not show as written, for two polls or more."""
        return tuple(
            tag
            for tag, sent in self._sent.items()
            if sent.misses >= (_SLOW_MISSES_MAX if self._targets[tag].is_slow else _MISSES_MAX)
        )
