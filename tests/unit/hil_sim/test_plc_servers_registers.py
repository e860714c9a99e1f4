import math
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.point import Point, Tag
from drivers.settings import Register
from hil_sim.register_image import RegisterImage, Verdict, stored


class Plc:
    """A PLC that keeps what it is given and refuses what is over 1000."""

    def __init__(self, **registers):
        self.registers = registers
        self.generation = 0
        self.writes = []
        self.looks = 0

    def write(self, tag, value):
        self.writes.append((tag, value))
        if value > 1000.0:
            return False
        self.registers[tag] = value
        return True


class CountingPlc(Plc):
    """A PLC that counts how often somebody reads all its values."""

    @property
    def registers(self):
        self.looks += 1
        return self.kept

    @registers.setter
    def registers(self, kept):
        self.kept = kept


def register(tag, at, kind="f32", *, writes=False, pulse=False, **more):
    area, address = at.split()
    point = Point(tag=Tag(tag), is_writable=writes, is_pulse=pulse)
    return Register(point=point, area=area, address=int(address), kind=kind, **more)


@pytest.mark.parametrize(
    ("kind", "value", "words"),
    [
        ("u16", 40_000.0, "9c40"),
        ("i16", -2.0, "fffe"),
        ("u32", 0x01020304, "01020304"),
        ("i32", -2.0, "fffffffe"),
        ("u64", 0x01020304, "0000000001020304"),
        ("f32", 1.0, "3f800000"),
        ("f64", 1.0, "3ff0000000000000"),
    ],
)
def test_a_value_stands_in_its_registers_high_byte_first(kind, value, words):
    image = RegisterImage(Plc(T=value), [register("T", "holding 7", kind)])

    assert image.read_words("holding", 7, len(words) // 4).hex() == words


@pytest.mark.parametrize(
    ("order", "kind", "words"),
    [
        ("ABCD", "u32", "01020304"),
        ("CDAB", "u32", "03040102"),
        ("BADC", "u32", "02010403"),
        ("DCBA", "u32", "04030201"),
        ("CDAB", "u64", "0304010200000000"),
        ("BADC", "u64", "0000000002010403"),
        ("DCBA", "u64", "0403020100000000"),
        ("DCBA", "u16", "0304"),
    ],
)
def test_the_word_order_of_the_device_holds_unless_a_register_names_its_own(order, kind, words):
    value = 0x0304 if kind == "u16" else 0x01020304
    count = len(words) // 4
    plc = Plc(T=value)

    by_device = RegisterImage(plc, [register("T", "input 0", kind)], word_order=order)
    by_register = RegisterImage(plc, [register("T", "input 0", kind, word_order=order)])

    assert by_device.read_words("input", 0, count).hex() == words
    assert by_register.read_words("input", 0, count).hex() == words


def test_scale_and_offset_turn_the_value_into_the_raw_number():
    plc = Plc(T=21.34)
    registers = [register("T", "holding 0", "i16", scale=0.1, offset=-40.0, writes=True)]
    image = RegisterImage(plc, registers)

    assert image.read_words("holding", 0, 1) == struct.pack(">h", 613)
    assert image.write_words(0, struct.pack(">h", 650)) is Verdict.DONE
    assert plc.registers["T"] == pytest.approx(25.0)


@pytest.mark.parametrize(
    ("kind", "raw", "kept"),
    [
        ("u16", -5.0, 0),
        ("u16", 1e9, 0xFFFF),
        ("i16", 1e9, 0x7FFF),
        ("i16", math.nan, -0x8000),
        ("u16", math.nan, 0xFFFF),
        ("u16", 2.6, 3),
        ("f32", 1e39, math.inf),
        ("f32", -1e39, -math.inf),
        ("bool", 2.0, True),
    ],
)
def test_what_does_not_fit_stands_at_the_end_of_its_range(kind, raw, kept):
    assert stored(raw, kind) == kept


def test_a_float_beyond_its_type_among_others_does_not_disturb_them():
    plc = Plc(A=1.0, B=1e39, C=math.nan)
    image = RegisterImage(plc, [register(t, f"holding {2 * i}") for i, t in enumerate("ABC")])

    a, b, c = struct.unpack(">3f", image.read_words("holding", 0, 6))

    assert (a, b) == (1.0, math.inf)
    assert math.isnan(c)


def test_bits_share_a_word_and_its_other_bits_are_0():
    plc = Plc(XP1_run=1.0, XP1_fault=0.0, GAS=1.0)
    image = RegisterImage(
        plc,
        [
            register("XP1_run", "holding 63", "bool", bit=0),
            register("XP1_fault", "holding 63", "bool", bit=1),
            register("GAS", "holding 63", "bool", bit=15),
        ],
    )

    assert image.read_words("holding", 63, 1).hex() == "8001"

    plc.registers["GAS"] = 0.0
    plc.generation += 1

    assert image.read_words("holding", 63, 1).hex() == "0001"


def test_spare_registers_between_points_read_0_and_what_lies_further_is_unknown():
    image = RegisterImage(
        Plc(A=1.0, B=1.0, C=1.0),
        [
            register("A", "holding 10", "u16"),
            register("B", "holding 19", "u16"),
            register("C", "holding 29", "u16"),
        ],
    )

    assert image.read_words("holding", 10, 10).hex() == "0001" + "0000" * 8 + "0001"
    assert image.read_words("holding", 10, 11) is None
    assert image.read_words("holding", 9, 1) is None
    assert image.read_words("holding", 24, 1) is None
    assert image.read_words("input", 10, 1) is None


def test_a_block_is_packed_once_for_each_scan():
    plc = CountingPlc(A=1.0, B=2.0)
    image = RegisterImage(plc, [register("A", "holding 0"), register("B", "holding 2")])
    plc.looks = 0

    for _ in range(5):
        plc.generation += 1
        for _ in range(10):
            image.read_words("holding", 0, 4)

    assert plc.looks == 5


def test_values_show_as_the_last_scan_left_them():
    plc = Plc(A=1.0)
    image = RegisterImage(plc, [register("A", "holding 0", "u16")])
    image.read_words("holding", 0, 1)
    plc.registers["A"] = 2.0

    before = image.read_words("holding", 0, 1)
    plc.generation += 1

    assert (before.hex(), image.read_words("holding", 0, 1).hex()) == ("0001", "0002")


def writable_pair():
    plc = Plc(CV1_SV=40.0, XP_SV=30.0, T2g=50.0)
    return plc, RegisterImage(
        plc,
        [
            register("CV1_SV", "holding 70", writes=True),
            register("XP_SV", "holding 72", writes=True),
            register("T2g", "holding 74"),
        ],
    )


def test_one_request_writes_several_points_in_the_order_of_their_addresses():
    plc, image = writable_pair()

    verdict = image.write_words(70, struct.pack(">2f", 55.0, 45.0))

    assert verdict is Verdict.DONE
    assert plc.writes == [("CV1_SV", 55.0), ("XP_SV", 45.0)]
    assert image.read_words("holding", 70, 4) == struct.pack(">2f", 55.0, 45.0)


def test_a_refused_point_does_not_undo_the_others():
    plc, image = writable_pair()

    verdict = image.write_words(70, struct.pack(">2f", 2000.0, 45.0))

    assert verdict is Verdict.VALUE
    assert (plc.registers["CV1_SV"], plc.registers["XP_SV"]) == (40.0, 45.0)


@pytest.mark.parametrize(("address", "count"), [(74, 2), (72, 4), (69, 2), (200, 1), (76, 1)])
def test_what_is_not_all_writable_is_not_written_at_all(address, count):
    plc, image = writable_pair()

    assert image.write_words(address, bytes(2 * count)) is Verdict.ADDRESS
    assert plc.writes == []


def test_half_a_point_is_merged_with_the_other_half():
    plc, image = writable_pair()

    image.write_words(70, struct.pack(">f", 55.0)[:2])

    assert plc.writes == [("CV1_SV", struct.unpack(">f", b"\x42\x5c\x00\x00")[0])]


def test_spare_registers_cannot_be_written():
    registers = [
        register("A", "holding 0", "u16", writes=True),
        register("B", "holding 2", "u16", writes=True),
    ]

    assert RegisterImage(Plc(A=0.0, B=0.0), registers).write_words(0, bytes(6)) is Verdict.ADDRESS


def test_coils_take_pulses_and_read_0():
    plc = Plc(XSV_ON=1.0)
    image = RegisterImage(
        plc,
        [
            register("XP1_start", "coil 0", "bool", pulse=True),
            register("XSV_ON", "coil 2", "bool"),
            register("DOOR", "discrete 5", "bool", pulse=True),
        ],
    )

    assert image.write_coils(0, [True]) is Verdict.DONE
    assert plc.writes == [("XP1_start", 1.0)]
    plc.registers.clear()
    plc.registers["XSV_ON"] = 1.0
    assert image.read_bits("coil", 0, 3) == [False, False, True]
    assert image.read_bits("coil", 0, 4) is None
    assert image.write_coils(2, [True]) is Verdict.ADDRESS
    assert image.write_coils(0, [True, True]) is Verdict.ADDRESS
    assert image.write_coils(9, [True]) is Verdict.ADDRESS


@pytest.mark.parametrize(
    ("registers", "complaint"),
    [
        ([register("A", "holding 0"), register("B", "holding 1")], "A and B overlap"),
        (
            [
                register("A", "holding 0", "bool", bit=3),
                register("B", "holding 0", "bool", bit=3),
            ],
            "B lies on another bit",
        ),
        (
            [register("A", "coil 0", "bool"), register("B", "coil 0", "bool")],
            "B lies on another coil",
        ),
        ([register("C", "holding 0")], "the PLC has no value for C"),
    ],
)
def test_a_map_that_contradicts_itself_or_the_plc_is_refused(registers, complaint):
    with pytest.raises(ValueError, match=complaint):
        RegisterImage(Plc(A=0.0, B=0.0), registers)


@given(
    value=st.floats(-900.0, 900.0, width=32),
    order=st.sampled_from(["ABCD", "CDAB", "BADC", "DCBA"]),
    kind=st.sampled_from(["f32", "f64", "i16", "i32"]),
)
def test_what_is_read_back_is_what_was_written(value, order, kind):
    plc = Plc(A=0.0, B=0.0)
    image = RegisterImage(
        plc,
        [register("A", "holding 0", kind), register("B", "holding 8", kind, writes=True)],
        word_order=order,
    )
    plc.registers["A"] = value + 0.0  # scaling loses the sign of -0.0
    words = {"f32": 2, "f64": 4, "i16": 1, "i32": 2}[kind]

    image.write_words(8, image.read_words("holding", 0, words))

    assert plc.registers["B"] == (value if kind[0] == "f" else round(value))
    assert image.read_words("holding", 8, words) == image.read_words("holding", 0, words)
