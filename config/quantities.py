"""Quantities and dates as people write them: `15 min`, `0.40 MPa`, `35..80 °C`, `2024-09-18`.

Rule: conversion is exact (fractions, rounded once), and a number without a unit is no quantity.
"""

import re
import unicodedata
from datetime import date
from fractions import Fraction

from core.parameters import Unreadable
from core.point import Unit

_Family = dict[str, Fraction]


def _family(**factors: str) -> _Family:
    return {spelling: Fraction(factor) for spelling, factor in factors.items()}


_FAMILIES: dict[str, _Family] = {
    "a time": _family(s="1000", min="60000", h="3600000", d="86400000", ms="1"),
    "a temperature": {"°C": Fraction(1)},
    "a temperature difference": _family(K="1"),
    "a rate of temperature": {"K/h": Fraction(1), "K/min": Fraction(60)},
    "a share": {"%": Fraction(1)},
    "a rate of opening": {"%/s": Fraction(60), "%/min": Fraction(1)},
    "a gain in K/K": {"K/K": Fraction(1)},
    "a gain in %/K": {"%/K": Fraction(1)},
    "a pressure": _family(kPa="1", bar="100", MPa="1000"),
    "a volume": {"m³": Fraction(1), "L": Fraction(1, 1000)},
    "a flow": {"m³/h": Fraction(1), "L/s": Fraction(36, 10)},
    "a heat output": {"kW": Fraction(1), "MW": Fraction(1000), "GJ/h": Fraction(10**6, 3600)},
    "an amount of heat": {"GJ": Fraction(1), "kWh": Fraction(36, 10**4), "MWh": Fraction(36, 10)},
    "a length": {"m": Fraction(1), "cm": Fraction(1, 100), "mm": Fraction(1, 1000)},
    "an area": {"m²": Fraction(1)},
    "a frequency": _family(Hz="1"),
    "a rate of frequency": {"Hz/s": Fraction(1)},
    "a gain in Hz per pressure": {"Hz/MPa": Fraction(1), "Hz/kPa": Fraction(1000)},
    "a current": _family(A="1"),
    "a speed": {"m/s": Fraction(36), "km/h": Fraction(10)},
    "a radiation": {"W/m²": Fraction(1), "kW/m²": Fraction(1000)},
}
"""Spellings of each kind of quantity and how much each is of the family's smallest."""

NUMBER = r"[-+]?[0-9]+(?:\.[0-9]+)?(?:[eE][-+]?[0-9]{1,3})?"
"""A number in YAML. More digits of exponent would make fractions of gigabytes."""

_NUMBER = re.compile(NUMBER)
_QUANTITY = re.compile(rf"({NUMBER})\s*(\S*)")
_RANGE = re.compile(rf"({NUMBER})\s*\.\.\s*({NUMBER})\s*(\S*)")
_DECIMAL_COMMA = re.compile(r"[-+]?[0-9]+[,，][0-9]+\s*\S*")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_LONGEST = 64
# Beyond this a float has no fraction left and its digits are no longer all its own.
_WHOLE_MAX = 1e15


def _fold(spelling: str) -> str:
    # An input method writes ℃, ㎡, ％ or m３; all of them mean the plain unit.
    return unicodedata.normalize("NFKC", spelling)


_KIND_OF: dict[str, tuple[str, Fraction]] = {
    _fold(spelling): (kind, factor)
    for kind, family in _FAMILIES.items()
    for spelling, factor in family.items()
}


def spellings(unit: Unit) -> tuple[str, ...]:
    """Return the units in which a quantity kept in `unit` may be written; none for `Unit.NONE`."""
    if unit is Unit.NONE:
        return ()
    kind, _ = _KIND_OF[_fold(unit.value)]
    return tuple(_FAMILIES[kind])


def unit_named(spelling: str) -> Unit | None:
    """Return the unit in which heatd keeps values, from its spelling (`m3/h`, `℃`), or None."""
    folded = _fold(spelling)
    return next((unit for unit in Unit if _fold(unit.value) == folded), None)


def kept_like(spelling: str) -> tuple[str, ...]:
    """Return the units in which heatd keeps the kind of quantity that `spelling` is a unit of."""
    kind, _ = _KIND_OF.get(_fold(spelling), ("", Fraction(1)))
    return tuple(unit.value for unit in Unit if unit.value in _FAMILIES.get(kind, {}))


