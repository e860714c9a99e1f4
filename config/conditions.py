"""The alarms of a station: their tags, their units, and the names that circuits give them.

Rule: a circuit's alarms speak of its own tags; in a station with several circuits both get the
circuit's name in front (`low.T2g_HH`), and so does what the operator reads.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace

from alarms.condition import (
    BadQuality,
    Bit,
    Condition,
    Deviation,
    DeviceLost,
    Flaw,
    Limit,
    Text,
    flaws,
)
from config.advice import did_you_mean
from config.draft import Draft, children, entries
from config.model import prefixed
from config.problem import Problem, problem_at
from config.reading import SPOILED, Spoiled, UnitOf
from config.shape import keys_of
from config.tree import Branch
from core.point import Tag, Unit

_IN_UNIT_OF_TAG: Mapping[type, tuple[str, ...]] = {Limit: ("above", "below")}
_IN_DIFFERENCE_OF_TAG: Mapping[type, tuple[str, ...]] = {
    Limit: ("deadband",),
    Deviation: ("above", "below", "deadband"),
}
_TAG_KEYS = ("tag", "reference", "tags", "needs")


def unit_of_tag(units: Mapping[Tag, Unit], circuits: tuple[str, ...]) -> UnitOf:
    """Return what tells the unit of an alarm's limits: the unit of its tag, or of a difference.

    Args:
        units: The units of all that a condition may name.
        circuits: Names of the station's circuits.
    """

    def unit_of(cls: type, key: str, branch: Branch) -> Unit | Spoiled | None:
        is_absolute = key in _IN_UNIT_OF_TAG.get(cls, ())
        if not is_absolute and key not in _IN_DIFFERENCE_OF_TAG.get(cls, ()):
            return None
        tag = branch.at("tag").text or ""
        names = (tag, *(prefixed(tag, circuit, len(circuits)) for circuit in circuits))
        unit = next((units[Tag(name)] for name in names if Tag(name) in units), None)
        if unit is None:
            return SPOILED
        return Unit.KELVIN if unit is Unit.CELSIUS and not is_absolute else unit

    return unit_of


def limit_keys(cls: type) -> tuple[str, ...]:
    """Return the keys of a condition's class that are in the unit of its tag."""
    return (*_IN_UNIT_OF_TAG.get(cls, ()), *_IN_DIFFERENCE_OF_TAG.get(cls, ()))


def all_alarms(draft: Draft) -> dict[str, Condition]:
    """Return the station's alarms and those of its circuits, by their full names."""
    alarms: dict[str, Condition] = dict(draft.values.get("alarms", {}))
    for name, circuit in draft.circuits.items():
        for alarm, condition in circuit.alarms.items():
            alarms[draft.circuit_tag(name, alarm)] = _of_circuit(draft, name, condition)
    return alarms


def alarm_problems(draft: Draft) -> Iterator[Problem]:
    """Yield names that mean nothing, and what is wrong with the alarms as a whole."""
    branches: dict[str, Branch] = {}
    unknown: list[Problem] = []
    for name, circuit, branch in _branches(draft):
        unknown += _unknown_names(draft, circuit, branch)
        if branches.setdefault(name, branch) is not branch:
            message = f"the alarm `{name}` stands twice: in the station and in its circuit"
            yield problem_at(branch.key_place, message, "rename one")
    yield from unknown
    alarms = all_alarms(draft)
    # Where a tag is unknown its limits are unread; where an alarm is missing it may be a cause.
    if not unknown and draft.are_tags_known and len(alarms) == len(branches):
        for flaw in flaws(alarms):
            yield _flaw(flaw, alarms, branches[flaw.alarm])


def _flaw(flaw: Flaw, alarms: Mapping[str, Condition], branch: Branch) -> Problem:
    condition = alarms[flaw.alarm]
    keys = keys_of(type(condition)).values()
    key = next((key.name for key in keys if key.path == (flaw.field,)), flaw.field)
    where, hint = branch.at(key), ""
    place = branch.key_place if where is branch else where.place
    for cause, item in zip(condition.suppressed_by, where.items or (), strict=False):
        if cause not in alarms:
            place, hint = item.place, did_you_mean(cause, alarms)
            break
    return problem_at(place, f"the alarm `{flaw.alarm}`, `{key}`: {flaw.message}", hint)


def _branches(draft: Draft) -> Iterator[tuple[str, str, Branch]]:
    """Yield each alarm's full name, the circuit that it belongs to, and where it stands."""
    for name, branch in entries(draft.tree, "alarms"):
        yield name, "", branch
    for circuit, around in entries(draft.tree, "circuits"):
        for alarm, branch in entries(around, "alarms"):
            yield draft.circuit_tag(circuit, alarm), circuit, branch


def _unknown_names(draft: Draft, circuit: str, branch: Branch) -> Iterator[Problem]:
    if not draft.are_tags_known:
        return
    for key in _TAG_KEYS:
        written = children(branch).get(key)
        for item in () if written is None else written.items or (written,):
            tag = item.text or ""
            if tag and _full(draft, circuit, tag) not in draft.units:
                own = draft.circuit_tag(circuit, tag) if circuit else tag
                message = f"no map of the station has `{own}`, and heatd computes no such fact"
                yield problem_at(item.place, message, did_you_mean(own, draft.units))
    device = children(branch).get("device")
    names = children(draft.tree.at("devices"))
    if device is not None and device.text is not None and device.text not in names:
        message = f"the station has no device `{device.text}`"
        yield problem_at(device.place, message, did_you_mean(device.text, names))


def _full(draft: Draft, circuit: str, tag: str) -> Tag:
    """Return the full name of what a circuit calls `tag`: its own point, or a shared one."""
    own = draft.circuit_tag(circuit, tag)
    return own if circuit and own in draft.units else Tag(tag)


def _of_circuit(draft: Draft, circuit: str, condition: Condition) -> Condition:
    """Return the condition with full names, and with the circuit's name in its text."""
    own = draft.circuits[circuit].alarms
    is_alone = draft.circuit_tag(circuit, "") == ""
    text = condition.text
    needs = condition.needs
    causes = tuple(
        draft.circuit_tag(circuit, cause) if cause in own else cause
        for cause in condition.suppressed_by
    )
    condition = replace(
        condition,
        text=text if is_alone else Text(zh=f"{circuit} {text.zh}", en=f"{circuit}: {text.en}"),
        suppressed_by=causes,
        needs=None if needs is None else _full(draft, circuit, needs),
    )
    match condition:
        case Deviation():
            tag, reference = condition.tag, condition.reference
            return replace(
                condition,
                tag=_full(draft, circuit, tag),
                reference=_full(draft, circuit, reference),
            )
        case Limit() | Bit():
            return replace(condition, tag=_full(draft, circuit, condition.tag))
        case BadQuality():
            tags = tuple(_full(draft, circuit, tag) for tag in condition.tags)
            return replace(condition, tags=tags)
        case DeviceLost():
            return condition
