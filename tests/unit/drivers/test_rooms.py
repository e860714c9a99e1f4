"""Flats as columns of the image: they age by their own time, and the usable ones are counted."""

import math
from datetime import UTC, datetime, timedelta

import pytest

from core.clock import Instant
from core.point import Quality, Tag
from core.rooms import Flat
from drivers.collector import FlatBoard
from drivers.collector_settings import TopicReading
from drivers.rooms import Reporter, RoomPoints

NOW = datetime(2026, 1, 15, tzinfo=UTC)
MAX_AGE_S = 7200.0
GOOD, STALE, BAD = Quality.GOOD, Quality.STALE, Quality.BAD
FIGURES = {
    "main": {"avg": Tag("T_room_avg"), "p10": Tag("T_room_p10"), "count": Tag("T_room_count")}
}


def made(names=("a", "b", "c"), figures=FIGURES):
    board = FlatBoard({"{flat}": TopicReading(value="/t", time="/at")}, names)
    flats = [Flat(name=name, circuit="main") for name in names]
    return board, RoomPoints([Reporter(f, board, f.name) for f in flats], MAX_AGE_S, figures)


def say(board, name, value, age_s=0.0, *, is_retained=False):
    seconds = NOW.timestamp() - age_s
    board.take(
        name,
        f'{{"t": {value}, "at": {seconds}}}'.encode(),
        is_retained=is_retained,
        now=Instant(0.0, NOW + timedelta(0)),
    )


def seen(points, now_s=0.0):
    columns = points.columns(now_s)
    rows = zip(columns.values, columns.qualities, columns.ages_s, strict=True)
    return dict(zip(points.table, rows, strict=True))


@pytest.mark.parametrize(
    ("now_s", "quality"),
    [(0.0, GOOD), (MAX_AGE_S - 61.0, GOOD), (MAX_AGE_S - 59.0, STALE), (4 * MAX_AGE_S, BAD)],
)
def test_a_room_ages_by_the_time_of_its_measurement(now_s, quality):
    board, points = made()
    say(board, "a", 21.0, age_s=60.0)

    value, found, age_s = seen(points, now_s)["room.a"]

    assert (found, age_s) == (quality, now_s + 60.0)
    assert math.isnan(value) if quality == BAD else value == 21.0


def test_a_flat_that_never_reported_is_bad_and_a_retained_one_stale():
    board, points = made()
    say(board, "b", 21.0, is_retained=True)

    found = seen(points)

    assert found["room.a"][1:] == (BAD, math.inf)
    assert found["room.b"][1] == STALE


def test_a_flat_that_never_reports_is_missed_after_the_age_that_a_room_may_have():
    board, points = made(names=("a",))
    seen(points, 100.0)
    late = MAX_AGE_S

    assert seen(points, 100.0 + late - 1.0)["room.a"][1:] == (BAD, math.inf)
    found = seen(points, 100.0 + late)
    assert found["room.a"][1:] == (BAD, late)
    assert found["T_room_avg"][1:] == (BAD, late)

    say(board, "a", 21.0, age_s=1.5 * MAX_AGE_S)
    assert seen(points)["T_room_avg"][1:] == (BAD, 1.5 * MAX_AGE_S)


def test_rooms_that_only_the_broker_remembers_are_not_missed_while_they_are_young():
    board, points = made()
    for name in "abc":
        say(board, name, 21.0, age_s=20.0, is_retained=True)
    assert seen(points)["T_room_avg"][1:] == (BAD, math.inf)
    assert seen(points, MAX_AGE_S)["T_room_avg"][1:] == (BAD, MAX_AGE_S + 20.0)


def test_the_figures_count_usable_rooms_and_are_as_old_as_the_oldest():
    board, points = made()
    say(board, "a", 20.0, age_s=10.0)
    say(board, "b", 22.0, age_s=600.0)
    say(board, "c", 5.0, is_retained=True)

    found = seen(points)

    assert found["T_room_avg"] == (21.0, GOOD, 600.0)
    assert found["T_room_p10"] == (pytest.approx(20.2), GOOD, 600.0)
    assert found["T_room_count"] == (2.0, GOOD, 0.0)
    assert "T_room_min" not in found


def test_without_a_usable_room_the_figures_are_bad_and_the_count_is_none():
    _, points = made()

    found = seen(points)

    assert found["T_room_avg"][1] == BAD
    assert math.isnan(found["T_room_avg"][0])
    assert found["T_room_count"][:2] == (0.0, GOOD)


def test_a_station_without_flats_has_no_columns_and_loses_nothing():
    _, points = made(names=(), figures={})

    assert len(points.table) == 0
    assert points.columns(0.0).values == ()
    assert not points.are_lost
