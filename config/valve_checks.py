"""The valves of a circuit and the limits on its flow: what their points must be.

Rule: what could never act is told, for nobody would miss it before the day on which it is needed.
"""

from collections.abc import Iterator

from config.draft import Draft
from config.model import SECOND_VALVE, SEQUENCE, AuthoritySettings, Circuit
from config.problem import Place, Problem, problem_at
from core.point import Tag

_SEEN_BY = {"T1h_max": "T1h", "T1h_over_T2h": "T1h", "F1_max": "F1", "Q1_max": "Q1"}


def valve_limits(draft: Draft) -> Iterator[Problem]:
    """Yield limits that would act on nothing: of a valve that the PLC moves, or without a value."""
    authority: AuthoritySettings | None = draft.values.get("authority")
    for name, circuit in draft.circuits.items():
        override = circuit.limits.valve_override
        if override is None:
            continue
        branch = draft.tree.at("circuits", name, "limits", "valve_override")
        if authority is not None and authority.write == "setpoint":
            message = "the PLC's own loop moves this valve, so limits cannot act on it"
            hint = "remove `valve_override`: the limits then act on the setpoint"
            yield problem_at(branch.key_place, message, hint)
        for limiter in override.by:
            tag = _SEEN_BY[limiter]
            if draft.are_tags_known and Tag(tag) not in draft.points:
                message = f"`{limiter}` rests on `{tag}`, which no map of the station has"
                place = branch.at("by").place
                yield problem_at(place, message, "add it to the map, or take it out of `by`")


def limits_beyond_meters(draft: Draft) -> Iterator[Problem]:
    """Yield limits of flow and heat that their meter could never show to be exceeded."""
    for name, circuit in draft.circuits.items():
        limits = circuit.limits
        for key, most in (("F1_max", limits.F1_max_m3h), ("Q1_max", limits.Q1_max_kw)):
            point = draft.points.get(Tag(_SEEN_BY[key]))
            if most is None or point is None or most < point.high:
                continue
            unit = point.unit.value
            message = (
                f"`{key}` of {most:g} {unit} could never rule: the map reads `{point.tag}` up to"
                f" {point.high:g} {unit}, and what is beyond counts as broken"
            )
            place = draft.tree.at("circuits", name, "limits", key).place
            yield problem_at(place, message, "lower the limit, or widen the `range` in the map")


def valve_points(draft: Draft) -> Iterator[Problem]:
    """Yield measured openings that the map lets heatd write, and a second valve without a share."""
    authority: AuthoritySettings | None = draft.values.get("authority")
    is_ours = authority is not None and authority.write == "valve"
    for name, circuit in draft.circuits.items():
        for _, position in SEQUENCE:
            tag = draft.circuit_tag(name, position)
            if tag in draft.points and draft.points[tag].is_writable:
                message = f"`{tag}` is what the valve answers, and heatd writes no answer"
                yield problem_at(place_of(draft, tag, "write"), message, "take `write` away")
        if is_ours:
            yield from _second_valve(draft, name, circuit)


def _second_valve(draft: Draft, name: str, circuit: Circuit) -> Iterator[Problem]:
    tag = draft.circuit_tag(name, SECOND_VALVE[0])
    if circuit.valve.split is None and tag in draft.points and draft.points[tag].is_writable:
        message = f"nobody would move `{tag}`: `valve` of `{name}` has no `split`"
        hint = (
            "add `valve: {split: {share: 0.3}}` with the share of the first, or take `write` away"
        )
        yield problem_at(place_of(draft, tag, "write"), message, hint)


def place_of(draft: Draft, tag: Tag, key: str) -> Place:
    """Return where a key of a point is written, in the map or laid over it."""
    trees = [
        loaded.tree
        for loaded in draft.maps.values()
        if loaded is not None and any(row.point.tag == tag for row in loaded.registers)
    ]
    return trees[0].at("points", tag, key).place
