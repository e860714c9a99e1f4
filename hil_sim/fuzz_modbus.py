"""Random and damaged frames at our own Modbus protocol, judged by a second decoder.

Rule: whatever comes, a value is taken only if the judge finds it in the bytes as well; an error
that is no `DriverError` is a crash. A round is all that follows from one seed and one number.
"""

import asyncio
import random
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field

from core.point import Quality
from drivers.base import Driver, DriverError, Reading
from drivers.channel import Channel
from drivers.line import Batch, Line, Owner, Ticket
from drivers.line_key import Pace
from drivers.mbap import MbapLine
from drivers.modbus import modbus_tcp
from drivers.rtu import RtuLine
from drivers.settings import ModbusTcp, Register, WordOrder
from hil_sim.fuzz_mutations import SHORT_MUTATIONS, in_chunks, mutated
from hil_sim.fuzz_oracle import (
    FLOATS,
    FLOATS_MIN,
    is_another_map,
    may_be,
    mbap_end,
    mbap_frames,
    meant_by_serial,
    values_in,
)
from hil_sim.fuzz_points import ORDERS, random_points
from hil_sim.hostile_frames import crc16
from hil_sim.virtual_loop import VirtualLoop

READS_PER_ROUND = 400
STREAMS_PER_ROUND = 1000
REPLIES_PER_ROUND = 1000
_FRAMES_PER_STREAM = 8
UNIT = 7
_TIMEOUT_S = 0.5
_FINDINGS_MAX = 5


@dataclass(slots=True)
class Findings:
    """What rounds came to.

    Attributes:
        frames: Frames that were fed.
        accepted: Replies that were taken for right.
        values: Values of these that the judge agreed with.
        wrong: What was taken and should not have been, or the other way round.
        crashes: Errors that are none of a device.
    """

    frames: int = 0
    accepted: int = 0
    values: int = 0
    wrong: list[str] = field(default_factory=list)
    crashes: list[str] = field(default_factory=list)

    def add(self, other: "Findings") -> None:
        """Add what other rounds came to."""
        self.frames += other.frames
        self.accepted += other.accepted
        self.values += other.values
        self.wrong = [*self.wrong, *other.wrong][:_FINDINGS_MAX]
        self.crashes = [*self.crashes, *other.crashes][:_FINDINGS_MAX]


def play_round(seed: int, number: int) -> Findings:
    """Play one round and return what it came to; the same for the same seed and number."""
    rng = random.Random(f"{seed} {number}")
    found = Findings()
    with asyncio.Runner(loop_factory=lambda: VirtualLoop(seed)) as runner:
        try:
            runner.run(_streams(rng, found))
            runner.run(_serial_replies(rng, found))
            runner.run(_reads(rng, found))
        except Exception as error:  # noqa: BLE001 - a crash is what is looked for
            found.crashes.append(repr(error))
    return found


# --- the protocol alone, byte by byte


class _Notes(Owner):
    """Writes down what a line tells."""

    def __init__(self) -> None:
        self.told: list[tuple[str, int, bytes]] = []

    def replied(self, ticket: Ticket, pdu: bytes) -> None:
        self.told.append(("replied", ticket.transaction, pdu))

    def wronged(self, ticket: Ticket, why: str) -> None:
        del why
        self.told.append(("wronged", ticket.transaction, b""))

    def confused(self, line: Line, why: str) -> None:
        del why
        self.told.append(("confused", 0, b""))
        line.close()

    def lost(self, line: Line) -> None:
        del line


class _Deaf(asyncio.Transport):
    """A transport that sends nothing."""

    def write(self, data: bytes | bytearray | memoryview) -> None:
        del data

    def is_closing(self) -> bool:
        return False

    def abort(self) -> None:
        pass


async def _streams(rng: random.Random, found: Findings) -> None:
    for _ in range(STREAMS_PER_ROUND):
        tid_zero = rng.random() < 0.1  # noqa: PLR2004 - a few such devices
        waiting = rng.sample(range(1, 40), rng.randrange(4))
        stream = b"".join(_a_frame(rng, waiting) for _ in range(_FRAMES_PER_STREAM))
        found.frames += _FRAMES_PER_STREAM
        told = told_of(in_chunks(stream, rng), waiting, tid_zero=tid_zero)
        found.accepted += sum(one[0] == "replied" for one in told)
        wanted = meant_by(stream, waiting, tid_zero=tid_zero)
        if told != wanted:
            found.wrong.append(f"{stream.hex()} for {waiting}: {told}, not {wanted}")
            return


Told = list[tuple[str, int, bytes]]


