"""The link: what a scan may rely on, whatever the device does."""

import asyncio
import math
import random
from itertools import pairwise

import pytest
from structlog.testing import capture_logs

from core.image import Outputs
from core.point import Quality, Tag, TagTable
from drivers.base import Untrusted
from drivers.budget import Wear
from drivers.link import Link
from drivers.plausible import Checks

PERIOD_S = 5.0
BAD, STALE, GOOD = Quality.BAD, Quality.STALE, Quality.GOOD


async def scan(link, outputs=None, period_s=PERIOD_S):
    """Poll, look, write, and wait for the next turn."""
    loop = asyncio.get_running_loop()
    began_s = loop.time()
    await link.poll()
    seen = link.columns(loop.time())
    if outputs is not None:
        await link.write(outputs, loop.time())
    await asyncio.sleep(began_s + period_s - loop.time())
    return seen


async def scans(link, count, outputs=None):
    for _ in range(count):
        seen = await scan(link, outputs)
    return seen


def quality(link, columns, tag="T2g"):
    return columns.qualities[link.table.index[Tag(tag)]]


def valued(**values):
    return Outputs({Tag(tag): value for tag, value in values.items()})


def test_a_poll_brings_good_values(link_of, plc, play):
    async def scene():
        link = link_of()
        assert quality(link, link.columns(0.0)) == BAD
        plc.set_float(0, 45.5)
        seen = await scan(link)

        assert seen.values[link.table.index[Tag("T2g")]] == 45.5
        assert set(seen.qualities) == {GOOD}
        assert link.status.is_up

    play(scene())


def test_the_slow_points_come_once_a_minute(link_of, plc, play):
    async def scene():
        await scans(link_of(), 25)
        assert [address for _, address, _ in plc.requests].count(200) == 3

    play(scene())


def test_slow_points_that_came_broken_come_again_when_the_fast_ones_are_mended(link_of, plc, play):
    async def scene():
        link = link_of()
        plc.set_float(0, math.nan)
        plc.set_float(200, math.nan)
        seen = await scan(link)
        assert quality(link, seen) == quality(link, seen, "FB_x1") == BAD
        await scans(link, 3)
        plc.set_float(200, -10.0)
        assert quality(link, await scans(link, 3), "FB_x1") == BAD
        plc.set_float(0, 45.5)
        seen = await scans(link, 2)
        assert quality(link, seen) == quality(link, seen, "FB_x1") == GOOD
        await scans(link, 5)
        assert [address for _, address, _ in plc.requests].count(200) == 2

    play(scene())


def test_a_sensor_that_comes_and_goes_does_not_have_the_slow_points_asked_for_all_the_time(
    link_of, plc, play
):
    async def scene():
        link = link_of()
        plc.set_float(200, math.nan)
        for n in range(120):
            plc.set_float(0, 45.5 if n % 2 else math.nan)
            await scan(link)
        assert [address for _, address, _ in plc.requests].count(200) <= 20

    play(scene())


def test_values_age_to_stale_and_bad_and_come_back(link_of, plc, play):
    async def scene():
        link = link_of()
        await scan(link)
        plc.is_silent = True
        aged = [quality(link, await scan(link)) for _ in range(12)]
        plc.is_silent = False
        back = await scan(link)

        assert aged == [GOOD] * 2 + [STALE] * 9 + [BAD]
        assert quality(link, back) == GOOD

    play(scene())


def test_one_failure_keeps_the_connection_and_the_second_drops_it(link_of, plc, play):
    async def scene():
        link = link_of()
        await scan(link)
        plc.is_silent = True
        await scan(link)
        assert (link.status.is_up, plc.connections, len(plc.open)) == (True, 1, 1)
        await scan(link)
        assert (link.status.is_up, plc.open) == (False, [])
        plc.is_silent = False
        await scan(link)
        assert (link.status.is_up, plc.connections) == (True, 2)

    play(scene())


def test_an_outage_is_two_lines_and_tells_its_length(link_of, plc, play):
    async def scene():
        link = link_of()
        await scan(link)
        plc.is_off = True
        plc.cut()
        await scans(link, 20)
        plc.is_off = False
        await scans(link, 3)

    with capture_logs() as lines:
        play(scene())

    assert [line["event"] for line in lines] == ["link_lost", "link_back"]
    assert lines[1]["outage_s"] == pytest.approx(100.0, abs=5.0)


