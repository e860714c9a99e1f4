"""What the field writes about a raw value: `x*0.01`, `(x-4000)*0.05`, `4 mA`, `0.4 K`.

Rule: nothing here is evaluated; a formula is taken apart with exact fractions, and only a straight
line is one.
"""

import ast
import math
import re
import unicodedata
from dataclasses import dataclass
from fractions import Fraction

from config.quantities import NUMBER, parse
from core.parameters import Unreadable
from core.point import Unit

_LONGEST = 64
_RESULT = re.compile(r"^\s*[yY]\s*=")
_RAW_NAMES = frozenset({"x", "raw"})
_AMOUNT = re.compile(rf"({NUMBER})\s*(\S*)")
_HINT = "write a straight line, as in `x*0.01` or `(x-4000)*0.05`"

_Line = tuple[Fraction, Fraction]
"""Factor and constant of a straight line."""


@dataclass(frozen=True, slots=True)
class Formula:
    """The straight line from the raw number x to the value: x * scale + offset."""

    scale: float
    offset: float

    @classmethod
    def from_text(cls, text: str) -> "Formula":
        """Return the line that a formula in x describes.

        Raises:
            Unreadable: It is no formula, or no straight line.
        """
        # Point lists are typed with an input method: （x-40）×０.1 is meant to be calculated.
        plain = unicodedata.normalize("NFKC", text).replace("×", "*").replace("÷", "/")
        plain = _RESULT.sub("", plain).strip()
        if len(plain) > _LONGEST:
            raise Unreadable(f"`{text[:_LONGEST]}...` is too long for a formula", _HINT)
        try:
            scale, offset = _line(ast.parse(plain, mode="eval").body)
            formula = cls(float(scale), float(offset))
        except (SyntaxError, ValueError, OverflowError, ZeroDivisionError):
            raise Unreadable(f"`{text}` is not a formula of x", _HINT) from None
        if scale == 0:
            raise Unreadable(f"`{text}` is the same whatever x is", _HINT)
        return formula


def _line(node: ast.expr) -> _Line:
    """Return factor and constant of an expression.

    Raises:
        ValueError: It is no straight line.
    """
    match node:
        case ast.Constant(value=int() | float() as number) if math.isfinite(number):
            return Fraction(0), Fraction(repr(number))
        case ast.Name(id=name) if name.lower() in _RAW_NAMES:
            return Fraction(1), Fraction(0)
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return _times(_line(operand), Fraction(-1))
        case ast.UnaryOp(op=ast.UAdd(), operand=operand):
            return _line(operand)
        case ast.BinOp(left=left, op=operation, right=right):
            return _joined(_line(left), operation, _line(right))
        case _:
            raise ValueError("no straight line")


def _joined(left: _Line, operation: ast.operator, right: _Line) -> _Line:
    match operation:
        case ast.Add():
            return left[0] + right[0], left[1] + right[1]
        case ast.Sub():
            return left[0] - right[0], left[1] - right[1]
        case ast.Mult() if left[0] == 0:
            return _times(right, left[1])
        case ast.Mult() if right[0] == 0:
            return _times(left, right[1])
        case ast.Div() if right[0] == 0:
            return _times(left, 1 / right[1])
        case _:
            raise ValueError("no straight line")


def _times(line: _Line, factor: Fraction) -> _Line:
    return line[0] * factor, line[1] * factor


@dataclass(frozen=True, slots=True)
class RawCount:
    """What a register shows: a number of counts (`27648`) or a current (`4 mA`)."""

    number: float
    is_ma: bool

    @classmethod
    def from_text(cls, text: str) -> "RawCount":
        """Return what is written as a number, or as a number and mA.

        Raises:
            Unreadable: It is neither.
        """
        found = _AMOUNT.fullmatch(text.strip())
        if found is None or found[2] not in {"", "mA"}:
            hint = "write counts or a current, as in `27648` or `20 mA`"
            raise Unreadable(f"`{text}` is not what a register shows", hint)
        return cls(float(found[1]), found[2] == "mA")


@dataclass(frozen=True, slots=True)
class Amount:
    """A number, with or without its unit, whose kind only its neighbours tell."""

    text: str

    @classmethod
    def from_text(cls, text: str) -> "Amount":
        """Return the amount as written.

        Raises:
            Unreadable: It does not begin with a number.
        """
        if len(text) > _LONGEST or _AMOUNT.fullmatch(text.strip()) is None:
            raise Unreadable(
                f"`{text[:_LONGEST]}` is not a quantity", "write a number and its unit"
            )
        return cls(text.strip())

    @property
    def has_unit(self) -> bool:
        """Whether a unit stands behind the number."""
        found = _AMOUNT.fullmatch(self.text)
        return found is not None and found[2] != ""

    def in_unit(self, unit: Unit) -> float:
        """Return the amount in `unit`, which it has already where none is written.

        Raises:
            Unreadable: It is another kind of quantity.
        """
        return parse(self.text, unit) if self.has_unit else float(self.text)