def parse(text: str, unit: Unit) -> float:
    """Return the quantity `text` in `unit`.

    Raises:
        Unreadable: It is no quantity of that kind.
    """
    match = _QUANTITY.fullmatch(_checked(text, unit))
    if match is None:
        raise Unreadable(f"`{text}` is not a quantity", _write(unit))
    number, spelling = match.groups()
    return _convert(number, _factor(text, number, spelling, unit), unit)


def parse_range(text: str, unit: Unit) -> tuple[float, float]:
    """Return both ends of the range `text` ("35..80 °C") in `unit`, the low end first.

    Raises:
        Unreadable: It is no range of that kind, or its ends are crossed.
    """
    match = _RANGE.fullmatch(_checked(text, unit))
    if match is None:
        wanted = f"35..80 {unit.value}".strip()
        raise Unreadable(f"`{text}` is not a range", f"write its ends as in `{wanted}`")
    first, second, spelling = match.groups()
    factor = _factor(text, f"{first}..{second}", spelling, unit)
    low, high = _convert(first, factor, unit), _convert(second, factor, unit)
    if low >= high:
        wanted = f"{second}..{first} {spelling}".strip()
        raise Unreadable(f"`{text}`: the ends are crossed", f"write `{wanted}`")
    return low, high


def read_date(text: str) -> date:
    """Return the day written as year-month-day.

    Raises:
        Unreadable: There is no such day.
    """
    try:
        if _DATE.fullmatch(text):
            return date.fromisoformat(text)
    except ValueError:
        pass
    raise Unreadable(f"`{text}` is not a date", "write year-month-day, as in `2024-09-18`")


def is_number(text: str) -> bool:
    """Return whether `text` is a plain finite number."""
    return _NUMBER.fullmatch(text) is not None


def format_quantity(value: float, unit: Unit) -> str:
    """Return `value`, kept in `unit`, as a person would write it; `parse` gives back the same.

    A time is given in the largest unit that makes it a whole number: 900 s is "15 min".
    """
    if unit is Unit.SECOND and value and value.is_integer():
        for spelling, seconds in (("d", 86400), ("h", 3600), ("min", 60)):
            if value % seconds == 0:
                return f"{value / seconds:.0f} {spelling}"
    number = f"{value:.0f}" if value.is_integer() and abs(value) < _WHOLE_MAX else repr(value)
    return f"{number} {unit.value}".rstrip()


def _checked(text: str, unit: Unit) -> str:
    if len(text) > _LONGEST:
        raise Unreadable(f"`{text[:_LONGEST]}...` is too long for a quantity", _write(unit))
    if _DECIMAL_COMMA.fullmatch(text):
        wanted = text.replace(",", ".").replace("，", ".")
        raise Unreadable(f"`{text}` has a decimal comma", f"write `{wanted}`")
    return text.strip()


def _write(unit: Unit) -> str:
    names = spellings(unit)
    if not names:
        return "write a plain number"
    return f"write a number and its unit: {', '.join(names)}"


def _write_share(percent: str) -> str:
    return f"write `{float(Fraction(percent) / 100):g}` if a share of 1 is meant, or `{percent}`"


def _factor(text: str, number: str, spelling: str, unit: Unit) -> Fraction:
    """Return how many of the family's smallest units one `spelling` is."""
    if unit is Unit.NONE:
        if spelling == "%":
            raise Unreadable(f"`{text}` has a unit where none belongs", _write_share(number))
        if spelling:
            raise Unreadable(f"`{text}` has a unit where none belongs", f"write `{number}`")
        return Fraction(1)
    kind, own = _KIND_OF[_fold(unit.value)]
    if not spelling:
        others = " (or another unit of it)" if len(_FAMILIES[kind]) > 1 else ""
        raise Unreadable(f"`{text}` has no unit", f"write `{number} {unit.value}`{others}")
    found = _KIND_OF.get(_fold(spelling))
    if found is None:
        near = [name for name in _FAMILIES[kind] if name.lower() == _fold(spelling).lower()]
        hint = f"write `{number} {near[0]}`" if near else _write(unit)
        raise Unreadable(f"`{text}`: the unit `{spelling}` is unknown", hint)
    if found[0] != kind:
        raise Unreadable(f"`{text}` is {found[0]}, not {kind}", _write(unit))
    return found[1] / own


def _convert(number: str, factor: Fraction, unit: Unit) -> float:
    try:
        return float(Fraction(number) * factor)
    except OverflowError:
        raise Unreadable(f"`{number}` is too large", _write(unit)) from None
