"""The samples of one scan as a few bytes, and back.

Rule: the bytes mean nothing without their layout, so a layout is kept for ever, and another order
of tags is another layout.

Byte 0 is 0 when every input is GOOD, else 1; then come the inputs and the outputs, each a
little-endian float32; then, only after a 1, one byte of quality for each input and the age of each
that is not GOOD, a float32. A GOOD one is younger than three of its polls. Compressing a row
of 75 tags with zlib saves a third of 300 bytes and costs ten times the packing, so it is not
done.
"""

import json
import math
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from core.point import Quality, Sample, Tag
from core.record import ScanRecord

_ALL_GOOD = b"\0"
_WITH_QUALITIES = b"\1"
_QUALITIES = tuple(Quality)
_LAYOUTS_MAX = 4096


@dataclass(frozen=True, slots=True)
class Layout:
    """What the columns of a station's packed scans are.

    `pulses` are the command bits that were set in the scan: they need no bytes of their own,
    because a scan that sets another bit has another layout. `outputs` hold the timed pulses too.
    """

    station: str
    inputs: tuple[Tag, ...]
    outputs: tuple[Tag, ...]
    pulses: tuple[Tag, ...]

    @classmethod
    def of(cls, record: ScanRecord) -> "Layout":
        """Return the layout that `record` needs."""
        outputs = record.outputs
        return cls(
            record.image.station,
            record.image.table.tags,
            tuple(sorted((*outputs.values, *outputs.timed))),
            tuple(sorted(outputs.pulses)),
        )

    def fits(self, record: ScanRecord) -> bool:
        """Return whether this is the layout that `record` needs, which is cheap where it is."""
        outputs = record.outputs
        return (
            self.station == record.image.station
            and self.inputs == record.image.table.tags
            and outputs.values.keys() | outputs.timed.keys() == set(self.outputs)
            and outputs.pulses == set(self.pulses)
        )

    def to_json(self) -> str:
        """Return the columns as JSON; the station stands beside it in its own column."""
        return json.dumps(
            {"inputs": self.inputs, "outputs": self.outputs, "pulses": self.pulses},
            ensure_ascii=False,
        )

    @classmethod
    def from_json(cls, station: str, columns: str) -> "Layout":
        """Return the layout that `to_json` kept."""
        kept: dict[str, Any] = json.loads(columns)
        return cls(station, tuple(kept["inputs"]), tuple(kept["outputs"]), tuple(kept["pulses"]))


@dataclass(frozen=True, slots=True)
class Scan:
    """One scan as it was packed: values to float32's seven digits; the age of a GOOD one is NaN."""

    inputs: dict[Tag, Sample]
    outputs: dict[Tag, float]
    pulses: frozenset[Tag]


def pack(layout: Layout, record: ScanRecord) -> bytes:
    """Return the samples of `record` in the order of `layout`, which is `Layout.of(record)`."""
    image, outputs = record.image, {**record.outputs.values, **record.outputs.timed}
    values = (*image.values, *[outputs[tag] for tag in layout.outputs])
    floats = _floats(len(values))
    try:
        packed = floats.pack(*values)
    except OverflowError:
        # Wider than float32: what is kept says so by being infinite.
        packed = floats.pack(*map(_narrowed, values))
    qualities = image.qualities
    if qualities.count(Quality.GOOD) == len(qualities):
        return _ALL_GOOD + packed
    ages_s = [age_s for age_s, q in zip(image.ages_s, qualities, strict=True) if q != Quality.GOOD]
    return _WITH_QUALITIES + packed + qualities + _floats(len(ages_s)).pack(*ages_s)


def unpack(layout: Layout, data: bytes) -> Scan:
    """Return the scan that `pack` made.

    Raises:
        struct.error: The bytes do not belong to this layout.
    """
    n, m = len(layout.inputs), len(layout.outputs)
    values = _floats(n + m).unpack_from(data, 1)
    qualities = _qualities(data, n, m)
    ages_s = _ages(data, qualities, n + m)
    return Scan(
        {
            tag: Sample(value, _QUALITIES[quality], age_s)
            for tag, value, quality, age_s in zip(
                layout.inputs, values[:n], qualities, ages_s, strict=True
            )
        },
        dict(zip(layout.outputs, values[n:], strict=True)),
        frozenset(layout.pulses),
    )


def unpack_input(layout: Layout, data: bytes, tag: Tag) -> tuple[float, Quality]:
    """Return the value and the quality of one input, without unpacking the others.

    Raises:
        ValueError: The layout has no such input.
    """
    n, m = len(layout.inputs), len(layout.outputs)
    i = layout.inputs.index(tag)
    (value,) = _ONE.unpack_from(data, 1 + _ONE.size * i)
    return value, _QUALITIES[_qualities(data, n, m)[i]]


def unpack_output(layout: Layout, data: bytes, tag: Tag) -> float:
    """Return the value of one output.

    Raises:
        ValueError: The layout has no such output.
    """
    i = len(layout.inputs) + layout.outputs.index(tag)
    (value,) = _ONE.unpack_from(data, 1 + _ONE.size * i)
    return float(value)


_ONE = struct.Struct("<f")


@lru_cache(maxsize=_LAYOUTS_MAX)
def _floats(count: int) -> struct.Struct:
    return struct.Struct(f"<{count}f")


def _qualities(data: bytes, inputs: int, outputs: int) -> bytes:
    if data[:1] == _ALL_GOOD:
        return bytes((Quality.GOOD,)) * inputs
    start = 1 + _ONE.size * (inputs + outputs)
    return data[start : start + inputs]


def _ages(data: bytes, qualities: bytes, floats: int) -> Iterator[float]:
    """Yield the age of each input in s, NaN for one that is GOOD."""
    at = 1 + _ONE.size * floats + len(qualities)
    for quality in qualities:
        if quality == Quality.GOOD or at == len(data):
            yield math.nan
            continue
        yield _ONE.unpack_from(data, at)[0]
        at += _ONE.size


def _narrowed(value: float) -> float:
    try:
        _ONE.pack(value)
    except OverflowError:
        return math.copysign(math.inf, value)
    return value