def test_a_device_that_was_never_there_is_one_line(link_of, plc, play):
    async def scene():
        plc.is_off = True
        link = link_of()
        await scans(link, 10)
        assert not link.status.is_up
        assert link.status.down_since_s == 0.0

    with capture_logs() as lines:
        play(scene())

    assert [line["event"] for line in lines] == ["link_lost"]


def test_the_back_off_grows_to_four_seconds_and_is_spread(link_of, plc, play):
    async def scene():
        plc.is_off = True
        link = link_of(period_s=0.1)
        attempts = []
        before = 0
        while (now_s := asyncio.get_running_loop().time()) < 60.0:
            await scan(link, period_s=0.1)
            if link.status.polls > before:
                attempts.append(now_s)
                before = link.status.polls
        waits = [b - a for a, b in pairwise(attempts)]

        assert waits[0] == pytest.approx(0.1)
        assert waits[1:4] == pytest.approx([0.5, 1.0, 2.0], rel=0.25, abs=0.1)
        assert all(2.6 <= wait <= 4.1 for wait in waits[4:])
        assert len({round(wait, 1) for wait in waits[4:]}) > 1

    play(scene())


def test_a_device_asked_every_five_seconds_is_asked_at_every_turn(link_of, plc, play):
    async def scene():
        plc.is_off = True
        link = link_of()
        await scans(link, 30)
        assert link.status.polls == 30

    play(scene())


def test_no_call_takes_longer_than_its_period(link_of, plc, play):
    async def scene():
        link = link_of(timeout_s=10.0)
        await scan(link, valued(CV1_SV=40.0))
        plc.is_silent = True
        loop = asyncio.get_running_loop()
        for _ in range(5):
            began_s = loop.time()
            await link.poll()
            await link.write(valued(CV1_SV=41.0), loop.time())
            assert loop.time() - began_s <= 0.9 * PERIOD_S
            await asyncio.sleep(began_s + PERIOD_S - loop.time())

    play(scene())


def test_a_write_ends_with_its_period_even_when_only_writes_hang(link_of, plc, play):
    async def scene():
        link = link_of(timeout_s=10.0)
        await scan(link)
        await link.poll()
        plc.is_silent = True
        began_s = asyncio.get_running_loop().time()
        await link.write(valued(CV1_SV=41.0), began_s)
        assert asyncio.get_running_loop().time() - began_s <= PERIOD_S

    play(scene())


def test_a_value_is_written_on_change_and_at_refresh_only(link_of, plc, play):
    async def scene():
        link = link_of()
        await scans(link, 15, valued(CV1_SV=40.0))
        written = [address for code, address, _ in plc.requests if code == 16]
        assert written == [6, 6]
        await scan(link, valued(CV1_SV=40.5))
        assert plc.float(6) == 40.5
        assert link.status.writes == 3
        await scan(link)
        assert link.status.writes_verified == 3
        assert link.status.unverified == ()

    play(scene())


def test_a_device_that_ignores_a_value_is_named_until_it_obeys(link_of, plc, play):
    async def scene():
        link = link_of()
        await scan(link, valued(CV1_SV=40.0, XP_SV=30.0))
        for _ in range(2):
            assert link.status.unverified == ()
            plc.set_float(6, 12.0)
            await scan(link)
        assert link.status.unverified == ("CV1_SV",)
        plc.set_float(6, 40.0)
        await scan(link)
        assert link.status.unverified == ()

    play(scene())


def test_a_slow_value_is_verified_by_the_next_slow_poll(link_of, plc, play):
    async def scene():
        link = link_of()
        await scan(link, valued(FB_x1=-10.0))
        plc.set_float(200, 0.0)
        await scans(link, 11)
        assert link.status.unverified == ()
        await scans(link, 2)
        assert link.status.unverified == ("FB_x1",)

    play(scene())


def test_after_an_outage_everything_is_written_again_with_the_next_outputs(link_of, plc, play):
    async def scene():
        link = link_of()
        await scan(link, valued(CV1_SV=40.0))
        plc.is_off = True
        plc.cut()
        await scans(link, 4, valued(CV1_SV=40.0))
        plc.set_float(6, 0.0)
        plc.is_off = False
        await scan(link)
        assert plc.float(6) == 0.0
        await scan(link, valued(CV1_SV=40.0))
        assert plc.float(6) == 40.0

    play(scene())


