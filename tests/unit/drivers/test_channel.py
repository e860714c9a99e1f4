"""A line that many share, on a clock that jumps: turns, pauses, the breaker, a loss."""

import asyncio
import selectors
import struct
from dataclasses import dataclass, field

import pytest

from drivers.channel import Channel
from drivers.line import Confused, Lost, Resting, Silent, Unlinked
from drivers.line_key import Pace

REPLY_S = 0.05
TIMEOUT_S = 0.5


class _JumpingSelector(selectors.DefaultSelector):
    now_s = 0.0

    def select(self, timeout=None):
        assert timeout is not None, "the test waits for something that never happens"
        self.now_s += max(0.0, timeout)
        return super().select(0)


class JumpingLoop(asyncio.SelectorEventLoop):
    def __init__(self):
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)

    def time(self):
        return self._jumping.now_s


@dataclass
class Bus:
    """Units behind one connection; the lines that were opened to it, and what was asked when."""

    silent: set[int] = field(default_factory=set)
    unlinked: set[int] = field(default_factory=set)
    deaf_at: set[int] = field(default_factory=set)
    is_off: bool = False
    is_dead: bool = False
    must_close: bool = False
    settle_s: float = 0.0
    asked: list[tuple[float, int]] = field(default_factory=list)
    lines: list["Wire"] = field(default_factory=list)

    async def dial(self, owner):
        await asyncio.sleep(0.01)
        if self.is_off:
            raise ConnectionRefusedError(111, "Connection refused")
        self.lines.append(Wire(self, owner))
        return self.lines[-1]

    def of(self, unit):
        return [at_s for at_s, asked in self.asked if asked == unit]


class Wire:
    is_midway = False

    def __init__(self, bus, owner):
        self.bus, self.owner, self.is_open, self.forgotten = bus, owner, True, []
        self.settle_s = bus.settle_s

    def send(self, ticket):
        loop = asyncio.get_running_loop()
        self.bus.asked.append((round(loop.time(), 6), ticket.unit))
        if self.bus.is_dead or ticket.unit in self.bus.silent:
            return
        if struct.unpack(">BHH", ticket.pdu)[1] in self.bus.deaf_at:
            return
        code = ticket.pdu[0]
        pdu = bytes([code | 0x80, 11]) if ticket.unit in self.bus.unlinked else ticket.pdu
        loop.call_later(REPLY_S, self.reply, ticket, pdu)

    def reply(self, ticket, pdu):
        if self.is_open and ticket not in self.forgotten:
            self.owner.replied(ticket, pdu)

    def forget(self, ticket):
        self.forgotten.append(ticket)
        return self.bus.must_close

    def close(self):
        self.is_open = False

    def break_down(self):
        self.is_open = False
        self.owner.lost(self)


def ask(channel, unit, *addresses):
    return channel.ask(
        unit, [struct.pack(">BHH", 3, address, 1) for address in addresses or (0,)], TIMEOUT_S
    )


def play(scene, **pace):
    bus = Bus()
    channel = Channel("10.0.0.1 port 502", bus.dial, Pace(**pace))

    async def run():
        await scene(bus, channel)
        channel.leave()

    channel.join()
    with asyncio.Runner(loop_factory=JumpingLoop) as runner:
        runner.run(run())


def now_s():
    return asyncio.get_running_loop().time()


def test_replies_come_in_the_order_of_the_requests_over_one_connection():
    async def scene(bus, channel):
        replies = await ask(channel, 1, 10, 20, 30)
        assert [struct.unpack(">BHH", pdu)[1] for pdu in replies] == [10, 20, 30]
        assert bus.of(1) == pytest.approx([0.01, 0.06, 0.11])
        assert len(bus.lines) == 1

    play(scene)


def test_units_take_turns_request_by_request():
    async def scene(bus, channel):
        await asyncio.gather(ask(channel, 1, 0, 1, 2), ask(channel, 2, 0, 1), ask(channel, 3))
        assert [unit for _, unit in bus.asked] == [1, 2, 3, 1, 2, 1]

    play(scene)


def test_as_many_requests_are_under_way_as_the_device_takes():
    async def scene(bus, channel):
        await ask(channel, 1, 0, 1, 2, 3)
        assert bus.of(1) == pytest.approx([0.01, 0.01, 0.01, 0.06])

    play(scene, depth=3)


def test_a_gap_and_a_delay_after_the_connection_are_kept():
    async def scene(bus, channel):
        await ask(channel, 1, 0, 1)
        assert bus.of(1) == pytest.approx([2.01, 2.26])

    play(scene, min_gap_s=0.2, connect_delay_s=2.0)


def test_the_first_request_without_an_answer_ends_the_batch():
    async def scene(bus, channel):
        bus.silent = {1}
        with pytest.raises(Silent):
            await ask(channel, 1, 0, 1, 2)
        assert now_s() == pytest.approx(0.51)
        await asyncio.sleep(5.0)
        assert len(bus.asked) == 1

    play(scene)


def test_each_request_of_a_batch_has_its_whole_time_from_when_it_was_sent():
    async def scene(bus, channel):
        bus.deaf_at = {30}
        with pytest.raises(Silent):
            await ask(channel, 1, 10, 20, 30)
        assert bus.of(1) == pytest.approx([0.01, 0.01, 0.06])
        assert now_s() == pytest.approx(0.56)

    play(scene, depth=2)


def test_a_request_without_an_answer_is_told_in_its_time_while_later_ones_are_answered():
    async def scene(bus, channel):
        bus.deaf_at = {10}
        with pytest.raises(Silent):
            await ask(channel, 1, 10, *range(20, 32))
        assert len(bus.asked) == 11
        assert now_s() == pytest.approx(0.51)

    play(scene, depth=2)


