"""Where a variable lies in an OPC UA server, as an engineer writes it.

Rule: a namespace is named by its URI and never by its index, which may differ after each start of
the server.
"""

import re
from dataclasses import dataclass
from typing import Literal, cast
from uuid import UUID

IdType = Literal["s", "i", "g", "path"]

_ID = re.compile(r"(?:ns=([^;]*);)?([sig])=(.+)", re.DOTALL)
_STEP = re.compile(r"((?:[^/&]|&.)+)(?:/|$)", re.DOTALL)
_ESCAPED = re.compile(r"&(.)", re.DOTALL)
_ROOT = "Objects"
_NUMERIC_MAX = 2**32 - 1


@dataclass(frozen=True, slots=True)
class NodeAddress:
    """A node identifier, or the way there from the server's root.

    Attributes:
        type: `s`: a string, `i`: a number, `g`: a GUID, `path`: browse names.
        namespace: URI; empty stands for the device's own. A path has none.
        identifier: What follows `s=`, `i=` or `g=`; empty for a path.
        path: Browse names below `Objects`, without it.
    """

    type: IdType
    namespace: str = ""
    identifier: str = ""
    path: tuple[str, ...] = ()

    @classmethod
    def from_text(cls, text: str) -> "NodeAddress":
        """Return the address written as `ns=URI;s=...`, `/Objects/...`, or a string identifier.

        Raises:
            ValueError: There is no such address; says what is wrong and what to write.
        """
        if text.startswith("/"):
            return cls("path", path=_path(text))
        match = _ID.fullmatch(text)
        if match is None:
            return cls("s", identifier=text)
        namespace, kind, identifier = match[1] or "", cast("IdType", match[2]), match[3]
        if namespace.isdigit():
            raise ValueError("an index may differ after each start; write `ns=` and the URI")
        if kind == "i" and not (identifier.isdecimal() and int(identifier) <= _NUMERIC_MAX):
            raise ValueError(f"`{identifier}` is no number from 0 to {_NUMERIC_MAX}")
        if kind == "g":
            identifier = _guid(identifier)
        return cls(kind, namespace, identifier)


def _path(text: str) -> tuple[str, ...]:
    steps = _STEP.findall(text[1:])
    if _STEP.sub("", text[1:]) or text.endswith("/") or len(steps) < 2:  # noqa: PLR2004 - the root and one below it
        raise ValueError("a path is written as in `/Objects/Station/T2g`, a `/` in a name as `&/`")
    root, *below = (_ESCAPED.sub(r"\1", step) for step in steps)
    if root != _ROOT:
        raise ValueError(f"a path begins with `/{_ROOT}/`")
    return tuple(below)


def _guid(text: str) -> str:
    try:
        return str(UUID(text))
    except ValueError:
        hint = "write it as in `g=09087e75-8e5e-499b-954f-f2a9603db28a`"
        raise ValueError(f"`{text}` is no GUID; {hint}") from None
