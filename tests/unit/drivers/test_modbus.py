"""The Modbus driver against a device in memory that answers rightly and wrongly."""

import asyncio
import math
import struct
from contextlib import suppress

import pytest

from core.point import Point, Quality, Tag
from drivers.base import DriverError, Garbled, Reading, Refused, Unreachable
from drivers.modbus import modbus_tcp
from drivers.settings import ModbusTcp, Register


@pytest.fixture
def driver(registers):
    return modbus_tcp("plc", ModbusTcp(host="plc"), registers)()


def value(driver, reading, tag):
    column = driver.table.index[tag]
    for block in reading.blocks:
        if block.start <= column < block.start + len(block.values):
            return block.values[column - block.start]
    return None


def test_one_poll_is_one_request_and_the_slow_group_comes_only_when_asked(driver, plc, play):
    async def scene():
        plc.set_float(0, 45.5)
        fast = await driver.read(slow=False)
        everything = await driver.read(slow=True)

        assert plc.requests == [(3, 0, 11), (3, 0, 11), (3, 200, 2)]
        assert value(driver, fast, "T2g") == 45.5
        assert value(driver, fast, "FB_x1") is None
        assert value(driver, everything, "FB_x1") == 0.0
        assert plc.connections == 1

    play(scene())


def test_a_float_that_looks_right_by_chance_is_bad_where_most_others_are(plc, play):
    """Swapped words: of the floats of a device a few still make sense."""
    registers = [
        *(
            Register(point=Point(tag=Tag(f"T{n}")), area="holding", address=2 * n, kind="f32")
            for n in range(8)
        ),
        Register(point=Point(tag=Tag("Q1_tot")), area="holding", address=200, kind="f32"),
        Register(point=Point(tag=Tag("FB_run")), area="holding", address=210, kind="u16"),
    ]
    swapped = modbus_tcp("plc", ModbusTcp(host="plc"), registers)()

    async def scene():
        for n in range(4):
            plc.set_float(2 * n, math.nan)
        plc.set_float(200, 7.0e-30)
        half = await swapped.read(slow=True)
        plc.set_float(8, math.nan)
        most = await swapped.read(slow=True)

        assert value(swapped, half, "Q1_tot") == pytest.approx(7.0e-30)
        assert math.isnan(value(swapped, most, "Q1_tot"))
        assert value(swapped, most, "FB_run") == 0.0

    play(scene())


def test_slow_sensors_that_are_not_fitted_do_not_make_the_fast_ones_bad(plc, play):
    fast = [Register(point=Point(tag=Tag("T2g")), area="holding", address=0, kind="f32")]
    slow = [
        Register(
            point=Point(tag=Tag(f"S{n}"), low=-50.0, high=150.0),
            area="holding",
            address=100 + 2 * n,
            kind="f32",
            is_slow=True,
        )
        for n in range(9)
    ]
    device = modbus_tcp("plc", ModbusTcp(host="plc"), fast + slow)()

    async def scene():
        plc.set_float(0, 45.5)
        for n in range(9):
            plc.set_float(100 + 2 * n, -999.0)
        reading = await device.read(slow=True)
        assert value(device, reading, "T2g") == 45.5
        assert math.isnan(value(device, reading, "S0"))

    play(scene())


def test_what_is_read_once_and_came_broken_is_read_again_with_the_slow_points(plc, play):
    firmware = Point(tag=Tag("FW"), low=1.0, high=99.0)
    device = modbus_tcp(
        "plc",
        ModbusTcp(host="plc"),
        [
            Register(point=Point(tag=Tag("T2g")), area="holding", address=0, kind="f32"),
            Register(point=firmware, area="holding", address=200, kind="u16", is_once=True),
        ],
    )()

    async def scene():
        assert math.isnan(value(device, await device.read(slow=True), "FW"))
        plc.holding[200] = 7
        assert value(device, await device.read(slow=False), "FW") is None
        assert value(device, await device.read(slow=True), "FW") == 7.0
        assert value(device, await device.read(slow=True), "FW") is None

    play(scene())


def test_pulses_are_not_read(driver):
    assert "XP1_start" not in driver.table
    assert driver.targets[Tag("XP1_start")].is_pulse
    assert driver.slow == {driver.table.index[Tag("FB_x1")]}


def test_an_implausible_value_is_bad_and_the_others_hold(driver, plc, play):
    async def scene():
        plc.set_float(0, 300.0)
        (block,) = (await driver.read(slow=False)).blocks

        assert math.isnan(block.values[0])
        assert block.qualities == bytes([Quality.BAD] + [Quality.GOOD] * (len(block.values) - 1))

    play(scene())


