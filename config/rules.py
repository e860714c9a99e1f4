"""What a map says of a point beyond where it lies: how fast it may change and how often be written.

Rule: a rate is in the point's own unit per time; that cannot be known before the point is whole.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from math import inf
from typing import Annotated, Literal

from annotated_types import Ge, Gt, Le

from config.quantities import parse
from config.reading import Finding
from core.parameters import Unreadable, parameters
from core.point import ORDINARY, Unit, Writing

_DAY_S = 86_400.0
_EEPROM = (200, _DAY_S)
_WRITE_KEYS = ("memory", "writes_per_day", "refresh_s", "authority")
_SECONDS = {"s": 1.0, "min": 60.0, "h": 3600.0}


@dataclass(frozen=True, slots=True)
class Rate:
    """A change per time as it is written: `5 K/min`, `2 %/s`, `0.05 MPa/min`."""

    change: str
    per_s: float

    @classmethod
    def from_text(cls, text: str) -> "Rate":
        """Return the rate.

        Raises:
            Unreadable: It is not written as a quantity per s, min or h.
        """
        change, _, time = text.rpartition("/")
        if not change.strip() or time.strip() not in _SECONDS:
            hint = "write a change per time, as in `5 K/min` or `2 %/s`"
            raise Unreadable(f"`{text}` is not a rate", hint)
        return cls(change.strip(), _SECONDS[time.strip()])


@parameters
class PointChecks:
    """What is implausible about a value, and how fast heatd may move it.

    Attributes:
        rate: Fastest change. A reading that jumps further is BAD, until the jump has lasted for
            `rate_after` readings. A point that heatd writes is moved no faster; only what protects
            the station (trip, frost, stop) is.
        rate_after: See `rate`.
        frozen: A value that has not moved by one count for so long is STALE.
    """

    rate: Rate | None = None
    rate_after: Annotated[int, Ge(1), Le(1000)] = 3
    frozen_s: Annotated[float, Unit.SECOND, Gt(0)] | None = None


@parameters
class WriteRules:
    """How a point that heatd writes may be written.

    Attributes:
        memory: Where the PLC keeps it. `eeprom` wears out: it is written 200 times a day at most
            and refreshed daily, unless the next two keys say otherwise.
        writes_per_day: Most writes in a day, 5000 in `ram`; trips, frost, stops and the heartbeat
            always pass. When half of them are gone, only larger changes are written.
        refresh: A value that stands is sent again after this time, 60 s in `ram`.
        authority: For which `authority: write` of a station it may be written; both if left out.
    """

    memory: Literal["ram", "eeprom"] = "ram"
    writes_per_day: Annotated[int, Ge(1), Le(1_000_000)] | None = None
    refresh_s: Annotated[float, Unit.SECOND, Ge(5), Le(7 * 86400)] | None = None
    authority: tuple[Literal["valve", "setpoint"], ...] = ()


_ORDINARY = WriteRules()


def writing_of(rules: WriteRules) -> Writing:
    """Return the rules with what they leave to the kind of memory."""
    if rules == _ORDINARY:
        return ORDINARY
    is_eeprom = rules.memory == "eeprom"
    per_day, refresh_s = _EEPROM if is_eeprom else (ORDINARY.per_day, ORDINARY.refresh_s)
    return Writing(
        refresh_s=rules.refresh_s or refresh_s,
        per_day=rules.writes_per_day or per_day,
        is_eeprom=is_eeprom,
        modes=frozenset(rules.authority) or ORDINARY.modes,
    )


def write_flaws(rules: WriteRules, *, is_written: bool) -> Iterator[Finding]:
    """Yield what is wrong with the rules of a point; `is_written`: heatd writes it at all."""
    if rules != _ORDINARY and not is_written:
        key = next(key for key in _WRITE_KEYS if getattr(rules, key) != getattr(_ORDINARY, key))
        yield (key.removesuffix("_s"),), "heatd does not write this point", "remove the line"
        return
    writing = writing_of(rules)
    refreshes = _DAY_S / writing.refresh_s
    if refreshes > writing.per_day:
        message = f"the refresh alone is {refreshes:.0f} writes a day, of {writing.per_day}"
        key = "refresh" if rules.refresh_s is not None else "writes_per_day"
        yield (key,), message, "refresh less often, or allow more writes"


def per_second(rate: Rate | None, unit: Unit) -> float:
    """Return a rate in `unit` per s; infinite where there is none.

    Raises:
        Unreadable: It is not a change of a quantity that is kept in `unit`.
    """
    if rate is None:
        return inf
    return parse(rate.change, Unit.KELVIN if unit is Unit.CELSIUS else unit) / rate.per_s


def check_flaws(checks: PointChecks, unit: Unit, *, is_number: bool) -> Iterator[Finding]:
    """Yield what is wrong with the checks of a point that is kept in `unit`."""
    try:
        fastest = per_second(checks.rate, unit)
    except Unreadable as error:
        yield ("rate",), error.what, error.hint
        return
    if fastest <= 0.0:
        yield ("rate",), "the value could never change", "write more than 0"
    if not is_number:
        for key, is_given in (
            ("rate", checks.rate is not None),
            ("frozen", checks.frozen_s is not None),
        ):
            if is_given:
                yield (key,), "only a number creeps or freezes", "remove the line"
