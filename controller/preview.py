"""What a command would do, as people read it before they say yes, and how a request is refused.

Rule: a refusal always says what to do next.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

from core.command import Command

_PLAIN_MAX = 1000.0


class Cause(Enum):
    """Why a request is refused, as a program reads it."""

    UNKNOWN = "unknown"
    INVALID = "invalid"
    FORBIDDEN = "forbidden"
    CONFLICT = "conflict"
    TOO_MANY = "too_many"
    UNAVAILABLE = "unavailable"


@dataclass(frozen=True, slots=True)
class Refusal:
    """A request that is not carried out: why, and what to do next."""

    cause: Cause
    sentence: str
    next_step: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """What a command would do. `subject` is what it moves: two commands to one subject compete."""

    command: Command
    subject: str
    present: str
    wanted: str
    mode: str
    holder: str
    warnings: tuple[str, ...] = ()

    @property
    def detail(self) -> str:
        """The change in one line, for the audit."""
        lease = f", lease {lease_text(self.command.lease_s)}" if self.command.lease_s else ""
        return f"{self.subject}: {self.present} -> {self.wanted}{lease}"


@dataclass(frozen=True, slots=True, kw_only=True)
class SetPoint(Command):
    """Give `point` a value: CV1_SV that a loop moves, `offset`, `setpoint`, or one not good."""

    point: str
    value: float


def quantity(value: float, unit: str) -> str:
    """Return a value with its unit as people read it; a value that is not known says so."""
    if not math.isfinite(value):
        return "unknown"
    number = f"{value:.4g}" if abs(value) < _PLAIN_MAX else f"{value:.0f}"
    return f"{number} {unit}".rstrip()


def lease_text(lease_s: float) -> str:
    """Return a duration in its largest whole unit: 4 h, 90 min, 61 s."""
    for unit, seconds in (("h", 3600.0), ("min", 60.0)):
        if lease_s >= seconds and lease_s % seconds == 0.0:
            return f"{lease_s / seconds:g} {unit}"
    return f"{lease_s:g} s"


def listed(names: Iterable[str]) -> str:
    """Return names for a sentence."""
    return ", ".join(names) or "none"