@pytest.mark.parametrize(
    ("values", "alongside", "requests"),
    [
        ({"CV1_SV": 41.5}, {}, [(16, 6, 2)]),
        ({"CV1_SV": 41.5, "XP_SV": 30.0, "HB_SCADA": 7.0}, {}, [(16, 6, 5)]),
        ({"CV1_SV": 41.5, "HB_SCADA": 7.0}, {}, [(16, 6, 2), (16, 10, 1)]),
        ({"CV1_SV": 41.5, "HB_SCADA": 7.0}, {"XP_SV": 30.0}, [(16, 6, 5)]),
        ({"HB_SCADA": 7.0, "FB_x1": -10.0}, {}, [(16, 10, 1), (16, 200, 2)]),
    ],
)
def test_neighbours_are_written_in_one_request(driver, plc, play, values, alongside, requests):
    async def scene():
        written = await driver.write(values, alongside)
        reading = await driver.read(slow=True)

        assert plc.requests[: len(requests)] == requests
        assert written == {**alongside, **values}
        for tag, wanted in {**values, **alongside}.items():
            assert value(driver, reading, tag) == wanted

    play(scene())


def test_a_pulse_sets_its_coil_once(driver, plc, play):
    async def scene():
        await driver.pulse(Tag("XP1_start"))

        assert plc.requests == [(5, 3, 0xFF00)]
        assert plc.coils[3] == 1

    play(scene())


def with_tid(reply, tid):
    return struct.pack(">H", tid) + reply[2:]


def with_registers(reply, count):
    body = reply[6:8] + bytes([2 * count]) + bytes(2 * count)
    return reply[:4] + struct.pack(">H", len(body)) + body


@pytest.mark.parametrize(
    ("distort", "error"),
    [
        (lambda r: with_tid(r, 0), Garbled),
        (lambda r: with_tid(r, 999), Unreachable),
        (lambda r: r[:6] + b"\x09" + r[7:], Garbled),  # another unit
        (lambda r: r[:7] + b"\x04" + r[8:], Garbled),  # function 4 answers function 3
        (lambda r: r[:7] + b"\x2b" + r[8:], Garbled),  # a function we never asked
        (lambda r: r[:7] + b"\x84" + r[8:], Garbled),  # an exception to another function
        (lambda r: with_registers(r, 1), Garbled),
        (lambda r: with_registers(r, 12), Garbled),
        (lambda r: with_registers(r, 125), Garbled),
        (lambda r: r[:8] + bytes([r[8] - 2]) + r[9:], Garbled),  # byte count and bytes disagree
        (lambda r: r[:-4], Garbled),  # truncated
        (lambda r: b"\0\0" + r, Garbled),  # junk before the reply
        (lambda r: r[:2] + b"\x12\x34" + r[4:], Garbled),  # not the Modbus protocol
        (lambda _: bytes(70000), Garbled),
        (lambda r: r[:4] + b"\0\x02" + r[6:7] + b"\x83", Garbled),  # an exception without a code
    ],
)
def test_a_wrong_reply_is_never_data_and_the_next_right_one_is(driver, plc, play, distort, error):
    async def scene():
        plc.distort = distort
        with pytest.raises(error):
            await driver.read(slow=False)
        plc.distort = lambda reply: reply
        assert len((await driver.read(slow=False)).blocks) == 1

    play(scene())


@pytest.mark.parametrize(
    ("code", "error"),
    [
        (1, Refused),
        (3, Refused),
        (4, Refused),
        (8, Unreachable),
        (10, Unreachable),
        (11, Unreachable),
        (99, Unreachable),
    ],
)
def test_an_exception_reply_says_who_refuses_and_what_to_do(driver, plc, play, code, error):
    async def scene():
        plc.refused.update(dict.fromkeys(range(300), code))
        with pytest.raises(error, match=rf"^plc: .*it .*\(Modbus exception {code}\); .+"):
            await driver.read(slow=False)

    play(scene())


def test_a_block_that_is_refused_does_not_take_the_others_with_it(driver, plc, play):
    async def scene():
        plc.refused[200] = 2
        reading = await driver.read(slow=True)

        assert len(reading.blocks) == 1
        assert reading.refused.startswith("holding 200..201 (FB_x1): it has no such address")

    play(scene())


