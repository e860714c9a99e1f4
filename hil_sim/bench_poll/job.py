"""What one contender is asked to do, as it is handed to its process.

Rule: plain values only, so that it goes through a command line.
"""

import json
from dataclasses import asdict, dataclass
from enum import Enum


class Scope(Enum):
    """How much of heatd runs."""

    WHOLE = "whole"
    """The daemon: polled on the grid, decided, written, recorded."""
    FLAT_OUT = "flat out"
    """The same without a pause between two scans."""
    CHECKED = "checked"
    """Polled, checked for alarms and recorded without a pause; nothing is decided or written."""
    RECORD = "record"
    """Polled on the grid, decoded and stored; nothing is decided."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One run of one contender.

    Attributes:
        config: Folder of the configuration.
        state: Folder for what the contender writes.
        ports: Ports of the stations' PLCs.
        tags: Float points of each station.
        period_s: Scan period, s.
        seconds: Length of the measured window, s.
        loop: Event loop, "asyncio" or "uvloop".
        scope: How much of heatd runs.
    """

    config: str
    state: str
    ports: tuple[int, ...]
    tags: int
    period_s: float
    seconds: float
    loop: str
    scope: Scope = Scope.WHOLE

    def to_json(self) -> str:
        """Return the job as text."""
        return json.dumps({**asdict(self), "scope": self.scope.value})

    @classmethod
    def from_json(cls, text: str) -> "Job":
        """Return the job that `to_json` wrote."""
        fields = json.loads(text)
        return cls(**{**fields, "ports": tuple(fields["ports"]), "scope": Scope(fields["scope"])})