def test_a_connection_that_breaks_between_two_polls_costs_no_poll_and_all_is_written_again(
    link_of, plc, play
):
    async def scene():
        link = link_of()
        await scan(link, valued(CV1_SV=40.0))
        plc.cut()
        plc.set_float(6, 0.0)
        await asyncio.sleep(0)
        await scan(link, valued(CV1_SV=40.0))
        assert (link.status.poll_errors, plc.connections) == (0, 2)
        assert plc.float(6) == 40.0

    play(scene())


def test_nothing_is_written_after_a_failed_poll(link_of, plc, play):
    async def scene():
        link = link_of()
        await scan(link)
        plc.is_silent = True
        await link.poll()
        plc.is_silent = False
        await link.write(valued(CV1_SV=40.0), asyncio.get_running_loop().time())
        assert plc.float(6) == 0.0

    play(scene())


def test_nothing_is_written_to_a_device_that_is_too_busy_to_be_read(link_of, plc, play):
    async def scene():
        link = link_of()
        await scan(link)
        plc.refused.update({0: 6, 200: 6})
        await scan(link, valued(CV1_SV=40.0))
        assert plc.float(6) == 0.0
        plc.refused.clear()
        await scan(link, valued(CV1_SV=40.0))
        assert plc.float(6) == 40.0

    play(scene())


def test_a_pulse_goes_out_once_and_is_never_refreshed(link_of, plc, play):
    async def scene():
        link = link_of()
        start = Outputs(pulses=frozenset({Tag("XP1_start")}))
        await scan(link, start)
        await scans(link, 15, Outputs())
        assert [r for r in plc.requests if r[0] == 5] == [(5, 3, 0xFF00)]

    play(scene())


def test_a_pulse_that_cannot_go_out_now_is_said_and_never_sent(link_of, plc, play):
    async def scene():
        link = link_of()
        await scan(link)
        plc.is_silent = True
        start = Outputs(pulses=frozenset({Tag("XP1_start"), Tag("elsewhere")}))
        await scan(link, start)
        plc.is_silent = False
        await scans(link, 3, Outputs())
        assert plc.coils[3] == 0

    with capture_logs() as lines:
        play(scene())

    assert [(line["event"], line["tag"]) for line in lines] == [("pulse_failed", "XP1_start")]


def test_a_pulse_without_an_answer_is_said_and_not_repeated(link_of, plc, play):
    async def scene():
        link = link_of()
        await scan(link)
        plc.distort = lambda reply: reply if reply[7] != 5 else b""
        await scan(link, Outputs({Tag("CV1_SV"): 40.0}, frozenset({Tag("XP1_start")})))
        await scans(link, 3, valued(CV1_SV=40.0))
        assert [code for code, _, _ in plc.requests].count(5) == 1
        assert (plc.float(6), link.status.unverified) == (40.0, ())

    with capture_logs() as lines:
        play(scene())

    assert [line["event"] for line in lines] == ["pulse_failed"]


def test_a_refused_pulse_is_said_and_the_link_stays_up(link_of, plc, play):
    async def scene():
        link = link_of()
        plc.refused[3] = 4
        await scan(link, Outputs(pulses=frozenset({Tag("XP1_start")})))
        await scan(link, Outputs())
        assert link.status.poll_errors == 0
        assert "Modbus exception 4" in link.status.last_error

    with capture_logs() as lines:
        play(scene())

    assert [line["event"] for line in lines] == ["pulse_failed"]


def test_a_write_without_an_answer_is_tried_again_with_the_next_outputs(link_of, plc, play):
    async def scene():
        link = link_of()
        await scan(link)
        plc.distort = lambda reply: reply if reply[7] != 16 else b""
        await scan(link, valued(CV1_SV=40.0))
        plc.distort = lambda reply: reply
        await scans(link, 2, valued(CV1_SV=40.0))
        assert [code for code, _, _ in plc.requests].count(16) == 2
        assert (link.status.writes, link.status.writes_verified) == (1, 1)

    play(scene())


def test_a_block_that_the_device_refuses_is_said_once(link_of, plc, play):
    async def scene():
        plc.refused[200] = 2
        link = link_of()
        seen = await scans(link, 40)
        assert quality(link, seen) == GOOD
        assert quality(link, seen, "FB_x1") == BAD
        assert link.status.is_up
        plc.refused.clear()
        await scans(link, 13)

    with capture_logs() as lines:
        play(scene())

    assert [line["event"] for line in lines] == ["reads_refused", "reads_back"]


