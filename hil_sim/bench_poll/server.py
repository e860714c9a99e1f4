"""The Modbus server of the bench, a process of its own: many PLCs, one port each.

Rule: it serves every contender alike, its values move with every scan, and it does nothing that is
not needed, so that it is never what is measured.

Run as `python -m hil_sim.bench_poll.server STATIONS TAGS`, it prints its ports as JSON and ends
when its standard input does.
"""

import asyncio
import json
import struct
import sys
from functools import partial
from importlib.util import find_spec
from typing import cast

from hil_sim.bench_poll.figures import new_loop
from hil_sim.bench_poll.points import FLOAT_WORDS, StationLayout

_HEAD = struct.Struct(">HHHBB")
_HEAD_BYTES = 8
_TWO_WORDS = struct.Struct(">HH")
_WORD = struct.Struct(">H")
_READ_HOLDING, _WRITE_COIL, _WRITE_REGISTERS = 3, 5, 16
_HEARTBEATS = 65536


class _Plc:
    """The registers of one station."""

    def __init__(self, layout: StationLayout, walks: tuple[bytes, ...], at: int) -> None:
        self._image = layout.first_image()
        self._walks = walks
        self._at = at % len(walks)
        self._beat = 0
        self._beat_byte = 2 * (layout.words + 1)
        self._valve = slice(*_bytes_of(layout.floats["CV1_SV"]))
        self._position = slice(*_bytes_of(layout.floats["CV1_U"]))

    def answer(self, function: int, body: bytes) -> bytes:
        """Return what follows the unit identifier in the reply to one request."""
        address, count = _TWO_WORDS.unpack_from(body)
        if function == _READ_HOLDING:
            if address == 0:
                self._move()
            data = self._image[2 * address : 2 * (address + count)]
            return bytes((function, len(data))) + data
        if function == _WRITE_REGISTERS:
            self._image[2 * address : 2 * (address + count)] = body[5 : 5 + 2 * count]
            return bytes((function,)) + body[:4]
        if function == _WRITE_COIL:
            return bytes((function,)) + body
        return bytes((function | 0x80, 1))

    def _move(self) -> None:
        """Go on to the next moment: values walk, the valve stands where it was sent."""
        walks = self._walks
        self._at = (self._at + 1) % len(walks)
        walk, image = walks[self._at], self._image
        image[: len(walk)] = walk
        image[self._position] = image[self._valve]
        self._beat = (self._beat + 1) % _HEARTBEATS
        _WORD.pack_into(image, self._beat_byte, self._beat)


def _bytes_of(address: int) -> tuple[int, int]:
    return 2 * address, 2 * (address + FLOAT_WORDS)


class _Connection(asyncio.Protocol):
    """One client of one PLC."""

    def __init__(self, plc: _Plc) -> None:
        self._plc = plc
        self._rest = b""
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are no subclasses of asyncio's.
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        data = self._rest + data
        at, replies = 0, []
        while len(data) - at >= _HEAD_BYTES:
            transaction, _, length, unit, function = _HEAD.unpack_from(data, at)
            end = at + 6 + length
            if end > len(data):
                break
            reply = self._plc.answer(function, data[at + _HEAD_BYTES : end])
            head = struct.pack(">HHHB", transaction, 0, len(reply) + 1, unit)
            replies.append(head + reply)
            at = end
        self._rest = data[at:]
        self._transport.write(b"".join(replies))


async def _serve(stations: int, tags: int) -> None:
    loop = asyncio.get_running_loop()
    layout = StationLayout(tags)
    walks = layout.walks()
    ports = []
    for i in range(stations):
        plc = _Plc(layout, walks, i)
        server = await loop.create_server(partial(_Connection, plc), "127.0.0.1", 0)
        ports.append(server.sockets[0].getsockname()[1])
    print(json.dumps(ports), flush=True)  # noqa: T201 - standard output is how the ports are told
    await loop.run_in_executor(None, sys.stdin.read)


def main() -> None:
    """Serve until standard input ends."""
    stations, tags = int(sys.argv[1]), int(sys.argv[2])
    # The faster loop where it is installed, whatever the contenders run on.
    loop_factory = new_loop("uvloop" if find_spec("uvloop") else "asyncio")
    with asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.run(_serve(stations, tags))


if __name__ == "__main__":
    main()
