"""An OPC UA server behind `Driver`, polled: one Read service call per poll, one Write per write.

Rule: a connection lives until the first failure and is then replaced, never repaired. Import this
module only where a station needs it.
"""

import asyncio
import math
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from functools import partial
from typing import TypeVar

from asyncua import ua
from asyncua.ua.attribute_ids import AttributeIds
from asyncua.ua.object_ids import ObjectIds
from asyncua.ua.status_codes import StatusCodes

from core.clock import Clock
from core.point import Quality, Tag, TagTable
from drivers.base import (
    NO_VALUES,
    Block,
    Driver,
    DriverError,
    Garbled,
    Reading,
    Refused,
    Target,
    Unreachable,
)
from drivers.kinds import plausible, raw_number, target_of
from drivers.node_address import NodeAddress
from drivers.opcua_connection import Connection, plainly_cancelled, read_request, standard_node
from drivers.opcua_nodes import Found
from drivers.opcua_quality import SourceTimes, quality_of
from drivers.settings import Kind, Node, OpcUa

T = TypeVar("T")

_TYPES: dict[Kind, ua.VariantType] = {
    "bool": ua.VariantType.Boolean,
    "u16": ua.VariantType.UInt16,
    "i16": ua.VariantType.Int16,
    "u32": ua.VariantType.UInt32,
    "i32": ua.VariantType.Int32,
    "u64": ua.VariantType.UInt64,
    "i64": ua.VariantType.Int64,
    "f32": ua.VariantType.Float,
    "f64": ua.VariantType.Double,
}
_MAP_ERRORS = frozenset(
    {
        StatusCodes.BadNodeIdUnknown,
        StatusCodes.BadNodeIdInvalid,
        StatusCodes.BadAttributeIdInvalid,
        StatusCodes.BadNotReadable,
        StatusCodes.BadUserAccessDenied,
    }
)
_CLOCK = ObjectIds.Server_ServerStatus_CurrentTime


class _Plan:
    """All about a device that stays the same from connection to connection."""

    def __init__(self, settings: OpcUa, nodes: Sequence[Node]) -> None:
        readable = [n for n in nodes if not n.point.is_pulse]
        self.nodes = sorted(readable, key=lambda n: (n.is_once, n.is_slow))
        self.fast = sum(not (n.is_slow or n.is_once) for n in readable)
        self.again = sum(not n.is_once for n in readable)
        self.table = TagTable(n.point.tag for n in self.nodes)
        self.once = frozenset(range(self.again, len(self.nodes)))
        self.slow = frozenset(range(self.fast, self.again))
        self.ranges = [plausible(n.point, n.kind) for n in self.nodes]
        self.writable = {n.point.tag: n for n in nodes if n.point.is_writable or n.point.is_pulse}
        self.addresses = {n.point.tag: NodeAddress.from_text(n.node) for n in nodes}
        self.targets: Mapping[Tag, Target] = {
            tag: target_of(n.point, n.kind, offset=n.correction, is_slow=n.is_slow)
            for tag, n in self.writable.items()
        }
        timeless = {i for i, n in enumerate(self.nodes) if n.point.is_writable or n.is_once}
        self.times = SourceTimes(settings.source_time, len(self.nodes), timeless)


def opc_ua(
    device: str, settings: OpcUa, nodes: Sequence[Node], clock: Clock
) -> Callable[[], Driver]:
    """Return what makes a driver of this device.

    Args:
        device: Name of the device, for logs and errors.
        settings: Its address, its security and its timings.
        nodes: Its points, pulses included.
        clock: Tells whether certificates still hold.

    Raises:
        ValueError: Two points have the same tag, or a node cannot be.
    """
    return partial(OpcUaDriver, device, settings, _Plan(settings, nodes), clock)


