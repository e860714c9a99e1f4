"""Several requests under way on one Modbus TCP connection."""

import asyncio
import struct

import pytest

from drivers.channel import Channel
from drivers.line_key import Pace
from drivers.mbap import MbapLine

READ_ONE = struct.pack(">BHH", 3, 0, 1)
REQUEST_BYTES = 7 + len(READ_ONE)


class Wire(asyncio.Transport):
    """The near end of a connection to a PLC that answers each request with its number."""

    def __init__(self):
        super().__init__()
        self.packets = []
        self.line = None

    def write(self, data):
        self.packets.append(data)
        for at in range(0, len(data), REQUEST_BYTES):
            (transaction,) = struct.unpack_from(">H", data, at)
            asyncio.get_running_loop().call_soon(self.answer, transaction)

    def is_closing(self):
        return False

    def abort(self):
        pass

    def answer(self, transaction):
        head = struct.pack(">HHHB", transaction, 0, 5, 1)
        self.line.data_received(head + struct.pack(">BBH", 3, 2, transaction))


@pytest.mark.parametrize(
    ("depth", "packets"),
    [
        (1, [1, 1, 1, 1]),
        (2, [2, 1, 1]),
        (3, [3, 1]),
        (4, [4]),
        (9, [4]),
    ],
)
def test_requests_that_may_be_under_way_together_leave_in_one_packet(depth, packets):
    async def scene():
        wire = Wire()

        async def dial(owner):
            wire.line = MbapLine(owner)
            wire.line.connection_made(wire)
            return wire.line

        channel = Channel("plc", dial, Pace(depth=depth))
        channel.join()
        replies = await channel.ask(1, [READ_ONE] * 4, 1.0)
        assert [len(packet) // REQUEST_BYTES for packet in wire.packets] == packets
        assert replies == [struct.pack(">BBH", 3, 2, number) for number in range(1, 5)]
        channel.leave()

    asyncio.run(scene())
