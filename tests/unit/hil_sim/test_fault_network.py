"""What the way to a device can do: loss, a slow line, a shared gateway; in virtual time."""

import asyncio
import random

import pytest

from core.point import Point, Quality, Tag
from drivers.dial import channel_to
from drivers.link import Link
from drivers.modbus import modbus_tcp
from drivers.settings import ModbusTcp, Register
from hil_sim.fault_run import chosen, play_rows
from hil_sim.hostile import HostileServer
from hil_sim.hostile_bank import Bank
from hil_sim.virtual_loop import VirtualLoop

POINTS = [
    Register(point=Point(tag=Tag(f"P{i}")), area="holding", address=2 * i, kind="f32")
    for i in range(40)
]


class Plc:
    """A PLC whose forty values stand still."""

    def __init__(self):
        self.registers = {f"P{i}": 20.0 + i for i in range(40)}
        self.generation = 0

    def write(self, *_):
        return False


def virtually(scene, seed=1):
    with asyncio.Runner(loop_factory=lambda: VirtualLoop(seed)) as runner:
        return runner.run(scene())


async def polled(link, *, seconds, period_s):
    """Poll for a while; return the share of polls that brought data, and the worst quality."""
    loop = asyncio.get_running_loop()
    end_s, due_s, worst = loop.time() + seconds, loop.time(), Quality.GOOD
    before = link.status.polls, link.status.poll_errors
    while loop.time() < end_s:
        await link.poll()
        worst = min(worst, *link.columns(loop.time()).qualities)
        due_s += period_s
        await asyncio.sleep(due_s - loop.time())
    polls = link.status.polls - before[0]
    return 1.0 - (link.status.poll_errors - before[1]) / polls, worst, polls


@pytest.mark.parametrize("seed", range(1, 6))
def test_with_thirty_percent_of_all_segments_lost_nearly_every_poll_brings_data(seed):
    async def scene():
        server = HostileServer({1: Bank(Plc(), POINTS)})
        await server.start()
        asyncio.get_running_loop().net.loss = 0.3
        settings = ModbusTcp(host=server.host, port=server.port, timeout_s=2.0)
        make = modbus_tcp("plc", settings, POINTS)
        link = Link("plc", make, period_s=5.0, rng=random.Random(seed))
        share, worst, _ = await polled(link, seconds=3600.0, period_s=5.0)
        await link.close()
        server.stop()
        return share, worst

    share, worst = virtually(scene, seed)
    assert share >= 0.95
    assert worst >= Quality.STALE


def test_on_a_slow_line_polls_take_longer_and_nothing_piles_up():
    async def scene():
        server = HostileServer({1: Bank(Plc(), POINTS)})
        await server.start()
        # 169 bytes at 4 kbit/s: a third of a second for each reply.
        await server.put("drip", amount=0.002)
        settings = ModbusTcp(host=server.host, port=server.port)
        make = modbus_tcp("plc", settings, POINTS)
        link = Link("plc", make, period_s=1.0, rng=random.Random(1))
        share, worst, polls = await polled(link, seconds=120.0, period_s=1.0)
        counts = server.counts
        await link.close()
        server.stop()
        return share, worst, polls, counts

    share, worst, polls, counts = virtually(scene)
    assert (share, worst, counts.connections) == (1.0, Quality.GOOD, 1)
    assert (counts.requests, counts.in_flight_max) == (polls, 1)


def test_a_unit_that_hangs_behind_a_gateway_costs_the_others_a_tenth_at_most():
    async def scene():
        units = {unit: Bank(Plc(), POINTS) for unit in range(1, 9)}
        server = HostileServer(units, bus_s=0.05)
        await server.start()
        settings = {
            unit: ModbusTcp(host=server.host, port=server.port, unit=unit, timeout_s=2.0)
            for unit in units
        }
        channel = channel_to(settings[1])
        links = {
            unit: Link(
                f"unit {unit}",
                modbus_tcp(f"unit {unit}", settings[unit], POINTS, channel),
                period_s=5.0,
                rng=random.Random(unit),
            )
            for unit in units
        }

        async def minutes():
            found = await asyncio.gather(
                *(polled(link, seconds=300.0, period_s=5.0) for link in links.values())
            )
            return {unit: share for unit, (share, _, _) in zip(links, found, strict=True)}

        before = await minutes()
        await server.put("hung", amount=1.5, unit=3)
        meanwhile = await minutes()
        await server.mend()
        back = await asyncio.gather(
            *(polled(one, seconds=60, period_s=5) for one in links.values())
        )
        for link in links.values():
            await link.close()
        server.stop()
        return before, meanwhile, [worst for _, worst, _ in back], links[3].status.is_up

    before, meanwhile, _, is_back = virtually(scene)
    assert set(before.values()) == {1.0}
    assert meanwhile.pop(3) == 0.0
    assert min(meanwhile.values()) >= 0.9
    assert is_back


@pytest.mark.parametrize("minutes", [1, 10])
def test_a_plc_that_was_away_for_minutes_is_taken_over_again_without_a_step(minutes):
    # The laws of every scan hold the valve to its rate, and the hand-over to where it stands; the
    # PLC follows its own curve meanwhile.
    rows = chosen(["refuse", "silent"])
    result = play_rows(rows, is_virtual=True, hold_s=60.0 * minutes)
    assert {row.fault: row.why for row in result.rows if not row.survived} == {}
