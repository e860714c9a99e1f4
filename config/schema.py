"""The JSON schema that helps an editor with the YAML: keys, units, ranges and what they mean.

Rule: made from the parameter classes and never edited; `python -m config.schema` writes it anew.

A station may leave to its template whatever it likes, so that the schema asks for no key there;
only `heatd check` knows the whole.
"""

import inspect
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import fields
from datetime import date
from pathlib import Path
from typing import Any, Literal, get_args, get_type_hints

from annotated_types import Ge, Gt, Le, Lt

from config.conditions import limit_keys
from config.formula import Amount
from config.maps import ModbusMap, OpcUaMap
from config.model import Site, Station
from config.quantities import NUMBER, format_quantity, spellings
from config.shape import Bare, Key, bare, is_class, is_table, is_union, keys_of, origin_of
from core.point import Unit

SCHEMA_FILE = Path(__file__).with_name("schema.json")

_Schema = dict[str, Any]
_WORDS = {
    Gt: ("gt", "more than"),
    Ge: ("ge", "at least"),
    Lt: ("lt", "less than"),
    Le: ("le", "at most"),
}
_KEYWORDS = {Gt: "exclusiveMinimum", Ge: "minimum", Lt: "exclusiveMaximum", Le: "maximum"}
_ANY_QUANTITY = rf"^{NUMBER}( ?\S+)?$"


def schema() -> _Schema:
    """Return the schema of all files of a configuration, told apart by their keys."""
    made = _Definitions()
    map_file = {"anyOf": [made.named(ModbusMap), made.named(OpcUaMap)]}
    station_file = {"allOf": [made.named(Station), {"required": ["station", "name"]}]}
    site_file = {"allOf": [made.named(Site), {"required": ["simulation"]}]}
    by_template = {"if": {"required": ["template"]}, "then": made.named(Station), "else": site_file}
    by_station = {"if": {"required": ["station"]}, "then": station_file, "else": by_template}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "heatd",
        "type": "object",
        "if": {"required": ["points"]},
        "then": map_file,
        "else": by_station,
        "$defs": dict(sorted(made.definitions.items())),
    }


def text() -> str:
    """Return the schema as it stands in its file."""
    return json.dumps(schema(), ensure_ascii=False, indent=1) + "\n"


class _Definitions:
    """The definitions of the parameter classes, each made once."""

    def __init__(self) -> None:
        self.definitions: dict[str, _Schema] = {}

    def named(self, cls: type) -> _Schema:
        """Return a reference to the definition of `cls`."""
        if cls.__name__ not in self.definitions:
            self.definitions[cls.__name__] = {}
            self.definitions[cls.__name__] = self._object(cls)
        return {"$ref": f"#/$defs/{cls.__name__}"}

    def _object(self, cls: type) -> _Schema:
        table = is_table(cls)
        if table is not None:
            return self._value(bare(keys_of(cls)[table].hint))
        properties = {name: self._property(cls, key) for name, key in keys_of(cls).items()}
        about = (inspect.getdoc(cls) or "").split("\n\n")[0].replace("\n", " ")
        return {
            "type": "object",
            "description": about,
            "properties": properties,
            "additionalProperties": False,
        }

    def _property(self, cls: type, key: Key) -> _Schema:
        taken = bare(key.hint)
        if key.name in limit_keys(cls):
            return {
                # A tag without a unit has limits without one: a bare number.
                "type": ["string", "number"],
                "pattern": _ANY_QUANTITY,
                "description": "in the unit of `tag`",
            }
        made = self._value(taken)
        owner = _owner(cls, key)
        lines = [
            _attributes(owner).get(key.path[-1], ""),
            _bounds(taken),
            _default(owner, key, taken),
        ]
        about = " ".join(line for line in lines if line)
        return {**made, "description": about} if about else made

    def _value(self, taken: Bare) -> _Schema:
        kind = taken.type
        if is_union(kind):
            return {"anyOf": [self.named(cls) for cls in get_args(kind)]}
        if is_class(kind):
            return self.named(kind)
        origin = origin_of(kind)
        if isinstance(origin, type) and issubclass(origin, Mapping):
            return self._table(taken)
        if origin is tuple and get_args(kind) != (float, float):
            items = self._value(bare(get_args(kind)[0]))
            return {"type": "array", "items": items}
        return _scalar(taken)

    def _table(self, taken: Bare) -> _Schema:
        key, value = (bare(arg) for arg in get_args(taken.type))
        inner = self._value(value)
        if key.type is float:
            return {
                "type": "object",
                "patternProperties": {rf"^{NUMBER}$": inner},
                "additionalProperties": False,
            }
        # `name: null` takes away what the template has.
        return {"type": "object", "additionalProperties": {"anyOf": [inner, {"type": "null"}]}}


