"""A valve that is moved by a raise and a lower contact: what its points must be.

Rule: a contact that heatd closes, somebody else must open: if heatd dies in the middle of a move,
the valve must not run on.
"""

from collections.abc import Iterator

from config.draft import Draft
from config.model import CONTACTS
from config.problem import Problem, problem_at
from core.point import Tag, Unit


def contact_problems(draft: Draft) -> Iterator[Problem]:
    """Yield what is wrong with the circuits whose valves have no positioner."""
    authority = draft.values.get("authority")
    if not draft.are_tags_known or authority is None or authority.write != "valve":
        return
    for name, circuit in draft.circuits.items():
        motor = circuit.valve.three_step
        if motor is None:
            continue
        branch = draft.tree.at("circuits", name, "valve", "three_step")
        for contact in CONTACTS:
            tag = draft.circuit_tag(name, contact)
            point = draft.points.get(tag)
            if point is not None and not (point.is_pulse and point.unit is Unit.SECOND):
                yield problem_at(branch.key_place, _runs_on(tag), _TIMER)
            elif point is not None and point.high <= motor.pulse_min_s:
                message = (
                    f"the timer of `{tag}` takes {point.high:g} s, less than the shortest pulse"
                )
                yield problem_at(branch.key_place, message, "widen its `range`, or `pulse_min`")
        if circuit.valve.min_pct > 0.0 and draft.circuit_tag(name, "CV1_U") not in draft.points:
            message = (
                "nobody measures where this valve stands, so it must be able to go to its end stop,"
                f" but `min` keeps it at {circuit.valve.min_pct:g} %"
            )
            place = draft.tree.at("circuits", name, "valve").key_place
            yield problem_at(place, message, "write `min: 0 %`, or add `CV1_U` to the map")


_TIMER = "write `unit: s`, `range: 0..10` and `write: pulse`, and let the PLC's timer run it"


def _runs_on(tag: Tag) -> str:
    return (
        f"`{tag}` is a contact that nobody would open if heatd died in the middle of a move; heatd"
        " gives a time instead"
    )
