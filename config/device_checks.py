"""What must be true of the devices of a station, and between the devices of a site.

Rule: each check is one function that yields problems; it looks only at devices that could be made.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from config.devices import AnyModbusDevice, ModbusRtuDevice, OpcUaDevice
from config.draft import Draft
from config.problem import Place, Problem, problem_at
from core.point import Tag
from drivers.line_key import LineKey
from drivers.node_address import NodeAddress


def tags_of_two_devices(draft: Draft) -> Iterator[Problem]:
    """Yield the tags that two devices of a station have."""
    first: dict[Tag, str] = {}
    for name, loaded in draft.maps.items():
        for row in loaded.registers if loaded is not None else ():
            tag = row.point.tag
            other = first.setdefault(tag, name)
            if other != name:
                place = draft.tree.at("devices", name).key_place
                what = "has two writers" if row.point.is_writable else "comes twice"
                message = f"`{tag}` {what}: the devices `{other}` and `{name}`"
                yield problem_at(place, message, "take it out of one of the maps")


def forbidden_points(draft: Draft) -> Iterator[Problem]:
    """Yield the points that lie where no request may go."""
    for name, device in draft.devices.items():
        loaded = draft.maps.get(name)
        if loaded is None or not isinstance(device, AnyModbusDevice):
            continue
        barred = [
            (row.point.tag, one)
            for row in device.registers
            for one in device.settings.forbidden
            if one.holds(row.area, row.address, row.address + row.words - 1)
        ]
        for tag, one in barred:
            place = loaded.tree.at("points", tag, "at").place
            message = f"`{tag}` lies in `{one}`, which is forbidden"
            hint = "take the point out, or correct `forbidden` or the address"
            yield problem_at(place, message, hint)


def addresses(drafts: Sequence[Draft]) -> Iterator[Problem]:
    """Yield Modbus devices that are in truth one, or share a line and use it differently."""
    first: dict[tuple[str, int], str] = {}
    lines: dict[str, tuple[str, LineKey]] = {}
    for draft in drafts:
        for name, device in draft.devices.items():
            if not isinstance(device, AnyModbusDevice):
                continue
            line, unit = device.settings.line, device.settings.unit
            owner = f"{draft.station}.{name}"
            branch = draft.tree.at("devices", name)
            key = "serial_port" if isinstance(device, ModbusRtuDevice) else "host"
            other = first.setdefault((line.where, unit), owner)
            if other != owner:
                message = f"`{owner}` and `{other}` are the same device: {line.where} unit {unit}"
                hint = "correct one of the addresses"
                yield problem_at(branch.at(key).place, message, hint)
            neighbour, like = lines.setdefault(line.where, (owner, line))
            if like != line:
                message = f"`{owner}` and `{neighbour}` share the line {line.where} in two ways"
                hint = "give both the same driver, timeout, depth, min_gap and connect_delay"
                yield problem_at(branch.at(key).place, message, hint)


def node_writers(drafts: Sequence[Draft]) -> Iterator[Problem]:
    """Yield OPC UA devices that would write a node that another device writes."""
    first: dict[tuple[str, NodeAddress], str] = {}
    for draft in drafts:
        for name, device in draft.devices.items():
            if isinstance(device, OpcUaDevice):
                place = draft.tree.at("devices", name, "endpoint").place
                yield from _taken_nodes(device, f"{draft.station}.{name}", first, place)


def _taken_nodes(
    device: OpcUaDevice, owner: str, first: dict[tuple[str, NodeAddress], str], place: Place
) -> Iterator[Problem]:
    """Yield the first node that the device would write and that `first` gives to another one."""
    endpoint, own = device.settings.endpoint, device.settings.namespace
    written = [row for row in device.registers if row.point.is_writable or row.point.is_pulse]
    for node in written:
        address = NodeAddress.from_text(node.node)
        there = replace(address, namespace=address.namespace or own)
        other = first.setdefault((endpoint, there), owner)
        if other != owner:
            message = f"`{node.node}` has two writers: `{other}` and `{owner}`"
            yield problem_at(place, message, "correct one of the endpoints or maps")
            return
