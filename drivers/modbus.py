"""A Modbus device behind `Driver`, whatever line it is on: the transaction is ours.

Rule: a reply is data only after its function code, unit and size are checked, and a request is sent
once: whoever wants it again asks again.
"""

import asyncio
import struct
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from core.point import Quality, Tag
from drivers.base import (
    NO_VALUES,
    Block,
    Deferred,
    Driver,
    DriverError,
    Garbled,
    Reading,
    Refused,
    Unreachable,
)
from drivers.batching import WriteRequest
from drivers.channel import Channel
from drivers.dial import channel_to
from drivers.line import ERROR_FLAG, Confused, LineError, Resting, Unlinked
from drivers.modbus_plan import CONFIGURATION_ERRORS, Plan, Read, Refusal, gap_between, too_long
from drivers.registers import encode
from drivers.settings import Modbus, Register

_WRITE_COIL = 5
_WRITE_COILS = 15
_WRITE_REGISTERS = 16
_COIL_ON = 0xFF00
_NO_SUCH_ADDRESS = 2
_DEVICE_FAILURE = 4
_BUSY = frozenset({5, 6})
# A mistake in a map is not mended in a minute (a little less, so that the slow group's own minute
# meets it), and a device may be busy for half of one.
_RETRY_S = 58.0
_BUSY_S_MAX = 30.0
_ERRORS = {
    1: ("knows no such function", "correct the area of the points in its map"),
    2: ("has no such address", "correct the addresses in its map"),
    3: ("refuses this value or this many registers", "correct the map, or lower max_block"),
    4: ("failed while it carried out the request", "look for a fault at the device"),
    5: ("needs longer for the request", "nothing; it is asked again"),
    6: ("is busy", "nothing; it is asked again"),
    10: ("lies behind a gateway that has no path to it", "check the gateway's table of units"),
    11: ("does not answer its gateway", "check the device and the line behind the gateway"),
}
_UNKNOWN_ERROR = ("refuses", "look the code up in the device's manual")


def modbus_tcp(
    device: str,
    settings: Modbus,
    registers: Sequence[Register],
    channel: Channel | None = None,
) -> Callable[[], Driver]:
    """Return what makes a driver of this device; the requests are planned once, here.

    Args:
        device: Name of the device, for logs and errors.
        settings: Its address and timings, on whatever line.
        registers: Its points, pulses included.
        channel: The line to it, where other devices share it.

    Raises:
        ValueError: A register is impossible, or two points collide.
    """
    plan = Plan(settings, registers)
    return partial(ModbusDriver, device, settings, plan, channel or channel_to(settings))