class OpcUaDriver:
    """One OPC UA server; connects at the first request, and is broken by the first failure."""

    def __init__(self, device: str, settings: OpcUa, plan: _Plan, clock: Clock) -> None:
        self._device = device
        self._settings = settings
        self._plan = plan
        self._connection = Connection(device, settings, clock)
        self._nodes: Mapping[Tag, ua.NodeId] = {}
        self._missing: Mapping[Tag, str] = {}
        self._has_connected = False
        self._has_failed = False
        self._is_once_due = bool(plan.once)
        self.table = plan.table
        self.targets = plan.targets
        self.once = plan.once
        self.slow = plan.slow

    @property
    def is_broken(self) -> bool:
        """True once its connection has broken: only a new driver makes a new connection."""
        return self._has_failed or (self._has_connected and not self._connection.is_open)

    async def read(self, *, slow: bool) -> Reading:
        """Return the fast points, and with `slow` the slow ones too, in one service call.

        The first read of a connection brings all points, where some are read once.

        Raises:
            DriverError: There is no data at all.
        """
        asked_s = asyncio.get_running_loop().time()
        plan = self._plan
        columns = plan.again if slow else plan.fast
        if self._is_once_due:
            columns = len(plan.nodes)
        results, server_time = await self._bounded(partial(self._read, columns))
        ages_s = self._plan.times.ages_s(results, server_time, asked_s)
        still_s = self._plan.times.still_s(asked_s)
        if still_s > self._settings.stuck_after_s:
            what = f"it answers, but no source time has moved for {still_s:.0f} s"
            remedy = "check whether its program runs, and its `source_time`"
            raise await self._failed(Unreachable(self._device, what, remedy))
        self._is_once_due = False
        return self._reading(results, ages_s)

    async def write(
        self, values: Mapping[Tag, float], alongside: Mapping[Tag, float] = NO_VALUES
    ) -> Mapping[Tag, float]:
        """Put absolute values into the device, all in one service call; return them.

        Raises:
            Refused: The device took all but the error's `tags`.
            DriverError: It is not known what was taken.
        """
        del alongside  # One call carries any number of nodes: nothing is gained.
        refused = await self._bounded(partial(self._write, values))
        if refused:
            said = ", ".join(f"{tag} {why}" for tag, why in refused.items())
            raise Refused(
                self._device,
                f"not taken: {said}",
                "correct the types in its map, or our rights at the server",
                tuple(refused),
            )
        return values

    async def pulse(self, tag: Tag) -> None:
        """Set a command bit once.

        Raises:
            DriverError: It is not known that the device took it.
        """
        await self.write({tag: 1.0})

    async def close(self) -> None:
        """End the session, so that the server may give it to somebody else."""
        await self._connection.close()

    async def _bounded(self, ask: Callable[[], Awaitable[T]]) -> T:
        """Return what `ask` gives; any failure ends the connection and becomes a `DriverError`."""
        is_done = False
        try:
            async with asyncio.timeout(self._settings.timeout_s):
                result = await self._answer(ask)
            is_done = True
        except Exception as error:
            raise await self._failed(error) from error
        finally:
            if not is_done:
                self._has_failed = True
                self._connection.drop()
        return result

    async def _answer(self, ask: Callable[[], Awaitable[T]]) -> T:
        """Return what `ask` gives, on a connection that is made or renewed where that is due."""
        with plainly_cancelled():
            if self._has_connected:
                await self._connection.renew_if_due()
            else:
                await self._connect()
            return await ask()

    async def _failed(self, error: Exception) -> DriverError:
        """Return what `error` means; the session is closed first where the server still hears."""
        self._has_failed = True
        meant = self._connection.error_of(error)
        if not isinstance(error, (TimeoutError, OSError)):
            # What went wrong first is what counts.
            with suppress(Exception):
                await self._connection.close()
        return meant

    async def _connect(self) -> None:
        if self._has_failed:
            raise Unreachable(self._device, "the connection broke", "nothing; a new one is made")
        addresses = self._plan.addresses
        found: Found = await self._connection.open(tuple(dict.fromkeys(addresses.values())))
        self._nodes = {
            tag: found.nodes[address]
            for tag, address in addresses.items()
            if address in found.nodes
        }
        self._missing = {
            tag: found.missing[address]
            for tag, address in addresses.items()
            if address in found.missing
        }
        self._has_connected = True

    async def _read(self, columns: int) -> tuple[list[ua.DataValue], datetime | None]:
        """Return the values of the first columns and the server's clock, if it is wanted."""
        tags = self._plan.table.tags[:columns]
        there = [i for i, tag in enumerate(tags) if tag in self._nodes]
        nodes = [self._nodes[tags[i]] for i in there]
        is_timed = self._plan.times.is_asked
        if is_timed:
            nodes.append(standard_node(_CLOCK))
        answers: list[ua.DataValue] = []
        for part in _parts(nodes, self._connection.read_max):
            request = read_request(part, with_times=is_timed)
            answers += await self._connection.session.read(request)
        self._check_count(answers, len(nodes))
        clock = answers.pop() if is_timed else None
        results = [_UNKNOWN] * columns
        for i, answer in zip(there, answers, strict=True):
            results[i] = answer
        now = None if clock is None or clock.Value is None else clock.Value.Value
        return results, now if isinstance(now, datetime) else None

    async def _write(self, values: Mapping[Tag, float]) -> dict[Tag, str]:
        """Return what was not taken, and why."""
        refused = {tag: why for tag, why in self._missing.items() if tag in values}
        items: list[ua.WriteValue] = []
        tags: list[Tag] = []
        for tag in (tag for tag in values if tag not in refused):
            node = self._plan.writable[tag]
            try:
                number = _typed(node, values[tag])
            except ValueError as error:
                refused[tag] = str(error)
                continue
            item = ua.WriteValue()
            item.NodeId = self._nodes[tag]
            item.AttributeId = AttributeIds.Value
            # Many PLCs refuse a value that carries a timestamp.
            item.Value = ua.DataValue(ua.Variant(number, _TYPES[node.kind]))
            items.append(item)
            tags.append(tag)
        codes: list[ua.StatusCode] = []
        for part in _parts(items, self._connection.write_max):
            codes += await self._connection.session.write(ua.WriteParameters(NodesToWrite=part))
        self._check_count(codes, len(items))
        said = zip(tags, codes, strict=True)
        return refused | {tag: code.name for tag, code in said if not code.is_good()}

    def _check_count(self, results: Sequence[object], wanted: int) -> None:
        if len(results) != wanted:
            what = f"{len(results)} results came for {wanted} nodes"
            raise Garbled(self._device, what, "update its server")

    def _reading(self, results: Sequence[ua.DataValue], ages_s: Sequence[float]) -> Reading:
        values: list[float] = []
        qualities: list[Quality | None] = []
        refused: list[str] = []
        for i, result in enumerate(results):
            value, quality = _value(result)
            low, high = self._plan.ranges[i]
            point = self._plan.nodes[i].point
            value += self._plan.nodes[i].correction
            is_known = not point.states or point.state(value) != ""
            if quality is not None and not (is_known and low <= value <= high):
                value, quality = math.nan, Quality.BAD
            status = result.StatusCode
            if status is not None and status.value in _MAP_ERRORS:
                refused.append(f"{point.tag} {self._missing.get(point.tag, status.name)}")
            values.append(value)
            qualities.append(quality)
        said = f"{self._device}: {', '.join(refused)}; correct its map" if refused else ""
        return Reading(tuple(_blocks(values, qualities, ages_s)), said)