def test_a_device_whose_slow_points_alone_come_is_up_and_its_fast_ones_are_bad(link_of, plc, play):
    async def scene():
        plc.refused.update(dict.fromkeys(range(100), 2))
        link = link_of()
        seen = await scans(link, 40)
        assert quality(link, seen) == BAD
        assert quality(link, seen, "FB_x1") == GOOD
        assert link.status.is_up
        assert "T2g" in link.status.refused
        plc.cut()
        plc.distort = lambda _: b""
        await scans(link, 3)
        assert not link.status.is_up

    with capture_logs() as lines:
        play(scene())

    assert [line["event"] for line in lines] == ["reads_refused", "link_lost"]


@pytest.mark.parametrize("values", [{"CV1_SV": math.nan}, {"CV1_SV": 101.0}, {"XP1_start": 1.0}])
def test_an_impossible_output_is_never_sent_and_does_not_stop_the_others(
    link_of, plc, play, values
):
    async def scene():
        link = link_of()
        await scans(link, 3, valued(HB_SCADA=7.0, **values))
        assert (plc.float(6), plc.coils[3], plc.holding[10]) == (0.0, 0, 7)

    with capture_logs() as lines:
        play(scene())

    assert [line["event"] for line in lines] == ["output_impossible"]


def test_a_refused_value_is_said_once_and_the_others_are_taken(link_of, plc, play):
    async def scene():
        link = link_of()
        plc.refused[6] = 3
        for beat in range(4):
            await scan(link, valued(CV1_SV=40.0, HB_SCADA=float(beat)))
        assert plc.holding[10] == 3
        assert link.status.unverified == ("CV1_SV",)
        assert link.status.is_up
        plc.refused.clear()
        await scan(link, valued(CV1_SV=40.0, HB_SCADA=9.0))
        assert plc.float(6) == 40.0

    with capture_logs() as lines:
        play(scene())

    assert [line["event"] for line in lines] == ["write_failed", "writes_back"]


def test_read_only_writes_nothing_at_all(link_of, plc, play):
    async def scene():
        link = link_of(read_only=True)
        outputs = Outputs({Tag("HB_SCADA"): 1.0}, frozenset({Tag("XP1_start")}))
        await scans(link, 3, outputs)
        assert {code for code, _, _ in plc.requests} == {3}

    play(scene())


def test_another_device_at_the_address_is_bad_and_blocks_writes_until_it_matches(
    link_of, plc, play
):
    async def scene():
        link = link_of(identity=(Tag("PLC_ID"), 42.0))
        plc.holding[4] = 42
        seen = await scan(link, valued(CV1_SV=40.0))
        assert (quality(link, seen), plc.float(6)) == (GOOD, 40.0)
        plc.holding[4] = 43
        seen = await scan(link, valued(CV1_SV=50.0))
        assert (set(seen.qualities), plc.float(6)) == ({BAD}, 40.0)
        assert not link.status.is_up
        assert "PLC_ID is 43, not 42" in link.status.last_error
        plc.holding[4] = 42
        seen = await scan(link, valued(CV1_SV=50.0))
        # The slow points are there again as well.
        assert (set(seen.qualities), plc.float(6)) == ({GOOD}, 50.0)

    with capture_logs() as lines:
        play(scene())

    assert [line["event"] for line in lines] == ["link_lost", "link_back"]


def test_a_new_connection_must_be_identified_anew(link_of, plc, play):
    async def scene():
        link = link_of(identity=(Tag("FB_x1"), 1.0))
        plc.set_float(200, 1.0)
        await scan(link)
        plc.is_off = True
        plc.cut()
        await scans(link, 2)
        plc.is_off = False
        plc.set_float(200, 2.0)
        await scans(link, 2, valued(CV1_SV=50.0))
        assert plc.float(6) == 0.0
        assert quality(link, link.columns(asyncio.get_running_loop().time())) == BAD

    play(scene())


def test_a_map_that_is_shifted_by_one_makes_the_whole_device_bad_and_writes_nothing(
    link_of, plc, play
):
    async def scene():
        link = link_of(identity=(Tag("PLC_ID"), 42.0))
        plc.holding[5] = 42  # everything lies one register further on
        seen = None
        for _ in range(12):
            outputs = Outputs({Tag("CV1_SV"): 50.0}, frozenset({Tag("XP1_start")}))
            seen = await scan(link, outputs)
        assert set(seen.qualities) == {BAD}
        assert {code for code, _, _ in plc.requests} == {3}

    with capture_logs() as lines:
        play(scene())

    assert [line["event"] for line in lines if line["event"] != "pulse_failed"] == ["link_lost"]


