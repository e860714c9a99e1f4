"""Relations between the values of a station: broken for long enough, one of them cannot be true.

Rule: a relation never says which of two sensors is wrong; only an engineer does, by naming a
suspect.
"""

from dataclasses import replace
from math import isnan, nan
from typing import NamedTuple

from config.model import Station, prefixed
from config.relations import Holds, Relation
from core.image import ProcessImage
from core.point import Doubt, Quality, Tag


class Standing(NamedTuple):
    """How a relation stands, and for how many seconds it has been turning to the other side."""

    is_broken: bool
    turning_s: float


class Related(NamedTuple):
    """What the values of a station say of each other.

    Attributes:
        standings: How its relations stand; empty before the first scan.
        supply_off_k: How far the supply sensor is from the heat balance, in K; NaN: not known.
    """

    standings: tuple[Standing, ...] = ()
    supply_off_k: float = nan


NOTHING_RELATED = Related()


class RelationPlan(NamedTuple):
    """A relation with the fact that tells of it, and the run signals of its circuit's pumps."""

    fact: Tag
    relation: Relation
    pumps: tuple[Tag, ...]


KEPT = Standing(is_broken=False, turning_s=0.0)


def relation_plans(config: Station) -> tuple[RelationPlan, ...]:
    """Return the relations of a station, ready for its scans."""
    return tuple(
        RelationPlan(Tag(f"check.{name}"), relation, _pumps(config, relation.holds))
        for name, relation in config.checks.items()
    )


def relate(
    plans: tuple[RelationPlan, ...],
    image: ProcessImage,
    before: tuple[Standing, ...],
    *,
    dt_s: float,
) -> tuple[ProcessImage, tuple[Standing, ...]]:
    """Return the image with the suspects of broken relations BAD, and how all relations stand.

    Args:
        plans: The relations.
        image: The inputs of the scan.
        before: How they stood after the previous scan; empty at the first.
        dt_s: Time since then, in s.
    """
    if not plans:
        return image, ()
    standings: list[Standing] = []
    suspects: list[tuple[Tag, Holds]] = []
    for plan, was in zip(plans, before or (KEPT,) * len(plans), strict=True):
        relation = plan.relation
        now = _step(relation, was, _is_kept(plan, image), dt_s)
        standings.append(now)
        if now.is_broken and relation.suspect is not None:
            suspects.append((relation.suspect, relation.holds))
    for suspect, holds in suspects:
        image = _without(image, suspect, holds)
    return image, tuple(standings)


def _step(relation: Relation, was: Standing, is_kept: bool | None, dt_s: float) -> Standing:  # noqa: FBT001 - one term of three values
    if is_kept is None or is_kept is not was.is_broken:
        return was if was.turning_s == 0.0 else Standing(was.is_broken, 0.0)
    turning_s = was.turning_s + dt_s
    if turning_s < relation.delay_s:
        return Standing(was.is_broken, turning_s)
    return Standing(not was.is_broken, 0.0)


def _is_kept(plan: RelationPlan, image: ProcessImage) -> bool | None:
    """Return whether a relation is kept; True where it says nothing, None where nobody knows."""
    relation = plan.relation
    if not _is_running(plan.pumps, image):
        return True
    if relation.only_while is not None:
        is_asked = _holds(relation.only_while, image)
        if not is_asked:
            return None if is_asked is None else True
    return _holds(relation.holds, image)


def _is_running(pumps: tuple[Tag, ...], image: ProcessImage) -> bool:
    for pump in pumps:  # noqa: SIM110 - a loop costs half of what `any` does, in every scan
        if image.flag(pump):
            return True
    return False


def _holds(holds: Holds, image: ProcessImage) -> bool | None:
    above = image.value(holds.tag)
    if holds.other is not None:
        above -= image.value(holds.other)
    above -= holds.by
    if isnan(above):
        return None
    return above >= 0.0 if holds.is_above else above <= 0.0


def _without(image: ProcessImage, tag: Tag, holds: Holds) -> ProcessImage:
    column = image.table.index[tag]
    if image.qualities[column] == Quality.BAD:
        return image
    values, qualities = list(image.values), bytearray(image.qualities)
    values[column], qualities[column] = nan, Quality.BAD
    signs = (">=", "<") if holds.is_above else ("<=", ">")
    doubt = Doubt("relation", holds.text.replace(*signs))
    return replace(
        image,
        values=tuple(values),
        qualities=bytes(qualities),
        doubts={**image.doubts, column: doubt},
    )


def _pumps(config: Station, holds: Holds) -> tuple[Tag, ...]:
    """Return the run signals of the circuit that the relation is about: by prefix, or the first."""
    circuits = tuple(config.circuits)
    tags = (holds.tag, holds.other or "")
    own = [name for name in circuits if any(tag.startswith(f"{name}.") for tag in tags)]
    name = (own or circuits)[0]
    duty = config.circuits[name].pumps.duty
    return tuple(prefixed(f"{pump}_run", name, len(circuits)) for pump in duty)
