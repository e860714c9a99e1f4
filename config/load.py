"""A directory of YAML becomes a `Site`, or a list of everything that is wrong with it.

Rule: `heatd check` and the start of the daemon call this same function.

The directory holds heatd.yaml (the site), stations/*.yaml (one file each), templates/ (what many
stations share) and maps/ (where the points of a PLC lie). A station is laid over its template.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

from config.advice import did_you_mean
from config.calibration import calibration_problems, corrections
from config.checks import site_problems, station_problems
from config.conditions import alarm_problems, all_alarms, unit_of_tag
from config.devices import AnyModbusDevice, Device
from config.draft import Draft, children, entries, names_at, points_of, units_of
from config.flats import collector_problems, flat_problems, room_points
from config.maps import MODBUS_DRIVERS, LoadedMap, read_map
from config.model import Calibration, Site, Station
from config.parts import PART_CHECKS
from config.problem import ConfigErrors, Place, Problem, problem_at
from config.reading import Known, Reader
from config.tree import Branch, merge, read_tree
from config.weather_checks import forecast_problems
from core.point import Tag

SITE_FILE = "heatd.yaml"
_DRIVERS = frozenset({*MODBUS_DRIVERS, "opcua"})

T = TypeVar("T")


def load(directory: Path) -> Site:
    """Return the site that the YAML files in `directory` describe.

    Raises:
        ConfigErrors: Anything at all is wrong with any of them; it carries every problem.
    """
    return _Loader(directory).site()


def read_document(path: Path, cls: type[T]) -> T:
    """Return the object of the parameter class `cls` that one YAML file describes.

    Raises:
        ConfigErrors: The file cannot be read as such an object; it carries every problem.
    """
    reader = Reader(checks=PART_CHECKS)
    made = reader.record(read_tree(path, path.name), cls)
    if made is None:
        raise ConfigErrors(reader.problems)
    return made


class _Loader:
    """One loading of a directory: each file is read once, all problems are kept."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._problems: list[Problem] = []
        self._trees: dict[str, Branch | None] = {}
        self._maps: dict[tuple[str, str], LoadedMap | None] = {}
        self._known: dict[object, Known] = {}

    def site(self) -> Site:
        """Return the site.

        Raises:
            ConfigErrors: Anything at all is wrong.
        """
        values = self._site_values()
        read = [self._draft(name) for name in self._station_files()]
        drafts = [draft for draft in read if draft is not None]
        for draft in drafts:
            self._problems += station_problems(draft)
            self._problems += alarm_problems(draft)
            self._problems += flat_problems(draft)
        self._problems += collector_problems(drafts, tuple(values.get("collectors", ())))
        self._problems += site_problems(
            drafts, is_simulation=values.get("simulation"), are_all_read=len(drafts) == len(read)
        )
        self._problems += forecast_problems(
            self._tree(SITE_FILE), values.get("forecast"), values.get("collectors", {}), drafts
        )
        if self._problems:
            raise ConfigErrors(self._problems)
        stations = (Station(**{**draft.values, "alarms": all_alarms(draft)}) for draft in drafts)
        ordered = sorted(stations, key=lambda station: station.station)
        return Site(**values, stations=tuple(ordered))

    def _site_values(self) -> dict[str, Any]:
        tree = self._tree(SITE_FILE)
        if tree is None:
            return {}
        reader = Reader(checks=PART_CHECKS)
        fields = reader.fields(tree, Site)
        self._problems += reader.problems
        return fields.values

    def _station_files(self) -> Iterator[str]:
        """Yield the names of the station files; a YAML file that nobody reads is a problem."""
        if not self._directory.is_dir():
            return
        for path in sorted(self._directory.iterdir()):
            if path.suffix in {".yaml", ".yml"} and path.name != SITE_FILE:
                message = "this file is not read: stations stand in stations/"
                self._add(Place(path.name, 1, 1), message, f"move it to stations/{path.stem}.yaml")
        found = sorted((self._directory / "stations").glob("*.y*ml"))
        for path in found:
            name = f"stations/{path.name}"
            if path.suffix == ".yaml":
                yield name
            else:
                message = "this file is not read: its name does not end in .yaml"
                self._add(Place(name, 1, 1), message, f"rename it to {path.stem}.yaml")
        if not found:
            self._add(Place(SITE_FILE, 1, 1), "the site has no station", "add stations/NAME.yaml")

    def _draft(self, name: str) -> Draft | None:
        written = self._tree(name)
        if written is None:
            return None
        tree = self._over_template(written)
        if tree is None:
            return None
        maps = {device: self._map(branch) for device, branch in entries(tree, "devices")}
        tree = _as_devices_see_it(tree, maps)
        mapped = points_of(maps.values())
        points = mapped | room_points(tree, mapped)
        units = units_of(tree, points)
        circuits = names_at(tree, "circuits")
        known = self._known.setdefault((tuple(units.items()), circuits), {})
        reader = Reader(unit_of_tag(units, circuits), PART_CHECKS, known)
        fields = reader.fields(tree, Station)
        reader.made(tree, Station, fields)
        self._problems += reader.problems
        values = fields.values
        devices: Mapping[str, Device] = values.get("devices", {})
        calibration: Mapping[str, Calibration] = values.get("calibration", {})
        shifts = corrections(calibration, mapped)
        values["devices"] = {
            device: _with_registers(settings, maps[device], shifts)
            for device, settings in devices.items()
        }
        draft = Draft(tree, values, maps, points, units)
        self._problems += calibration_problems(
            tree, calibration, mapped, are_tags_known=draft.are_tags_known
        )
        return draft

    def _over_template(self, written: Branch) -> Branch | None:
        """Return the station laid over its template.

        None where the template cannot be had: without it everything that it carries would seem to
        be missing.
        """
        named = children(written).get("template")
        if named is None or named.text is None:
            return written
        folder = self._directory / "templates"
        file = f"templates/{named.text}.yaml"
        if not _is_inside(file) or not (self._directory / file).is_file():
            known = [path.stem for path in folder.glob("*.yaml")]
            hint = (
                did_you_mean(named.text, known)
                or f"there are: {', '.join(sorted(known)) or 'none'}"
            )
            self._add(named.place, f"there is no template `{named.text}` ({file})", hint)
            return None
        template = self._tree(file)
        if template is None:
            return None
        own = children(template).get("template")
        if own is None or own.text != named.text:
            place = template.place if own is None else own.place
            self._add(place, "the template must bear its name", f"write `template: {named.text}`")
        merged, problems = merge(template, written)
        self._problems += problems
        return merged

    def _map(self, device: Branch) -> LoadedMap | None:
        """Return the map of a device; the device's own mistakes are told when it is read."""
        driver, named = children(device).get("driver"), children(device).get("map")
        if driver is None or driver.text not in _DRIVERS or named is None or named.text is None:
            return None
        if not _is_inside(named.text) or not (self._directory / named.text).is_file():
            known = [f"maps/{path.name}" for path in (self._directory / "maps").glob("*.yaml")]
            hint = (
                did_you_mean(named.text, known)
                or f"there are: {', '.join(sorted(known)) or 'none'}"
            )
            self._add(named.place, f"there is no map `{named.text}`", hint)
            return None
        tree = self._tree(named.text)
        stem = PurePosixPath(named.text).stem
        own = children(device).get("points")
        if own is not None and tree is not None:
            over = Branch(place=device.place, key_place=device.key_place, mapping={"points": own})
            laid_over, problems = merge(tree, over)
            found = read_map(laid_over, driver.text, stem)
            self._problems += (*problems, *found.problems)
            return found
        key = (named.text, driver.text)
        if key not in self._maps:
            made = None if tree is None else read_map(tree, driver.text, stem)
            self._maps[key] = made
            self._problems += () if made is None else made.problems
        return self._maps[key]

    def _tree(self, name: str) -> Branch | None:
        """Return the content of a file of the directory; None, with problems, if it is no YAML."""
        if name not in self._trees:
            try:
                self._trees[name] = read_tree(self._directory / name, name)
            except ConfigErrors as errors:
                self._problems += errors.problems
                self._trees[name] = None
        return self._trees[name]

    def _add(self, place: Place, message: str, hint: str) -> None:
        self._problems.append(problem_at(place, message, hint))


