"""The flats of a station as columns of its image, with the figures that its PLC does not give.

Rule: a room ages by the time of its measurement alone; that a broker answers makes nothing fresh.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from core.point import Quality, Sample, Tag, TagTable
from core.rooms import Figure, Flat, RoomReading, room_figures
from drivers.ageing import Columns
from drivers.collector import FlatBoard

_BAD_AGES = 4.0
_FOR_EVER = float("inf")


@dataclass(frozen=True, slots=True)
class Reporter:
    """A flat, and where it reports: the board, and its name in the topics."""

    flat: Flat
    board: FlatBoard
    device: str


class RoomPoints:
    """The measured flats of one station.

    Args:
        reporters: Its flats.
        max_age_s: A room is STALE when its measurement is older, and BAD after four times that. One
            that never reported is BAD too, and for ever old until it is missed for `max_age_s`.
        figures: By circuit, the figures of its usable rooms that are counted here, with their tags.
    """

    def __init__(
        self,
        reporters: Sequence[Reporter],
        max_age_s: float,
        figures: Mapping[str, Mapping[Figure, Tag]],
    ) -> None:
        self._reporters = tuple(reporters)
        self._max_age_s = max_age_s
        self._waits_since_s: float | None = None
        self._figures = [
            (tuple(tags), [i for i, r in enumerate(reporters) if r.flat.circuit == circuit])
            for circuit, tags in figures.items()
        ]
        counted = (tag for tags in figures.values() for tag in tags.values())
        self.table = TagTable((*(r.flat.tag for r in reporters), *counted))

    @property
    def are_lost(self) -> bool:
        """True while one of the station's collectors is not connected."""
        return not all(reporter.board.is_up for reporter in self._reporters)

    def columns(self, now_s: float) -> Columns:
        """Return all rooms as old as they are at the loop time `now_s`, and their figures."""
        if self._waits_since_s is None:
            self._waits_since_s = now_s
        samples = [self._sample(reporter, now_s) for reporter in self._reporters]
        for wanted, members in self._figures:
            readings = [RoomReading(self._reporters[i].flat, samples[i]) for i in members]
            counted = _counted(readings, self._max_age_s)
            samples += [counted[figure] for figure in wanted]
        return Columns(
            tuple(sample.value for sample in samples),
            bytes(sample.quality for sample in samples),
            tuple(sample.age_s for sample in samples),
        )

    def _sample(self, reporter: Reporter, now_s: float) -> Sample:
        bad_after_s = _BAD_AGES * self._max_age_s
        room = reporter.board.room(reporter.device)
        if room is None:
            waits_s = now_s - (now_s if self._waits_since_s is None else self._waits_since_s)
            is_missed = waits_s >= self._max_age_s
            return Sample(math.nan, Quality.BAD, waits_s if is_missed else _FOR_EVER)
        age_s = max(0.0, now_s - room.true_s)
        if age_s >= bad_after_s:
            return Sample(math.nan, Quality.BAD, age_s)
        is_good = room.is_live and age_s < self._max_age_s
        return Sample(room.value_c, Quality.GOOD if is_good else Quality.STALE, age_s)


def _counted(readings: Sequence[RoomReading], max_age_s: float) -> Mapping[Figure, Sample]:
    """Return the figures of some rooms; they are as old as the oldest that counts.

    Where none counts they are as old as the youngest of the others; while a young one is only
    remembered by the broker, a live one may still come, and there is nothing to be old.
    """
    figures = room_figures(readings)
    ages_s = [reading.sample.age_s for reading in readings if reading.sample.is_usable]
    others = [reading.sample for reading in readings]
    is_remembered = any(s.quality is Quality.STALE and s.age_s < max_age_s for s in others)
    unusable_s = _FOR_EVER if is_remembered else min((s.age_s for s in others), default=_FOR_EVER)
    age_s = max(ages_s, default=unusable_s)
    quality = Quality.GOOD if figures.rooms else Quality.BAD
    return {
        "avg": Sample(figures.avg_c, quality, age_s),
        "min": Sample(figures.min_c, quality, age_s),
        "p10": Sample(figures.p10_c, quality, age_s),
        "count": Sample(float(figures.rooms), Quality.GOOD, 0.0),
    }
