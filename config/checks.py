"""What must be true across the parts of a station, and across the stations of a site.

Rule: each check is one function that yields problems; it looks only at parts that could be made.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence

from config.advice import did_you_mean
from config.contact_checks import contact_problems
from config.device_checks import (
    addresses,
    forbidden_points,
    node_writers,
    tags_of_two_devices,
)
from config.draft import Draft, entries
from config.model import (
    BOILER_OUTPUTS,
    FALLBACK_TAGS,
    SECOND_VALVE,
    SIMULATOR_IDS,
    AuthoritySettings,
    Circuit,
    may_be_written,
    valve_outputs,
    valve_positions,
)
from config.problem import Problem, problem_at
from config.quantities import format_quantity
from config.relation_checks import heat_balance_problems, relation_problems
from config.tree import Branch
from config.valve_checks import limits_beyond_meters, place_of, valve_limits, valve_points
from config.weather_checks import outdoor_problems, weather_sources
from control_loops.source import GasBoiler, NetworkSource
from core.point import Tag, Unit

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,31}")
_SCANS_BEFORE_FALLBACK = 3
_SHOWN_MAX = 6
_NETWORK_TAGS = ("T1g", "P1g", "P1h", "F1")
_BOILER_TAGS = ("B_Tsup", "B_Tret", "B_flow", "B_power")


def station_problems(draft: Draft) -> Iterator[Problem]:
    """Yield what is wrong with one station as a whole."""
    for check in _STATION_CHECKS:
        yield from check(draft)


def site_problems(
    drafts: Sequence[Draft], *, is_simulation: bool | None, are_all_read: bool
) -> Iterator[Problem]:
    """Yield what is wrong between the stations.

    Args:
        drafts: The stations that could be read.
        is_simulation: What the site says of itself; None if it could not be read.
        are_all_read: There are no further stations.
    """
    yield from _station_names(drafts)
    yield from addresses(drafts)
    yield from node_writers(drafts)
    yield from weather_sources(drafts, are_all_read=are_all_read)
    if is_simulation is False:
        for draft in drafts:
            yield from _simulators(draft)


def _names(draft: Draft) -> Iterator[Problem]:
    hint = "write letters, digits, `-` and `_`, a letter first, at most 32"
    written = draft.tree.at("station")
    if draft.station and _NAME.fullmatch(draft.station) is None:
        yield problem_at(written.place, f"`{draft.station}` is not a name", hint)
    tables = [
        (draft.tree, table) for table in ("devices", "circuits", "sources", "checks", "alarms")
    ]
    tables += [(circuit, "alarms") for _, circuit in entries(draft.tree, "circuits")]
    for around, table in tables:
        for name, child in entries(around, table):
            if _NAME.fullmatch(name) is None:
                yield problem_at(child.key_place, f"`{name}` is not a name", hint)


def _needed_tags(draft: Draft) -> Iterator[Problem]:
    """Yield the points that control needs and no map has, or that heatd may not write."""
    if not draft.are_tags_known:
        return
    authority: AuthoritySettings | None = draft.values.get("authority")
    written = authority.write if authority is not None else "none"
    for name, circuit in draft.circuits.items():
        reads, writes = _circuit_needs(circuit, written)
        place = draft.tree.at("circuits", name)
        tags = [draft.circuit_tag(name, tag) for tag in reads]
        outputs = [draft.circuit_tag(name, tag) for tag in writes]
        yield from _lacking(draft, f"the circuit `{name}`", place, tags, outputs)
        if circuit.valve.split is not None:
            output, position = (draft.circuit_tag(name, tag) for tag in SECOND_VALVE)
            place = draft.tree.at("circuits", name, "valve", "split")
            outputs = [output] if written == "valve" else []
            yield from _lacking(draft, "`split`", place, [position], outputs)
    if authority is not None and draft.writes:
        place, beat = draft.tree.at("authority"), authority.heartbeat
        signals = ("LOC_REM", "ESTOP", "FALLBACK", beat.read)
        yield from _lacking(draft, "`authority`", place, signals, (beat.write,))
    for name, source in draft.sources.items():
        place = draft.tree.at("sources", name)
        if isinstance(source, GasBoiler):
            moved = BOILER_OUTPUTS if draft.writes else ()
            yield from _lacking(draft, f"the source `{name}`", place, _BOILER_TAGS, moved)
        else:
            yield from _lacking(draft, f"the source `{name}`", place, _NETWORK_TAGS, ())


def _circuit_needs(circuit: Circuit, write: str) -> tuple[list[str], list[str]]:
    """Return what a circuit reads and what heatd writes in it, by the circuit's own names."""
    pumps = (*circuit.pumps.duty, *circuit.makeup.pumps)
    reads = ["T2g", "T2h", "P2h", "P2D", *(f"{pump}_run" for pump in pumps)]
    reads += [point for point in valve_positions(circuit) if point not in SECOND_VALVE]
    reads += [point for point in circuit.pumps.dp_at if point != "P2D"]
    if write == "none":
        return reads, []
    pulses = [f"{pump}_{order}" for pump in pumps for order in ("start", "stop")]
    moved = valve_outputs(circuit) if write == "valve" else ("T2g_SP",)
    first = [point for point in moved if point not in SECOND_VALVE]
    return reads, [*first, "XP_SV", "BP_SV", *pulses, *FALLBACK_TAGS]


