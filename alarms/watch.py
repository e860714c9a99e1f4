"""Which alarms of a station must be looked at in a scan: the few that may have something to say.

Rule: to look at one too many costs a microsecond and changes nothing; to pass over one that has
something to say is a lost alarm. So whatever is not known to be quiet is looked at.
"""

from collections.abc import Sequence
from operator import le

from alarms.alarm import REST, AlarmState
from alarms.condition import Condition, Facts
from core.image import Pick


class Watch:
    """The bands of all alarms of a station, compared with an image in a few steps.

    Args:
        conditions: The conditions in the order of the table.
        causes: For each, the places of the alarms that explain it.
    """

    __slots__ = ("_differences", "_highs", "_lows", "_pick", "_places", "effects")

    def __init__(self, conditions: Sequence[Condition], causes: Sequence[tuple[int, ...]]) -> None:
        bands = [(i, band) for i, one in enumerate(conditions) for band in one.bands()]
        single = [(i, band) for i, band in bands if band.reference is None]
        apart = [(i, band, band.reference) for i, band in bands if band.reference is not None]
        tags = dict.fromkeys(band.tag for _, band in single)
        # The terms of the differences come behind the tags that have bands of their own.
        self._pick = Pick((*tags, *(tag for _, band, other in apart for tag in (band.tag, other))))
        places = self._pick.places
        self._differences = tuple(
            (i, places[band.tag], places[other], band.low, band.high) for i, band, other in apart
        )
        columns: list[list[tuple[int, float, float]]] = [[] for _ in tags]
        for i, band in single:
            columns[places[band.tag]].append((i, band.low, band.high))
        # What lies in all bands of a tag lies in the narrowest.
        self._lows = tuple(max(low for _, low, _ in column) for column in columns)
        self._highs = tuple(min(high for _, _, high in column) for column in columns)
        self._places = tuple(tuple(i for i, _, _ in column) for column in columns)
        self.effects: tuple[tuple[int, ...], ...] = tuple(
            tuple(i for i, own in enumerate(causes) if cause in own) for cause in range(len(causes))
        )
        """For each alarm, the places of those that it explains, all behind it."""

    def outside(self, facts: Facts) -> set[int]:
        """Return the places of the alarms with a value that is not in its band."""
        values = facts.usable(self._pick)
        found = {
            i
            for i, tag, other, low, high in self._differences
            if not low <= values[tag] - values[other] <= high
        }
        if all(map(le, self._lows, values)) and all(map(le, values, self._highs)):
            return found
        for places, low, value, high in zip(
            self._places, self._lows, values, self._highs, strict=False
        ):
            if not low <= value <= high:
                found.update(places)
        return found

    def standing(self, states: Sequence[AlarmState]) -> tuple[int, ...]:
        """Return the places of the alarms that are looked at whatever the values are.

        These are all that do not rest, and all that an active one explains.
        """
        found: set[int] = set()
        for i, state in enumerate(states):
            if state is not REST:
                found.add(i)
                if state.is_active:
                    found.update(self.effects[i])
        return tuple(sorted(found))
