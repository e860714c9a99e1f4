"""Packed scans give back what went in, to the last bit that float32 has."""

import math
import struct
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from core.clock import Instant
from core.image import Outputs, ProcessImage
from core.point import Quality, TagTable
from core.record import ScanRecord
from history.packing import Layout, pack, unpack, unpack_input, unpack_output

AT = datetime(2026, 1, 12, tzinfo=UTC)
tags = st.lists(st.text(min_size=1, max_size=8), unique=True, max_size=12)
narrow = st.floats(width=32, allow_nan=False)
samples = st.one_of(
    st.tuples(st.just(math.nan), st.just(Quality.BAD)),
    st.tuples(narrow, st.sampled_from((Quality.STALE, Quality.SUBSTITUTED, Quality.GOOD))),
)


@st.composite
def scans(draw):
    inputs = draw(tags)
    seen = [draw(samples) for _ in inputs]
    image = ProcessImage(
        "st-017",
        Instant(0.0, AT),
        TagTable(inputs),
        tuple(value for value, _ in seen),
        bytes(quality for _, quality in seen),
        (0.0,) * len(inputs),
    )
    outputs = {tag: draw(narrow) for tag in draw(tags)}
    return ScanRecord(image, Outputs(outputs, frozenset(draw(tags))))


def bits(value: float) -> bytes:
    return struct.pack("<f", value)


@given(scans())
def test_what_is_packed_comes_back(record):
    layout = Layout.from_json("st-017", Layout.of(record).to_json())
    scan = unpack(layout, pack(layout, record))
    assert tuple(scan.inputs) == record.image.table.tags
    assert [bits(s.value) for s in scan.inputs.values()] == [*map(bits, record.image.values)]
    assert bytes(s.quality for s in scan.inputs.values()) == record.image.qualities
    assert scan.outputs == record.outputs.values
    assert scan.pulses == record.outputs.pulses


@given(scans())
def test_one_column_alone_says_the_same_as_the_whole_scan(record):
    layout = Layout.of(record)
    data = pack(layout, record)
    scan = unpack(layout, data)
    for tag, sample in scan.inputs.items():
        value, quality = unpack_input(layout, data, tag)
        assert (bits(value), quality) == (bits(sample.value), sample.quality)
    for tag, value in scan.outputs.items():
        assert unpack_output(layout, data, tag) == value


@given(st.lists(st.floats(allow_nan=False), max_size=8))
def test_no_value_is_too_wide_to_be_kept(values):
    table = TagTable(f"T{n}" for n in range(len(values)))
    good = bytes((Quality.GOOD,)) * len(values)
    record = ScanRecord(
        ProcessImage("s", Instant(0.0, AT), table, tuple(values), good, ()), Outputs()
    )
    layout = Layout.of(record)
    for value, sample in zip(
        values, unpack(layout, pack(layout, record)).inputs.values(), strict=True
    ):
        assert math.isinf(sample.value) or math.isclose(
            sample.value, value, rel_tol=2**-23, abs_tol=2**-149
        )