def _lacking(
    draft: Draft, who: str, branch: Branch, reads: Iterable[str], writes: Iterable[str]
) -> Iterator[Problem]:
    points = draft.points
    wanted = (*reads, *writes)
    missing = [tag for tag in wanted if Tag(tag) not in points]
    if missing:
        message = f"{who} needs {_listed(missing)}, which no map of the station has"
        yield problem_at(branch.key_place, message, "add it to the map, or name the right map")
    locked = [
        tag
        for tag in writes
        if Tag(tag) in points and not may_be_written(points[Tag(tag)], _authority_of(draft))
    ]
    if locked:
        message = f"{who} writes {_listed(locked)}, which the map does not allow"
        hint = "add `write: yes` (or `pulse`) in the map, and look at its `authority`"
        yield problem_at(branch.key_place, message, hint)


def _authority_of(draft: Draft) -> str:
    authority: AuthoritySettings | None = draft.values.get("authority")
    return "none" if authority is None else authority.write


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(f"`{name}`" for name in names[:_SHOWN_MAX])
    more = len(names) - _SHOWN_MAX
    return f"{shown} and {more} more" if more > 0 else shown


def _output_ranges(draft: Draft) -> Iterator[Problem]:
    """Yield outputs whose range in the map leaves out what heatd may have to write.

    A valve that may not be written to 0 % could not be closed by an interlock.
    """
    if not draft.writes:
        return
    for name, circuit in draft.circuits.items():
        spans = (
            *[(tag, "pid", 0.0, high_pct) for tag, high_pct in _valve_spans(circuit)],
            ("XP_SV", "pumps", circuit.pumps.min_hz, circuit.pumps.max_hz),
            ("BP_SV", "makeup", circuit.makeup.min_hz, circuit.makeup.max_hz),
            ("T2g_SP", "limits", *circuit.limits.T2g_c),
        )
        for bare, part, low, high in spans:
            point = draft.points.get(draft.circuit_tag(name, bare))
            if point is None or (point.low <= low and high <= point.high):
                continue
            unit = point.unit.value
            message = (
                f"the map takes {point.low:g}..{point.high:g} {unit} for `{point.tag}`, "
                f"but heatd may have to write {low:g}..{high:g} {unit}"
            )
            place = draft.tree.at("circuits", name, part).key_place
            if part == "pid":  # what moves a valve is not all in `pid`: a trip shuts it
                place = place_of(draft, point.tag, "range")
            yield problem_at(place, message, "widen the `range` in the map, or narrow the limits")


def _valve_spans(circuit: Circuit) -> list[tuple[str, float]]:
    """Return what is written to move the valve, each with the highest opening.

    The opening of two in sequence has no range of its own: a person may open both fully.
    """
    if circuit.valve.sequence is None:
        return [("CV1_SV", circuit.pid.output_high_pct)]
    return [(output, 100.0) for output in valve_outputs(circuit)]


def _pumps_of_two(draft: Draft) -> Iterator[Problem]:
    """Yield pumps that two loops would start and stop."""
    first: dict[Tag, str] = {}
    for name, part, key, pump in _pump_uses(draft):
        user = f"{name}.{part}"
        other = first.setdefault(draft.circuit_tag(name, pump), user)
        if other != user:
            place = draft.tree.at("circuits", name, part, key).place
            message = f"`{pump}` has two writers: `{other}` and `{user}`"
            yield problem_at(place, message, "give each loop pumps of its own")


def _pump_uses(draft: Draft) -> Iterator[tuple[str, str, str, str]]:
    """Yield each use of a pump: circuit, part of the circuit, key in it, pump."""
    for name, circuit in draft.circuits.items():
        yield from ((name, "pumps", "duty", pump) for pump in circuit.pumps.duty)
        yield from ((name, "makeup", "pumps", pump) for pump in circuit.makeup.pumps)


def _identities(draft: Draft) -> Iterator[Problem]:
    for name, device in draft.devices.items():
        branch = draft.tree.at("devices", name)
        loaded = draft.maps.get(name)
        if device.identity is None:
            points = [row.point for row in device.registers]
            if draft.writes and any(one.is_writable or one.is_pulse for one in points):
                message = f"the device `{name}` does not prove who it is, and heatd writes to it"
                hint = "add `identity: {tag: PLC_ID, equals: ...}`"
                yield problem_at(branch.key_place, message, hint)
            continue
        tags = {row.point.tag for row in loaded.registers} if loaded is not None else set()
        for key in ("tag", "firmware"):
            tag = getattr(device.identity, key)
            if draft.are_tags_known and tag is not None and tag not in tags:
                place = branch.at("identity", key).place
                message = f"the map of `{name}` has no `{tag}`"
                yield problem_at(place, message, did_you_mean(tag, tags))


