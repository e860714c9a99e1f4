"""What to write instead: names that are known and look alike, keys that are meant or missing.

Rule: advice is a guess from what was typed; it never changes what is read.
"""

import difflib
from collections.abc import Iterable, Mapping
from typing import Literal, get_args

from config.shape import Key, bare, origin_of
from core.point import Unit


def nearest(name: str, known: Iterable[str]) -> str:
    """Return the one of the `known` names that `name` seems to mean; empty if none does."""
    names = list(known)
    by_case = [candidate for candidate in names if candidate.lower() == name.lower()]
    found = by_case or difflib.get_close_matches(name, names, n=1)
    return found[0] if found else ""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return "did you mean ...?" if one of the `known` names looks like `name`, else nothing."""
    near = nearest(name, known)
    return f"did you mean `{near}`?" if near else ""


def one_of(text: str, known: Iterable[str]) -> str:
    """Return what to write instead of `text`, which is none of the `known` words."""
    names = list(known)
    choice = f"one of {', '.join(names)}" if len(names) > 1 else f"`{names[0]}`"
    # Of a family the first is the most usual: `modbus` means `modbus_tcp`.
    family = [name for name in names if name.startswith(f"{text}_")]
    return did_you_mean(text, family[:1] or names) or f"write {choice}"


def meant_key(name: str, keys: Mapping[str, Key]) -> tuple[str, str]:
    """Return the key that an unknown one seems to mean, and the advice that goes with it."""
    first, _, rest = name.replace(":", " ", 1).partition(" ")
    if rest and first in keys:
        return first, f"a colon and a space are missing: `{first}: {rest}`"
    fields = {key.path[-1]: key.name for key in keys.values()}
    if name in fields:
        return fields[name], f"write `{fields[name]}`; the unit stands in the value"
    near = nearest(name, keys)
    return near, f"did you mean `{near}`?" if near else f"possible are {', '.join(keys)}"


def wanted(key: Key) -> str:
    """Return what to write for a key that is missing."""
    taken = bare(key.hint)
    if origin_of(taken.type) is Literal:
        return f"add one of {', '.join(f'`{key.name}: {value}`' for value in get_args(taken.type))}"
    unit = f", a quantity in {taken.unit.value}" if taken.unit is not Unit.NONE else ""
    return f"add `{key.name}: ...`{unit}"
