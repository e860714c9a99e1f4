"""Words on the wire and values in engineering units, both ways."""

import math
import struct

import pytest

from core.point import Point, Quality, Tag
from drivers.kinds import target_of
from drivers.registers import BlockCodec, encode, text_of
from drivers.settings import Register, TextRegister


def register(kind="f32", address=0, *, low=-math.inf, high=math.inf, tag="T2g", **more):
    point = Point(tag=Tag(tag), low=low, high=high, states=more.pop("states", ()))
    return Register(
        point=point, area=more.pop("area", "holding"), address=address, kind=kind, **more
    )


def decoded(data, *registers, word_order="ABCD", count=None):
    words = count or len(data) // 2
    return BlockCodec(registers, address=0, count=words, word_order=word_order).decode(data)


@pytest.mark.parametrize(
    ("kind", "data", "value"),
    [
        ("u16", "ffff", 65535.0),
        ("i16", "ffff", -1.0),
        ("u32", "00010000", 65536.0),
        ("i32", "fffffffe", -2.0),
        ("u64", "0000000100000000", 4294967296.0),
        ("i64", "ffffffffffffff85", -123.0),
        ("bcd16", "0455", 455.0),
        ("bcd32", "12345678", 12345678.0),
        ("f32", "42360000", 45.5),
        ("f64", "40480f5c28f5c28f", 48.12),
    ],
)
def test_each_kind_is_read_high_byte_first(kind, data, value):
    values, qualities = decoded(bytes.fromhex(data), register(kind))

    assert values == (value,)
    assert isinstance(values[0], float)
    assert qualities == bytes([Quality.GOOD])


@pytest.mark.parametrize(
    ("order", "data"),
    [("ABCD", "42360000"), ("CDAB", "00004236"), ("BADC", "36420000"), ("DCBA", "00003642")],
)
def test_each_word_order_gives_the_same_value_both_ways(order, data):
    assert decoded(bytes.fromhex(data), register(), word_order=order)[0] == (45.5,)
    assert encode(register(), 45.5, order) == bytes.fromhex(data)


def test_one_register_is_sent_high_byte_first_in_every_order():
    assert decoded(b"\x01\x02", register("u16"), word_order="DCBA")[0] == (258.0,)
    assert encode(register("u16"), 258.0, "DCBA") == b"\x01\x02"


def test_a_point_may_have_an_order_of_its_own():
    points = [register("u32", 0, tag="a"), register("u32", 2, tag="b", word_order="CDAB")]

    values, _ = decoded(bytes.fromhex("0001000200030004"), *points)

    assert values == (0x00010002, 0x00040003)


def test_numbers_come_by_address_and_then_the_bits_of_status_words():
    points = [
        register("bool", 1, bit=9, tag="fault"),
        register("u16", 2, tag="count"),
        register("bool", 1, bit=0, tag="run"),
        register("f32", 3, tag="supply"),
        register("u16", 1, tag="word"),
    ]
    codec = BlockCodec(points, address=1, count=4)

    values, qualities = codec.decode(bytes.fromhex("0201 0007 42360000"))

    assert [r.point.tag for r in codec.registers] == ["word", "count", "supply", "run", "fault"]
    assert values == (0x0201, 7.0, 45.5, 1.0, 1.0)
    assert qualities == bytes([Quality.GOOD]) * 5


def test_coils_come_lowest_bit_first():
    coils = [register("bool", a, area="coil", tag=f"c{a}") for a in (3, 4, 11)]

    values, _ = BlockCodec(coils, address=3, count=9).decode(bytes([0b10, 0b1]))

    assert values == (0.0, 1.0, 1.0)


@pytest.mark.parametrize(
    ("raw", "is_plausible"),
    [
        (0.0, True),
        (1.6, True),
        (-0.001, False),
        (1.601, False),
        (math.nan, False),
        (math.inf, False),
        (-math.inf, False),
    ],
)
def test_only_a_plausible_number_is_good_and_the_others_are_nan(raw, is_plausible):
    data = struct.pack(">ff", raw, 1.0)
    points = [register(low=0.0, high=1.6), register(address=2, tag="P2h", low=0.0, high=1.6)]

    values, qualities = decoded(data, *points)

    assert qualities == bytes([Quality.GOOD if is_plausible else Quality.BAD, Quality.GOOD])
    assert math.isnan(values[0]) is not is_plausible
    assert values[1] == 1.0


