"""From addresses as people write them to the node identifiers of one connection.

Rule: what was found holds for one connection only; after a restart an index, and the node behind a
browse path, may be another.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from asyncua import ua
from asyncua.client.ua_session import UaSession
from asyncua.ua.object_ids import ObjectIds

from drivers.node_address import NodeAddress

_BROWSE_NEXT_MAX = 100
"""No folder of a PLC takes so many answers; a server that never ends must not hold us for ever."""
_BROWSE_NAMES = 1 << 3
"""Of what is found only the browse name is wanted (part 4, 5.9.2.2)."""

_Path = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Found:
    """The node of each address that has one, and why the others have none."""

    nodes: Mapping[NodeAddress, ua.NodeId]
    missing: Mapping[NodeAddress, str]


async def find_nodes(
    session: UaSession, addresses: Sequence[NodeAddress], uris: Sequence[str], own_uri: str
) -> Found:
    """Return the nodes of all addresses.

    Args:
        session: An open session.
        addresses: What is wanted.
        uris: The server's namespaces, in the order of their indices.
        own_uri: The namespace of addresses that name none; preferred where a path has a choice.
    """
    nodes: dict[NodeAddress, ua.NodeId] = {}
    missing: dict[NodeAddress, str] = {}
    for address in addresses:
        uri = address.namespace or own_uri
        if address.type == "path":
            continue
        if uri in uris:
            nodes[address] = _node_id(address, uris.index(uri))
        else:
            missing[address] = f"the server has no namespace {uri}"
    paths = [address for address in addresses if address.type == "path"]
    own = uris.index(own_uri) if own_uri in uris else -1
    walked = await _walk(session, [address.path for address in paths], own)
    for address in paths:
        way = walked[address.path]
        if isinstance(way, str):
            missing[address] = way
        else:
            nodes[address] = way
    return Found(nodes, missing)


def _node_id(address: NodeAddress, index: int) -> ua.NodeId:
    match address.type:
        case "i":
            return ua.NodeId(ua.Int32(int(address.identifier)), ua.Int16(index))
        case "g":
            kind = ua.NodeIdType.Guid
            return ua.NodeId(ua.Guid(address.identifier), ua.Int16(index), kind)
        case _:
            return ua.NodeId(ua.String(address.identifier), ua.Int16(index))


async def _walk(
    session: UaSession, paths: Sequence[_Path], own: int
) -> Mapping[_Path, ua.NodeId | str]:
    """Return where each path ends, or why it does not; every folder is asked once."""
    ways: dict[_Path, ua.NodeId | str] = {(): ua.NodeId(ua.Int32(ObjectIds.ObjectsFolder))}
    for depth in range(max(map(len, paths), default=0)):
        wanted = [path[: depth + 1] for path in paths if len(path) > depth]
        folders = {step[:-1]: ways[step[:-1]] for step in wanted}
        found = {
            path: await _children(session, node)
            for path, node in folders.items()
            if isinstance(node, ua.NodeId)
        }
        for step in wanted:
            before = ways[step[:-1]]
            is_lost = isinstance(before, str)
            ways[step] = before if is_lost else _chosen(found[step[:-1]], step, own)
    return ways


def _chosen(
    children: Sequence[tuple[ua.QualifiedName, ua.NodeId]], step: _Path, own: int
) -> ua.NodeId | str:
    """Return the child of this name: the only one, or the only one in the device's namespace."""
    named = [child for child in children if child[0].Name == step[-1]]
    choice = named if len(named) == 1 else [c for c in named if c[0].NamespaceIndex == own]
    if len(choice) == 1:
        return choice[0][1]
    way = "/".join(("/Objects", *step))
    return f"{way} stands there twice: write its identifier" if named else f"there is no {way}"


async def _children(
    session: UaSession, node: ua.NodeId
) -> Sequence[tuple[ua.QualifiedName, ua.NodeId]]:
    wanted = ua.BrowseDescription()
    wanted.NodeId = node
    wanted.BrowseDirection = ua.BrowseDirection.Forward
    wanted.ReferenceTypeId = ua.NodeId(ua.Int32(ObjectIds.HierarchicalReferences))
    wanted.IncludeSubtypes = True
    wanted.ResultMask = ua.UInt32(_BROWSE_NAMES)
    params = ua.BrowseParameters()
    params.NodesToBrowse.append(wanted)
    (result,) = await session.browse(params)
    references = list(result.References or ())
    for _ in range(_BROWSE_NEXT_MAX):
        if not result.ContinuationPoint:
            break
        more = ua.BrowseNextParameters()
        more.ContinuationPoints = [result.ContinuationPoint]
        (result,) = await session.browse_next(more)
        references += result.References or ()
    return [(reference.BrowseName, _local(reference.NodeId)) for reference in references]


def _local(node: ua.NodeId) -> ua.NodeId:
    """Return an expanded identifier as one that a read may ask for."""
    return ua.NodeId(node.Identifier, node.NamespaceIndex, node.NodeIdType)