def _is_inside(name: str) -> bool:
    """Return whether a file name stays below the directory of the configuration."""
    path = PurePosixPath(name)
    return not path.is_absolute() and ".." not in path.parts and "\0" not in name


def _as_devices_see_it(tree: Branch, maps: Mapping[str, LoadedMap | None]) -> Branch:
    """Return the station with what its maps say of its devices, and without what they took over.

    A device that gives no byte order has its map's; its own points are in its map by now.
    """
    devices = children(tree).get("devices")
    if devices is None or devices.mapping is None:
        return tree
    filled: dict[str, Branch] = {}
    for name, device in devices.mapping.items():
        own, loaded = device, maps[name]
        if loaded is not None:
            rest = {key: child for key, child in children(own).items() if key != "points"}
            own = replace(own, mapping=rest)
        if loaded is not None and loaded.word_order is not None:
            own = _with_default(own, "word_order", loaded.word_order)
        filled[name] = own
    return replace(tree, mapping={**children(tree), "devices": replace(devices, mapping=filled)})


def _with_default(branch: Branch, key: str, default: Branch) -> Branch:
    return replace(branch, mapping={key: default, **children(branch)})


def _with_registers(
    device: Device, loaded: LoadedMap | None, shifts: Mapping[Tag, float]
) -> Device:
    if loaded is None:
        return device
    registers = tuple(
        replace(row, correction=shifts[row.point.tag]) if row.point.tag in shifts else row
        for row in loaded.registers
    )
    filled = replace(device, registers=registers)  # type: ignore[arg-type] # read_map made them for this driver
    if not isinstance(filled, AnyModbusDevice):
        return filled
    forbidden = (*filled.settings.forbidden, *loaded.forbidden)
    return replace(
        filled,
        settings=replace(filled.settings, forbidden=forbidden),  # type: ignore[arg-type] # of its own class
        texts=loaded.texts,
    )