def told_of(chunks: Sequence[bytes], waiting: Sequence[int], *, tid_zero: bool = False) -> Told:
    """Return what a line tells its owner of these bytes; an event loop must run.

    Args:
        chunks: The bytes as they come.
        waiting: Transactions of requests to unit `UNIT` that wait for their replies.
        tid_zero: The device answers everything with transaction 0.
    """
    done = asyncio.get_running_loop().create_future()
    notes = _Notes()
    line = MbapLine(notes, tid_zero=tid_zero)
    line.connection_made(_Deaf())
    for number in waiting:
        line.send(Ticket(UNIT, b"\3\0\0\0\2", Batch(UNIT, [], 1.0, [], done), 0, number))
    for chunk in chunks:
        if line.is_open:
            line.data_received(chunk)
    return notes.told


def _a_frame(rng: random.Random, waiting: Sequence[int]) -> bytes:
    number = rng.choice((0, *waiting, *waiting, 77))
    body = rng.randbytes(4)
    unit = UNIT if rng.random() < 0.9 else rng.randrange(256)  # noqa: PLR2004 - mostly the right one
    frame = struct.pack(">HHHBBB", number, 0, 7, unit, 3, 4) + body
    return frame if rng.random() < 0.5 else mutated(frame, rng)  # noqa: PLR2004 - even odds


def meant_by(stream: bytes, waiting: Sequence[int], *, tid_zero: bool = False) -> Told:
    """Return what the owner of a line must be told of these bytes; arguments as of `told_of`."""
    left = list(waiting)
    told: Told = []
    for number, unit, message in mbap_frames(stream):
        is_unnumbered = number == 0 and bool(left)
        asked = left[0] if is_unnumbered else number
        if asked not in left:
            continue
        left.remove(asked)
        is_right = unit == UNIT and (tid_zero or not is_unnumbered)
        told.append(("replied", asked, message) if is_right else ("wronged", asked, b""))
    if mbap_end(stream) is None:
        told.append(("confused", 0, b""))
    return told


# --- the serial protocol, one reply at a time


async def _serial_replies(rng: random.Random, found: Findings) -> None:
    for _ in range(REPLIES_PER_ROUND):
        pdu = struct.pack(">BHH", rng.choice((1, 3, 4, 16)), 0, 2)
        body = b"\4" + rng.randbytes(4) if pdu[0] < 5 else pdu[1:5]  # noqa: PLR2004 - reads, and a write
        message = bytes([UNIT, pdu[0]]) + body
        if rng.random() < 0.3:  # noqa: PLR2004 - wrong, with a right checksum
            message = rng.choice(SHORT_MUTATIONS)(message, rng)
        frame = message + struct.pack("<H", crc16(message))
        if frame and rng.random() < 0.5:  # noqa: PLR2004 - even odds
            frame = rng.choice(SHORT_MUTATIONS)(frame, rng)
        chunks = in_chunks(frame, rng)
        found.frames += 1
        told = told_of_serial(chunks, pdu)
        found.accepted += told[:1] == ["replied"]
        wanted = meant_by_serial(chunks, pdu)
        if told != wanted:
            found.wrong.append(f"{[c.hex() for c in chunks]} to {pdu.hex()}: {told}, not {wanted}")
            return


def told_of_serial(chunks: Sequence[bytes], pdu: bytes) -> list[str]:
    """Return what a serial line tells its owner of these bytes after a request to `UNIT`."""
    done = asyncio.get_running_loop().create_future()
    notes = _Notes()
    line = RtuLine(notes, 0.1)
    line.connection_made(_Deaf())
    line.send(Ticket(UNIT, pdu, Batch(UNIT, [], 1.0, [], done), 0, 1))
    for chunk in chunks:
        if line.is_open:
            line.data_received(chunk)
    return [part for what, _, reply in notes.told for part in (what, reply.hex())]


# --- the whole driver


