"""A Modbus device in memory, on a clock that jumps: the real driver, no sockets, no waiting.

Rule: the device answers with bytes, right or wrong, so that a test shows what passes the wire.
"""

import asyncio
import random
import selectors
import struct
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from core.point import Point, Tag
from drivers.link import Link
from drivers.modbus import modbus_tcp
from drivers.settings import ModbusTcp, Register

REPLY_S = 0.01


class Plc:
    """Registers and coils, a list of the requests that came, and a choice of misbehaviour."""

    def __init__(self) -> None:
        self.holding = [0] * 300
        self.coils = [0] * 16
        self.requests: list[tuple[int, int, int]] = []
        self.connections = 0
        self.is_off = False
        self.is_silent = False
        self.refused: dict[int, int] = {}
        self.missing: set[int] = set()
        self.distort: Callable[[bytes], bytes] = lambda reply: reply
        self.open: list[_Transport] = []

    def set_float(self, address: int, value: float) -> None:
        self.holding[address : address + 2] = struct.unpack(">HH", struct.pack(">f", value))

    def float(self, address: int) -> float:
        words = struct.pack(">HH", *self.holding[address : address + 2])
        return float(struct.unpack(">f", words)[0])

    def cut(self) -> None:
        """Break every connection."""
        for transport in self.open:
            transport.lose()

    def answer(self, frame: bytes) -> bytes | None:
        code, address, count = struct.unpack(">BHH", frame[7:12])
        self.requests.append((code, address, count))
        if self.is_silent:
            return None
        body = self._body(code, address, count, frame[13:])
        head = frame[:2] + b"\0\0" + struct.pack(">HB", len(body) + 1, frame[6])
        return self.distort(head + body)

    def _body(self, code: int, address: int, count: int, data: bytes) -> bytes:
        if address in self.refused:
            return bytes([code | 0x80, self.refused[address]])
        if code < 5 and self.missing.intersection(range(address, address + count)):
            return bytes([code | 0x80, 2])
        if code == 3:
            words = struct.pack(f">{count}H", *self.holding[address : address + count])
            return bytes([code, len(words)]) + words
        if code == 1:
            bits = sum(bit << i for i, bit in enumerate(self.coils[address : address + count]))
            return bytes([code, -(-count // 8)]) + bits.to_bytes(-(-count // 8), "little")
        if code == 16:
            self.holding[address : address + count] = struct.unpack(f">{count}H", data)
        elif code == 15:
            bits = int.from_bytes(data, "little")
            self.coils[address : address + count] = [bits >> i & 1 for i in range(count)]
        elif code == 5:
            self.coils[address] = int(count == 0xFF00)
        return struct.pack(">BHH", code, address, count)


class _Transport(asyncio.Transport):
    def __init__(self, loop: "JumpingLoop", protocol: asyncio.Protocol, plc: Plc) -> None:
        super().__init__()
        self._loop = loop
        self._protocol = protocol
        self._plc = plc
        self._is_closing = False
        plc.open.append(self)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        reply = self._plc.answer(bytes(data))
        if reply is not None:
            self._loop.call_later(REPLY_S, self._deliver, reply)

    def is_closing(self) -> bool:
        return self._is_closing

    def close(self) -> None:
        self.abort()

    def abort(self) -> None:
        if not self._is_closing:
            self._is_closing = True
            self._plc.open.remove(self)
            self._loop.call_soon(self._protocol.connection_lost, None)

    def lose(self) -> None:
        self._is_closing = True
        self._plc.open.remove(self)
        self._loop.call_soon(self._protocol.connection_lost, ConnectionResetError())

    def _deliver(self, reply: bytes) -> None:
        if not self._is_closing:
            self._protocol.data_received(reply)


class _JumpingSelector(selectors.DefaultSelector):
    """Never waits: what the loop would wait is added to its clock."""

    now_s = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        assert timeout is not None, "the test waits for something that never happens"
        self.now_s += max(0.0, timeout)
        return super().select(0)


class JumpingLoop(asyncio.SelectorEventLoop):
    """A loop in which time passes only by being waited for, and every host is `plc`."""

    def __init__(self, plc: Plc) -> None:
        self._jumping = _JumpingSelector()
        self._plc = plc
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.now_s

    async def create_connection(  # type: ignore[override] # the one form in use
        self, factory: Callable[[], asyncio.Protocol], *_: Any, **__: Any
    ) -> tuple[asyncio.Transport, asyncio.Protocol]:
        await asyncio.sleep(REPLY_S)
        if self._plc.is_off:
            raise ConnectionRefusedError
        self._plc.connections += 1
        protocol = factory()
        transport = _Transport(self, protocol, self._plc)
        protocol.connection_made(transport)
        return transport, protocol


@pytest.fixture
def plc() -> Plc:
    """Return a device in memory."""
    return Plc()


@pytest.fixture
def play(plc: Plc) -> Callable[[Coroutine[Any, Any, None]], None]:
    """Return what plays a scene against the device, in jumping time."""

    def run(scene: Coroutine[Any, Any, None]) -> None:
        with asyncio.Runner(loop_factory=lambda: JumpingLoop(plc)) as runner:
            runner.run(scene)

    return run


def _point(tag: str, low: float = -1e9, high: float = 1e9, **more: bool) -> Point:
    return Point(tag=Tag(tag), low=low, high=high, **more)


@pytest.fixture
def registers() -> list[Register]:
    """Return the points of a small station."""
    holding, coil = "holding", "coil"
    return [
        Register(point=_point("T2g", 0, 100), area=holding, address=0, kind="f32"),
        Register(point=_point("P2g", 0, 1.6), area=holding, address=2, kind="f32"),
        Register(point=_point("PLC_ID"), area=holding, address=4, kind="u16"),
        Register(
            point=_point("CV1_SV", 0, 100, is_writable=True), area=holding, address=6, kind="f32"
        ),
        Register(
            point=_point("XP_SV", 0, 50, is_writable=True), area=holding, address=8, kind="f32"
        ),
        Register(point=_point("HB_SCADA", is_writable=True), area=holding, address=10, kind="u16"),
        Register(point=_point("XP1_start", is_pulse=True), area=coil, address=3, kind="bool"),
        Register(
            point=_point("FB_x1", -50, 50, is_writable=True),
            area=holding,
            address=200,
            kind="f32",
            is_slow=True,
        ),
    ]


@pytest.fixture
def link_of(registers: list[Register]) -> Callable[..., Link]:
    """Return what makes a link to the device, polled every 5 s unless said otherwise."""

    def make(**changes: Any) -> Link:
        settings = ModbusTcp(host="plc", timeout_s=changes.pop("timeout_s", 1.0))
        given: dict[str, Any] = {"period_s": 5.0, "rng": random.Random(1), **changes}
        return Link("plc", modbus_tcp("plc", settings, registers), **given)

    return make