@pytest.mark.parametrize("code", [1, 2, 3])
def test_a_block_that_cannot_be_is_asked_again_once_a_minute(driver, plc, play, code):
    async def scene():
        plc.refused[200] = code
        for _ in range(24):
            reading = await driver.read(slow=True)
            assert "Modbus exception" in reading.refused
            await asyncio.sleep(5.0)
        assert [address for _, address, _ in plc.requests].count(200) == 2
        plc.refused.clear()
        assert (await driver.read(slow=True)).refused == ""

    play(scene())


@pytest.mark.parametrize("code", [1, 2, 3])
def test_a_device_that_refuses_every_fast_point_and_gives_the_slow_ones_lives(
    driver, plc, play, code
):
    async def scene():
        plc.refused.update(dict.fromkeys(range(100), code))
        for i in range(11):
            if i == 1:
                plc.requests.clear()
            reading = await driver.read(slow=i == 0)
            assert f"Modbus exception {code}" in reading.refused
            assert value(driver, reading, "FB_x1") == 0.0
            await asyncio.sleep(5.0)
        # The fast points rest for a minute; meanwhile the others prove that it lives.
        assert [address for _, address, _ in plc.requests] == [200] * 10
        await asyncio.sleep(5.0)
        plc.refused.clear()
        reading = await driver.read(slow=False)
        assert reading.refused == ""
        assert value(driver, reading, "T2g") == 0.0

    play(scene())


@pytest.mark.parametrize("code", [4, 5])
def test_a_fault_that_is_not_the_map_s_asks_for_no_more_than_the_fast_points(
    driver, plc, play, code
):
    async def scene():
        plc.refused[0] = code
        with suppress(Refused):
            await driver.read(slow=False)
        assert [address for _, address, _ in plc.requests] == [0]

    play(scene())


@pytest.mark.parametrize("code", [1, 2, 3])
def test_a_device_that_refuses_everything_is_read_as_before_once_it_does_not(
    driver, plc, play, code
):
    async def scene():
        await driver.read(slow=True)
        asked = plc.requests.copy()
        plc.refused.update(dict.fromkeys(range(300), code))
        for _ in range(3):
            with pytest.raises(Refused):
                await driver.read(slow=True)
        plc.refused.clear()
        plc.requests.clear()
        assert (await driver.read(slow=True)).refused == ""
        assert plc.requests == asked

    play(scene())


@pytest.mark.parametrize("code", [1, 2, 3])
def test_a_block_that_was_given_and_is_refused_once_is_asked_for_whole_with_the_next_poll(
    driver, plc, play, code
):
    """A device that comes back in the middle of a poll has refused a part of it."""

    async def scene():
        await driver.read(slow=True)
        asked = plc.requests.copy()
        plc.refused[200] = code
        assert (await driver.read(slow=True)).refused == ""
        plc.refused.clear()
        plc.requests.clear()
        assert len((await driver.read(slow=True)).blocks) == 2
        assert plc.requests == asked

    play(scene())


@pytest.mark.parametrize("code", [1, 2, 3])
def test_a_device_that_refused_everything_may_come_back_in_the_middle_of_a_poll(
    driver, plc, play, code
):
    async def scene():
        await driver.read(slow=True)
        asked = plc.requests.copy()
        plc.refused.update(dict.fromkeys(range(300), code))
        for _ in range(3):
            with pytest.raises(Refused):
                await driver.read(slow=True)
        for address in range(200, 300):
            del plc.refused[address]
        assert len((await driver.read(slow=True)).blocks) == 1
        plc.refused.clear()
        plc.requests.clear()
        assert len((await driver.read(slow=True)).blocks) == 2
        assert plc.requests == asked

    play(scene())


@pytest.mark.parametrize("code", [2, 4, 5, 6])
def test_a_slow_block_that_was_refused_does_not_wait_for_its_turn(driver, plc, play, code):
    async def scene():
        await driver.read(slow=True)
        plc.refused[200] = code
        await driver.read(slow=True)
        plc.refused.clear()
        plc.requests.clear()
        assert (await driver.read(slow=False)).refused == ""
        assert plc.requests == [(3, 0, 11), (3, 200, 2)]
        assert len((await driver.read(slow=False)).blocks) == 1

    play(scene())


