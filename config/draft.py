"""A station as far as it could be read: what the checks across its parts look at.

Rule: a part that is wrong is missing here, so that one mistake does not hide another.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from config.devices import Device
from config.maps import LoadedMap
from config.model import Circuit, Source, computed_facts, prefixed
from config.tree import Branch
from core.point import Point, Tag, Unit


@dataclass(frozen=True, slots=True)
class Draft:
    """One station file laid over its template.

    Attributes:
        tree: Everything that is written, with its places.
        values: The fields of `Station` that could be made.
        maps: The map of each device, by the device's name; None where it could not be read.
        points: All points of the maps by tag.
        units: The unit of everything that a condition may name.
    """

    tree: Branch
    values: Mapping[str, Any]
    maps: Mapping[str, LoadedMap | None]
    points: Mapping[Tag, Point]
    units: Mapping[Tag, Unit]

    @property
    def station(self) -> str:
        """The station's name, empty if it has none."""
        name: str = self.values.get("station", "")
        return name

    @property
    def devices(self) -> Mapping[str, Device]:
        """The devices that could be made."""
        devices: Mapping[str, Device] = self.values.get("devices", {})
        return devices

    @property
    def circuits(self) -> Mapping[str, Circuit]:
        """The circuits that could be made."""
        circuits: Mapping[str, Circuit] = self.values.get("circuits", {})
        return circuits

    @property
    def sources(self) -> Mapping[str, Source]:
        """The sources that could be made."""
        sources: Mapping[str, Source] = self.values.get("sources", {})
        return sources

    @property
    def writes(self) -> bool:
        """Whether heatd may write anything in this station, as far as is known."""
        authority = self.values.get("authority")
        return authority is not None and authority.write != "none"

    @property
    def are_tags_known(self) -> bool:
        """Whether all maps were read without a problem, so that a missing tag is really missing."""
        return bool(self.maps) and all(
            loaded is not None and not loaded.problems for loaded in self.maps.values()
        )

    def circuit_tag(self, circuit: str, tag: str) -> Tag:
        """Return the full tag of a circuit's point, counting the circuits that are wrong too."""
        return prefixed(tag, circuit, len(entries(self.tree, "circuits")))


def children(branch: Branch) -> Mapping[str, Branch]:
    """Return the children of a mapping; none of anything else."""
    return branch.mapping or {}


def entries(branch: Branch, key: str) -> tuple[tuple[str, Branch], ...]:
    """Return the entries of the table `key` of a mapping; none where there is no such table."""
    child = children(branch).get(key)
    return () if child is None else tuple(children(child).items())


def names_at(branch: Branch, key: str) -> tuple[str, ...]:
    """Return the names of the entries of the table `key` of a mapping."""
    return tuple(name for name, _ in entries(branch, key))


def points_of(maps: Iterable[LoadedMap | None]) -> dict[Tag, Point]:
    """Return all points of some maps by tag."""
    loaded = (one for one in maps if one is not None)
    return {row.point.tag: row.point for one in loaded for row in one.registers}


def units_of(tree: Branch, points: Mapping[Tag, Point]) -> dict[Tag, Unit]:
    """Return the unit of every point and every computed fact of the station in `tree`."""
    facts = computed_facts(*(names_at(tree, key) for key in ("devices", "circuits", "checks")))
    return {tag: point.unit for tag, point in points.items()} | facts