class _Device(asyncio.Transport):
    """The far end of one connection: right values, in damaged frames."""

    def __init__(self, line: MbapLine, rng: random.Random, bench: "_Bench") -> None:
        super().__init__()
        self._line = line
        self._rng = rng
        self._bench = bench
        self._is_closed = False
        self.stream = b""

    def write(self, data: bytes | bytearray | memoryview) -> None:
        left = bytes(data)
        while left:
            # Several requests may leave in one packet.
            size = 6 + left[4] * 256 + left[5]
            request, left = left[:size], left[size:]
            self._answer(request)

    def _answer(self, request: bytes) -> None:
        asked_at = len(self.stream)
        self._bench.asked.append((self, asked_at, request))
        frames = [self._reply(request)]
        if self._bench.is_hostile:
            frames = [self._damaged(frames[0]) for _ in range(1 + self._rng.randrange(2))]
            if self._rng.random() < 0.5:  # noqa: PLR2004 - half of them see a right reply in the end
                frames.append(self._reply(request))
        self._bench.found.frames += len(frames)
        asyncio.get_running_loop().call_soon(self._feed, b"".join(frames))

    def is_closing(self) -> bool:
        return self._is_closed

    def abort(self) -> None:
        self._is_closed = True

    def _damaged(self, frame: bytes) -> bytes:
        return frame if self._rng.random() < 0.3 else mutated(frame, self._rng)  # noqa: PLR2004 - some are right

    def _feed(self, data: bytes) -> None:
        for chunk in in_chunks(data, self._rng):
            if self._is_closed:
                return
            self.stream += chunk
            self._line.data_received(chunk)

    def _reply(self, request: bytes) -> bytes:
        code, count = request[7], request[10] * 256 + request[11]
        size = (count + 7) // 8 if code in {1, 2} else 2 * count
        body = self._rng.randbytes(size)
        if self._rng.random() < 0.5:  # noqa: PLR2004 - half of them hold numbers that may be
            body = bytes(byte & 0x11 for byte in body)
        return request[:4] + struct.pack(">H", size + 3) + request[6:8] + bytes([size]) + body


@dataclass(slots=True)
class _Bench:
    """One device of random points, and every request that its connections saw."""

    found: Findings
    registers: tuple[Register, ...]
    order: WordOrder
    is_hostile: bool = True
    asked: list[tuple[_Device, int, bytes]] = field(default_factory=list)

    def claims(self, reading: Reading, driver: Driver) -> str:
        """Return what is wrong with a reading; empty where the judge agrees with all of it."""
        rows = {row.point.tag: row for row in self.registers}
        came = [
            (rows[tag], value, quality)
            for block in reading.blocks
            for tag, value, quality in zip(
                driver.table.tags[block.start :], block.values, block.qualities, strict=False
            )
        ]
        wrong = [one for one in came if not self._may_be(*one)]
        self.found.values += len(came) - len(wrong)
        # Where most floats of a poll are broken, none of them is believed.
        floats = [one for one in came if one[0].kind in FLOATS]
        broken = [one for one in floats if one[2] == Quality.BAD and one not in wrong]
        if len(floats) >= FLOATS_MIN and 2 * len(broken) > len(floats):
            wrong = [one for one in wrong if one[0].kind not in FLOATS or one[2] != Quality.BAD]
        if not wrong:
            return ""
        row, value, quality = wrong[0]
        return f"{row} = {value} ({quality}) is in no right reply"

    def _may_be(self, row: Register, value: float, quality: int) -> bool:
        return any(
            may_be(row, data, address, self.order, value, quality)
            or (
                quality == Quality.BAD and is_another_map(self.registers, data, address, self.order)
            )
            for data, address in self._replies_with(row)
        )

    def _replies_with(self, row: Register) -> list[tuple[bytes, int]]:
        codes = {"coil": 1, "discrete": 2, "holding": 3, "input": 4}
        replies = []
        for device, asked_at, request in self.asked:
            address, count = struct.unpack(">HH", request[8:12])
            end = row.address + row.words
            if (
                request[7] != codes[row.area]
                or not address <= row.address <= end <= address + count
            ):
                continue
            for number, unit, message in mbap_frames(device.stream):
                data = values_in(message, request[7:])
                is_his = (number, unit) == (request[0] * 256 + request[1], UNIT)
                if is_his and data is not None and len(device.stream) > asked_at:
                    replies.append((data, address))
                    break
        return replies


async def _reads(rng: random.Random, found: Findings) -> None:
    bench = _Bench(found, random_points(rng), rng.choice(ORDERS))
    settings = ModbusTcp(
        host="fuzz",
        unit=UNIT,
        timeout_s=_TIMEOUT_S,
        word_order=bench.order,
        max_block=rng.choice((4, 20, 125)),
        gap=rng.choice((0, 8)),
    )

    async def dial(owner: Owner) -> Line:
        line = MbapLine(owner)
        line.connection_made(_Device(line, rng, bench))
        return line

    channel = Channel("fuzz", dial, Pace(depth=rng.choice((1, 1, 4))))
    make = modbus_tcp("fuzz", settings, bench.registers, channel)
    driver = make()
    for i in range(READS_PER_ROUND):
        bench.asked.clear()
        bench.is_hostile = i % 10 != 9  # noqa: PLR2004 - every tenth time the device is honest
        try:
            reading = await driver.read(slow=True)
        except DriverError as error:
            if not bench.is_hostile and not driver.is_broken and bench.asked[0][1] == 0:
                found.wrong.append(f"an honest device is refused: {error}")
            await driver.close()
            driver = make()
            continue
        found.accepted += len(reading.blocks)
        if wrong := bench.claims(reading, driver):
            found.wrong.append(wrong)
            return
    await driver.close()
