"""What must be true of the relations of a station: points that exist, and one unit on both sides.

Rule: as in `config.checks`; each problem names the key that is wrong.
"""

from collections.abc import Iterator, Mapping

from config.advice import did_you_mean
from config.draft import Draft, children, entries
from config.model import HEAT_METERS, measures_heat
from config.problem import Problem, problem_at
from config.relations import Holds, Relation
from config.tree import Branch
from core.point import Unit


def relation_problems(draft: Draft) -> Iterator[Problem]:
    """Yield what is wrong with the relations of a station."""
    relations: Mapping[str, Relation] = draft.values.get("checks", {})
    if not draft.are_tags_known:
        return
    for name, relation in relations.items():
        branch = draft.tree.at("checks", name)
        yield from _holds_problems(draft, branch.at("holds"), relation.holds)
        if relation.only_while is not None:
            yield from _holds_problems(draft, branch.at("while"), relation.only_while)
        known = (relation.holds.tag, relation.holds.other)
        if relation.suspect is not None and relation.suspect not in known:
            message = f"`{relation.suspect}` is not a value of the relation"
            hint = f"write {' or '.join(tag for tag in known if tag)}"
            yield problem_at(branch.at("suspect").place, message, hint)


def heat_balance_problems(draft: Draft) -> Iterator[Problem]:
    """Yield each alarm on the heat balance of a station that does not measure it."""
    circuits = len(entries(draft.tree, "circuits"))
    if not draft.are_tags_known or measures_heat(draft.points, circuits):
        return
    for alarm, branch in entries(draft.tree, "alarms"):
        tag = children(branch).get("tag")
        if tag is not None and tag.text == "heat.T2g_off":
            message = f"`heat.T2g_off` needs {', '.join(HEAT_METERS)} of a single circuit"
            yield problem_at(tag.place, message, f"write `{alarm}: null`")


def _holds_problems(draft: Draft, branch: Branch, holds: Holds) -> Iterator[Problem]:
    unknown = [tag for tag in (holds.tag, holds.other) if tag and tag not in draft.points]
    for tag in unknown:
        message = f"no map of the station has `{tag}`"
        yield problem_at(branch.place, message, did_you_mean(tag, draft.points))
    if unknown:
        return
    unit = draft.points[holds.tag].unit
    if holds.other is not None and draft.points[holds.other].unit is not unit:
        message = f"`{holds.tag}` and `{holds.other}` have different units"
        yield problem_at(branch.place, message, "compare like with like")
    # A temperature is compared with a temperature, or with another one and some kelvins.
    wanted = Unit.KELVIN if unit is Unit.CELSIUS and holds.other is not None else unit
    if holds.unit not in ({wanted, Unit.NONE} if holds.other is not None else {wanted}):
        message = f"`{holds.text}`: a number of `{holds.tag}` is in {wanted.value or 'no unit'}"
        yield problem_at(branch.place, message, "correct its unit")
