"""A scan as bytes: what is kept, how exactly, and what a layout is."""

import math
import struct

import pytest

from core.clock import Instant
from core.image import Outputs, ProcessImage
from core.point import Quality, TagTable
from core.record import ScanRecord
from history.packing import Layout, pack, unpack, unpack_input, unpack_output

NAN = math.nan


def record(values, qualities, outputs=None, pulses=()):
    table = TagTable(f"T{n}" for n in range(len(values)))
    ages_s = tuple(10.0 * n for n in range(len(values)))
    image = ProcessImage("st-017", Instant(0.0, None), table, values, bytes(qualities), ages_s)
    return ScanRecord(image, Outputs(outputs or {}, frozenset(pulses)))


def test_a_scan_comes_back_with_values_qualities_outputs_and_pulses():
    made = record(
        (51.5, NAN, 0.25),
        (Quality.GOOD, Quality.BAD, Quality.STALE),
        {"XP_SV": 41.0, "CV1_SV": 33.5},
        {"XP1_start"},
    )
    layout = Layout.of(made)
    scan = unpack(layout, pack(layout, made))
    assert [(s.value, s.quality) for s in scan.inputs.values()] == [
        (51.5, Quality.GOOD),
        (pytest.approx(NAN, nan_ok=True), Quality.BAD),
        (0.25, Quality.STALE),
    ]
    assert scan.outputs == {"CV1_SV": 33.5, "XP_SV": 41.0}
    assert scan.pulses == {"XP1_start"}


def test_a_timed_pulse_is_kept_with_the_outputs_of_its_scan():
    made = record((51.5,), (Quality.GOOD,), {"XP_SV": 41.0})
    made = made._replace(outputs=made.outputs._replace(timed={"CV1_raise": 2.5}))
    layout = Layout.of(made)
    assert unpack(layout, pack(layout, made)).outputs == {"XP_SV": 41.0, "CV1_raise": 2.5}


def test_a_scan_of_good_values_costs_four_bytes_each_and_one():
    made = record((1.0, 2.0, 3.0), (Quality.GOOD,) * 3, {"CV1_SV": 4.0})
    layout = Layout.of(made)
    data = pack(layout, made)
    assert len(data) == 4 * 4 + 1
    assert all(s.quality is Quality.GOOD for s in unpack(layout, data).inputs.values())


def test_one_column_can_be_read_alone():
    made = record((1.5, 2.5), (Quality.GOOD, Quality.SUBSTITUTED), {"CV1_SV": 4.5, "A": 0.5})
    layout = Layout.of(made)
    data = pack(layout, made)
    assert unpack_input(layout, data, "T1") == (2.5, Quality.SUBSTITUTED)
    assert unpack_output(layout, data, "CV1_SV") == 4.5
    with pytest.raises(ValueError, match="tuple"):
        unpack_input(layout, data, "T9")


def test_a_value_too_wide_for_float32_is_kept_as_infinite():
    made = record((1e39, -1e300, 7.0), (Quality.GOOD,) * 3)
    layout = Layout.of(made)
    scan = unpack(layout, pack(layout, made))
    assert [s.value for s in scan.inputs.values()] == [math.inf, -math.inf, 7.0]


def test_the_order_in_which_outputs_were_named_does_not_matter():
    one = Layout.of(record((), (), {"a": 1.0, "b": 2.0}))
    other = Layout.of(record((), (), {"b": 2.0, "a": 1.0}))
    assert one == other


def test_a_layout_fits_the_scans_whose_columns_it_has_and_no_other():
    good = bytes([Quality.GOOD] * 2)
    layout = Layout.of(record((1.0, 2.0), good, {"XP_SV": 41.0, "CV1_SV": 33.5}, {"XP1_start"}))
    assert layout.fits(record((3.0, NAN), good, {"CV1_SV": 30.0, "XP_SV": 40.0}, {"XP1_start"}))
    assert not layout.fits(record((1.0, 2.0), good, {"XP_SV": 41.0}, {"XP1_start"}))
    assert not layout.fits(record((1.0, 2.0), good, {"XP_SV": 41.0, "CV1_SV": 33.5}))
    other = record((1.0,), good[:1], {"XP_SV": 41.0, "CV1_SV": 33.5}, {"XP1_start"})
    assert not layout.fits(other)


def test_a_layout_comes_back_from_json():
    layout = Layout("st-017", ("T2g", "低区.T2g"), ("CV1_SV",), ("XP1_start",))
    assert Layout.from_json("st-017", layout.to_json()) == layout


def test_bytes_of_another_layout_are_refused():
    with pytest.raises(struct.error):
        unpack(Layout("st-017", ("T1", "T2"), (), ()), b"\0" + bytes(4))


def test_the_age_of_what_is_not_good_is_kept_too():
    made = record((51.5, NAN, 0.25), (Quality.GOOD, Quality.BAD, Quality.STALE), {"XP_SV": 41.0})
    layout = Layout.of(made)
    scan = unpack(layout, pack(layout, made))
    assert [s.age_s for s in scan.inputs.values()] == [pytest.approx(NAN, nan_ok=True), 10.0, 20.0]
    assert unpack_input(layout, pack(layout, made), "T2") == (0.25, Quality.STALE)


def test_a_scan_that_was_packed_without_ages_can_still_be_read():
    made = record((NAN, 0.25), (Quality.BAD, Quality.GOOD))
    layout = Layout.of(made)
    scan = unpack(layout, pack(layout, made)[:-4])
    assert [math.isnan(s.age_s) for s in scan.inputs.values()] == [True, True]
