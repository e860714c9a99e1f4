"""What pydantic finds wrong with a field, in the words and units of the person who wrote it.

Rule: an error's `loc` names Python fields; people know YAML keys.
"""

from typing import Any

from pydantic_core import ErrorDetails

from config.quantities import format_quantity
from config.shape import Key, bare, keys_of

_BOUNDS = {
    "greater_than": ("gt", "more than"),
    "greater_than_equal": ("ge", "at least"),
    "less_than": ("lt", "less than"),
    "less_than_equal": ("le", "at most"),
}
_LENGTHS = {
    "too_short": ("min_length", "at least"),
    "too_long": ("max_length", "at most"),
    "string_too_short": ("min_length", "at least"),
    "string_too_long": ("max_length", "at most"),
}


def complaint(error: ErrorDetails, cls: type) -> tuple[tuple[str | int, ...], str, str]:
    """Return where below the object's branch an error lies, what is wrong and what to write.

    Args:
        error: One error of the validation of `cls`.
        cls: The class that was validated.
    """
    key, rest = _key(error["loc"], cls)
    context: dict[str, Any] = error.get("ctx", {})
    unit = bare(key.hint).unit
    kind = error["type"]
    if kind in _BOUNDS:
        name, words = _BOUNDS[kind]
        bound = format_quantity(float(context[name]), unit)
        found = format_quantity(float(error["input"]), unit)
        return (key.name, *rest), f"`{key.name}` is {found}", f"write {words} {bound}"
    if kind in _LENGTHS:
        name, words = _LENGTHS[kind]
        what = "characters" if kind.startswith("string") else "entries"
        found_length = len(error["input"])
        bound = f"{words} {context[name]}"
        return (key.name, *rest), f"`{key.name}` has {found_length} {what}", f"write {bound}"
    return (key.name, *rest), f"`{key.name}` is wrong: {error['msg'].lower()}", ""


def _key(loc: tuple[str | int, ...], cls: type) -> tuple[Key, tuple[str | int, ...]]:
    """Return the YAML key at whose value `loc` begins, and how it goes on below it."""
    key = next(key for key in keys_of(cls).values() if loc[: len(key.path)] == key.path)
    return key, loc[len(key.path) :]
