"""Frozen facts that a scan leaves behind; history keeps them, nobody changes them.

Rule: a record says what happened, when (UTC), where and why; it never holds a live object.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import NamedTuple

from core.image import Outputs, ProcessImage


class AlarmEvent(Enum):
    """What can happen to an alarm (ISA-18.2, figure 5: the transitions that people care about)."""

    RAISED = "raised"
    CLEARED = "cleared"
    ACKNOWLEDGED = "acknowledged"
    SUPPRESSED = "suppressed"
    UNSUPPRESSED = "unsuppressed"


@dataclass(frozen=True, slots=True, kw_only=True)
class AlarmRecord:
    """One transition of one alarm.

    `value` is the value that decided, NaN where there was none. `who` is empty unless a person
    acted. `priority` is 1 (act now) to 4 (information).
    """

    at: datetime
    station: str
    alarm: str
    event: AlarmEvent
    priority: int
    value: float
    text: str
    who: str = ""
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SetpointRecord:
    """A setpoint that changed: which loop, from what to what, and what ruled it."""

    at: datetime
    station: str
    loop: str
    old: float
    new: float
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ModeRecord:
    """A change of state of a loop, a source or the authority over a station."""

    at: datetime
    station: str
    subject: str
    old: str
    new: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorAction:
    """What a person asked for, and what became of it.

    `outcome` is "done", "refused: ..." or "done, not yet recorded".
    """

    at: datetime
    station: str
    who: str
    action: str
    detail: str
    why: str
    outcome: str


class ScanRecord(NamedTuple):
    """The image and the outputs of one scan: the samples of the trend."""

    image: ProcessImage
    outputs: Outputs


@dataclass(frozen=True, slots=True, kw_only=True)
class ExplanationRecord:
    """Why the loops of a station did what they did, just as it was shown after a scan.

    `loops` is what `controller.explained.written` made of them, so that the answer to a question
    about the past depends on no later version and no later configuration.
    """

    at: datetime
    station: str
    loops: str


Record = AlarmRecord | SetpointRecord | ModeRecord | OperatorAction | ScanRecord | ExplanationRecord
