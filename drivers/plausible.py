"""What a device shows, looked at twice: a value that jumps, stands still or outlives its PLC.

Rule: a check lowers a quality and says why; it never raises one and never makes up a value.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple

from core.point import Doubt, Point, Quality, Tag, TagTable, Unit
from drivers.ageing import Columns
from drivers.base import Block
from drivers.settings import Node, Register

BEATS_MAX = 3
"""A PLC whose counter stands still for so many polls shows nothing but the past."""
# A float that a PLC passes on differs in its last bits only by arithmetic, never by measurement.
_FLOAT_QUANTUM = 2.0**-22
# While nobody looked the value may have moved: a gap counts as this much standing still.
_GAP_S_MAX = 120.0
_STUCK = Doubt("heartbeat", "the PLC's heartbeat stands still")
_OUT_OF_SPECIFICATION = Doubt("raw", "current out of specification")
_OVERRIDDEN = Doubt("substitute", "overridden or uncertain at the device")
_BROKEN = Doubt("raw", "sensor open or shorted")
_OUT_OF_RANGE = Doubt("raw", "out of range")


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """What is implausible about one value, in its point's unit.

    Attributes:
        rate_per_s: Fastest believable change.
        rate_after: A faster one is believed when it has lasted for so many readings.
        frozen_s: A value that has not moved for so long is STALE.
        count: One count of an integer type; 0 for a float.
        unit: How the unit of a change is written.
    """

    rate_per_s: float = math.inf
    rate_after: int = 3
    frozen_s: float = math.inf
    count: float = 0.0
    unit: str = ""


@dataclass(frozen=True, slots=True)
class Checks:
    """What is looked at in one device.

    Attributes:
        by_tag: The values with checks of their own.
        beat: The PLC's counter; None where nobody counts.
        loops: The values of 4-20 mA transmitters.
        firmware: The point that tells the PLC's program, and the one that an engineer confirmed.
    """

    by_tag: Mapping[Tag, Check]
    beat: Tag | None = None
    loops: frozenset[Tag] = frozenset()
    firmware: tuple[Tag, float] | None = None


NO_CHECKS = Checks(MappingProxyType({}))


class Seen(NamedTuple):
    """What is remembered of one value: NaN and times of no past before the first reading.

    Attributes:
        value: The last one that was believed, and `at_s` when it was read.
        odd: The last one that was not believed, seen `odds` times in a row.
        still: The value that has not moved for `still_s`, read last at `looked_s`.
    """

    value: float = math.nan
    at_s: float = -math.inf
    odd: float = math.nan
    odds: int = 0
    still: float = math.nan
    still_s: float = 0.0
    looked_s: float = -math.inf


@dataclass(frozen=True, slots=True)
class Verdict:
    """How far a check trusts a value, and why not further."""

    quality: Quality
    doubt: Doubt


def look(
    check: Check, seen: Seen, value: float, at_s: float, *, is_alive: bool
) -> tuple[Verdict | None, Seen]:
    """Return what is implausible about a reading, None where nothing is, and the next memory.

    Args:
        check: The limits.
        seen: What is remembered.
        value: The reading; NaN where the device gave none that is in range.
        at_s: When it was asked for, s.
        is_alive: The PLC's heartbeat moves; what stands still with it is not the sensor's fault.
    """
    if math.isnan(value):
        return None, Seen(value=seen.value, at_s=seen.at_s, looked_s=at_s)
    still, still_s = _stillness(check, seen, value, at_s, is_alive=is_alive)
    passed_s = at_s - seen.at_s
    change = abs(value - seen.value)
    if change > check.rate_per_s * passed_s + check.count:
        is_same = abs(value - seen.odd) <= check.rate_per_s * (at_s - seen.looked_s) + check.count
        odds = seen.odds + 1 if is_same else 1
        if odds <= check.rate_after:
            per_min = 60.0 * change / passed_s
            doubt = Doubt("rate", f"rate {per_min:.3g} {check.unit}/min")
            after = Seen(seen.value, seen.at_s, value, odds, still, still_s, at_s)
            return Verdict(Quality.BAD, doubt), after
    after = Seen(value, at_s, math.nan, 0, still, still_s, at_s)
    if still_s >= check.frozen_s:
        doubt = Doubt("frozen", f"frozen {still_s / 60.0:.0f} min")
        return Verdict(Quality.STALE, doubt), after
    return None, after


def _stillness(
    check: Check, seen: Seen, value: float, at_s: float, *, is_alive: bool
) -> tuple[float, float]:
    """Return the value that stands still and for how long, in s."""
    quantum = 0.5 * check.count or _FLOAT_QUANTUM * abs(value)
    if not abs(value - seen.still) <= quantum:
        return value, 0.0
    passed_s = min(at_s - seen.looked_s, _GAP_S_MAX) if is_alive else 0.0
    return seen.still, seen.still_s + passed_s


def checks_of(rows: Sequence[Register] | Sequence[Node], beat: Tag | None = None) -> Checks:
    """Return the checks that the points of a device ask for; `beat` is its counter, if it has one.

    What heatd writes is not doubted when it jumps, for heatd itself moved it.
    """
    made = ((row.point, _check(row.point, row)) for row in rows)
    by_tag = {
        point.tag: check
        for point, check in made
        if check.rate_per_s < math.inf or check.frozen_s < math.inf
    }
    loops = [row.point.tag for row in rows if isinstance(row, Register) and row.current_loop]
    return Checks(by_tag, beat, frozenset(loops))


def _check(point: Point, row: Register | Node) -> Check:
    is_float = row.kind in {"f32", "f64"}
    scale = row.scale if isinstance(row, Register) else 1.0
    unit = Unit.KELVIN if point.unit is Unit.CELSIUS else point.unit
    return Check(
        rate_per_s=math.inf if point.is_writable else point.rate_per_s,
        rate_after=point.rate_after,
        frozen_s=point.frozen_s,
        count=0.0 if is_float else abs(scale),
        unit=unit.value,
    )


_QUALITY_OF = {
    _OUT_OF_SPECIFICATION: Quality.STALE,
    _OVERRIDDEN: Quality.SUBSTITUTED,
    _BROKEN: Quality.BAD,
    _OUT_OF_RANGE: Quality.BAD,
}


class Plausibility:
    """Looks at the values of one device as they come.

    Args:
        table: The device's columns.
        checks: What to look at; tags of other devices are passed over.
    """

    __slots__ = (
        "_beat",
        "_beat_column",
        "_checks",
        "_loops",
        "_misses",
        "_odd",
        "_seen",
        "_verdicts",
    )

    def __init__(self, table: TagTable, checks: Checks) -> None:
        index, by_tag = table.index, checks.by_tag
        self._checks = tuple((index[tag], check) for tag, check in by_tag.items() if tag in index)
        self._seen = [Seen() for _ in self._checks]
        self._verdicts: dict[int, Verdict] = {}
        self._loops = frozenset(index[tag] for tag in checks.loops if tag in index)
        self._odd: dict[int, Doubt] = {}
        self._beat_column = None if checks.beat is None else index.get(checks.beat)
        self._beat = math.nan
        self._misses = 0

    def look(
        self,
        blocks: Sequence[Block],
        values: Sequence[float],
        asked_s: Sequence[float],
        at_s: float,
    ) -> None:
        """Look at one poll.

        Args:
            blocks: What it brought.
            values: The newest value of each column of the device.
            asked_s: When each of them was asked for.
            at_s: When the poll began: a column with another time did not come with it.
        """
        for block in blocks:
            self._look_at_raw(block)
        if self._beat_column is not None and asked_s[self._beat_column] == at_s:
            beat = values[self._beat_column]
            self._misses = self._misses + 1 if beat == self._beat else 0
            self._beat = beat
        is_alive = self._misses == 0
        for i, (column, check) in enumerate(self._checks):
            if asked_s[column] != at_s:
                continue
            verdict, self._seen[i] = look(
                check, self._seen[i], values[column], at_s, is_alive=is_alive
            )
            if verdict is not None:
                self._verdicts[column] = verdict
            elif column in self._verdicts:
                del self._verdicts[column]

    def _look_at_raw(self, block: Block) -> None:
        """Say what the codec found wrong with a block; nothing is done where nothing is."""
        is_well = block.qualities.count(Quality.GOOD) == len(block.qualities)
        if is_well and not self._odd:
            return
        for column, quality in enumerate(block.qualities, block.start):
            if quality == Quality.GOOD:
                self._odd.pop(column, None)
            elif quality == Quality.STALE:
                self._odd[column] = _OUT_OF_SPECIFICATION
            elif quality == Quality.SUBSTITUTED:
                self._odd[column] = _OVERRIDDEN
            else:
                self._odd[column] = _BROKEN if column in self._loops else _OUT_OF_RANGE

    def forget(self) -> None:
        """Start anew: what comes next is of another device."""
        self._odd.clear()
        self._seen = [Seen() for _ in self._checks]
        self._verdicts.clear()
        self._beat, self._misses = math.nan, 0

    def marked(self, columns: Columns) -> Columns:
        """Return the columns as far as they can be trusted: the same object while all is well."""
        is_stuck = self._misses >= BEATS_MAX
        if not self._verdicts and not is_stuck and not self._odd:
            return columns
        values, qualities = list(columns.values), bytearray(columns.qualities)
        # Where silence has made it worse already, silence is the reason.
        doubts = {c: odd for c, odd in self._odd.items() if qualities[c] == _QUALITY_OF[odd]}
        if is_stuck:
            for column, quality in enumerate(qualities):
                if quality > Quality.STALE:
                    qualities[column] = Quality.STALE
                    doubts[column] = _STUCK
        for column, verdict in self._verdicts.items():
            if verdict.quality < qualities[column] or doubts.get(column) is _STUCK:
                qualities[column] = verdict.quality
                doubts[column] = verdict.doubt
                if verdict.quality is Quality.BAD:
                    values[column] = math.nan
        return Columns(tuple(values), bytes(qualities), columns.ages_s, doubts)