def _scalar(taken: Bare) -> _Schema:
    kind, unit = taken.type, taken.unit
    if origin_of(kind) is Literal:
        return {"enum": list(get_args(kind))}
    if origin_of(kind) is tuple:
        ending = "" if unit is Unit.NONE else rf" *({_any_of(unit)})"
        return {"type": "string", "pattern": rf"^{NUMBER} *\.\. *{NUMBER}{ending}$"}
    if kind is float and unit is not Unit.NONE:
        return {"type": "string", "pattern": rf"^{NUMBER} *({_any_of(unit)})$"}
    simple = _SIMPLE.get(kind, {"type": "string"})
    return simple | dict(_keywords(taken)) if kind in {float, int} else simple


_SIMPLE: Mapping[object, _Schema] = {
    float: {"type": "number"},
    int: {"type": "integer"},
    bool: {"type": "boolean"},
    Unit: {"enum": [unit.value for unit in Unit if unit.value]},
    Amount: {"type": ["string", "number"]},
    date: {"type": "string", "pattern": r"^\d{4}-\d{2}-\d{2}$"},
}


def _any_of(unit: Unit) -> str:
    written = dict.fromkeys(form for name in spellings(unit) for form in _forms(name))
    return "|".join(re.escape(form) for form in written)


def _forms(spelling: str) -> tuple[str, ...]:
    """Return how people type a unit: as it is, with plain digits, with their keyboard's sign."""
    plain = spelling.replace("²", "2").replace("³", "3")
    return spelling, plain, spelling.replace("°C", "℃")


def _keywords(taken: Bare) -> Iterator[tuple[str, float]]:
    for mark in taken.marks:
        if type(mark) in _KEYWORDS:
            yield _KEYWORDS[type(mark)], getattr(mark, _WORDS[type(mark)][0])


def _bounds(taken: Bare) -> str:
    parts = [
        f"{words} {format_quantity(float(getattr(mark, name)), taken.unit)}"
        for mark in taken.marks
        for kind, (name, words) in _WORDS.items()
        if isinstance(mark, kind)
    ]
    listed = ", ".join(parts)
    return f"{listed[0].upper()}{listed[1:]}." if listed else ""


def _default(owner: type, key: Key, taken: Bare) -> str:
    field = next(field for field in fields(owner) if field.name == key.path[-1])
    match field.default:
        case bool(value):
            written = str(value).lower()
        case int(value) | float(value):
            written = format_quantity(float(value), taken.unit)
        case str(value):
            written = value
        case tuple(value):
            written = f"[{', '.join(str(item) for item in value)}]" if value else ""
        case _:
            written = ""
    return f"Default {written}." if written else ""


def _owner(cls: type, key: Key) -> type:
    """Return the class that declares a key: `cls`, or the one whose keys stand inline in it."""
    if len(key.path) == 1:
        return cls
    owner: type = bare(get_type_hints(cls, include_extras=True)[key.path[0]]).type
    return owner


def _attributes(cls: type) -> dict[str, str]:
    """Return what the docstring of a class and of those it builds on says of each attribute."""
    found: dict[str, str] = {}
    for base in reversed(cls.__mro__[:-1]):
        _, _, section = (inspect.getdoc(base) or "").partition("Attributes:\n")
        entries = re.findall(r"^    (\w+): (.*(?:\n        .*)*)", section, re.MULTILINE)
        found.update({name: " ".join(words.split()) for name, words in entries})
    return found


if __name__ == "__main__":
    SCHEMA_FILE.write_text(text(), "utf-8")
