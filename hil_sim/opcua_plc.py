"""A simulated PLC behind asyncua's own server: for loopback, and without security in virtual time.

Rule: importing this module imports asyncua, which takes a second; import it only where a station
speaks OPC UA.
"""

import asyncio
import math
from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta
from typing import Any, cast

from asyncua import ua
from asyncua.common.callback import CallbackType
from asyncua.common.node import Node as UaNode
from asyncua.server.server import Server
from asyncua.ua.attribute_ids import AttributeIds
from asyncua.ua.object_ids import ObjectIds
from asyncua.ua.status_codes import StatusCodes

from core.clock import Clock
from drivers.node_address import NodeAddress
from hil_sim.bus import BusNode, BusPlc
from hil_sim.opcua_manners import OpcUaDoor, OpcUaManners, OpcUaUsers, guard
from hil_sim.register_image import stored

_TYPES = {
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


_CLOCK = ua.NodeId(ua.Int32(ObjectIds.Server_ServerStatus_CurrentTime))


class OpcUaPlc:
    """The server of one PLC, which can be taken off the network and brought back.

    The values go into the address space once per scan of the PLC, and only those that changed
    unless its manners say otherwise: before a client reads, and every `push_s` for subscribers.
    """

    def __init__(
        self,
        plc: BusPlc,
        nodes: Iterable[BusNode],
        endpoint: str,
        namespace: str,
        *,
        clock: Clock,
        station: str,
        push_s: float,
        door: OpcUaDoor | None = None,
    ) -> None:
        self._plc = plc
        self._nodes = tuple(nodes)
        self._endpoint = endpoint
        self._namespace = namespace
        self._clock = clock
        self._station = station
        self._push_s = push_s
        self._door = door
        self._manners = OpcUaManners()
        self._server: Server | None = None
        self._task: asyncio.Task[None] | None = None
        self._points: dict[ua.NodeId, BusNode] = {}
        self._shown: dict[ua.NodeId, float] = {}
        self._generation: int | None = None
        for node in self._nodes:
            if node.point.tag not in plc.registers and not node.point.is_pulse:
                raise ValueError(f"the PLC has no value for {node.point.tag}")

    @property
    def is_serving(self) -> bool:
        """True between `start` and `stop`."""
        return self._server is not None

    def disturb(self, **changes: Any) -> None:  # noqa: ANN401 - the fields of OpcUaManners
        """Change some of its manners; see `OpcUaManners`."""
        self._manners = replace(self._manners, **changes)
        self._generation = None
        self._shown.clear()

    async def start(self) -> None:
        """Build the address space, listen and serve; no effect while it does.

        Raises:
            OSError: The endpoint cannot be listened on.
        """
        if self._server is not None:
            return
        door = self._door
        server = Server(user_manager=OpcUaUsers(door))
        await server.init()
        # Its clock would show the machine's time, and write it every second.
        server.disable_clock()
        server.set_endpoint(self._endpoint)
        if door is None:
            server.set_security_policy([ua.SecurityPolicyType.NoSecurity])
            server.set_identity_tokens([ua.AnonymousIdentityToken])
        else:
            await guard(server, door)
        await self._build(server)
        await self._push(server)
        server.subscribe_server_callback(CallbackType.PreRead, self._before_read)
        server.subscribe_server_callback(CallbackType.PostWrite, self._after_write)
        await server.start()
        self._server = server
        self._task = asyncio.create_task(self._push_for_ever(server), name=f"push {self._station}")

    async def stop(self) -> None:
        """Close the connections and refuse new ones; no effect while stopped."""
        server, self._server = self._server, None
        task, self._task = self._task, None
        if server is None or task is None:
            return
        task.cancel()
        await asyncio.wait((task,))
        await server.stop()
        if not task.cancelled():
            task.result()

    async def forget_sessions(self) -> None:
        """Lose the sessions of all clients; their connections stay."""
        assert self._server is not None, "it does not serve"
        for session in list(self._server.iserver._external_sessions.values()):  # noqa: SLF001 - a real server forgets without being asked; the library has no door for it
            await session.close_session()

    async def _build(self, server: Server) -> None:
        for uri in self._manners.namespaces_before:
            await server.register_namespace(uri)
        index = await server.register_namespace(self._namespace)
        station = await server.nodes.objects.add_object(
            ua.NodeId(ua.String(self._station), ua.Int16(index)),
            ua.QualifiedName(self._station, index),
        )
        folders: dict[tuple[str, ...], UaNode] = {(): server.nodes.objects}
        self._points = {}
        self._shown = {}
        self._generation = None
        for node in self._nodes:
            if node.point.tag in self._manners.absent:
                continue
            address = NodeAddress.from_text(node.node)
            name = str(node.point.tag)
            parent, node_id = station, _node_id(address, index)
            if address.namespace:
                node_id.NamespaceIndex = ua.Int16(
                    await server.register_namespace(address.namespace)
                )
            if address.type == "path":
                *way, name = address.path
                parent = await _folder(tuple(way), folders, index)
            variable = await parent.add_variable(
                node_id, ua.QualifiedName(name, index), stored(0.0, node.kind), _TYPES[node.kind]
            )
            if node.point.is_writable or node.point.is_pulse:
                await variable.set_writable()
            self._points[variable.nodeid] = node

    async def _push_for_ever(self, server: Server) -> None:
        while True:
            await asyncio.sleep(self._push_s)
            await self._push(server)

    async def _push(self, server: Server) -> None:
        """Show what changed since the last scan or write, with the time of this moment."""
        manners = self._manners
        if self._generation == self._plc.generation or manners.is_frozen:
            return
        self._generation = self._plc.generation
        at = cast("ua.DateTime", self._clock.now().utc + timedelta(seconds=manners.clock_ahead_s))
        shown = self._shown
        for node_id, node in self._points.items():
            value = self._plc.registers.get(node.point.tag, 0.0)
            before = shown.get(node_id)
            is_same = value == before or (
                before is not None and math.isnan(value) and math.isnan(before)
            )
            if is_same and not manners.stamps_all:
                continue
            shown[node_id] = value
            code = StatusCodes.BadSensorFailure if math.isnan(value) else StatusCodes.Good
            code = manners.statuses.get(node.point.tag, code)
            status = ua.StatusCode(code)  # type: ignore[arg-type] # its codes are plain numbers
            if status.is_bad():
                data = ua.DataValue(StatusCode=status, SourceTimestamp=at)
            else:
                variant = ua.Variant(stored(value, node.kind), _TYPES[node.kind])
                data = ua.DataValue(variant, StatusCode=status, SourceTimestamp=at)
            # Unlike a write of a session this one calls nobody back.
            await server.write_attribute_value(node_id, data)

    async def _show_clock(self, server: Server) -> None:
        ahead = timedelta(seconds=self._manners.clock_ahead_s)
        now = ua.Variant(self._clock.now().utc + ahead, ua.VariantType.DateTime)
        await server.write_attribute_value(_CLOCK, ua.DataValue(now))

    async def _before_read(self, event: Any, _service: object) -> None:  # noqa: ANN401 - asyncua gives its events no type
        if event.is_external and self._server is not None:
            await self._show_clock(self._server)
            await self._push(self._server)

    async def _after_write(self, event: Any, _service: object) -> None:  # noqa: ANN401 - asyncua gives its events no type
        """Take to the PLC what a client wrote, and show what became of it."""
        if not event.is_external or self._server is None:
            return
        for i, item in enumerate(event.request_params.NodesToWrite):
            node = self._points.get(item.NodeId)
            if (
                node is None
                or item.AttributeId != AttributeIds.Value
                or not event.response_params[i].is_good()
            ):
                continue
            value = item.Value.Value.Value
            if value is None or not self._plc.write(node.point.tag, float(value)):
                event.response_params[i] = ua.StatusCode(StatusCodes.BadOutOfRange)  # type: ignore[arg-type] # its codes are plain numbers
            # The address space holds what the client wrote, whatever the PLC made of it.
            self._shown.pop(item.NodeId, None)
            self._generation = None
        await self._push(self._server)


async def _folder(
    way: tuple[str, ...], folders: dict[tuple[str, ...], UaNode], index: int
) -> UaNode:
    """Return the folder at the end of a path, made where it is not there yet."""
    for depth in range(len(way)):
        path = way[: depth + 1]
        if path not in folders:
            node_id = ua.NodeId(ua.String("/".join(path)), ua.Int16(index))
            name = ua.QualifiedName(path[-1], index)
            folders[path] = await folders[path[:-1]].add_folder(node_id, name)
    return folders[way]


def _node_id(address: NodeAddress, index: int) -> ua.NodeId:
    match address.type:
        case "i":
            return ua.NodeId(ua.Int32(int(address.identifier)), ua.Int16(index))
        case "g":
            return ua.NodeId(ua.Guid(address.identifier), ua.Int16(index), ua.NodeIdType.Guid)
        case "s":
            return ua.NodeId(ua.String(address.identifier), ua.Int16(index))
        case _:
            return ua.NodeId(ua.String("/".join(address.path)), ua.Int16(index))


async def serve_opcua(
    plc: BusPlc,
    nodes: Iterable[BusNode],
    endpoint: str,
    namespace: str,
    *,
    clock: Clock,
    station: str = "station",
    push_s: float = 1.0,
    door: OpcUaDoor | None = None,
) -> OpcUaPlc:
    """Serve a PLC by OPC UA and return its handle.

    Args:
        plc: The PLC.
        nodes: Its points.
        endpoint: Address to listen on, "opc.tcp://host:port/path".
        namespace: URI of the namespace of nodes that name none.
        clock: Where the source timestamps come from.
        station: Name of the object that holds the variables.
        push_s: How often values are shown to subscribers, s.
        door: Who may come in; None: everybody.

    Raises:
        ValueError: The PLC lacks a tag.
        OSError: The endpoint cannot be listened on.
    """
    handle = OpcUaPlc(
        plc,
        nodes,
        endpoint,
        namespace,
        clock=clock,
        station=station,
        push_s=push_s,
        door=door,
    )
    await handle.start()
    return handle