def test_without_a_range_infinity_and_nan_are_bad_all_the_same():
    values, qualities = decoded(
        struct.pack(">ff", math.inf, math.nan), register(), register(address=2, tag="x")
    )

    assert qualities == bytes([Quality.BAD, Quality.BAD])
    assert all(math.isnan(value) for value in values)


def test_scale_and_offset_make_engineering_units():
    values, _ = decoded(
        struct.pack(">hh", 455, -20),
        register("i16", scale=0.1),
        register("i16", 1, tag="o", offset=5.0),
    )

    assert values == (pytest.approx(45.5), -15.0)


def test_the_qualities_are_one_object_while_all_is_well():
    codec = BlockCodec([register()], address=0, count=2)

    assert codec.decode(bytes(4))[1] is codec.decode(bytes(4))[1]


@pytest.mark.parametrize(
    ("points", "message"),
    [
        ([register("f32", 0), register("u16", 1, tag="P2g")], "P2g overlaps"),
        (
            [register("bool", 0, bit=1), register("bool", 0, bit=1, tag="P2g")],
            "are the same bit",
        ),
    ],
)
def test_points_that_collide_are_refused(points, message):
    with pytest.raises(ValueError, match=message):
        BlockCodec(points, address=0, count=2)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("u16", -1.0),
        ("u16", 65536.0),
        ("i16", 40000.0),
        ("f32", 1e39),
        ("u16", math.nan),
        ("f32", math.inf),
    ],
)
def test_what_the_type_cannot_hold_is_not_encoded(kind, value):
    with pytest.raises(ValueError, match="T2g"):
        encode(register(kind), value)


@pytest.mark.parametrize(
    ("kind", "scale", "wanted", "found", "is_met"),
    [
        ("u16", 1.0, 6.0, 5.0, False),  # a heartbeat that stands still is no match
        ("u16", 1.0, 6.0, 6.0, True),
        ("u16", 0.1, 45.54, 45.5, True),
        ("u16", 0.1, 45.54, 45.6, False),
        ("f32", 1.0, 45.1, struct.unpack(">f", struct.pack(">f", 45.1))[0], True),
        ("f32", 1.0, 45.1, 45.11, False),
        ("f64", 1.0, 45.1, 45.1, True),
        ("f32", 1.0, 45.1, math.nan, False),
    ],
)
def test_a_read_back_may_differ_by_what_the_type_rounds_away(kind, scale, wanted, found, is_met):
    assert target_of(Point(tag=Tag("x")), kind, scale=scale).is_met(wanted, found) is is_met


@pytest.mark.parametrize(
    ("kind", "scale", "limits"),
    [("u16", 0.1, (0.0, 100.0)), ("i16", 0.001, (-20.0, 32.767)), ("bool", 1.0, (0.0, 1.0))],
)
def test_what_may_be_written_is_the_plausible_range_as_far_as_the_type_goes(kind, scale, limits):
    target = target_of(Point(tag=Tag("x"), low=-20.0, high=100.0), kind, scale=scale)

    assert (target.low, target.high) == pytest.approx(limits)


@pytest.mark.parametrize("data", ["0a55", "f000", "045e"])
def test_a_digit_that_is_none_makes_a_decimal_bad(data):
    values, qualities = decoded(bytes.fromhex(data), register("bcd16"))

    assert math.isnan(values[0])
    assert qualities == bytes([Quality.BAD])


def test_a_decimal_takes_no_more_digits_than_it_has():
    assert encode(register("bcd16"), 455.0) == b"\x04\x55"
    for value in (10000.0, -1.0):
        with pytest.raises(ValueError, match="does not fit bcd16"):
            encode(register("bcd16"), value)


def test_bits_of_a_register_with_swapped_bytes_are_the_same_bits():
    points = [
        register("bool", 0, bit=0, tag="run", word_order="BA"),
        register("bool", 0, bit=9, tag="fault", word_order="BA"),
    ]

    assert decoded(b"\x01\x00", *points)[0] == (1.0, 0.0)
    assert decoded(b"\x00\x02", *points)[0] == (0.0, 1.0)


def test_a_register_with_two_byte_orders_is_refused():
    points = [register("bool", 0, bit=0), register("bool", 0, bit=9, tag="x", word_order="BA")]

    with pytest.raises(ValueError, match="two byte orders"):
        BlockCodec(points, address=0, count=1)


