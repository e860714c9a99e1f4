"""What a point of a station is: its tag, its unit, and how far its value may be trusted.

Rule: tags are the field's own names (T2g, CV1_SV, ...), unique within a station; a circuit of a
station with several circuits prefixes its tags (low.T2g).
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum, IntEnum
from functools import lru_cache
from typing import Literal, NamedTuple, NewType

Tag = NewType("Tag", str)
_TABLES_MAX = 1024
"""How many point lists' tables are shared; one more has a table for each of its stations."""


class Unit(Enum):
    """The unit in which heatd keeps a quantity; the member's value is how people write it."""

    NONE = ""
    CELSIUS = "°C"
    KELVIN = "K"
    KELVIN_PER_KELVIN = "K/K"
    KELVIN_PER_HOUR = "K/h"
    KELVIN_PER_MINUTE = "K/min"
    PERCENT = "%"
    PERCENT_PER_SECOND = "%/s"
    PERCENT_PER_KELVIN = "%/K"
    MEGAPASCAL = "MPa"
    KILOPASCAL = "kPa"
    CUBIC_METRE = "m³"
    CUBIC_METRE_PER_HOUR = "m³/h"
    KILOWATT = "kW"
    GIGAJOULE = "GJ"
    SECOND = "s"
    METRE = "m"
    SQUARE_METRE = "m²"
    HERTZ = "Hz"
    HERTZ_PER_SECOND = "Hz/s"
    HERTZ_PER_KILOPASCAL = "Hz/kPa"
    HERTZ_PER_MEGAPASCAL = "Hz/MPa"
    AMPERE = "A"
    METRE_PER_SECOND = "m/s"
    WATT_PER_SQUARE_METRE = "W/m²"


class Quality(IntEnum):
    """How far a value may be trusted; the worst input's quality is the result's quality."""

    BAD = 0
    STALE = 1
    SUBSTITUTED = 2
    GOOD = 3


class Doubt(NamedTuple):
    """Why a value is not GOOD: the check that found it, and what it found in a few words."""

    check: Literal["rate", "frozen", "heartbeat", "relation", "raw", "substitute"]
    text: str


class Sample(NamedTuple):
    """One value with its quality and its age. `value` is NaN exactly when the quality is BAD."""

    value: float
    quality: Quality
    age_s: float

    @property
    def is_usable(self) -> bool:
        """True where a chain that declares substitutes may take the value: GOOD or SUBSTITUTED."""
        return self.quality >= Quality.SUBSTITUTED


NO_SAMPLE = Sample(float("nan"), Quality.BAD, float("inf"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Writing:
    """How a point may be written, beside its range.

    Attributes:
        refresh_s: A value that stands is sent again after this time.
        per_day: Most writes in a day, protective ones apart.
        is_eeprom: The PLC keeps the value in a memory that every write wears out.
        modes: The authorities of a station under which it may be written at all.
    """

    refresh_s: float = 60.0
    per_day: int = 5000
    is_eeprom: bool = False
    modes: frozenset[str] = frozenset({"valve", "setpoint"})


ORDINARY = Writing()


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One point of the point list (点表): what a tag means, whatever protocol carries it.

    `low` and `high` are the plausible range in `unit`; a value outside is BAD. `states` names each
    number that an enumeration knows; any other is BAD.

    Attributes:
        rate_per_s: Fastest change: what comes faster is doubted, and nothing is written faster.
        rate_after: For how many readings a faster change must last before it is believed.
        frozen_s: A value that has not moved for so long is STALE.
    """

    tag: Tag
    unit: Unit = Unit.NONE
    low: float = float("-inf")
    high: float = float("inf")
    rate_per_s: float = float("inf")
    rate_after: int = 3
    frozen_s: float = float("inf")
    is_writable: bool = False
    is_pulse: bool = False
    writing: Writing = ORDINARY
    states: tuple[tuple[int, str], ...] = ()

    def state(self, value: float) -> str:
        """Return the name of a number of an enumeration; empty where it has none."""
        return next((name for number, name in self.states if number == value), "")


class _Places(dict[Tag, int]):
    """The columns of a table's tags; every other tag is found behind the last of them."""

    def __missing__(self, tag: Tag) -> int:
        return len(self)


class TagTable:
    """The fixed order of tags that gives the columns of an image their meaning.

    `index` knows the columns of its tags; `places` answers for any tag, with the column behind the
    last for one that the table lacks.

    Raises:
        ValueError: A tag stands twice.
    """

    __slots__ = ("index", "places", "tags")

    def __init__(self, tags: Iterable[Tag]) -> None:
        self.tags: tuple[Tag, ...] = tuple(tags)
        self.index: dict[Tag, int] = {tag: i for i, tag in enumerate(self.tags)}
        if len(self.index) != len(self.tags):
            twice = sorted({tag for tag in self.tags if self.tags.count(tag) > 1})
            raise ValueError(f"tags stand twice in one table: {', '.join(twice)}")
        self.places: Mapping[Tag, int] = _Places(self.index)

    @classmethod
    @lru_cache(maxsize=_TABLES_MAX)
    def of(cls, tags: tuple[Tag, ...]) -> "TagTable":
        """Return the table of these tags; stations with one point list share it.

        Raises:
            ValueError: A tag stands twice.
        """
        return cls(tags)

    def __len__(self) -> int:
        return len(self.tags)

    def __iter__(self) -> Iterator[Tag]:
        return iter(self.tags)

    def __contains__(self, tag: object) -> bool:
        return tag in self.index