def _parts(items: list[T], most: int) -> list[list[T]]:
    """Return `items` in parts that a server takes in one call; 0 stands for any number."""
    size = most or len(items) or 1
    return [items[i : i + size] for i in range(0, len(items), size)]


def _blocks(
    values: Sequence[float], qualities: Sequence[Quality | None], ages_s: Sequence[float]
) -> list[Block]:
    """Return the values between those for which no data came."""
    blocks: list[Block] = []
    start = 0
    for end in [*(i for i, quality in enumerate(qualities) if quality is None), len(values)]:
        if end > start:
            came = bytes(q for q in qualities[start:end] if q is not None)
            blocks.append(Block(start, tuple(values[start:end]), came, tuple(ages_s[start:end])))
        start = end + 1
    return blocks


def _typed(node: Node, value: float) -> bool | int | float:
    """Return what the server is to hold.

    Raises:
        ValueError: The variable's type cannot hold it.
    """
    if node.kind == "bool":
        return value != 0.0
    return raw_number(node.kind, value, offset=node.correction)


def _value(result: ua.DataValue) -> tuple[float, Quality | None]:
    """Return the number in a result; what is no number is BAD, and None is no data at all."""
    quality = quality_of(result.StatusCode)
    value = result.Value.Value if result.Value is not None else None
    if quality is None:
        return math.nan, None
    if quality is Quality.BAD or not isinstance(value, (bool, int, float)):
        return math.nan, Quality.BAD
    return float(value), quality


_UNKNOWN = ua.DataValue(
    StatusCode=ua.StatusCode(StatusCodes.BadNodeIdUnknown),  # type: ignore[arg-type] # its codes are plain numbers
)
"""What stands in place of a node that the server lacks."""
