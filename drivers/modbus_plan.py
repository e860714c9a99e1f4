"""What is asked of a Modbus device, and what it refused so far: kept from connection to connection.

Rule: a block that the device refuses for an address is halved until only the refused points are
alone; it is tried again in its first shape only once one of them has come, or time has run out.
"""

import struct
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import nan

from core.point import Quality, Tag, TagTable
from drivers.base import Block, Target
from drivers.batching import ReadRequest, WriteRequest, halves, plan_reads, plan_writes
from drivers.kinds import FLOAT_COUNTS, target_of
from drivers.registers import FLOATS_MIN, BlockCodec
from drivers.settings import Area, Modbus, Register, WordOrder

READ_CODES: dict[Area, int] = {"coil": 1, "discrete": 2, "holding": 3, "input": 4}
CONFIGURATION_ERRORS = frozenset({1, 2, 3})
"""Exceptions that a mistake in the map brings."""

_WRITE_PLANS_MAX = 64
_CODECS_MAX = 4096
"""How many blocks' codecs are shared; one more has a codec for each of its devices."""


class Read:
    """One read request, encoded, with what decodes its reply.

    Attributes:
        request: What is read.
        function_code: Of the request and its reply.
        pdu: Function code and body of the request.
        size: Bytes of values in the reply.
        is_proven: The device gave it when it was last asked, or then gave nothing at all.
    """

    __slots__ = ("_codec", "_slices", "function_code", "is_proven", "pdu", "request", "size")

    def __init__(self, request: ReadRequest, word_order: WordOrder) -> None:
        self.request = request
        self.function_code = READ_CODES[request.area]
        self.pdu = struct.pack(">BHH", self.function_code, request.address, request.count)
        self._codec = _codec(request, word_order)
        self.size = self._codec.size
        self._slices: tuple[tuple[int, int, int], ...] = ()
        self.is_proven = False

    @property
    def tags(self) -> tuple[Tag, ...]:
        """Its points in the order of the decoded values."""
        return tuple(register.point.tag for register in self._codec.registers)

    def place(self, columns: Mapping[Tag, int]) -> None:
        """Say which columns of the table the values belong to."""
        slices: list[tuple[int, int, int]] = []
        for i, tag in enumerate(self.tags):
            column = columns[tag]
            if slices and column == slices[-1][2] + i - slices[-1][0]:
                slices[-1] = (slices[-1][0], i + 1, slices[-1][2])
            else:
                slices.append((i, i + 1, column))
        self._slices = tuple(slices)

    def blocks(self, pdu: bytes) -> tuple[Block, ...]:
        """Return the values of a reply of the right size, as slices of the table."""
        values, qualities = self._codec.decode(pdu[2:])
        if len(self._slices) == 1:
            return (Block(self._slices[0][2], values, qualities),)
        return tuple(
            Block(column, values[start:end], qualities[start:end])
            for start, end, column in self._slices
        )


