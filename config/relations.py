"""Relations that must hold between the values of a station: `T2g >= T2h - 1 K`.

Rule: a relation is one line that an engineer can read aloud; what it cannot say is an alarm's
business.
"""

import re
from dataclasses import dataclass
from typing import Annotated

from annotated_types import Ge, Le

from config.quantities import NUMBER, parse, unit_named
from config.shape import Named
from core.parameters import Unreadable, parameters
from core.point import Tag, Unit

_TAG = r"(?:[A-Za-z][A-Za-z0-9_-]*\.)?[A-Za-z][A-Za-z0-9_]*"
_HOLDS = re.compile(
    rf"({_TAG}) *(>=|<=) *(?:({_TAG})(?: *([+-]) *({NUMBER} *\S+))?|({NUMBER} *\S+))"
)


@dataclass(frozen=True, slots=True)
class Holds:
    """A value compared with another one, or with a number.

    Attributes:
        tag: The value.
        is_above: It must be at or above the other, else at or below.
        other: The other value; None where it is the number `by` alone.
        by: What is added to the other value, in `unit`.
        unit: Unit of `by`; `Unit.NONE` where nothing is added.
        text: As it is written.
    """

    tag: Tag
    is_above: bool
    other: Tag | None
    by: float
    unit: Unit
    text: str

    @classmethod
    def from_text(cls, text: str) -> "Holds":
        """Return the relation.

        Raises:
            Unreadable: It is not written so.
        """
        match = _HOLDS.fullmatch(text)
        hint = "write it as in `T2g >= T2h - 1 K` or `F1 >= 5 m³/h`"
        if match is None:
            raise Unreadable(f"`{text}` is not a relation", hint)
        tag, sign, other, direction, margin, number = match.groups()
        by, unit = 0.0, Unit.NONE
        written = margin or number
        if written:
            spelling = re.sub(rf"^{NUMBER} *", "", written)
            found = unit_named(spelling)
            if found is None:
                raise Unreadable(f"heatd keeps nothing in `{spelling}`", hint)
            unit, by = found, parse(written, found)
        if direction == "-":
            by = -by
        return cls(Tag(tag), sign == ">=", None if other is None else Tag(other), by, unit, text)


@parameters
class Relation:
    """A relation that must hold while a circulation pump of the circuit runs.

    Attributes:
        holds: The relation.
        only_while: Where it says something at all, e.g. while there is a flow.
        delay_s: How long it must be broken, and how long kept again.
        suspect: The value that is BAD while it is broken; none, and there is only the alarm.
    """

    holds: Holds
    only_while: Annotated[Holds | None, Named("while")] = None
    delay_s: Annotated[float, Unit.SECOND, Ge(0), Le(86400)] = 300.0
    suspect: Tag | None = None
