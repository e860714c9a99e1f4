"""Whatever is written can be read back, whatever is read is a number or BAD."""

import math
import struct

from hypothesis import given
from hypothesis import strategies as st

from core.point import Point, Quality, Tag
from drivers.kinds import target_of
from drivers.registers import BlockCodec, encode
from drivers.settings import WORDS, Register

NUMBERS = st.sampled_from(
    ["u16", "i16", "u32", "i32", "u64", "i64", "f32", "f64", "bcd16", "bcd32"]
)
ORDERS = st.sampled_from(["ABCD", "CDAB", "BADC", "DCBA"])
SCALES = st.sampled_from([1.0, 0.1, 0.01, -0.5, 3.0])
OFFSETS = st.sampled_from([0.0, -40.0, 273.15])


@st.composite
def layouts(draw):
    """Draw registers that do not overlap, in a block with gaps, numbers and bits mixed."""
    registers = []
    address = draw(st.integers(0, 1000))
    single = draw(st.sampled_from([None, "BA"]))
    for i in range(draw(st.integers(1, 12))):
        address += draw(st.integers(0, 3))
        kind = draw(st.one_of(NUMBERS, st.just("bool")))
        registers.append(
            Register(
                point=Point(tag=Tag(f"p{i}")),
                area="holding",
                address=address,
                kind=kind,
                bit=draw(st.integers(0, 15)) if kind == "bool" else None,
                word_order=single if WORDS[kind] == 1 else draw(st.one_of(st.none(), ORDERS)),
            )
        )
        address += WORDS[kind]
    return registers


@given(kind=NUMBERS, order=ORDERS, scale=SCALES, offset=OFFSETS, share=st.floats(0, 1))
def test_decode_after_encode_is_within_one_count(kind, order, scale, offset, share):
    point = Point(tag=Tag("x"), low=-30000.0, high=60000.0)
    target = target_of(point, kind, scale=scale, offset=offset)
    value = target.low + share * (target.high - target.low)
    register = Register(
        point=point, area="holding", address=0, kind=kind, scale=scale, offset=offset
    )

    data = encode(register, value, order)
    (found,), qualities = BlockCodec(
        [register], address=0, count=WORDS[kind], word_order=order
    ).decode(data)

    assert len(data) == 2 * WORDS[kind]
    assert target.is_met(value, found)
    assert qualities == bytes([Quality.GOOD])


@given(
    kind=st.sampled_from(["u16", "i16", "bcd16"]),
    value=st.integers(0, 9999),
    is_swapped=st.booleans(),
)
def test_single_registers_round_trip_with_swapped_bytes_too(kind, value, is_swapped):
    order = "BA" if is_swapped else None
    register = Register(
        point=Point(tag=Tag("x")), area="holding", address=0, kind=kind, word_order=order
    )

    data = encode(register, float(value), "DCBA")

    assert BlockCodec([register], address=0, count=1).decode(data)[0] == (float(value),)
    if kind == "u16":
        assert struct.unpack("<H" if is_swapped else ">H", data) == (value,)


@given(
    ends=st.sampled_from([(4.0, 20.0), (0.0, 27648.0), (4000.0, 20000.0), (6400.0, 32000.0)]),
    current_ma=st.floats(0, 25),
    is_falling=st.booleans(),
)
def test_the_quality_of_a_current_loop_follows_the_current_alone(ends, current_ma, is_falling):
    raw = ends[0] + (current_ma - 4) / 16 * (ends[1] - ends[0])
    scale = (-150 if is_falling else 150) / (ends[1] - ends[0])
    register = Register(
        point=Point(tag=Tag("x")),
        area="input",
        address=0,
        kind="f64",
        scale=scale,
        offset=-ends[0] * scale,
        current_loop=ends,
    )

    (value,), (quality,) = BlockCodec([register], address=0, count=4).decode(struct.pack(">d", raw))

    near = [limit for limit in (3.6, 3.8, 20.5, 21.0) if abs(current_ma - limit) < 1e-5]
    if not near:
        is_fine = 3.8 <= current_ma <= 20.5
        is_shown = 3.6 < current_ma < 21
        wanted = Quality.GOOD if is_fine else Quality.STALE if is_shown else Quality.BAD
        assert quality == wanted
    assert math.isnan(value) == (quality == Quality.BAD)


@given(layout=layouts(), order=ORDERS, data=st.data())
def test_a_block_reads_each_point_as_if_it_were_alone(layout, order, data):
    start = layout[0].address
    count = max(r.address + r.words for r in layout) - start
    payload = data.draw(st.binary(min_size=2 * count, max_size=2 * count))
    codec = BlockCodec(layout, address=start, count=count, word_order=order)

    values, qualities = codec.decode(payload)

    assert len(values) == len(qualities) == len(layout)
    for register, value, quality in zip(codec.registers, values, qualities, strict=True):
        at = 2 * (register.address - start)
        own = payload[at : at + 2 * register.words]
        alone = BlockCodec(
            [register], address=register.address, count=register.words, word_order=order
        )
        (expected,), _ = alone.decode(own)
        assert value == expected or (math.isnan(value) and math.isnan(expected))
        assert math.isnan(value) == (quality == Quality.BAD)
        if register.bit is not None:
            (word,) = struct.unpack("<H" if register.word_order == "BA" else ">H", own)
            assert value == word >> register.bit & 1


@given(payload=st.binary(min_size=8, max_size=8), low=st.floats(-1e6, 0), high=st.floats(0, 1e6))
def test_a_good_value_is_always_inside_its_range(payload, low, high):
    point = Point(tag=Tag("x"), low=low, high=high)
    register = Register(point=point, area="holding", address=0, kind="f64")

    (value,), qualities = BlockCodec([register], address=0, count=4).decode(payload)

    if qualities == bytes([Quality.GOOD]):
        assert low - abs(low) * 1e-6 <= value <= high + abs(high) * 1e-6
    else:
        assert math.isnan(value)