def test_another_program_in_the_plc_is_shown_and_not_written_to_until_it_is_confirmed(
    link_of, plc, play
):
    async def scene():
        checks = Checks({}, firmware=(Tag("PLC_ID"), 7.0))
        link = link_of(checks=checks)
        plc.holding[4] = 7
        await scan(link, valued(CV1_SV=40.0))
        plc.holding[4] = 8
        seen = await scans(link, 3, valued(CV1_SV=50.0))
        assert (quality(link, seen), plc.float(6)) == (GOOD, 40.0)
        assert link.status.is_up
        assert link.status.blocked == "PLC_ID is 8, and 7 is confirmed"

    with capture_logs() as lines:
        play(scene())

    assert [line["event"] for line in lines] == ["writes_blocked"]


def test_nothing_is_written_before_the_program_of_the_plc_has_been_seen(link_of, plc, play):
    async def scene():
        link = link_of(checks=Checks({}, firmware=(Tag("FB_x1"), 1.0)))
        plc.set_float(200, 1.0)
        plc.refused[200] = 4
        await scans(link, 2, valued(CV1_SV=40.0))
        assert plc.float(6) == 0.0

    play(scene())


def test_the_status_tells_what_is_held_back_and_what_each_register_has_been_through(
    link_of, plc, play
):
    async def scene():
        link = link_of()
        link.remember({Tag("CV1_SV"): Wear(0.2, 77, 60.0)})
        await scans(link, 2, valued(CV1_SV=40.0))
        status = link.status
        assert plc.float(6) == 0.0
        assert status.held == {Tag("CV1_SV"): "held by its budget of writes"}
        assert status.worn_out == (Tag("CV1_SV"),)
        assert status.wear[Tag("CV1_SV")].total == 77

    play(scene())


def test_an_identity_that_the_device_lacks_is_a_mistake(link_of):
    with pytest.raises(ValueError, match="no point NAME"):
        link_of(identity=(Tag("NAME"), 1.0))


def test_a_slow_block_that_breaks_the_poll_does_not_keep_the_fast_points_away(link_of, plc, play):
    async def scene():
        def swallow(reply):
            return reply if plc.requests[-1][1] != 200 else b""

        plc.distort = swallow
        link = link_of()
        await scan(link)
        seen = await scan(link)
        assert quality(link, seen) == GOOD

    play(scene())


def test_a_bug_in_a_library_costs_one_attempt_and_the_driver(link_of, plc, play, monkeypatch):
    async def scene():
        link = link_of()
        await scan(link)
        with monkeypatch.context() as patch:
            patch.setattr("drivers.registers.BlockCodec.decode", None)
            await scan(link, valued(CV1_SV=40.0))
            assert "TypeError" in link.status.last_error
        await scan(link)
        assert link.status.poll_errors == 1
        assert plc.connections == 2

    play(scene())


def test_a_cancellation_passes_through(link_of, plc, play):
    async def scene():
        link = link_of()
        plc.is_silent = True
        task = asyncio.get_running_loop().create_task(link.poll())
        await asyncio.sleep(0.1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await link.close()
        assert plc.open == []

    play(scene())


def test_where_one_side_does_not_trust_the_other_it_is_said_once_and_tried_again_slowly(play):
    asked_s = []

    class Guarded:
        table, targets, is_broken = TagTable([Tag("T2g")]), {}, False
        slow = once = frozenset()

        async def read(self, **_):
            asked_s.append(asyncio.get_running_loop().time())
            raise Untrusted("plc", "its certificate has expired", "renew it")

        async def close(self):
            """Nothing to give back."""

    async def scene():
        link = Link("plc", Guarded, period_s=5.0, rng=random.Random(1))
        await scans(link, 40)
        assert (link.status.is_up, link.status.is_untrusted) == (False, True)
        assert "security rejected: its certificate has expired" in link.status.last_error

    with capture_logs() as lines:
        play(scene())

    assert [line["event"] for line in lines] == ["link_lost"]
    assert asked_s == [0.0, 60.0, 120.0, 180.0]
