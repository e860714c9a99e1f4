"""The Modbus driver against a server that answers wrongly, on real sockets: never data."""

import asyncio
import random
import socket
import struct
from contextlib import asynccontextmanager

import pytest
from structlog.testing import capture_logs

from core.point import Point, Quality, Tag
from drivers.base import DriverError, Unreachable
from drivers.link import Link
from drivers.modbus import modbus_tcp
from drivers.settings import ModbusTcp, Register

REGISTERS = [
    Register(point=Point(tag=Tag("T2g")), area="holding", address=0, kind="f32"),
    Register(point=Point(tag=Tag("T2h")), area="holding", address=2, kind="f32"),
]
WELL = "well"


def reply(tid, body, *, unit=1, protocol=0, length=None):
    size = len(body) + 1 if length is None else length
    return struct.pack(">HHHB", tid, protocol, size, unit) + body


VALUES = b"\x03\x08" + struct.pack(">ff", 45.5, 35.5)

ANSWERS = {
    WELL: lambda tid: [reply(tid, VALUES)],
    "dripping": lambda tid: [bytes([b]) for b in reply(tid, VALUES)],
    "twice": lambda tid: [reply(tid, VALUES) * 2],
    "after a late one": lambda tid: [reply(tid - 1, b"\x03\x08" + bytes(8)) + reply(tid, VALUES)],
    "transaction 0": lambda _: [reply(0, VALUES)],
    "another transaction": lambda tid: [reply(tid + 1, VALUES)],
    "another unit": lambda tid: [reply(tid, VALUES, unit=2)],
    "another protocol": lambda tid: [reply(tid, VALUES, protocol=1)],
    "another function": lambda tid: [reply(tid, b"\x04" + VALUES[1:])],
    "too few registers": lambda tid: [reply(tid, b"\x03\x04" + bytes(4))],
    "too many registers": lambda tid: [reply(tid, b"\x03\x0c" + bytes(12))],
    "a byte count that lies": lambda tid: [reply(tid, b"\x03\x0c" + VALUES[2:])],
    "truncated": lambda tid: [reply(tid, VALUES)[:-3]],
    "a length of zero": lambda tid: [reply(tid, VALUES, length=0)],
    "an enormous length": lambda tid: [reply(tid, VALUES, length=0xFFFF)],
    "junk": lambda _: [bytes(range(256)) * 256],
    "an unknown exception": lambda tid: [reply(tid, b"\x83\x63")],
    "nothing": lambda _: [],
}
RIGHT = {WELL, "dripping", "twice", "after a late one"}


class Hostile:
    """Answers each request in the manner chosen, or resets the connection under it."""

    def __init__(self):
        self.parts = ANSWERS[WELL]
        self.breaks = ""
        self.connections = 0

    async def serve(self, reader, writer):
        self.connections += 1
        try:
            while request := await reader.readexactly(12):
                await self.answer(struct.unpack(">H", request[:2])[0], writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def answer(self, tid, writer):
        if self.breaks:
            if self.breaks == "reset":
                linger = struct.pack("ii", 1, 0)
                writer.get_extra_info("socket").setsockopt(
                    socket.SOL_SOCKET, socket.SO_LINGER, linger
                )
            writer.transport.abort()
            return
        for part in self.parts(tid):
            writer.write(part)
            await asyncio.sleep(0.001)


@asynccontextmanager
async def hostile_server():
    hostile = Hostile()
    server = await asyncio.start_server(hostile.serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    make = modbus_tcp("plc", ModbusTcp(host="127.0.0.1", port=port, timeout_s=0.4), REGISTERS)
    try:
        yield hostile, make
    finally:
        server.close()
        await asyncio.sleep(0.05)


@pytest.mark.parametrize("manner", ANSWERS)
def test_only_a_right_reply_is_data_and_the_link_recovers(manner):
    async def scene():
        async with hostile_server() as (hostile, make):
            link = Link("plc", make, period_s=1.0, rng=random.Random(1))
            await link.poll()
            hostile.parts = ANSWERS[manner]
            await link.poll()
            assert (link.status.poll_errors == 0) == (manner in RIGHT)
            hostile.parts = ANSWERS[WELL]
            await link.poll()
            columns = link.columns(asyncio.get_running_loop().time())
            assert columns.values == (45.5, 35.5)
            assert set(columns.qualities) == {Quality.GOOD}
            assert link.status.is_up
            await link.close()

    asyncio.run(scene())


@pytest.mark.parametrize("manner", ["reset", "end"])
def test_a_connection_that_breaks_under_a_request_fails_it_within_100_ms(manner):
    async def scene():
        async with hostile_server() as (hostile, make):
            driver = make()
            await driver.read(slow=False)
            hostile.breaks = manner
            loop = asyncio.get_running_loop()
            began_s = loop.time()
            with pytest.raises(Unreachable):
                await driver.read(slow=False)
            assert loop.time() - began_s < 0.1
            hostile.breaks = ""
            driver = make()
            assert len((await driver.read(slow=False)).blocks) == 1
            assert hostile.connections == 2
            await driver.close()

    asyncio.run(scene())


def test_a_silent_device_is_dropped_after_two_polls_and_an_outage_is_two_lines():
    async def scene():
        async with hostile_server() as (hostile, make):
            link = Link("plc", make, period_s=1.0, rng=random.Random(1))
            await link.poll()
            hostile.parts = ANSWERS["nothing"]
            for _ in range(8):
                await link.poll()
                await asyncio.sleep(0.1)
            assert not link.status.is_up
            hostile.parts = ANSWERS[WELL]
            async with asyncio.timeout(6):
                while not link.status.is_up:
                    await link.poll()
                    await asyncio.sleep(0.1)
            await link.close()

    with capture_logs() as lines:
        asyncio.run(scene())

    assert [line["event"] for line in lines] == ["link_lost", "link_back"]


def test_random_bytes_are_never_data():
    rng = random.Random(7)

    async def scene():
        async with hostile_server() as (hostile, make):
            driver = make()
            for _ in range(200):
                body = b"\x03" + rng.randbytes(rng.randrange(0, 40))
                if body[:2] != VALUES[:2]:
                    hostile.parts = lambda tid, body=body: [reply(tid, body)]
                    with pytest.raises(DriverError):
                        await driver.read(slow=False)
            await driver.close()

    asyncio.run(scene())


def test_a_refused_connection_is_unreachable_at_once():
    async def scene():
        with socket.create_server(("127.0.0.1", 0)) as probe:
            port = probe.getsockname()[1]
        driver = modbus_tcp("plc", ModbusTcp(host="127.0.0.1", port=port), REGISTERS)()
        began_s = asyncio.get_running_loop().time()
        with pytest.raises(Unreachable, match=f"port {port}"):
            await driver.read(slow=False)
        assert asyncio.get_running_loop().time() - began_s < 0.5

    asyncio.run(scene())
