"""The flats of a station whose rooms are measured: where each one lies and what it shows.

Rule: a flat's value is a point of the image (`room.3-502`) like any other; here it only meets what
is known of its place, and the station's room figures are counted.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from core.image import ProcessImage
from core.point import Sample, Tag

Figure = Literal["avg", "min", "p10", "count"]
FIGURES: tuple[Figure, ...] = ("avg", "min", "p10", "count")
"""What is counted of a circuit's rooms, e.g. as T_room_avg."""
FlatPosition = Literal["middle", "edge", "top", "bottom"]

_P10 = 0.1
_NAN = float("nan")


@dataclass(frozen=True, slots=True, kw_only=True)
class Flat:
    """One measured flat.

    Attributes:
        name: Its name in the station, unique, as in `3-502`.
        circuit: Name of the circuit that heats it.
        position: Where it lies in its building: flats at an edge, under the roof and over the
            cellar are colder than those in the middle.
    """

    name: str
    circuit: str
    position: FlatPosition = "middle"

    @property
    def tag(self) -> Tag:
        """The tag of its room temperature in the station's image."""
        return Tag(f"room.{self.name}")


@dataclass(frozen=True, slots=True)
class RoomReading:
    """A flat and its room temperature in one scan, in °C, with quality and age."""

    flat: Flat
    sample: Sample


class RoomFigures(NamedTuple):
    """What the usable rooms of a circuit say together, in °C; NaN where none is usable."""

    avg_c: float
    min_c: float
    p10_c: float
    rooms: int


def room_readings(flats: Iterable[Flat], image: ProcessImage) -> tuple[RoomReading, ...]:
    """Return what each flat shows in this scan; one that has never reported is BAD."""
    return tuple(RoomReading(flat, image[flat.tag]) for flat in flats)


def room_figures(readings: Sequence[RoomReading]) -> RoomFigures:
    """Return mean, minimum, tenth percentile (linear between ranks) and number of usable rooms."""
    rooms_c = sorted(reading.sample.value for reading in readings if reading.sample.is_usable)
    if not rooms_c:
        return RoomFigures(_NAN, _NAN, _NAN, 0)
    place = _P10 * (len(rooms_c) - 1)
    low = int(place)
    high = min(low + 1, len(rooms_c) - 1)
    p10_c = rooms_c[low] + (place - low) * (rooms_c[high] - rooms_c[low])
    return RoomFigures(sum(rooms_c) / len(rooms_c), rooms_c[0], p10_c, len(rooms_c))