@pytest.mark.parametrize("code", [5, 6])
def test_a_device_that_is_busy_twice_is_not_said_to_have_been_busy_all_the_time(
    driver, plc, play, code
):
    async def scene():
        for _ in range(2):
            plc.refused.update(dict.fromkeys(range(300), code))
            await driver.read(slow=True)
            plc.refused.clear()
            await driver.read(slow=False)
            await asyncio.sleep(40.0)
        plc.refused.update(dict.fromkeys(range(300), code))
        assert (await driver.read(slow=True)).refused == ""

    play(scene())


def test_a_value_that_is_refused_does_not_keep_its_neighbours_away(driver, plc, play):
    async def scene():
        body = plc._body
        plc._body = lambda code, address, count, data: (
            bytes([0x90, 3])
            if code == 16 and address <= 8 < address + count
            else body(code, address, count, data)
        )
        with pytest.raises(Refused) as told:
            await driver.write({"CV1_SV": 41.5, "XP_SV": 30.0, "HB_SCADA": 7.0})
        assert told.value.tags == ("XP_SV",)
        assert (plc.float(6), plc.float(8), plc.holding[10]) == (41.5, 0.0, 7)

    play(scene())


def test_what_a_starting_plc_refused_for_a_while_is_asked_for_together_again(driver, plc, play):
    """It has its slow block already, and cuts the fast one down to single points."""

    async def scene():
        await driver.read(slow=True)
        plc.requests.clear()
        plc.refused.update(dict.fromkeys(range(100), 2))
        for _ in range(3):
            await driver.read(slow=True)
        assert len(plc.requests) > 8
        plc.refused.clear()
        await asyncio.sleep(60.0)
        await driver.read(slow=True)
        plc.requests.clear()
        assert len((await driver.read(slow=True)).blocks) == 2
        assert plc.requests == [(3, 0, 11), (3, 200, 2)]

    play(scene())


def test_a_poll_that_runs_out_of_time_does_not_ask_in_pieces_again(driver, plc, play):
    async def scene():
        await driver.read(slow=True)
        plc.refused.update(dict.fromkeys(range(100), 2))
        for _ in range(3):
            await driver.read(slow=True)
        plc.refused.clear()
        plc.is_silent = True
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                await driver.read(slow=True)
        plc.is_silent = False
        plc.requests.clear()
        assert len((await driver.read(slow=True)).blocks) == 2
        assert plc.requests == [(3, 0, 11), (3, 200, 2)]

    play(scene())


def test_a_refusal_of_a_piece_does_not_outlive_the_piece(driver, plc, play):
    async def scene():
        await driver.read(slow=True)
        plc.refused[0] = 2
        await driver.read(slow=True)
        body, asked = plc._body, []

        def first_two_then_six(code, address, count, data):
            asked.append(address)
            return bytes([code | 0x80, 2 if len(asked) == 1 else 6])

        plc._body = first_two_then_six
        await driver.read(slow=True)
        plc._body = body
        plc.refused.clear()
        for _ in range(3):
            assert (await driver.read(slow=True)).refused == ""
        await asyncio.sleep(60.0)
        assert (await driver.read(slow=True)).refused == ""

    play(scene())


def test_a_device_failure_is_told_at_once_and_asked_again_at_once(driver, plc, play):
    async def scene():
        plc.refused[200] = 4
        assert "look for a fault" in (await driver.read(slow=True)).refused
        plc.refused.clear()
        assert (await driver.read(slow=True)).refused == ""

    play(scene())


@pytest.mark.parametrize("code", [5, 6])
def test_a_device_that_is_busy_is_not_told_of_for_half_a_minute(driver, plc, play, code):
    async def scene():
        plc.refused[0] = code
        for _ in range(6):
            assert (await driver.read(slow=False)).blocks == ()
            await asyncio.sleep(4.99)
        await asyncio.sleep(0.1)
        with pytest.raises(Refused, match=f"exception {code}"):
            await driver.read(slow=False)
        plc.refused.clear()
        assert len((await driver.read(slow=False)).blocks) == 1

    play(scene())


def test_addresses_that_a_device_lacks_are_learnt_once_and_for_good(registers, plc, play):
    make = modbus_tcp("plc", ModbusTcp(host="plc"), registers)

    async def scene():
        plc.missing = {5}
        driver = make()
        plc.set_float(0, 45.5)
        plc.holding[10] = 7
        reading = await driver.read(slow=False)
        assert reading.learnt == ("it has no holding 5..5; write `forbidden: [holding 5..5]`",)
        assert (value(driver, reading, "T2g"), value(driver, reading, "HB_SCADA")) == (45.5, 7.0)
        assert plc.requests == [(3, 0, 11), (3, 0, 5), (3, 6, 5), (3, 5, 1)]
        await driver.close()

        again = make()
        plc.requests.clear()
        assert await again.read(slow=False) == Reading(reading.blocks)
        assert plc.requests == [(3, 0, 5), (3, 6, 5)]

    play(scene())


