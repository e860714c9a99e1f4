"""The frozen inputs and the outputs of one scan.

Rule: an image never changes after it is taken, and its value is NaN exactly where its quality is
BAD.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from types import MappingProxyType
from typing import NamedTuple

from core.clock import Instant
from core.point import NO_SAMPLE, Doubt, Quality, Sample, Tag, TagTable

_QUALITIES = tuple(Quality)
_GOOD = int(Quality.GOOD)
_NAN = float("nan")
_FOR_EVER = float("inf")
# Silence makes a value BAD after a minute at the earliest; a younger one came, and was wrong.
_SILENT_S = 60.0
_NOTHING: Mapping[Tag, float] = MappingProxyType({})
_Getter = Callable[[tuple[float, ...]], tuple[float, ...]]
NO_DOUBTS: Mapping[int, Doubt] = MappingProxyType({})


class Pick:
    """Some tags, looked up once, to be read from image after image in one step.

    `places` says where each tag stands among the picked values.
    """

    __slots__ = ("_getters", "places")

    def __init__(self, tags: Iterable[Tag]) -> None:
        self.places: dict[Tag, int] = {tag: i for i, tag in enumerate(dict.fromkeys(tags))}
        # Stations with one point list share their table; there are as many tables as point lists.
        self._getters: dict[TagTable, _Getter] = {}

    def of(self, table: TagTable, trusted: tuple[float, ...]) -> tuple[float, ...]:
        """Return the values of the tags; NaN for one that the table lacks.

        Args:
            table: Gives the columns their meaning.
            trusted: The values with NaN behind the last, as an image has them.
        """
        get = self._getters.get(table)
        if get is None:
            get = self._getters[table] = _getter([table.places[tag] for tag in self.places])
        return get(trusted)


def _getter(columns: Sequence[int]) -> _Getter:
    if len(columns) <= 1:
        return lambda values: tuple([values[i] for i in columns])
    return itemgetter(*columns)


@dataclass(frozen=True, slots=True)
class ProcessImage:
    """All inputs of one station, frozen for one scan.

    Columnar: `values[i]`, `qualities[i]` (a byte, a `Quality`) and `ages_s[i]` belong to
    `table.tags[i]`. `image["T2g"]` makes a `Sample`, a view for whoever wants one value. `doubts`
    says by column why a check does not trust a value; it is empty while all is well. `trusted` are
    the values on which a decision may rest, NaN for all others, and NaN behind the last.
    """

    station: str
    taken_at: Instant
    table: TagTable
    values: tuple[float, ...]
    qualities: bytes
    ages_s: tuple[float, ...]
    doubts: Mapping[int, Doubt] = field(default_factory=lambda: NO_DOUBTS)
    trusted: tuple[float, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Work out once what is asked for some dozens of times in a scan."""
        values, qualities = self.values, self.qualities
        if qualities.count(_GOOD) == len(qualities):
            trusted = (*values, _NAN)
        else:
            pairs = zip(values, qualities, strict=True)
            trusted = (*[value if quality == _GOOD else _NAN for value, quality in pairs], _NAN)
        object.__setattr__(self, "trusted", trusted)

    def __getitem__(self, tag: Tag) -> Sample:
        """Return the sample of `tag`; a tag that the station lacks is a BAD sample, not an error.

        Which tags a station must have is checked when its configuration is loaded.
        """
        i = self.table.index.get(tag)
        if i is None:
            return NO_SAMPLE
        return Sample(self.values[i], _QUALITIES[self.qualities[i]], self.ages_s[i])

    def value(self, tag: Tag) -> float:
        """Return the value of `tag` if a decision may rest on it, else NaN.

        A SUBSTITUTED value is none: only a chain that declares it takes it, from its `Sample`.
        """
        return self.trusted[self.table.places[tag]]

    def usable(self, pick: Pick) -> tuple[float, ...]:
        """Return what `value` returns for each tag of `pick`."""
        return pick.of(self.table, self.trusted)

    def reason(self, tag: Tag) -> str:
        """Return in a few words why the value of `tag` is not GOOD; empty where it is."""
        i = self.table.index.get(tag)
        if i is None:
            return "no such point"
        if self.qualities[i] == Quality.GOOD:
            return ""
        if i in self.doubts:
            return self.doubts[i].text
        age_s = self.ages_s[i]
        if age_s == _FOR_EVER:
            return "no data yet"
        if self.qualities[i] == Quality.STALE or age_s >= _SILENT_S:
            return f"no data for {age_s:.0f} s"
        return "out of range"

    def flag(self, tag: Tag) -> bool | None:
        """Return the usable bit of `tag`, or None where it cannot be trusted or does not exist."""
        value = self.trusted[self.table.places[tag]]
        return None if value != value else value != 0.0  # noqa: PLR0124 - the cheapest test for NaN


class Outputs(NamedTuple):
    """What one scan wants to stand in the PLC.

    `values` are absolute (a repetition changes nothing). `pulses` are command bits to be set once:
    never refreshed and never repeated; so are `timed`, for each of which the PLC's own timer closes
    a contact for that many seconds. A tag in none of them stays as it is: outputs hold. `urgent`
    are the tags whose values protect the station: no rate and no budget holds them back.
    """

    values: Mapping[Tag, float] = _NOTHING
    pulses: frozenset[Tag] = frozenset()
    urgent: frozenset[Tag] = frozenset()
    timed: Mapping[Tag, float] = _NOTHING