class ModbusDriver:
    """One Modbus device; connects at the first request, and lives for one connection.

    A line that heatd itself closes, to be rid of late answers, is no lost connection.
    """

    def __init__(self, device: str, settings: Modbus, plan: Plan, channel: Channel) -> None:
        self._device = device
        self._unit = settings.unit
        self._timeout_s = settings.timeout_s
        self._plan = plan
        self._channel = channel
        self._is_joined = False
        self._is_new = True
        self._lacks_once = False
        self._losses = channel.losses
        self.table = plan.table
        self.targets = plan.targets
        self.slow = plan.slow
        self.once = plan.once

    @property
    def is_broken(self) -> bool:
        """True once its connection has broken."""
        return self._is_joined and self._losses != self._channel.losses

    async def read(self, *, slow: bool) -> Reading:
        """Return the fast points, with `slow` the slow ones too, at first those read once as well.

        Raises:
            DriverError: There is no data at all.
        """
        plan = self._plan
        if self._channel.is_failing(self._unit) and plan.probe:
            await self._ask([plan.probe])
        now_s = asyncio.get_running_loop().time()
        blocks: list[Block] = []
        learnt: list[str] = []
        known = plan.known
        # What came broken is no use for the whole connection.
        once = self._is_new or (slow and self._lacks_once)
        try:
            reads = plan.due(slow=slow, once=once, now_s=now_s)
            pairs: list[tuple[Read, Read]] = []
            is_all = False
            while reads or not (blocks or is_all):
                if not reads:
                    # Only a device that gives nothing at all is lost: it may refuse the fast points
                    # because its map is wrong, and then the others tell that it lives.
                    is_all = True
                    reads = plan.others(now_s)
                    continue
                replies = await self._ask([read.pdu for read in reads])
                taken, halved = self._sorted(reads, replies, blocks, now_s)
                learnt += [await self._lesson(*pair) for pair in pairs if taken.issuperset(pair)]
                pairs, reads = halved, tuple(read for pair in halved for read in pair)
            if any(block.qualities.count(Quality.GOOD) < len(block.qualities) for block in blocks):
                blocks = plan.trusted(blocks)
            if once:
                self._lacks_once = plan.lacks_once(blocks)
            self._is_new = False
            refused = self._refused(now_s, all_of_it=not blocks) if plan.refusals else ""
        except asyncio.CancelledError:
            # Out of time: it may be cut into more blocks than a poll can ask for.
            blocks, known = [], plan.planned
            raise
        finally:
            if not blocks:
                plan.unlearn(known, keep=_BUSY)
        if refused and not blocks:
            what, _, remedy = refused.rpartition("; ")
            raise Refused(self._device, what, remedy)
        if plan.is_healed:
            plan.rejoin()
        return Reading(tuple(blocks), refused, tuple(learnt))

    async def write(
        self, values: Mapping[Tag, float], alongside: Mapping[Tag, float] = NO_VALUES
    ) -> Mapping[Tag, float]:
        """Put absolute values into the device, neighbours in one request; return what was written.

        Raises:
            Refused: The device took all but the error's `tags`.
            DriverError: It is not known what was taken.
        """
        everything = {**alongside, **values}
        refused: list[Refused] = []
        written: dict[Tag, float] = {}
        waiting = list(self._plan.writes(tuple(values), tuple(alongside)))
        while waiting:
            request = waiting.pop(0)
            tags = tuple([r.point.tag for r in request.registers])
            try:
                await self._send(self._encoded(request, everything), "the reply to a write names")
            except Refused as error:
                if len(tags) > 1:
                    # One value that is refused must not keep its neighbours away.
                    alone = [tag for tag in tags if tag in values]
                    waiting[:0] = [one for tag in alone for one in self._plan.writes((tag,), ())]
                else:
                    refused.append(Refused(error.device, error.what, error.remedy, tags))
            else:
                written.update([(tag, everything[tag]) for tag in tags])
        if refused:
            tags = tuple(tag for error in refused for tag in error.tags)
            first = refused[0]
            raise Refused(
                first.device, f"{', '.join(tags)} not taken: {first.what}", first.remedy, tags
            )
        return written

    async def pulse(self, tag: Tag) -> None:
        """Set a command bit once.

        Raises:
            DriverError: It is not known that the device took it.
        """
        pdu = struct.pack(">BHH", _WRITE_COIL, self._plan.writable[tag].address, _COIL_ON)
        await self._send(pdu, "the reply to a command names")

    async def close(self) -> None:
        """Leave the line, without waiting for a device that may be gone."""
        if self._is_joined:
            self._is_joined = False
            self._channel.leave()

    def _sorted(
        self, reads: Sequence[Read], replies: Sequence[bytes], blocks: list[Block], now_s: float
    ) -> tuple[set[Read], list[tuple[Read, Read]]]:
        """Put what came into `blocks`; return who gave it, and what to ask instead of the rest."""
        plan = self._plan
        if not plan.refusals and all(
            pdu[0] == read.function_code for read, pdu in zip(reads, replies, strict=True)
        ):
            for read, pdu in zip(reads, replies, strict=True):
                blocks += self._values(read, pdu)
            return set(reads), []
        taken: set[Read] = set()
        halved: list[tuple[Read, Read]] = []
        for read, pdu in zip(reads, replies, strict=True):
            if pdu[0] == read.function_code:
                blocks += self._values(read, pdu)
                refusal = plan.refusals.pop(read, None)
                plan.is_healed |= refusal is not None and refusal.code in CONFIGURATION_ERRORS
                taken.add(read)
                continue
            code = self._code(pdu, read.function_code)
            # What the device gave a moment ago is no mistake of the map: it may just be starting.
            is_new, read.is_proven = read.is_proven, False
            pair = plan.halve(read) if code == _NO_SUCH_ADDRESS and not is_new else None
            if pair is None:
                self._refuse(read, code, now_s, is_new=is_new)
            else:
                halved.append(pair)
        return taken, halved

    async def _lesson(self, first: Read, second: Read) -> str:
        """Return why a device gives two blocks one by one and not together."""
        gap = gap_between(first, second)
        if gap is None:
            return too_long(first, second)
        (reply,) = await self._ask([gap.pdu])
        return gap.forbidden if reply[0] & ERROR_FLAG else too_long(first, second)

    def _values(self, read: Read, pdu: bytes) -> tuple[Block, ...]:
        size = len(pdu) - 2
        if size != read.size or pdu[1] != size:
            raise self._garbled(f"{size} bytes came where {read.size} were asked for")
        read.is_proven = True
        return read.blocks(pdu)

    def _code(self, pdu: bytes, function_code: int) -> int:
        """Return the code of an exception reply that is an answer to this function."""
        if pdu[0] != function_code | ERROR_FLAG:
            raise self._garbled(f"function {pdu[0]} answers function {function_code}")
        code = pdu[1]
        if code not in CONFIGURATION_ERRORS | _BUSY and code != _DEVICE_FAILURE:
            raise self._refusal(code)
        return code

    def _refuse(self, read: Read, code: int, now_s: float, *, is_new: bool) -> None:
        """Remember a block that brings nothing."""
        before = self._plan.refusals.get(read)
        since_s = now_s if before is None or before.code != code else before.since_s
        retry_s = _RETRY_S if code in CONFIGURATION_ERRORS and not is_new else 0.0
        self._plan.refusals[read] = Refusal(code, since_s, now_s + retry_s)

    def _refused(self, now_s: float, *, all_of_it: bool) -> str:
        """Return what the device will not give, for people.

        A short while of being busy is none, and a first refusal only where nothing came at all.
        """
        told = [
            f"{read.request.where} ({', '.join(read.tags)}): it {what} (Modbus exception"
            f" {refusal.code}); {remedy}"
            for read, refusal in self._plan.refusals.items()
            if self._is_told(refusal, now_s) or (all_of_it and refusal.code not in _BUSY)
            for what, remedy in [_ERRORS[refusal.code]]
        ]
        return "; ".join(told)

    def _is_told(self, refusal: Refusal, now_s: float) -> bool:
        if refusal.code in _BUSY:
            return now_s - refusal.since_s >= _BUSY_S_MAX
        return refusal.code == _DEVICE_FAILURE or now_s < refusal.retry_at_s

    def _encoded(self, request: WriteRequest, values: Mapping[Tag, float]) -> bytes:
        registers = request.registers
        if registers[0].is_bit_area:
            code, count = _WRITE_COILS, len(registers)
            bits = sum((values[r.point.tag] != 0.0) << i for i, r in enumerate(registers))
            data = bits.to_bytes(-(-count // 8), "little")
        else:
            order = self._plan.word_order
            try:
                data = b"".join(encode(r, values[r.point.tag], order) for r in registers)
            except ValueError as error:
                raise Refused(self._device, str(error), "correct the range in its map") from error
            code, count = _WRITE_REGISTERS, len(data) // 2
        return struct.pack(">BHHB", code, request.address, count, len(data)) + data

    async def _send(self, pdu: bytes, what: str) -> None:
        """Send a request that is confirmed by its own first five bytes."""
        (reply,) = await self._ask([pdu])
        if reply[0] != pdu[0]:
            if reply[0] != pdu[0] | ERROR_FLAG:
                raise self._garbled(f"function {reply[0]} answers function {pdu[0]}")
            raise self._refusal(reply[1])
        if reply != pdu[:5]:
            raise self._garbled(f"{what} something else")

    async def _ask(self, requests: Sequence[bytes]) -> list[bytes]:
        """Return the reply to each request, function code first."""
        channel = self._channel
        if not self._is_joined:
            self._is_joined = True
            self._losses = channel.losses
            channel.join()
        elif self._losses != channel.losses:
            raise self._told(LineError("the connection broke"))
        try:
            return await channel.ask(self._unit, requests, self._timeout_s)
        except LineError as error:
            raise self._told(error) from error

    def _told(self, error: LineError) -> DriverError:
        match error:
            case Confused():
                return self._garbled(str(error))
            case Unlinked(code=code):
                return self._refusal(code)
            case Resting():
                return Deferred(
                    self._device, str(error), "check the device and its unit identifier"
                )
            case _:
                return Unreachable(
                    self._device,
                    str(error),
                    "check its power, the network and its address, and that no other master is"
                    " connected",
                )

    def _garbled(self, what: str) -> Garbled:
        return Garbled(
            self._device, what, "check its unit identifier, and that nobody else uses the line"
        )

    def _refusal(self, code: int) -> DriverError:
        what, remedy = _ERRORS.get(code, _UNKNOWN_ERROR)
        is_answer = code in CONFIGURATION_ERRORS | _BUSY or code == _DEVICE_FAILURE
        kind = Refused if is_answer else Unreachable
        return kind(self._device, f"it {what} (Modbus exception {code})", remedy)
