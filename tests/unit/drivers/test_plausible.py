"""Plausibility: what jumps, stands still or outlives its PLC is not GOOD, and says why."""

import asyncio
import math

import pytest

from core.image import Outputs
from core.point import Point, Quality, Tag, TagTable, Unit
from drivers.ageing import Columns
from drivers.base import Block
from drivers.plausible import Check, Checks, Plausibility, checks_of
from drivers.settings import Register

BAD, STALE, GOOD = Quality.BAD, Quality.STALE, Quality.GOOD
T, BEAT = Tag("T_out"), Tag("HB_PLC")
FIVE_K_PER_MIN = Check(rate_per_s=5.0 / 60.0, rate_after=3, unit="K")
AN_HOUR = Check(frozen_s=3600.0)


class Device:
    """A device with one measured value and a counter, looked at every 5 s."""

    def __init__(self, check):
        self.looks = Plausibility(TagTable([T, BEAT]), Checks({T: check}, BEAT))
        self.at_s = 0.0
        self.beat = 0.0

    def reads(self, value, *, is_alive=True):
        self.at_s += 5.0
        self.beat += is_alive
        values, good = (value, self.beat), bytes([GOOD if value == value else BAD, GOOD])  # noqa: PLR0124 - the cheapest test for NaN
        self.looks.look([Block(0, values, good)], values, (self.at_s, self.at_s), self.at_s)
        self.seen = self.looks.marked(Columns(values, good, (0.0, 0.0)))
        return Quality(self.seen.qualities[0])

    @property
    def reason(self):
        return self.seen.doubts[0].text if 0 in self.seen.doubts else ""


@pytest.mark.parametrize(
    "rows",
    [
        [(-8.0, GOOD), (-7.7, GOOD), (-7.4, GOOD)],  # 3.6 K/min
        [(-8.0, GOOD), (32.0, BAD), (-8.0, GOOD)],  # one wild reading
        [(-8.0, GOOD), (32.0, BAD), (32.1, BAD), (32.2, BAD), (32.2, GOOD)],  # it has lasted
        [(-8.0, GOOD), (32.0, BAD), (32.0, BAD), (12.0, BAD), (12.0, BAD), (12.0, BAD)],
        [(-8.0, GOOD), (math.nan, BAD), (-8.0, GOOD)],
        [(math.nan, BAD), (32.0, GOOD)],  # nobody knows what was before the first
    ],
)
def test_a_jump_is_bad_until_it_has_lasted(rows):
    device = Device(FIVE_K_PER_MIN)
    assert [device.reads(value) for value, _ in rows] == [quality for _, quality in rows]


def test_a_jump_says_how_fast_it_was_and_shows_no_value():
    device = Device(FIVE_K_PER_MIN)
    device.reads(-8.0)
    device.reads(32.0)
    assert device.reason == "rate 480 K/min"
    assert math.isnan(device.seen.values[0])


def test_after_a_gap_a_value_may_be_as_far_away_as_the_gap_was_long():
    device = Device(FIVE_K_PER_MIN)
    device.reads(-8.0)
    device.at_s += 600.0
    assert device.reads(32.0) is GOOD


def test_a_value_that_has_not_moved_for_an_hour_is_stale_until_it_moves():
    device = Device(AN_HOUR)
    qualities = [device.reads(45.0) for _ in range(722)]
    assert (qualities[719], qualities[720]) == (GOOD, STALE)
    assert device.reason == "frozen 60 min"
    assert device.seen.values[0] == 45.0
    assert device.reads(45.1) is GOOD
    assert device.reason == ""


def test_noise_of_one_count_is_life_and_arithmetic_is_not():
    counts = Device(Check(frozen_s=3600.0, count=0.1))
    assert all(counts.reads(45.0 + 0.1 * (i % 2)) is GOOD for i in range(800))
    floats = Device(AN_HOUR)
    assert [floats.reads(45.0 * (1.0 + i % 2 * 2.0**-24)) for i in range(800)][-1] is STALE


def test_what_stands_still_with_its_plc_is_not_frozen():
    device = Device(AN_HOUR)
    for _ in range(800):
        device.reads(45.0, is_alive=False)
    assert device.reason == "the PLC's heartbeat stands still"
    assert device.reads(45.0) is GOOD


