"""The vocabulary keeps its promises: images, tables, parameters and clocks."""

import asyncio
import math
from dataclasses import FrozenInstanceError
from datetime import UTC, datetime, timedelta, timezone
from typing import Annotated

import pytest
from annotated_types import Gt

from core.clock import Instant, LoopClock, SystemClock
from core.image import Outputs, Pick, ProcessImage
from core.parameters import parameters
from core.point import NO_SAMPLE, Doubt, Point, Quality, Sample, Tag, TagTable, Unit

T2G, T2H, PUMP = Tag("T2g"), Tag("T2h"), Tag("XP1_run")
NOW = Instant(10.0, datetime(2026, 1, 1, tzinfo=UTC))


def image(*rows: tuple[Tag, float, Quality]) -> ProcessImage:
    tags, values, qualities = zip(*rows, strict=True)
    return ProcessImage(
        "st-01", NOW, TagTable(tags), values, bytes(qualities), (1.0,) * len(values)
    )


def test_an_image_gives_a_sample_with_quality_and_age():
    taken = image((T2G, 56.2, Quality.GOOD), (T2H, 41.3, Quality.STALE))
    assert taken[T2G] == Sample(56.2, Quality.GOOD, 1.0)
    assert taken[T2H].quality is Quality.STALE


def test_a_tag_that_the_station_lacks_is_a_bad_sample():
    assert image((T2G, 56.2, Quality.GOOD))[Tag("nowhere")] is NO_SAMPLE


@pytest.mark.parametrize(
    ("quality", "is_good", "is_usable"),
    [
        (Quality.BAD, False, False),
        (Quality.STALE, False, False),
        (Quality.SUBSTITUTED, False, True),
        (Quality.GOOD, True, True),
    ],
)
def test_a_decision_rests_on_good_values_and_a_declared_chain_on_substituted_ones_too(
    quality: Quality, is_good: bool, is_usable: bool
):
    taken = image((T2G, 56.2, quality), (PUMP, 1.0, quality))
    assert taken[T2G].is_usable is is_usable
    assert math.isnan(taken.value(T2G)) is not is_good
    assert taken.flag(PUMP) is (True if is_good else None)
    [picked] = taken.usable(Pick([T2G]))
    assert math.isnan(picked) is not is_good


def test_one_pick_reads_stations_with_other_tables():
    pick = Pick([T2H, T2G, T2H])
    both = image((T2G, 56.2, Quality.GOOD), (PUMP, 1.0, Quality.GOOD), (T2H, 41.3, Quality.GOOD))
    without = image((T2G, 50.0, Quality.GOOD), (PUMP, 1.0, Quality.GOOD))
    for _ in range(2):
        assert both.usable(pick) == (41.3, 56.2)
        assert without.usable(pick) == (pytest.approx(math.nan, nan_ok=True), 50.0)


def test_stations_with_one_point_list_share_its_table():
    assert TagTable.of((T2G, PUMP)) is TagTable.of((T2G, PUMP))
    assert TagTable.of((T2G, PUMP)) is not TagTable.of((PUMP, T2G))


def test_a_missing_tag_is_neither_a_value_nor_a_flag():
    taken = image((T2G, 56.2, Quality.GOOD))
    assert math.isnan(taken.value(Tag("nowhere")))
    assert taken.flag(Tag("nowhere")) is None


def test_an_image_cannot_be_changed():
    with pytest.raises(FrozenInstanceError):
        image((T2G, 56.2, Quality.GOOD)).values = ()  # type: ignore[misc] # the point of the test


def test_outputs_hold_unless_somebody_says_otherwise():
    assert Outputs().values == {}
    assert Outputs().pulses == frozenset()


def test_a_table_knows_its_tags_and_their_order():
    table = TagTable([T2G, T2H])
    assert len(table) == 2
    assert list(table) == [T2G, T2H]
    assert T2G in table
    assert PUMP not in table


def test_a_tag_that_stands_twice_is_refused_by_name():
    with pytest.raises(ValueError, match="T2g"):
        TagTable([T2G, T2H, T2G])


def test_a_point_has_no_limits_unless_given():
    point = Point(tag=T2G)
    assert (point.low, point.high) == (-math.inf, math.inf)
    assert point.unit is Unit.NONE


def test_parameters_are_frozen_and_strict_at_the_edge():
    @parameters
    class Tuning:
        gain: Annotated[float, Gt(0)] = 1.0

    assert Tuning(gain=2.0).gain == 2.0
    assert Tuning.__pydantic_config__ == {"extra": "forbid", "allow_inf_nan": False}
    with pytest.raises(FrozenInstanceError):
        Tuning().gain = 3.0  # type: ignore[misc] # the point of the test


def test_the_loop_clock_follows_the_running_loop():
    epoch = datetime(2026, 1, 1, 8, tzinfo=timezone(timedelta(hours=8)))

    async def read() -> tuple[Instant, float]:
        at_s = asyncio.get_running_loop().time()
        return LoopClock(epoch, at_s=at_s - 60.0).now(), at_s

    instant, at_s = asyncio.run(read())
    assert instant.monotonic_s >= at_s
    assert instant.utc.tzinfo is UTC
    assert timedelta(seconds=60) <= instant.utc - epoch < timedelta(seconds=61)


def test_the_system_clock_is_aware_of_its_zone_and_never_goes_back():
    clock = SystemClock()
    first, second = clock.now(), clock.now()
    assert first.utc.tzinfo is UTC
    assert second.monotonic_s >= first.monotonic_s


def test_every_value_that_is_not_good_says_why():
    table = TagTable([Tag(name) for name in ("good", "out", "old", "never", "frozen")])
    image = ProcessImage(
        "st-01",
        NOW,
        table,
        (1.0, float("nan"), 3.0, float("nan"), 5.0),
        bytes([Quality.GOOD, Quality.BAD, Quality.STALE, Quality.BAD, Quality.STALE]),
        (2.0, 2.0, 35.2, float("inf"), 2.0),
        {4: Doubt("frozen", "frozen 61 min")},
    )
    reasons = [image.reason(Tag(name)) for name in (*table.tags, "nobody")]
    assert reasons == [
        "",
        "out of range",
        "no data for 35 s",
        "no data yet",
        "frozen 61 min",
        "no such point",
    ]
