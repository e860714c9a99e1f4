"""A branch of a YAML tree becomes an object of a parameter class, checked by pydantic.

Rule: an object is made only if all of it is right; until then everything wrong with it is collected
as problems, and its neighbours are read all the same.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from enum import Enum, auto
from typing import Any, Literal, TypeVar, cast, get_args

from pydantic import TypeAdapter, ValidationError

from config import quantities
from config.advice import meant_key, one_of, wanted
from config.complaints import complaint
from config.problem import Place, Problem, problem_at
from config.quantities import is_number
from config.shape import (
    Bare,
    Hint,
    Key,
    bare,
    choices,
    inlined,
    is_class,
    is_table,
    is_union,
    keys_of,
    origin_of,
)
from config.syntax import full_width_at, plain_form
from config.tree import Branch
from core.parameters import Unreadable
from core.point import Unit

T = TypeVar("T")
Finding = tuple[tuple[str | int | float, ...], str, str]
"""Where below an object something is wrong (YAML keys), what it is, and what to write instead."""
PartCheck = Callable[[Any], Iterable[Finding]]
"""What is wrong with an object beyond its single fields."""


@dataclass(frozen=True, slots=True)
class Fields:
    """The fields of an object as far as they could be read.

    Attributes:
        values: By the field's name; wrong ones are left out, tables thinned.
        wrong: The YAML keys of those that are not whole.
    """

    values: dict[str, Any]
    wrong: frozenset[str]


class Spoiled(Enum):
    """Stands for a value that cannot be made; its problem is already told."""

    SPOILED = auto()


SPOILED = Spoiled.SPOILED

UnitOf = Callable[[type, str, Branch], Unit | Spoiled | None]
"""The unit of a field whose unit only its neighbours tell: a limit is in the unit of its tag.

Asked with the class, the YAML key and the object's branch. None: the class says it. SPOILED: nobody
knows it, and that is told elsewhere; the object is made without the field.
"""

Known = dict[tuple[int, type], tuple[Branch, object]]
"""Objects by the identity of their branch and their class, each with the branch."""

_INTEGER = re.compile(r"[-+]?[0-9]{1,18}")
_SECRET = re.compile(r"pass(word|phrase|wd)?$|token$|secret$|(api|private)_?key$", re.IGNORECASE)


def no_unit_of(_cls: type, _key: str, _branch: Branch) -> None:
    """Return None: the field's own class says its unit."""
    return