@lru_cache(maxsize=_CODECS_MAX)
def _codec(request: ReadRequest, word_order: WordOrder) -> BlockCodec:
    """Return what decodes a block; devices with one map share it, so that it stays in the cache."""
    return BlockCodec(
        request.registers, address=request.address, count=request.count, word_order=word_order
    )


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a block brings nothing, since when, and from when on it is asked again (loop time)."""

    code: int
    since_s: float
    retry_at_s: float


class Plan:
    """All about a device that stays the same from connection to connection.

    Attributes:
        table: Its readable tags.
        slow: Columns of the slow group.
        once: Columns that are read once after each connect.
        planned: The blocks as they were first divided.
        targets: What may be written.
        writable: The registers of these, by tag.
        refusals: Blocks that bring nothing now.
        is_healed: A block that was refused for its map came since the blocks were divided.

    Raises:
        ValueError: A register is impossible, or two points collide.
    """

    def __init__(self, settings: Modbus, registers: Sequence[Register]) -> None:
        for register in registers:
            if fault := register.fault():
                raise ValueError(f"{register.point.tag}: {fault}")
        self.word_order: WordOrder = settings.word_order
        self.writable = {
            r.point.tag: r for r in registers if r.point.is_writable or r.point.is_pulse
        }
        self.targets: Mapping[Tag, Target] = {
            tag: target_of(
                r.point,
                r.kind,
                scale=r.scale,
                offset=r.offset + r.correction,
                is_slow=r.is_slow,
            )
            for tag, r in self.writable.items()
        }
        readable = [r for r in registers if not r.point.is_pulse]
        requests = plan_reads(
            readable,
            max_block=settings.max_block,
            gap=settings.gap,
            forbidden=settings.forbidden,
        )
        self._reads = [Read(request, settings.word_order) for request in requests]
        self.planned = tuple(self._reads)
        self.table = TagTable.of(tuple(tag for read in self._reads for tag in read.tags))
        for read in self._reads:
            read.place(self.table.index)
        self.slow = frozenset(self.table.index[r.point.tag] for r in readable if r.is_slow)
        self.once = frozenset(self.table.index[r.point.tag] for r in readable if r.is_once)
        self._floats = frozenset(
            self.table.index[r.point.tag] for r in readable if r.kind in FLOAT_COUNTS
        )
        self.refusals: dict[Read, Refusal] = {}
        self.is_healed = False
        # A scan asks for the same groups and writes the same few tags again and again.
        self._due: dict[tuple[bool, bool], tuple[Read, ...]] = {}
        self.writes = lru_cache(maxsize=_WRITE_PLANS_MAX)(self._plan_writes)
        first = self._reads[0].request if self._reads else None
        self.probe = (
            b"" if first is None else struct.pack(">BHH", READ_CODES[first.area], first.address, 1)
        )

    def due(self, *, slow: bool, once: bool, now_s: float) -> tuple[Read, ...]:
        """Return the blocks to ask for at the loop time `now_s`, without those that rest.

        A refused block that does not rest is asked for again at once, whatever its group: a slow
        one would else be said to have been busy for the whole minute until its turn.
        """
        reads = self._due.get((slow, once))
        if reads is None:
            reads = tuple(
                read
                for read in self._reads
                if (slow or not read.request.is_slow) and (once or not read.request.is_once)
            )
            self._due[slow, once] = reads
        if not self.refusals:
            return reads
        asked = frozenset(reads)
        return tuple(
            read
            for read in self._reads
            if (
                refusal.retry_at_s <= now_s
                if (refusal := self.refusals.get(read))
                else read in asked
            )
        )

    def others(self, now_s: float) -> tuple[Read, ...]:
        """Return the blocks that no fast poll asked for, where by its map the device has no others.

        There are none while it is busy or has failed: that is not the map's fault.
        """
        codes = {refusal.code for refusal in self.refusals.values()}
        if not codes or not codes <= CONFIGURATION_ERRORS:
            return ()
        return tuple(
            read
            for read in self.due(slow=True, once=True, now_s=now_s)
            if read not in self.refusals and (read.request.is_slow or read.request.is_once)
        )

    def halve(self, read: Read) -> tuple[Read, Read] | None:
        """Return the two blocks that stand in the place of one from now on; None for one point."""
        parts = halves(read.request)
        if parts is None:
            return None
        pair = Read(parts[0], self.word_order), Read(parts[1], self.word_order)
        for part in pair:
            part.place(self.table.index)
        at = self._reads.index(read)
        self._reads[at : at + 1] = pair
        self.refusals.pop(read, None)
        self._due.clear()
        return pair

    @property
    def known(self) -> tuple[Read, ...]:
        """The blocks as they are divided now."""
        return tuple(self._reads)

    def unlearn(self, known: tuple[Read, ...], *, keep: Collection[int]) -> None:
        """Divide the blocks as before, and let none rest.

        A device that refuses everything says nothing about its map: it is starting, or its program
        is being loaded, and is asked again as soon as any device that gives no data. It may come
        back in the middle of a poll, so the first block that it then refuses is no mistake either.

        Args:
            known: The blocks as they were divided.
            keep: Codes whose refusals stay known.
        """
        if known != self.known:
            self._reads[:] = known
            self._due.clear()
        for read in known:
            read.is_proven = True
        self.refusals = {
            read: refusal
            for read, refusal in self.refusals.items()
            if refusal.code in keep and read in known
        }

    def rejoin(self) -> None:
        """Divide the blocks as they were planned: what they were divided for is over."""
        self.is_healed = False
        if len(self._reads) != len(self.planned):
            self._reads[:] = self.planned
            self._due.clear()
            self.refusals.clear()

    def lacks_once(self, blocks: Sequence[Block]) -> bool:
        """Return whether these blocks are without a point that is read once, or have it BAD."""
        came = {
            block.start + i
            for block in blocks
            for i, quality in enumerate(block.qualities)
            if quality != Quality.BAD
        }
        return not self.once <= came

    def trusted(self, blocks: list[Block]) -> list[Block]:
        """Return what one poll brought without its floats, where most of the fast ones are BAD.

        Their words are swapped, or it is another map: one that looks right by chance is none. Slow
        ones do not count, or the fast would change with each turn of theirs.
        """
        floats = [
            block.qualities[i]
            for block in blocks
            for i in self._floats_of(block)
            if block.start + i not in self.slow
        ]
        if len(floats) < FLOATS_MIN or 2 * floats.count(Quality.BAD) <= len(floats):
            return blocks
        return [self._without_floats(block) for block in blocks]

    def _floats_of(self, block: Block) -> list[int]:
        return [i for i in range(len(block.values)) if block.start + i in self._floats]

    def _without_floats(self, block: Block) -> Block:
        values, qualities = list(block.values), bytearray(block.qualities)
        for i in self._floats_of(block):
            values[i], qualities[i] = nan, Quality.BAD
        return Block(block.start, tuple(values), bytes(qualities))

    def _plan_writes(
        self, due: tuple[Tag, ...], alongside: tuple[Tag, ...]
    ) -> tuple[WriteRequest, ...]:
        return plan_writes(
            [self.writable[tag] for tag in due], [self.writable[tag] for tag in alongside]
        )


@dataclass(frozen=True, slots=True)
class Gap:
    """Addresses that nobody wants: the request that reads them, and what to write if none can."""

    pdu: bytes
    forbidden: str


def gap_between(first: Read, second: Read) -> Gap | None:
    """Return the gap between two blocks; None if there is none."""
    area, start, after = first.request.area, first.request.end, second.request.address
    if start == after:
        return None
    pdu = struct.pack(">BHH", first.function_code, start, after - start)
    where = f"{area} {start}..{after - 1}"
    return Gap(pdu, f"it has no {where}; write `forbidden: [{where}]`")


def too_long(first: Read, second: Read) -> str:
    """Return what it tells that a device gives two blocks one by one and not as one."""
    together = second.request.end - first.request.address
    most = max(first.request.count, second.request.count)
    return f"it refuses {together} of {first.request.area} at once; write `max_block: {most}`"