def test_a_point_that_a_device_lacks_is_found_and_named_and_the_others_hold(driver, plc, play):
    async def scene():
        plc.missing = {8, 9}
        reading = await driver.read(slow=False)
        assert reading.refused.startswith("holding 8..9 (XP_SV): it has no such address")
        assert sum(len(block.values) for block in reading.blocks) == 5
        plc.requests.clear()
        await driver.read(slow=False)
        assert (3, 8, 2) not in plc.requests

    play(scene())


def test_a_device_that_gives_less_at_once_than_was_thought_is_read_in_parts(driver, plc, play):
    plc.distort = lambda r: r if r[8] <= 12 else r[:4] + b"\0\3" + r[6:7] + b"\x83\x02"

    async def scene():
        reading = await driver.read(slow=False)
        assert reading.learnt == ("it refuses 11 of holding at once; write `max_block: 5`",)
        assert len(reading.blocks) == 2

    play(scene())


def test_a_refused_write_names_its_tags_and_the_others_are_written(driver, plc, play):
    async def scene():
        plc.refused[6] = 3
        with pytest.raises(Refused) as caught:
            await driver.write({"CV1_SV": 40.0, "HB_SCADA": 7.0})

        assert caught.value.tags == ("CV1_SV",)
        assert plc.holding[10] == 7

    play(scene())


def test_a_write_that_another_register_confirms_is_not_confirmed(driver, plc, play):
    async def scene():
        plc.distort = lambda r: r[:8] + b"\0\0" + r[10:]
        with pytest.raises(Garbled):
            await driver.write({"CV1_SV": 40.0})
        with pytest.raises(Garbled):
            await driver.pulse(Tag("XP1_start"))

    play(scene())


def test_a_broken_connection_fails_the_waiting_request_at_once(driver, plc, play):
    async def scene():
        await driver.read(slow=False)
        plc.is_silent = True
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        loop.call_later(0.2, plc.cut)
        with pytest.raises(Unreachable, match="broke"):
            await driver.read(slow=False)

        assert loop.time() - began_s == pytest.approx(0.2, abs=0.001)

    play(scene())


def test_a_driver_lives_for_one_connection(driver, plc, play):
    async def scene():
        await driver.read(slow=False)
        assert not driver.is_broken
        plc.cut()
        await asyncio.sleep(1.0)
        assert driver.is_broken
        with pytest.raises(Unreachable):
            await driver.write({"CV1_SV": 40.0})
        assert plc.connections == 1

    play(scene())


@pytest.mark.parametrize("is_off", [True, False])
def test_a_silent_device_is_unreachable_in_time(driver, plc, play, is_off):
    async def scene():
        plc.is_off = is_off
        plc.is_silent = True
        with pytest.raises(Unreachable):
            await driver.read(slow=False)

        assert asyncio.get_running_loop().time() <= 1.02

    play(scene())


def test_a_late_reply_never_answers_the_next_request(driver, plc, play):
    late = []

    def keep_back(reply):
        late.append(reply)
        return reply[:1]

    async def scene():
        plc.set_float(0, 20.0)
        plc.distort = keep_back
        with pytest.raises(DriverError):
            await driver.read(slow=False)
        plc.set_float(0, 45.5)
        plc.distort = lambda reply: late.pop() + reply if late else reply
        reading = await driver.read(slow=False)

        assert value(driver, reading, "T2g") == 45.5

    play(scene())


def test_a_cancelled_request_leaves_the_driver_usable(driver, plc, play):
    async def scene():
        plc.is_silent = True
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await driver.read(slow=False)
        plc.is_silent = False
        assert len((await driver.read(slow=False)).blocks) == 1

    play(scene())


def test_a_closed_driver_holds_no_connection(driver, plc, play):
    async def scene():
        await driver.read(slow=False)
        await driver.close()
        assert plc.open == []

    play(scene())


def test_an_impossible_register_is_refused_before_anything_is_asked(registers):
    broken = [r for r in registers if r.point.tag != "T2g"]
    broken.append(type(broken[0])(point=registers[0].point, area="coil", address=0, kind="f32"))

    with pytest.raises(ValueError, match="T2g: a coil"):
        modbus_tcp("plc", ModbusTcp(host="plc"), broken)