def test_three_missed_beats_make_all_values_of_the_device_stale_and_one_beat_heals_them():
    device = Device(AN_HOUR)
    device.reads(45.0)
    assert [device.reads(45.0 + i, is_alive=False) for i in range(4)] == [GOOD, GOOD, STALE, STALE]
    assert device.seen.qualities == bytes([STALE, STALE])
    assert device.reads(45.0) is GOOD


@pytest.mark.parametrize("step", [-65535.0, 1000.0, -3.0])
def test_a_counter_that_wraps_or_jumps_is_alive(step):
    device = Device(AN_HOUR)
    device.beat = 65535.0
    device.reads(45.0)
    device.beat += step
    assert [device.reads(45.0) for _ in range(4)] == [GOOD] * 4


def test_while_all_is_well_the_columns_are_the_same_object():
    looks = Plausibility(TagTable([T, BEAT]), Checks({T: AN_HOUR}, BEAT))
    columns = Columns((1.0, 2.0), bytes([GOOD, GOOD]), (0.0, 0.0))
    looks.look([Block(0, columns.values, columns.qualities)], columns.values, (0.0, 0.0), 0.0)
    assert looks.marked(columns) is columns


def test_silence_is_the_reason_where_silence_has_made_it_worse():
    device = Device(AN_HOUR)
    for _ in range(722):
        device.reads(45.0)
    silent = Columns((math.nan, math.nan), bytes([BAD, BAD]), (90.0, 90.0))
    assert device.looks.marked(silent).doubts == {}


@pytest.mark.parametrize(
    ("loops", "quality", "reason"),
    [
        ((), BAD, "out of range"),
        ((T,), BAD, "sensor open or shorted"),
        ((T,), STALE, "current out of specification"),
        ((), Quality.SUBSTITUTED, "overridden or uncertain at the device"),
    ],
)
def test_what_the_codec_finds_wrong_is_said_until_it_is_well(loops, quality, reason):
    looks = Plausibility(TagTable([T]), Checks({}, None, frozenset(loops)))
    said = []
    for one in (GOOD, quality, GOOD):
        columns = Columns((1.0,), bytes([one]), (0.0,))
        looks.look([Block(0, columns.values, columns.qualities)], columns.values, (0.0,), 0.0)
        said.append(looks.marked(columns).doubts)
    assert [{c: doubt.text for c, doubt in doubts.items()} for doubts in said] == [
        {},
        {0: reason},
        {},
    ]


def test_what_heatd_writes_may_jump_and_what_nobody_limits_is_not_looked_at():
    def row(tag, **more):
        point = Point(tag=Tag(tag), unit=Unit.PERCENT, **more)
        return Register(point=point, area="holding", address=0, kind="u16", scale=0.1)

    rows = [row("T2g"), row("CV1_SV", rate_per_s=2.0, is_writable=True), row("F1", rate_per_s=1.0)]
    assert checks_of(rows).by_tag == {Tag("F1"): Check(rate_per_s=1.0, count=0.1, unit="%")}


def test_the_link_shows_a_jump_as_bad_and_goes_on_writing(link_of, plc, play):
    async def scene():
        link = link_of(checks=Checks({Tag("T2g"): Check(rate_per_s=1.0, unit="K")}))
        column = link.table.index[Tag("T2g")]
        seen = []
        for value in (45.0, 90.0, 45.0):
            plc.set_float(0, value)
            await link.poll()
            seen.append(link.columns(asyncio.get_running_loop().time()).qualities[column])
            await link.write(Outputs({Tag("CV1_SV"): value}), asyncio.get_running_loop().time())
            await asyncio.sleep(5.0)
        assert seen == [GOOD, BAD, GOOD]
        assert plc.float(6) == 45.0

    play(scene())


def test_the_link_tells_a_stuck_plc_from_a_silent_one(link_of, plc, play):
    async def scene():
        link = link_of(checks=Checks({}, Tag("PLC_ID")))
        seen = []
        for _ in range(5):
            await link.poll()
            seen.append(link.columns(asyncio.get_running_loop().time()))
            await asyncio.sleep(5.0)
        assert [set(columns.qualities) for columns in seen] == [{GOOD}] * 3 + [{STALE}] * 2
        assert {doubt.check for doubt in seen[-1].doubts.values()} == {"heartbeat"}
        assert link.status.is_up

    play(scene())
