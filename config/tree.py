"""A YAML file as a tree in which every key and every value knows where it stands.

Rule: scalars stay text until a parameter class says what they mean, so `no` is never a boolean and
`0777` never octal; what YAML can do beyond plain mappings, lists and scalars is refused.
"""

import re
from dataclasses import dataclass, field, replace
from pathlib import Path

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode

from config.problem import ConfigErrors, Place, Problem, problem_at
from config.quantities import is_number
from config.syntax import explain, full_width

BYTES_MAX = 256 * 1024
VALUES_MAX = 20_000
DEPTH_MAX = 16
BRACKETS_MAX = 64
ALIASES_MAX = 100

_FORBIDDEN = re.compile(r"[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_BRACKET = re.compile(r"[\[\]{}]")
_TAG = "tag:yaml.org,2002:"
_KNOWN_TAGS = frozenset(
    {"map", "seq", "str", "int", "float", "bool", "null", "timestamp", "merge", "value"}
)
# What ruamel lets through beside its own errors, all seen: chr() of "\\U99999999" and the like.
_LEAKS = (ValueError, OverflowError)
_NULLS = frozenset({"null", "~"})


@dataclass(frozen=True, slots=True)
class Branch:
    """One node of a configuration.

    Attributes:
        place: Where the value stands.
        key_place: Where its key stands; the value's place where it has none.
        mapping: The children of a mapping, by the text of their keys.
        items: The children of a list.
        text: A scalar as written; None where nothing or `null` is written.
        is_plain: The scalar is not quoted.
        is_null: The scalar is the word `null`.
    """

    place: Place
    key_place: Place
    mapping: "dict[str, Branch] | None" = None
    items: "tuple[Branch, ...] | None" = None
    text: str | None = None
    is_plain: bool = False
    is_null: bool = False

    def at(self, *path: str) -> "Branch":
        """Return the deepest branch that exists on `path`, which goes through mappings."""
        branch = self
        for key in path:
            child = (branch.mapping or {}).get(key)
            if child is None:
                return branch
            branch = child
        return branch


def read_tree(path: Path, name: str) -> Branch:
    """Return the content of the YAML file `path`; `name` stands for it in problems.

    Raises:
        ConfigErrors: It cannot be read, or it is not one YAML 1.2 mapping of moderate size.
    """
    text = _read_text(path, name)
    start = Place(name, 1, 1)
    _refuse_deep_brackets(text, name)
    try:
        # A YAML object keeps state, so each file has its own. `compose` gives nodes with their
        # positions and leaves it to us what a scalar means.
        root = YAML(typ="safe", pure=True).compose(text)
    except MarkedYAMLError as error:
        raise ConfigErrors([explain(error, text, name)]) from error
    except RecursionError as error:
        raise ConfigErrors([problem_at(start, "the file is nested too deeply")]) from error
    except (YAMLError, *_LEAKS) as error:
        raise ConfigErrors([problem_at(start, f"the file is not YAML: {error}")]) from error
    if root is None:
        raise ConfigErrors([problem_at(start, "the file is empty")])
    growth = _Growth(name)
    tree = growth.branch(root, depth=0)
    if not growth.problems and tree.mapping is None:
        hint = full_width(text, name) or problem_at(
            tree.place, "the file is not a mapping", "write `key: value` lines"
        )
        growth.problems.append(hint)
    if growth.problems:
        raise ConfigErrors(growth.problems)
    return tree


def merge(template: Branch, station: Branch) -> tuple[Branch, list[Problem]]:
    """Return `station` laid over `template`: mappings merge key by key, else the station wins.

    A table of numbers (a curve) is replaced as a whole. `key: null` takes a key of the template
    away.
    """
    if template.mapping is None or station.mapping is None or _is_curve(station.mapping):
        return station, []
    merged = dict(template.mapping)
    problems: list[Problem] = []
    for key, child in station.mapping.items():
        below = template.mapping.get(key)
        if child.is_null:
            merged.pop(key, None)
            if below is None:
                message = f"`{key}: null` takes away what the template or map does not have"
                problems.append(problem_at(child.key_place, message, "remove the line"))
        elif below is None:
            merged[key] = child
        else:
            merged[key], more = merge(below, child)
            problems += more
    place = station.place
    return Branch(place=place, key_place=station.key_place, mapping=merged), problems


def _is_curve(mapping: dict[str, Branch]) -> bool:
    return bool(mapping) and all(is_number(key) for key in mapping)


def _read_text(path: Path, name: str) -> str:
    start = Place(name, 1, 1)
    try:
        size = path.stat().st_size
        raw = path.read_bytes() if size <= BYTES_MAX else b""
    except OSError as error:
        reason = (error.strerror or "unknown error").lower()
        raise ConfigErrors([problem_at(start, f"the file cannot be read: {reason}")]) from error
    if size > BYTES_MAX:
        message = f"the file has {size} bytes; at most {BYTES_MAX} are read"
        raise ConfigErrors([problem_at(start, message, "split it into several files")])
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        place = _place_of(raw[: error.start].decode("utf-8", "replace"), name)
        message = "this byte is not UTF-8"
        raise ConfigErrors([problem_at(place, message, "save the file as UTF-8")]) from error
    found = _FORBIDDEN.search(text)
    if found is not None:
        place = _place_of(text[: found.start()], name)
        message = f"the control character U+{ord(found.group()):04X} cannot stand in YAML"
        raise ConfigErrors([problem_at(place, message, "remove it")])
    return text


def _refuse_deep_brackets(text: str, name: str) -> None:
    """Refuse what would keep the parser busy for many seconds before it gives up."""
    depth = 0
    for found in _BRACKET.finditer(text):
        depth += 1 if found.group() in "[{" else -1
        if depth > BRACKETS_MAX:
            place = _place_of(text[: found.start()], name)
            message = f"more than {BRACKETS_MAX} brackets are open here"
            raise ConfigErrors([problem_at(place, message, "close them")])


def _place_of(before: str, name: str) -> Place:
    lines = before.split("\n")
    return Place(name, len(lines), len(lines[-1]) + 1)


@dataclass(slots=True)
class _Growth:
    """The making of one tree, with everything that is wrong on the way.

    `grown` has each finished node with the number of values in it, so that an alias costs nothing
    but is counted in full: written once, it may stand for thousands of values.
    """

    file: str
    problems: list[Problem] = field(default_factory=list)
    values: int = 0
    aliases: int = 0
    grown: dict[int, tuple[Branch, int]] = field(default_factory=dict)
    growing: set[int] = field(default_factory=set)

    def branch(self, node: Node, *, depth: int, key: Node | None = None) -> Branch:
        """Return `node` as a branch."""
        place = self._place(node)
        key_place = place if key is None else self._place(key)
        known = self.grown.get(id(node))
        if known is not None:
            self.aliases += 1
            self.values += known[1]
        if self._is_beyond_limits(node, place, depth):
            return Branch(place=place, key_place=key_place)
        if known is not None:
            return replace(known[0], key_place=key_place)
        before = self.values
        self.values += 1
        self.growing.add(id(node))
        branch = self._new(node, Branch(place=place, key_place=key_place), depth=depth)
        self.growing.remove(id(node))
        self.grown[id(node)] = branch, self.values - before
        return branch

    def _new(self, node: Node, bare: Branch, *, depth: int) -> Branch:
        if str(node.tag).removeprefix(_TAG) not in _KNOWN_TAGS:
            self._add(bare.place, f"the tag `{node.tag}` means nothing here", "remove it")
        match node:
            case MappingNode():
                return replace(bare, mapping=self._mapping(node, depth=depth))
            case ScalarNode():
                text, is_plain = str(node.value), not node.style
                if is_plain and text in {"", *_NULLS}:
                    return replace(bare, is_null=text in _NULLS)
                return replace(bare, text=text, is_plain=is_plain)
            case _:
                items = tuple(self.branch(item, depth=depth + 1) for item in node.value)
                return replace(bare, items=items)

    def _mapping(self, node: MappingNode, *, depth: int) -> dict[str, Branch]:
        mapping: dict[str, Branch] = {}
        for key, value in node.value:
            place = self._place(key)
            if not isinstance(key, ScalarNode):
                self._add(place, "a key must be a plain word", "write `key: value`")
            elif key.value in mapping:
                first = mapping[key.value].key_place.line
                message = f"`{key.value}` stands twice (first in line {first})"
                self._add(place, message, "remove one of them")
            else:
                mapping[key.value] = self.branch(value, depth=depth + 1, key=key)
        return mapping

    def _is_beyond_limits(self, node: Node, place: Place, depth: int) -> bool:
        limits = (
            (id(node) in self.growing, "this alias stands inside its own anchor"),
            (self.values > VALUES_MAX, f"more than {VALUES_MAX} values, aliases written out"),
            (self.aliases > ALIASES_MAX, f"more than {ALIASES_MAX} aliases"),
            (depth > DEPTH_MAX, f"nested more than {DEPTH_MAX} levels deep"),
        )
        broken = next((message for is_broken, message in limits if is_broken), None)
        if broken is None:
            return False
        # Once is enough: a file of this sort would give thousands of problems.
        if not any(problem.message == broken for problem in self.problems):
            self._add(place, broken, "a configuration is plain: write out what is meant")
        return True

    def _place(self, node: Node) -> Place:
        mark = node.start_mark
        return Place(self.file, mark.line + 1, mark.column + 1)

    def _add(self, place: Place, message: str, hint: str) -> None:
        self.problems.append(problem_at(place, message, hint))
