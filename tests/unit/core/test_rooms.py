"""Flats meet their values in the image, and only usable rooms count."""

import math
from datetime import UTC, datetime

import pytest

from core.clock import Instant
from core.image import ProcessImage
from core.point import NO_SAMPLE, Quality, Sample, TagTable
from core.rooms import Flat, RoomReading, room_figures, room_readings

NOW = Instant(10.0, datetime(2026, 1, 1, tzinfo=UTC))
FLATS = (Flat(name="3-502", circuit="low", position="edge"), Flat(name="3-601", circuit="low"))


def rooms(*values, quality=Quality.GOOD):
    return [
        RoomReading(Flat(name=str(i), circuit="main"), Sample(value, quality, 60.0))
        for i, value in enumerate(values)
    ]


def test_a_flat_shows_its_point_of_the_image_and_one_that_never_reported_is_bad():
    table = TagTable([FLATS[0].tag])
    image = ProcessImage("st-01", NOW, table, (21.5,), bytes([Quality.GOOD]), (300.0,))

    first, second = room_readings(FLATS, image)

    assert first.flat.tag == "room.3-502"
    assert first.sample == Sample(21.5, Quality.GOOD, 300.0)
    assert second.sample is NO_SAMPLE


@pytest.mark.parametrize(
    ("values", "avg_c", "min_c", "p10_c"),
    [
        ((21.0,), 21.0, 21.0, 21.0),
        ((20.0, 22.0), 21.0, 20.0, 20.2),
        (tuple(range(15, 26)), 20.0, 15.0, 16.0),
    ],
)
def test_the_figures_of_usable_rooms(values, avg_c, min_c, p10_c):
    assert room_figures(rooms(*values)) == pytest.approx((avg_c, min_c, p10_c, len(values)))


def test_stale_and_bad_rooms_count_for_nothing():
    readings = [
        *rooms(21.0),
        *rooms(5.0, quality=Quality.STALE),
        *rooms(math.nan, quality=Quality.BAD),
    ]

    assert room_figures(readings) == pytest.approx((21.0, 21.0, 21.0, 1))


def test_without_a_usable_room_there_is_no_figure():
    figures = room_figures(rooms(21.0, quality=Quality.STALE))

    assert figures.rooms == 0
    assert all(math.isnan(value) for value in figures[:3])