class Reader:
    """Reads branches into objects and collects what is wrong with them.

    Args:
        unit_of: Tells the unit of fields that do not carry it themselves.
        checks: What else must be true of the objects of a class.
        known: Objects that were read well before. Readers share it whose `unit_of` says the same,
            so that what hundreds of stations have from one template is read and kept once.
    """

    def __init__(
        self,
        unit_of: UnitOf = no_unit_of,
        checks: Mapping[type, PartCheck] | None = None,
        known: Known | None = None,
    ) -> None:
        self.problems: list[Problem] = []
        self._unit_of = unit_of
        self._checks = checks or {}
        self._known: Known = {} if known is None else known
        # Counts values that could not be made, told or not: an object made of them is none.
        self._spoiled = 0

    def record(self, branch: Branch, cls: type[T]) -> T | None:
        """Return the object of class `cls` that `branch` describes, or None with problems."""
        known = self._known.get((id(branch), cls))
        if known is not None:
            return cast("T", known[1])
        before = self._spoiled
        made = self.made(branch, cls, self.fields(branch, cls))
        if made is None or self._spoiled > before:
            return None
        for where, message, hint in self._checks.get(cls, _no_checks)(made):
            self.add(_below(branch, where).place, message, hint)
        if self._spoiled > before:
            return None
        # The branch is kept, for another one might get the number of one that is gone.
        self._known[id(branch), cls] = branch, made
        return made

    def fields(self, branch: Branch, cls: type) -> Fields:
        """Return the fields of `cls` that `branch` gives.

        Unknown, empty and missing keys are problems.
        """
        keys = keys_of(cls)
        if branch.mapping is None:
            hint = f"write its keys, as in `{next(iter(keys))}: ...`"
            self.add(branch.place, "this must be a mapping", hint)
            return Fields({}, frozenset())
        values: dict[str, Any] = {name: {} for name in inlined(cls)}
        wrong: set[str] = set()
        meant: set[str] = set()
        for name, child in branch.mapping.items():
            key = keys.get(name)
            if key is None:
                meant |= self._refuse(child, name, keys)
                continue
            before = self._spoiled
            value = self._valued(child, name, key.hint, self._unit_of(cls, name, branch))
            if self._spoiled > before:
                wrong.add(name)
            if value is not SPOILED:
                _put(values, key.path, value)
        for key in keys.values():
            if key.is_required and key.name not in branch.mapping.keys() | meant:
                self.add(branch.key_place, f"`{key.name}` is missing", wanted(key))
        return Fields(values, frozenset(wrong))

    def made(self, branch: Branch, cls: type[T], fields: Fields) -> T | None:
        """Return the object that pydantic makes of the fields, or None with problems."""
        try:
            return _validate(cls, fields.values)
        except ValidationError as errors:
            for error in errors.errors(include_url=False):
                where, message, hint = complaint(error, cls)
                # What is missing is told already, and so is what is wrong inside a field.
                if error["type"] != "missing" and not fields.wrong.intersection(where[:1]):
                    self.add(_below(branch, where).place, message, hint)
            return None

    def add(self, place: Place, message: str, hint: str = "") -> None:
        """Collect a problem."""
        self._spoiled += 1
        self.problems.append(problem_at(place, message, hint))

    def _valued(self, child: Branch, name: str, hint: Hint, unit: Unit | Spoiled | None) -> object:
        taken = bare(hint)
        if child.mapping is None and child.items is None and child.text is None:
            self.add(child.key_place, f"`{name}` has no value", "write one, or remove the line")
            return SPOILED
        if isinstance(unit, Spoiled):
            return SPOILED
        if unit is not None:
            taken = Bare(taken.type, unit, taken.marks)
        return self._value(child, taken)

    def _value(self, branch: Branch, taken: Bare) -> object:
        kind = taken.type
        if is_union(kind):
            chosen = self._chosen(branch, kind)
            return SPOILED if chosen is None else _or_spoiled(self._object(branch, chosen))
        if is_class(kind):
            return _or_spoiled(self._object(branch, kind))
        origin = origin_of(kind)
        if isinstance(origin, type) and issubclass(origin, Mapping):
            return self._table(branch, taken)
        if origin is tuple:
            return self._sequence(branch, taken)
        return self._scalar(branch, taken)

    def _object(self, branch: Branch, cls: type[T]) -> T | None:
        """Return an object; a class that is nothing but a table is written as the table."""
        table = is_table(cls)
        if table is None:
            return self.record(branch, cls)
        around = Branch(place=branch.place, key_place=branch.key_place, mapping={table: branch})
        return self.record(around, cls)

    def _chosen(self, branch: Branch, union: Hint) -> type | None:
        """Return the class of a union that `branch` describes."""
        if branch.mapping is None:
            self.add(branch.place, "this must be a mapping", "write `key: value` entries")
            return None
        as_table: type | None = next((cls for cls in get_args(union) if is_table(cls)), None)
        if as_table is not None:
            is_written_so = is_number(next(iter(branch.mapping), ""))
            rest: list[type] = [cls for cls in get_args(union) if cls is not as_table]
            keys = branch.mapping.keys()
            fitting = max(rest, key=lambda cls: len(keys_of(cls).keys() & keys))
            return as_table if is_written_so else fitting
        tag, classes = choices(union)
        child = branch.mapping.get(tag)
        known = ", ".join(classes)
        if child is None:
            message = f"`{tag}` is missing"
            self.add(branch.key_place, message, f"add one of {known}")
            return None
        if child.text not in classes:
            hint = one_of(child.text or "", classes)
            self.add(child.place, f"`{child.text or ''}` is no {tag}", hint)
            return None
        return classes[child.text]

    def _table(self, branch: Branch, taken: Bare) -> dict[object, object] | Spoiled:
        """Return a mapping; entries that cannot be read are left out."""
        if branch.mapping is None:
            self.add(branch.place, "this must be a mapping", "write `key: value` entries")
            return SPOILED
        key_hint, value_hint = get_args(taken.type)
        table: dict[object, object] = {}
        for name, child in branch.mapping.items():
            place = child.key_place
            written = Branch(place=place, key_place=place, text=name, is_plain=True)
            key = self._scalar(written, bare(key_hint))
            value = self._valued(child, name, value_hint, None)
            if key in table:
                self.add(child.key_place, f"`{name}` stands twice", "remove one")
            elif SPOILED not in (key, value):
                table[key] = value
        return table

    def _sequence(self, branch: Branch, taken: Bare) -> object:
        """Return a tuple: a range where two numbers with one unit are wanted, else a list."""
        args = get_args(taken.type)
        if args == (float, float):
            return self._quantity(branch, taken.unit, quantities.parse_range)
        if branch.items is None:
            self.add(branch.place, "this must be a list", "write `[first, second]`")
            return SPOILED
        values = [self._item(item, bare(args[0])) for item in branch.items]
        return SPOILED if SPOILED in values else tuple(values)

    def _item(self, branch: Branch, taken: Bare) -> object:
        # Names in a list are never sentences: a comma inside one is the list's own, mistyped.
        found = plain_form(branch.text or "")
        if found is None:
            return self._value(branch, taken)
        sign, plain, offset = found
        self._full_width(branch.place.moved(offset), sign, plain)
        return SPOILED

    def _scalar(self, branch: Branch, taken: Bare) -> object:
        text, kind = branch.text, taken.type
        if text is None:
            self.add(branch.place, "this must be a single value", "write one value")
            return SPOILED
        if origin_of(kind) is Literal:
            return self._choice(branch, text, get_args(kind))
        if kind is float:
            return self._quantity(branch, taken.unit, quantities.parse)
        if kind in _READERS:
            return self._read(branch, lambda: _READERS[kind](text, branch.is_plain))
        return self._read(branch, lambda: kind.from_text(text))

    def _quantity(
        self, branch: Branch, unit: Unit, parse: Callable[[str, Unit], tuple[float, float] | float]
    ) -> tuple[float, float] | float | Spoiled:
        text = branch.text
        if text is None:
            self.add(branch.place, "this must be a single value", "write one value")
            return SPOILED
        found = plain_form(text)
        if found is not None:
            sign, plain, offset = found
            self._full_width(branch.place.moved(offset), sign, plain)
            return SPOILED
        return self._read(branch, lambda: parse(text, unit))

    def _full_width(self, place: Place, sign: str, plain: str) -> None:
        self._spoiled += 1
        self.problems.append(full_width_at(place, sign, plain))

    def _read(self, branch: Branch, read: Callable[[], T]) -> T | Spoiled:
        try:
            return read()
        except Unreadable as error:
            self.add(branch.place, error.what, error.hint)
            return SPOILED

    def _choice(self, branch: Branch, text: str, known: tuple[object, ...]) -> object:
        for value in known:
            if text == str(value):
                return value
        hint = one_of(text, [str(value) for value in known])
        self.add(branch.place, f"`{text}` is not possible here", hint)
        return SPOILED

    def _refuse(self, child: Branch, name: str, keys: Mapping[str, Key]) -> set[str]:
        """Collect the problem of a key that the class does not have; return what it may mean."""
        found = plain_form(name)
        if found is not None:
            sign, plain, offset = found
            self._full_width(child.key_place.moved(offset), sign, plain)
            return {name[:offset]}
        if _SECRET.search(name):
            message = f"`{name}`: a secret must not stand in a configuration"
            hint = "remove it and change the secret; who can read the file knows it"
            self.add(child.key_place, message, hint)
            return set()
        meant, hint = meant_key(name, keys)
        self.add(child.key_place, f"the key `{name}` is unknown", hint)
        return {meant}