def _timeouts(draft: Draft) -> Iterator[Problem]:
    authority: AuthoritySettings | None = draft.values.get("authority")
    if authority is None or not draft.devices:
        return
    scan_s = min(device.scan_s for device in draft.devices.values())
    least_s = _SCANS_BEFORE_FALLBACK * scan_s
    timeout_s = authority.heartbeat.plc_timeout_s
    if timeout_s < least_s:
        branch = draft.tree.at("authority", "heartbeat", "plc_timeout")
        message = (
            f"`plc_timeout` {format_quantity(timeout_s, Unit.SECOND)} is less than"
            f" {_SCANS_BEFORE_FALLBACK} scans of {format_quantity(scan_s, Unit.SECOND)}"
        )
        hint = f"write {format_quantity(least_s, Unit.SECOND)} or more, or scan faster"
        yield problem_at(branch.place, message, hint)


def _sources(draft: Draft) -> Iterator[Problem]:
    branch = draft.tree.at("sources")
    if len(draft.sources) < len(entries(draft.tree, "sources")):
        return
    networks = [name for name, one in draft.sources.items() if isinstance(one, NetworkSource)]
    boilers = [name for name, one in draft.sources.items() if isinstance(one, GasBoiler)]
    if len(networks) != 1 and draft.sources:
        message = f"a station has one source of kind network; here are {len(networks)}"
        yield problem_at(branch.key_place, message, "give exactly one `kind: network`")
    for name in boilers[1:]:
        message = f"`{name}` is a second boiler; heatd starts one"
        yield problem_at(branch.at(name).key_place, message, "remove one of them")
    for name in boilers:
        if len(entries(draft.tree, "circuits")) > 1:
            message = f"`{name}` heats the secondary of one circuit; this station has several"
            yield problem_at(branch.at(name).key_place, message, "remove it")
        yield from _permissives(draft, name)


def _permissives(draft: Draft, name: str) -> Iterator[Problem]:
    branch = draft.tree.at("sources", name, "permissives")
    for item in branch.items or ():
        tag = (item.text or "").removeprefix("not ")
        if draft.are_tags_known and Tag(tag) not in draft.points:
            message = f"no map of the station has the permissive `{tag}`"
            yield problem_at(item.place, message, did_you_mean(tag, draft.points))


def _rooms(draft: Draft) -> Iterator[Problem]:
    rooms = draft.values.get("rooms")
    if rooms is None or not draft.are_tags_known:
        return
    for name in draft.circuits:
        tag = draft.circuit_tag(name, f"T_room_{rooms.guard}")
        if tag not in draft.points:
            place = draft.tree.at("rooms", "guard").key_place
            message = f"no map of the station has `{tag}`, which guards the rooms of `{name}`"
            yield problem_at(place, message, "add it to the map, or choose another `guard`")


def _shed_order(draft: Draft) -> Iterator[Problem]:
    order: tuple[str, ...] = draft.values.get("shed_order", ())
    branch = draft.tree.at("shed_order")
    for name in sorted({name for name in order if order.count(name) > 1}):
        yield problem_at(branch.place, f"`{name}` stands twice", "name each class once")
    for name, circuit in draft.circuits.items():
        if order and circuit.klass not in order:
            message = f"the circuit `{name}` is {circuit.klass}, which `shed_order` does not name"
            yield problem_at(branch.place, message, f"add `{circuit.klass}`")


def _station_names(drafts: Sequence[Draft]) -> Iterator[Problem]:
    first: dict[str, Branch] = {}
    for draft in drafts:
        written = draft.tree.at("station")
        other = first.setdefault(draft.station, written)
        if draft.station and other is not written:
            message = (
                f"the station name `{draft.station}` stands twice (first in {other.place.file})"
            )
            yield problem_at(written.place, message, "give each station a name of its own")


def _simulators(draft: Draft) -> Iterator[Problem]:
    for name, device in draft.devices.items():
        if device.identity is not None and device.identity.equals in SIMULATOR_IDS:
            place = draft.tree.at("devices", name, "identity", "equals").place
            message = f"{device.identity.equals} is the identity of a simulated PLC"
            hint = "write the real one, or `simulation: true` in heatd.yaml"
            yield problem_at(place, message, hint)


_STATION_CHECKS: tuple[Callable[[Draft], Iterator[Problem]], ...] = (
    _names,
    tags_of_two_devices,
    forbidden_points,
    _needed_tags,
    _output_ranges,
    valve_limits,
    limits_beyond_meters,
    valve_points,
    contact_problems,
    _pumps_of_two,
    _identities,
    _timeouts,
    _sources,
    outdoor_problems,
    _rooms,
    _shed_order,
    relation_problems,
    heat_balance_problems,
)
