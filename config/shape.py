"""Which YAML keys a parameter class has, read off the class itself.

Rule: a key is its field's name without the unit suffix (`period_s` is written `period`); three
marks in a field's `Annotated` change that, and nothing else does.
"""

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields, is_dataclass
from enum import Enum
from functools import lru_cache
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, NewType, Union, get_args, get_origin, get_type_hints

from core.point import Unit

SUFFIXES: dict[Unit, str] = {
    Unit.CELSIUS: "_c",
    Unit.KELVIN: "_k",
    Unit.KELVIN_PER_KELVIN: "_k_per_k",
    Unit.KELVIN_PER_HOUR: "_k_per_h",
    Unit.KELVIN_PER_MINUTE: "_k_per_min",
    Unit.PERCENT: "_pct",
    Unit.PERCENT_PER_SECOND: "_pct_per_s",
    Unit.PERCENT_PER_KELVIN: "_pct_per_k",
    Unit.MEGAPASCAL: "_mpa",
    Unit.KILOPASCAL: "_kpa",
    Unit.CUBIC_METRE: "_m3",
    Unit.CUBIC_METRE_PER_HOUR: "_m3h",
    Unit.KILOWATT: "_kw",
    Unit.GIGAJOULE: "_gj",
    Unit.SECOND: "_s",
    Unit.METRE: "_m",
    Unit.SQUARE_METRE: "_m2",
    Unit.HERTZ: "_hz",
    Unit.HERTZ_PER_SECOND: "_hz_per_s",
    Unit.HERTZ_PER_KILOPASCAL: "_hz_per_kpa",
    Unit.HERTZ_PER_MEGAPASCAL: "_hz_per_mpa",
    Unit.AMPERE: "_a",
    Unit.METRE_PER_SECOND: "_m_s",
    Unit.WATT_PER_SQUARE_METRE: "_w_m2",
}


Hint = Any
"""A type hint: whatever `typing` makes of it."""

# A class of parameters has some ten; each is taken apart once and not for every value.
_HINTS_MAX = 4096


class Mark(Enum):
    """How a field stands in YAML when it does not stand there by its name."""

    INLINE = "its class's keys stand beside the others"
    FILLED = "the loader fills it; it is not written in YAML"


@dataclass(frozen=True, slots=True)
class Named:
    """The YAML key of a field whose natural name is a word of Python."""

    name: str


@dataclass(frozen=True, slots=True)
class Key:
    """One YAML key of a class and the field that it gives.

    `path` has two names where the field belongs to a class whose keys stand inline.
    """

    name: str
    path: tuple[str, ...]
    hint: Hint
    is_required: bool


@dataclass(frozen=True, slots=True)
class Bare:
    """A type hint without its `Annotated` and without `| None`."""

    type: Hint
    unit: Unit
    marks: tuple[object, ...]


@lru_cache(maxsize=_HINTS_MAX)
def bare(hint: Hint) -> Bare:
    """Return `hint` taken apart; its unit is `Unit.NONE` where it has none."""
    marks: tuple[object, ...] = ()
    while True:
        if origin_of(hint) is Annotated:
            hint, *more = get_args(hint)
            marks += tuple(more)
        elif isinstance(hint, NewType):
            hint = hint.__supertype__
        elif is_union(hint) and NoneType in get_args(hint):
            rest = tuple(arg for arg in get_args(hint) if arg is not NoneType)
            hint = rest[0] if len(rest) == 1 else Union[rest]  # noqa: UP007 - made of a tuple
        else:
            unit = next((mark for mark in marks if isinstance(mark, Unit)), Unit.NONE)
            return Bare(hint, unit, marks)


def origin_of(hint: Hint) -> object:
    """Return what `hint` is made of: `tuple` of `tuple[str, ...]`, else the hint itself."""
    return get_origin(hint) or hint


@lru_cache(maxsize=_HINTS_MAX)
def is_union(hint: Hint) -> bool:
    """Return whether `hint` is a union of types."""
    return origin_of(hint) in {Union, UnionType}


_KEYS: dict[type, dict[str, Key]] = {}


def keys_of(cls: type) -> dict[str, Key]:
    """Return the YAML keys of the parameter class `cls`, in the order of its fields."""
    if cls not in _KEYS:
        _KEYS[cls] = _read_keys(cls)
    return _KEYS[cls]


def _read_keys(cls: type) -> dict[str, Key]:
    hints = get_type_hints(cls, include_extras=True)
    keys: dict[str, Key] = {}
    for field in fields(cls):
        hint = hints[field.name]
        taken = bare(hint)
        if Mark.FILLED in taken.marks:
            continue
        if Mark.INLINE in taken.marks:
            for inner in keys_of(taken.type).values():
                path = (field.name, *inner.path)
                keys[inner.name] = Key(inner.name, path, inner.hint, inner.is_required)
            continue
        name = _name(field.name, taken)
        if name in keys:
            # T2g_hh_c took `T2g_hh` already: the delay beside it is written T2g_hh_s.
            name = field.name
        is_required = field.default is MISSING and field.default_factory is MISSING
        keys[name] = Key(name, (field.name,), hint, is_required)
    return keys


def _name(field: str, taken: Bare) -> str:
    named = next((mark for mark in taken.marks if isinstance(mark, Named)), None)
    return field.removesuffix(SUFFIXES.get(taken.unit, "")) if named is None else named.name


@lru_cache(maxsize=_HINTS_MAX)
def choices(hint: Hint) -> tuple[str, dict[str, type]]:
    """Return the key that tells the classes of a union apart, and the classes by its values.

    The key is the one field that is a `Literal` with one value in each of them (`kind`, `driver`).
    """
    classes: tuple[type, ...] = get_args(hint)
    first = {name for name, key in keys_of(classes[0]).items() if _is_tag(key.hint)}
    tag = next(iter(first))
    return tag, {get_args(bare(keys_of(cls)[tag].hint).type)[0]: cls for cls in classes}


def _is_tag(hint: Hint) -> bool:
    taken = bare(hint).type
    return origin_of(taken) is Literal and len(get_args(taken)) == 1


def inlined(cls: type) -> tuple[str, ...]:
    """Return the fields of `cls` whose own keys stand beside the others."""
    return tuple(dict.fromkeys(key.path[0] for key in keys_of(cls).values() if len(key.path) > 1))


def is_table(cls: type) -> str | None:
    """Return the one key of a class that is nothing but a table of numbers (a curve), else None."""
    keys = keys_of(cls)
    name, *others = keys
    origin = origin_of(bare(keys[name].hint).type)
    is_mapping = isinstance(origin, type) and issubclass(origin, Mapping)
    return name if is_mapping and not others else None


def is_class(hint: Hint) -> bool:
    """Return whether `hint` is a parameter class, and not one that reads itself from one scalar."""
    return isinstance(hint, type) and is_dataclass(hint) and not hasattr(hint, "from_text")