def _read_bool(text: str, is_plain: bool) -> bool:  # noqa: FBT001 - one signature for all readers
    if not is_plain or text not in {"true", "false"}:
        raise Unreadable(f"`{text}` is neither true nor false", "write `true` or `false`")
    return text == "true"


def _read_int(text: str, is_plain: bool) -> int:  # noqa: FBT001 - one signature for all readers
    if not is_plain or _INTEGER.fullmatch(text) is None:
        raise Unreadable(f"`{text}` is not a whole number", "write plain digits")
    return int(text)


def _read_unit(text: str, _is_plain: bool) -> Unit:  # noqa: FBT001 - one signature for all readers
    unit = quantities.unit_named(text)
    if unit is None:
        known = ", ".join(unit.value for unit in Unit if unit.value)
        kept = quantities.kept_like(text)
        hint = f"write {' or '.join(kept)} and the `scale`" if kept else f"write one of {known}"
        raise Unreadable(f"heatd keeps nothing in `{text}`", hint)
    return unit


_READERS: Mapping[object, Callable[[str, bool], object]] = {
    bool: _read_bool,
    int: _read_int,
    Unit: _read_unit,
    date: lambda text, _is_plain: quantities.read_date(text),
    str: lambda text, _is_plain: text,
}
"""How a scalar of each type is read from its text and whether it stands without quotes."""


def _no_checks(_made: object) -> tuple[()]:
    return ()


def _or_spoiled(made: T | None) -> T | Spoiled:
    return SPOILED if made is None else made


_ADAPTERS: dict[type, TypeAdapter[Any]] = {}


def _validate(cls: type[T], values: Mapping[str, object]) -> T:
    if cls not in _ADAPTERS:
        _ADAPTERS[cls] = TypeAdapter(cls)
    made: T = _ADAPTERS[cls].validate_python(values)
    return made


def _put(values: dict[str, Any], path: tuple[str, ...], value: object) -> None:
    *outer, last = path
    for name in outer:
        values = values.setdefault(name, {})
    values[last] = value


def _below(branch: Branch, where: Iterable[str | int | float]) -> Branch:
    """Return the deepest branch that exists on `where`; a key may be written as 5 or as 5.0."""
    for step in where:
        found = {_same(key): child for key, child in (branch.mapping or {}).items()}
        branch = found.get(_same(str(step)), branch)
    return branch


def _same(key: str) -> str | float:
    return float(key) if is_number(key) else key
