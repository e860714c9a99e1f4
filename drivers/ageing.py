"""The newest value of each point of a device, and how it ages when no newer one comes.

Rule: silence is no value; it makes a GOOD value STALE and at last BAD, and never anything else.
What never came is BAD from the first, but of no age until it would be BAD for silence alone.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from core.image import NO_DOUBTS
from core.point import Doubt, Quality
from drivers.base import Block

_STALE_PERIODS = 3
_BAD_PERIODS = 12
_BAD_S_MIN = 60.0


class Columns(NamedTuple):
    """Values, qualities (a `Quality` byte each) and ages of a device's points, in table order.

    A column that has never come is for ever old (inf) while it may still come in time, then as old
    as the wait for it. `doubts` says by column why a check does not trust a value; empty while all
    is well.
    """

    values: tuple[float, ...]
    qualities: bytes
    ages_s: tuple[float, ...]
    doubts: Mapping[int, Doubt] = NO_DOUBTS


class _Run(NamedTuple):
    """Neighbouring columns that came together and are as old as each other.

    Attributes:
        end: The column behind the last one.
        at_s: When they came.
        patience_s: How old they may grow before the first of them is STALE.
    """

    end: int
    at_s: float
    patience_s: float


class Ageing:
    """Keeps what the blocks of a device brought last.

    `values[i]` is the newest value of a column, `at_s[i]` when it was asked for, and `true_at_s[i]`
    from when it is, by the source that it came from.

    Args:
        periods_s: How often each column is read. A value is STALE after three of its periods and
            BAD after twelve, but not before a minute.
    """

    __slots__ = (
        "_bad_after_s",
        "_qualities",
        "_runs",
        "_stale_after_s",
        "_unread_after_s",
        "_waits_since_s",
        "at_s",
        "true_at_s",
        "values",
    )

    def __init__(self, periods_s: Sequence[float]) -> None:
        self._stale_after_s = tuple(_STALE_PERIODS * period_s for period_s in periods_s)
        self._bad_after_s = tuple(
            max(_BAD_S_MIN, _BAD_PERIODS * period_s) for period_s in periods_s
        )
        # What is read once never ages; when it does not come at all it is missed like the rest.
        self._unread_after_s = tuple(
            bad_s if math.isfinite(bad_s) else _BAD_S_MIN for bad_s in self._bad_after_s
        )
        self._waits_since_s: float | None = None
        self.values = [math.nan] * len(periods_s)
        self._qualities = bytearray(len(periods_s))
        self.at_s = [-math.inf] * len(periods_s)
        self.true_at_s = self.at_s.copy()
        # By first column; what does not make up the whole table is not used.
        self._runs: dict[int, _Run] = {}

    @property
    def broken(self) -> int:
        """How many columns came BAD when they were last asked for."""
        return self._qualities.count(Quality.BAD)

    def is_broken(self, columns: Iterable[int]) -> bool:
        """Return whether any of these columns came BAD when it was last asked for."""
        return any(self._qualities[i] == Quality.BAD for i in columns)

    def keep(self, blocks: Sequence[Block], at_s: float) -> None:
        """Take what one poll brought that was asked for at `at_s`."""
        for block in blocks:
            start, end = block.start, block.start + len(block.values)
            self.values[start:end] = block.values
            self._qualities[start:end] = block.qualities
            self.at_s[start:end] = asked_s = [at_s] * len(block.values)
            self.true_at_s[start:end] = [at_s - age_s for age_s in block.ages_s] or asked_s
            run = self._runs.get(start) or _Run(end, at_s, min(self._stale_after_s[start:end]))
            if block.ages_s or run.end != end:
                self._runs.clear()
            else:
                self._runs[start] = _Run(end, at_s, run.patience_s)

    def forget(self) -> None:
        """Make everything BAD at once, as if it had never come; the wait for it begins anew.

        It goes on where nothing has come since the last time: a wrong device is forgotten in every
        poll, and its values are missed all the same.
        """
        if any(at_s > -math.inf for at_s in self.at_s):
            self._waits_since_s = None
        self.values = [math.nan] * len(self.values)
        self._qualities = bytearray(len(self.values))
        self.at_s = [-math.inf] * len(self.values)
        self.true_at_s = self.at_s.copy()
        self._runs.clear()

    def columns(self, now_s: float) -> Columns:
        """Return all values as old as they are now."""
        fresh_s = self._fresh_ages_s(now_s)
        if fresh_s is not None:
            return Columns(tuple(self.values), bytes(self._qualities), fresh_s)
        ages_s = [now_s - at_s for at_s in self.true_at_s]
        if self._waits_since_s is None:
            self._waits_since_s = now_s
        waits_s = now_s - self._waits_since_s
        values = self.values.copy()
        qualities = self._qualities.copy()
        for i, age_s in enumerate(ages_s):
            if age_s >= self._bad_after_s[i]:
                values[i] = math.nan
                qualities[i] = Quality.BAD
                if age_s == math.inf and waits_s >= self._unread_after_s[i]:
                    ages_s[i] = waits_s
            elif age_s >= self._stale_after_s[i]:
                qualities[i] = min(qualities[i], Quality.STALE)
        return Columns(tuple(values), bytes(qualities), tuple(ages_s))

    def _fresh_ages_s(self, now_s: float) -> tuple[float, ...] | None:
        """Return the age of each column while none is STALE, run by run; None where one may be."""
        ages_s: list[float] = []
        for start in sorted(self._runs):
            run = self._runs[start]
            age_s = now_s - run.at_s
            if start != len(ages_s) or age_s >= run.patience_s:
                return None
            ages_s += [age_s] * (run.end - start)
        return tuple(ages_s) if len(ages_s) == len(self.values) else None
