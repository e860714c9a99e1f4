"""What an unknown Modbus device bears: its byte order, its holes, its largest block, its pace.

Rule: it only reads, begins gently, and says of each finding how sure it is; what it could not find
out it leaves as it was.
"""

import asyncio
import math
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import get_args

from core.point import Quality
from drivers.inquiry import RECOVERY_S, Denied, Inquiry
from drivers.line import LineError
from drivers.registers import BlockCodec
from drivers.settings import AddressRange, Area, Modbus, Register, WordOrder

_GENTLE_S = 0.2
_PAUSES_S = (0.0, 0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.2)
_TRIES = 20
_SAFE_BLOCK = 8
_BLOCK_MAX = 125
_HOLE_MAX = 120
# Beyond it a number of a plant is a wrong byte order; below it, beside the range, as well.
_LARGEST = 1e7
_SMALLEST_SHARE = 1e-4
_VOTES_MIN = 2
_WORD_AREAS: tuple[Area, ...] = ("holding", "input")

Ask = Callable[[Area, int, int], Awaitable[bool]]
"""Returns whether so many registers of an area from an address come."""


@dataclass(slots=True)
class Diagnosis:
    """What was found.

    Attributes:
        word_order: The order that fits; None where nothing speaks for one.
        votes: How many values are plausible in each order.
        refused: Points that the device does not give, with its exception.
        silent: Points that brought no answer, and why.
        holes: Addresses between the points that it refuses, and those that were forbidden already.
        max_block: Most registers that it gave at once.
        is_block_limited: It refuses one register more.
        min_gap_s: A pause with which it answers every time: one step longer than the shortest one;
            None where none was enough.
    """

    word_order: WordOrder | None = None
    votes: dict[WordOrder, int] = field(default_factory=dict)
    refused: dict[str, int] = field(default_factory=dict)
    silent: dict[str, str] = field(default_factory=dict)
    holes: list[AddressRange] = field(default_factory=list)
    max_block: int = 0
    is_block_limited: bool = False
    min_gap_s: float | None = None

    def settings(self) -> Mapping[str, str]:
        """Return the keys that belong into the device's entry."""
        keys: dict[str, str] = {}
        if self.word_order is not None:
            keys["word_order"] = self.word_order
        if self.is_block_limited:
            keys["max_block"] = str(self.max_block)
        if self.min_gap_s:
            keys["min_gap"] = f"{self.min_gap_s:g} s"
        if self.holes:
            keys["forbidden"] = f"[{', '.join(map(str, self.holes))}]"
        return keys


async def examine(
    settings: Modbus, registers: Sequence[Register], say: Callable[[str], None]
) -> Diagnosis:
    """Return what a device bears.

    Args:
        settings: Its address; the timings are found out anew, but for the time-out. What is
            forbidden in them is not asked for.
        registers: Its points as far as they are known; pulses are left alone.
        say: Told what is being done.

    Raises:
        LineError: Nothing at all comes from it.
    """
    points = [one for one in registers if not one.point.is_pulse]
    found = Diagnosis()
    say("asking for one point, gently")
    first = await _first_answer(settings, points)
    say("shortening the pause between requests")
    found.min_gap_s = await _enough_pause(settings, first)
    pause_s = _GENTLE_S if found.min_gap_s is None else found.min_gap_s
    inquiry = Inquiry(settings, min_gap_s=pause_s)
    try:
        say(f"reading {len(points)} points one by one")
        raw = await _read_all(inquiry, points, found)
        found.votes = votes(raw)
        found.word_order = winner(found.votes)
        say("looking into the gaps between them")
        came = [one for one, _ in raw]
        lacking = [_place(one) for one in points if one not in came]
        found.holes = await _holes(inquiry, came, settings.forbidden, lacking)
        say("reading larger and larger blocks")
        await _largest_block(inquiry, came, [*found.holes, *lacking], found)
    finally:
        inquiry.close()
    return found


async def _first_answer(settings: Modbus, points: Sequence[Register]) -> Register:
    """Return the first point that the device gives.

    Raises:
        LineError: It answers nothing.
    """
    inquiry = Inquiry(settings, min_gap_s=_GENTLE_S)
    try:
        for one in points:
            try:
                await inquiry.read(one.area, one.address, one.words)
            except Denied:
                continue
            return one
    finally:
        inquiry.close()
    raise LineError("it refuses every point of the map")


async def _enough_pause(settings: Modbus, one: Register) -> float | None:
    """Return a pause with which each of many questions is answered, with one step to spare."""
    for pause_s, longer_s in zip(_PAUSES_S, (*_PAUSES_S[1:], _PAUSES_S[-1]), strict=True):
        if await _answers_all(settings, one, pause_s):
            # A device is not equally quick at all times, nor is the network.
            return longer_s if pause_s else pause_s
        # What it is still busy with must not count against the next pause.
        await asyncio.sleep(RECOVERY_S)
    return None


async def _answers_all(settings: Modbus, one: Register, pause_s: float) -> bool:
    inquiry = Inquiry(settings, min_gap_s=pause_s)
    try:
        for _ in range(_TRIES):
            await inquiry.read(one.area, one.address, one.words)
    except (LineError, Denied):
        return False
    finally:
        inquiry.close()
    return True


async def _read_all(
    inquiry: Inquiry, points: Sequence[Register], found: Diagnosis
) -> list[tuple[Register, bytes]]:
    """Return the points that come, each with its bytes."""
    raw: list[tuple[Register, bytes]] = []
    for one in points:
        try:
            raw.append((one, await inquiry.insist(one.area, one.address, one.words)))
        except Denied as error:
            found.refused[one.point.tag] = error.code
        except LineError as error:
            found.silent[one.point.tag] = str(error)
    return raw