def test_a_lost_connection_is_told_to_all_at_once_and_the_next_request_makes_another():
    async def scene(bus, channel):
        channel.join()
        waiting = [asyncio.ensure_future(ask(channel, unit)) for unit in (1, 2, 3)]
        await asyncio.sleep(0.02)
        bus.lines[0].break_down()
        await asyncio.sleep(0)
        assert [type(task.exception()) for task in waiting] == [Lost] * 3
        assert channel.losses == 1
        await ask(channel, 1)
        assert len(bus.lines) == 2

    play(scene)


def test_no_connection_is_told_to_all_who_wait_for_it():
    async def scene(bus, channel):
        bus.is_off = True
        waiting = [asyncio.ensure_future(ask(channel, unit)) for unit in (1, 2)]
        await asyncio.sleep(0.02)
        told = {str(task.exception()) for task in waiting}
        assert told == {"no connection to 10.0.0.1 port 502 (Connection refused)"}
        bus.is_off = False
        await ask(channel, 1)

    play(scene)


def test_junk_takes_the_line_and_only_what_was_under_way():
    async def scene(bus, channel):
        first, second = (asyncio.ensure_future(ask(channel, unit)) for unit in (1, 2))
        await asyncio.sleep(0.02)
        channel.confused(bus.lines[0], "junk")
        with pytest.raises(Confused):
            await first
        await second
        assert (len(bus.lines), channel.losses) == (2, 0)

    play(scene)


@pytest.mark.parametrize("fault", ["silent", "unlinked"])
@pytest.mark.parametrize("dead", [{4}, {1, 4, 7}])
def test_units_that_do_not_answer_take_a_tenth_of_the_line_at_most(fault, dead):
    async def scene(bus, channel):
        for _ in range(7):
            channel.join()
        setattr(bus, fault, dead)

        async def poll(unit):
            while now_s() < 200.0:
                try:
                    await ask(channel, unit)
                except Resting:
                    await asyncio.sleep(0.1)
                except (Silent, Unlinked):
                    pass

        await asyncio.gather(*(poll(unit) for unit in range(1, 9)))
        # The first failure of each is what finds it out; the tenth holds from then on.
        alive = sum(at_s >= 50.0 and unit not in dead for at_s, unit in bus.asked)
        assert alive >= 0.9 * 150.0 / REPLY_S - 8
        assert all(len(bus.of(unit)) > 3 for unit in dead)

    play(scene)


def test_a_unit_that_answers_again_has_its_full_share_at_once():
    async def scene(bus, channel):
        channel.join()
        bus.silent = {1}
        with pytest.raises(Silent):
            await ask(channel, 1)
        with pytest.raises(Resting):
            await ask(channel, 1)
        assert channel.is_failing(1)
        bus.silent = set()
        await asyncio.sleep(9 * TIMEOUT_S)
        for _ in range(3):
            await ask(channel, 1)
        assert not channel.is_failing(1)

    play(scene)


def test_a_unit_alone_on_its_line_is_asked_whenever_it_is_wanted():
    async def scene(bus, channel):
        bus.silent = {1}
        for _ in range(3):
            with pytest.raises(Silent):
                await ask(channel, 1)

    play(scene)


def test_a_line_on_which_nobody_answers_is_given_up_after_two_requests():
    async def scene(bus, channel):
        channel.join()
        await ask(channel, 1)
        bus.is_dead = True
        for unit in (1, 2):
            with pytest.raises(Silent):
                await ask(channel, unit)
        assert not bus.lines[0].is_open
        bus.is_dead = False
        await asyncio.sleep(20.0)
        await ask(channel, 1)
        assert (len(bus.lines), channel.losses) == (2, 0)

    play(scene)


def test_a_line_that_cannot_tell_late_answers_apart_is_closed_and_left_alone_for_a_while():
    async def scene(bus, channel):
        bus.must_close, bus.settle_s, bus.silent = True, 0.7, {1}
        with pytest.raises(Silent):
            await ask(channel, 1)
        began_s = now_s()
        await ask(channel, 2)
        assert not bus.lines[0].is_open
        assert bus.of(2)[0] - began_s == pytest.approx(0.7, abs=0.02)
        assert channel.losses == 0

    play(scene)


def test_who_waits_no_longer_is_not_asked_for():
    async def scene(bus, channel):
        first = asyncio.ensure_future(ask(channel, 1))
        second = asyncio.ensure_future(ask(channel, 2, 0, 1))
        await asyncio.sleep(0.02)
        second.cancel()
        await first
        await asyncio.sleep(1.0)
        assert bus.of(2) == []
        assert await ask(channel, 2)

    play(scene)


def test_a_reply_that_nobody_waits_for_any_more_is_no_reply_to_the_next():
    async def scene(bus, channel):
        first = asyncio.ensure_future(ask(channel, 1, 10))
        await asyncio.sleep(0.02)
        first.cancel()
        (reply,) = await ask(channel, 1, 20)
        assert struct.unpack(">BHH", reply)[1] == 20

    play(scene)


def test_the_last_user_closes_the_line_and_the_others_do_not():
    async def scene(bus, channel):
        channel.join()
        await ask(channel, 1)
        channel.leave()
        assert bus.lines[0].is_open
        channel.leave()
        assert not bus.lines[0].is_open
        channel.join()
        await ask(channel, 1)

    play(scene)


def test_a_line_that_opens_after_its_last_user_left_is_closed():
    async def scene(bus, channel):
        asking = asyncio.ensure_future(ask(channel, 1))
        await asyncio.sleep(0.005)
        asking.cancel()
        channel.leave()
        await asyncio.sleep(0.1)
        assert all(not line.is_open for line in bus.lines)
        channel.join()

    play(scene)
