"""The measured flats of a station: where each one lies, and which collector brings its room.

Rule: what a single circuit or a single collector leaves no choice about need not be written.
"""

import re
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence

from config.advice import did_you_mean
from config.draft import Draft, entries
from config.model import Station, prefixed
from config.problem import Place, Problem, problem_at
from config.tree import Branch
from core.point import Point, Tag, Unit
from core.rooms import FIGURES, Figure, Flat
from drivers.collector_settings import FlatRow

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,31}")
_ROOM_C = (-40.0, 60.0)


def flats_of(station: Station) -> Mapping[str, Flat]:
    """Return the flats of a checked station by name."""
    only = next(iter(station.circuits))
    return {
        name: Flat(name=name, circuit=row.circuit or only, position=row.position)
        for name, row in station.flats.items()
    }


def figure_tags(station: Station, given: Container[Tag]) -> Mapping[str, Mapping[Figure, Tag]]:
    """Return by circuit with flats the room figures that its PLC does not give, with their tags.

    Args:
        station: A checked station.
        given: What its devices give.
    """
    heated = {flat.circuit for flat in flats_of(station).values()}
    circuits = [name for name in station.circuits if name in heated]
    tags = {
        name: {f: _figure(name, f, len(station.circuits)) for f in FIGURES} for name in circuits
    }
    return {
        name: {figure: tag for figure, tag in figures.items() if tag not in given}
        for name, figures in tags.items()
    }


def room_points(tree: Branch, given: Iterable[Tag]) -> dict[Tag, Point]:
    """Return the points that the flats of a station as written give it.

    Args:
        tree: The station.
        given: What its maps give; a figure that the PLC counts is not counted here.
    """
    flats, circuits = entries(tree, "flats"), [name for name, _ in entries(tree, "circuits")]
    low, high = _ROOM_C
    rooms = [Tag(f"room.{name}") for name, _ in flats]
    heated = {branch.at("circuit").text or next(iter(circuits), "") for _, branch in flats}
    known = set(given)
    counted = [
        (_figure(name, figure, len(circuits)), figure)
        for name in circuits
        if name in heated
        for figure in FIGURES
    ]
    points = [Point(tag=tag, unit=Unit.CELSIUS, low=low, high=high) for tag in rooms]
    points += [
        Point(tag=tag, low=0.0)
        if figure == "count"
        else Point(tag=tag, unit=Unit.CELSIUS, low=low, high=high)
        for tag, figure in counted
    ]
    return {point.tag: point for point in points if point.tag not in known}


def flat_problems(draft: Draft) -> Iterator[Problem]:
    """Yield what is wrong with the flats of one station."""
    circuits = [name for name, _ in entries(draft.tree, "circuits")]
    flats: Mapping[str, FlatRow] = draft.values.get("flats", {})
    for name, row in flats.items():
        branch = draft.tree.at("flats", name)
        if _NAME.fullmatch(name) is None:
            hint = "write letters, digits, `-`, `_` and `.`, at most 32"
            yield problem_at(branch.key_place, f"`{name}` is no name of a flat", hint)
        if row.circuit and row.circuit not in circuits:
            message = f"the station has no circuit `{row.circuit}`"
            hint = did_you_mean(row.circuit, circuits)
            yield problem_at(branch.at("circuit").place, message, hint)
        if not row.circuit and len(circuits) > 1:
            hint = f"add `circuit`: {', '.join(circuits)}"
            yield problem_at(branch.key_place, f"nobody knows which circuit heats `{name}`", hint)


def collector_problems(drafts: Sequence[Draft], collectors: Sequence[str]) -> Iterator[Problem]:
    """Yield flats that no collector brings, and devices that report for two flats.

    Args:
        drafts: The stations.
        collectors: Names of the site's collectors.
    """
    first: dict[tuple[str, str], str] = {}
    for draft in drafts:
        flats: Mapping[str, FlatRow] = draft.values.get("flats", {})
        for name, row in flats.items():
            place = draft.tree.at("flats", name).key_place
            yield from _lacks_collector(name, row, collectors, place)
            device = (row.collector or next(iter(collectors), ""), row.device or name)
            owner = f"{draft.station}.{name}"
            other = first.setdefault(device, owner)
            if other != owner:
                message = f"`{owner}` and `{other}` have the same device: {device[1]}"
                yield problem_at(place, message, "add `device` where it differs")


def _lacks_collector(
    name: str, row: FlatRow, collectors: Sequence[str], place: Place
) -> Iterator[Problem]:
    hint = f"there are: {', '.join(collectors) or 'none; add `collectors` to heatd.yaml'}"
    if row.collector and row.collector not in collectors:
        yield problem_at(place, f"the site has no collector `{row.collector}`", hint)
    if not row.collector and len(collectors) != 1:
        yield problem_at(place, f"nobody knows which collector brings `{name}`", hint)


def _figure(circuit: str, figure: Figure, circuits: int) -> Tag:
    return prefixed(f"T_room_{figure}", circuit, circuits)