def votes(raw: Sequence[tuple[Register, bytes]]) -> dict[WordOrder, int]:
    """Return how many values of several registers make sense in each byte order.

    A value of 0 says nothing; neither does one that its row gives an order of its own.
    """
    counted: dict[WordOrder, int] = dict.fromkeys(get_args(WordOrder), 0)
    for one, data in raw:
        if one.words == 1 or one.word_order is not None or not any(data):
            continue
        for order in counted:
            counted[order] += _makes_sense(one, data, order)
    return counted


def _makes_sense(one: Register, data: bytes, order: WordOrder) -> bool:
    codec = BlockCodec([one], address=one.address, count=one.words, word_order=order)
    (value,), (quality,) = codec.decode(data)
    low, high = one.point.low, one.point.high
    largest = max(abs(low), abs(high)) if math.isfinite(low + high) else _LARGEST
    smallest = _SMALLEST_SHARE * min(largest, 1.0 / _SMALLEST_SHARE)
    # In the wrong order most values of a plant are next to nothing: 45.5 becomes 2e-41.
    return quality == Quality.GOOD and smallest <= abs(value) <= largest


def winner(counted: Mapping[WordOrder, int]) -> WordOrder | None:
    """Return the order that more values speak for than for any other, if enough do."""
    best, second, *_ = sorted(counted.items(), key=lambda item: -item[1])
    return best[0] if best[1] >= _VOTES_MIN and best[1] > second[1] else None


def _asking(inquiry: Inquiry) -> Ask:
    async def comes(area: Area, address: int, count: int) -> bool:
        try:
            await inquiry.insist(area, address, count)
        except (Denied, LineError):
            return False
        return True

    return comes


def _place(one: Register) -> AddressRange:
    return AddressRange(one.area, one.address, one.address + one.words - 1)


async def _holes(
    inquiry: Inquiry,
    came: Sequence[Register],
    forbidden: Sequence[AddressRange],
    lacking: Sequence[AddressRange],
) -> list[AddressRange]:
    """Return what no request may touch: what is forbidden, and what the device refuses.

    It is looked for between the points that came, as far as a request might bridge it. Where a
    point is `lacking` is left out: it is told by its name, and a forbidden point is a wrong map.
    """
    comes = _asking(inquiry)
    holes: list[AddressRange] = []
    for area in sorted({*_WORD_AREAS, *(one.area for one in forbidden)}):
        barred = _addresses(area, forbidden)
        known = barred | _addresses(area, lacking)
        for first, last in _between(came, area) if area in _WORD_AREAS else ():
            for run in _runs(area, [at for at in range(first, last + 1) if at not in known]):
                barred |= {at async for at in _missing(comes, run)}
        holes += _runs(area, sorted(barred))
    return holes


def _addresses(area: Area, ranges: Sequence[AddressRange]) -> set[int]:
    return {at for one in ranges if one.area == area for at in range(one.first, one.last + 1)}


def _between(points: Sequence[Register], area: Area) -> Iterator[tuple[int, int]]:
    """Yield the gaps between the points of an area, both ends included."""
    end: int | None = None
    for one in sorted((p for p in points if p.area == area), key=lambda p: p.address):
        if end is not None and end < one.address <= end + _HOLE_MAX:
            yield end, one.address - 1
        end = max(end or 0, one.address + one.words)


async def _missing(comes: Ask, run: AddressRange) -> AsyncIterator[int]:
    """Yield each address of `run` that does not come."""
    for start in range(run.first, run.last + 1, _SAFE_BLOCK):
        count = min(_SAFE_BLOCK, run.last + 1 - start)
        if await comes(run.area, start, count):
            continue
        for at in range(start, start + count):
            if not await comes(run.area, at, 1):
                yield at


def _runs(area: Area, addresses: Sequence[int]) -> Iterator[AddressRange]:
    """Yield neighbouring addresses together."""
    start = None
    for i, at in enumerate(addresses):
        start = at if start is None else start
        if i + 1 == len(addresses) or addresses[i + 1] != at + 1:
            yield AddressRange(area, start, at)
            start = None


async def _largest_block(
    inquiry: Inquiry, points: Sequence[Register], holes: Sequence[AddressRange], found: Diagnosis
) -> None:
    """Find the most registers that come at once, in the longest stretch without a hole."""
    area, start, length = _longest_stretch(points, holes)
    if not length:
        return
    comes = _asking(inquiry)
    low, high = 1, min(length, _BLOCK_MAX)
    if await comes(area, start, high):
        found.max_block = high
        return
    while high - low > 1:
        middle = (low + high) // 2
        if await comes(area, start, middle):
            low = middle
        else:
            high = middle
    found.max_block = low
    # Asked once more, so that a bad moment of the line is no limit of the device.
    found.is_block_limited = not await comes(area, start, high)


def _longest_stretch(
    points: Sequence[Register], holes: Sequence[AddressRange]
) -> tuple[Area, int, int]:
    """Return area, address and length of the longest run of registers that the device has."""
    best: tuple[Area, int, int] = ("holding", 0, 0)
    for area in _WORD_AREAS:
        mine = sorted((p for p in points if p.area == area), key=lambda p: p.address)
        start = end = -1
        for one in mine:
            is_broken = any(h.area == area and end <= h.first < one.address for h in holes)
            if end < 0 or one.address > end + _HOLE_MAX or is_broken:
                start = one.address
            end = max(end, one.address + one.words)
            if end - start > best[2]:
                best = (area, start, end - start)
    return best