def test_a_number_that_is_no_state_is_bad():
    states = ((0, "manual"), (2, "curve"))
    point = register("u16", states=states, low=0.0, high=2.0)

    found = [decoded(struct.pack(">H", raw), point) for raw in (0, 1, 2, 3)]

    assert [quality for _, (quality,) in found] == [
        Quality.GOOD,
        Quality.BAD,
        Quality.GOOD,
        Quality.BAD,
    ]
    assert [point.point.state(raw) for raw in (0.0, 1.0, 2.0)] == ["manual", "", "curve"]


@pytest.mark.parametrize(
    ("current_ma", "value", "quality"),
    [
        (12.0, 75.0, Quality.GOOD),
        (3.8, -1.875, Quality.GOOD),
        (20.5, 154.6875, Quality.GOOD),
        (3.79, -1.96875, Quality.STALE),  # out of specification: to be seen, not to be used
        (20.51, 154.78125, Quality.STALE),
        (3.61, -3.65625, Quality.STALE),
        (20.99, 159.28125, Quality.STALE),
        (3.6, math.nan, Quality.BAD),  # open
        (0.0, math.nan, Quality.BAD),
        (21.0, math.nan, Quality.BAD),  # shorted
        (22.0, math.nan, Quality.BAD),
    ],
)
def test_a_current_loop_says_when_its_sensor_is_broken(current_ma, value, quality):
    point = register("f32", scale=9.375, offset=-37.5, current_loop=(4.0, 20.0))

    (found,), qualities = decoded(struct.pack(">f", current_ma), point)

    assert found == pytest.approx(value, abs=1e-4, nan_ok=True)
    assert qualities == bytes([quality])


@pytest.mark.parametrize(
    ("raw", "quality"),
    [(0, Quality.GOOD), (-346, Quality.STALE), (-692, Quality.BAD), (-32768, Quality.BAD)],
)
def test_a_current_loop_may_be_given_in_counts(raw, quality):
    point = register("i16", scale=150 / 27648, current_loop=(0.0, 27648.0))

    assert decoded(struct.pack(">h", raw), point)[1] == bytes([quality])


def test_what_a_correction_adds_when_read_is_taken_off_when_written():
    point = register("i16", scale=0.1, offset=10.0, correction=-0.4)

    data = encode(point, 45.6)

    assert data == struct.pack(">h", 360)
    assert decoded(data, point)[0] == pytest.approx((45.6,))


def test_a_correction_comes_before_the_range():
    point = register("f32", low=0.0, high=100.0, correction=-0.4)

    assert decoded(struct.pack(">f", 100.25), point)[0] == (99.85,)
    assert math.isnan(decoded(struct.pack(">f", 0.25), point)[0][0])


@pytest.mark.parametrize(
    ("data", "order", "text"),
    [
        (b"SN-0042\0", None, "SN-0042"),
        (b"NS0-40\0 ", "BADC", "SN-004"),
        ("康城一号".encode("gb18030"), None, "康城一号"),
        ("康城".encode(), None, "康城"),
        (b"V2.1    ", None, "V2.1"),
    ],
)
def test_a_text_is_read_without_its_filling(data, order, text):
    where = TextRegister(tag=Tag("SN"), area="holding", address=0, words=4, word_order=order)

    assert text_of(where, data) == text


@pytest.mark.parametrize(
    ("words", "good"),
    [
        # 101.09, 46.5, 0.8, 50.2, 62.375, 43.8, 0.58 and 0.4 as a PLC holds them.
        ("42ca2e14 423a0000 3f4ccccd 4248cccd 42798000 422f3333 3f147ae1 3ecccccd", 8),
        # The same with the words of each swapped: out of range, or next to nothing.
        ("2e1442ca 0000423a cccd3f4c cccd4248 80004279 3333422f 7ae13f14 cccd3ecc", 0),
        # A few that cannot be say nothing about the others.
        ("7fc00000 7fc00000 3f4ccccd 4248cccd c2798000 422f3333 7fc00000 3ecccccd", 4),
    ],
    ids=["as they are", "swapped", "four broken"],
)
def test_where_most_floats_of_a_block_cannot_be_none_is_believed(words, good):
    rows = [register(address=2 * i, low=0.0, high=150.0, tag=f"P{i}") for i in range(8)]
    rows.append(register("u16", 16, tag="HB"))
    values, qualities = decoded(bytes.fromhex(words + "0007"), *rows)

    assert qualities.count(Quality.GOOD) == good + 1
    assert (values[-1], qualities[-1]) == (7.0, Quality.GOOD)
