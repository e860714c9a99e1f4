"""The life of one alarm: ISA-18.2's states, its delays and its suppression.

Rule: time enters only as `dt_s`, and a duration is counted from the first scan that saw its cause,
so an alarm kept in a checkpoint goes on as if the daemon had never stopped.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import Enum
from typing import Any

from alarms.condition import Condition
from core.record import AlarmEvent


class Phase(Enum):
    """Where an alarm stands (ISA-18.2, figure 5)."""

    NORMAL = "normal"
    UNACK_ACTIVE = "unack_active"
    ACK_ACTIVE = "ack_active"
    UNACK_RTN = "unack_rtn"


@dataclass(frozen=True, slots=True)
class AlarmState:
    """All that one alarm remembers.

    Attributes:
        phase: Where it stands.
        timer_s: Time in s since the condition turned against the phase (came while the alarm
            rests, went while it is active); None while it agrees with the phase.
        cause: The alarm that suppresses this one, "" if none does.
        held_s: Time in s since that cause cleared; None while it stands.
        is_noted: True once the suppression held something back and was recorded.
        raised_at: When it was raised last, None while NORMAL.
        value: The value that raised it, None while NORMAL or where there was none.
        acknowledged_by: Who acknowledged the standing alarm, "" if nobody did.
    """

    phase: Phase = Phase.NORMAL
    timer_s: float | None = None
    cause: str = ""
    held_s: float | None = None
    is_noted: bool = False
    raised_at: datetime | None = None
    value: float | None = None
    acknowledged_by: str = ""

    @property
    def is_active(self) -> bool:
        """True from RAISED to CLEARED."""
        return self.phase is Phase.UNACK_ACTIVE or self.phase is Phase.ACK_ACTIVE

    @property
    def is_suppressed(self) -> bool:
        """True while another alarm explains this one."""
        return self.cause != ""

    def to_dict(self) -> dict[str, Any]:
        """Return the state as plain JSON values."""
        return {
            "phase": self.phase.value,
            "timer_s": self.timer_s,
            "cause": self.cause,
            "held_s": self.held_s,
            "is_noted": self.is_noted,
            "raised_at": None if self.raised_at is None else self.raised_at.isoformat(),
            "value": self.value,
            "acknowledged_by": self.acknowledged_by,
        }

    @classmethod
    def from_dict(cls, kept: Mapping[str, Any]) -> "AlarmState":
        """Return the state that `to_dict` kept.

        Raises:
            KeyError, TypeError, ValueError: `kept` did not come from `to_dict`.
        """
        raised_at = kept["raised_at"]
        return cls(
            phase=Phase(kept["phase"]),
            timer_s=kept["timer_s"],
            cause=kept["cause"],
            held_s=kept["held_s"],
            is_noted=kept["is_noted"],
            raised_at=None if raised_at is None else datetime.fromisoformat(raised_at),
            value=kept["value"],
            acknowledged_by=kept["acknowledged_by"],
        )


REST = AlarmState()
"""The state of an alarm that has nothing to say; a resting alarm always is this very object."""

_AFTER_CLEARING = {Phase.UNACK_ACTIVE: Phase.UNACK_RTN, Phase.ACK_ACTIVE: Phase.NORMAL}
_AFTER_ACKNOWLEDGING = {Phase.UNACK_ACTIVE: Phase.ACK_ACTIVE, Phase.UNACK_RTN: Phase.NORMAL}

Change = tuple[AlarmState, tuple[AlarmEvent, ...]]
"""The next state, and what happened on the way to it, in order."""


def advance(
    condition: Condition,
    state: AlarmState,
    *,
    holds: bool | None,
    cause: str,
    value: float,
    dt_s: float,
    at: datetime,
) -> Change:
    """Advance one alarm by one scan.

    Args:
        condition: Its delays.
        state: What it remembers.
        holds: The condition's answer; None freezes the delays.
        cause: An active alarm that explains this one, "" if there is none.
        value: The value that decides, NaN where there is none.
        dt_s: Time in s since the previous scan, >= 0.
        at: Civil time of the scan, UTC.

    Returns:
        The next state, which is `state` itself if nothing changed, and what happened.
    """
    after, events = _suppress(condition, state, cause=cause, dt_s=dt_s)
    if after.is_suppressed and not after.is_active:
        # Time under suppression does not count: the on-delay starts anew when it ends.
        after = replace(after, timer_s=None)
    elif holds is not None:
        after, turned = _run_delay(condition, after, holds=holds, dt_s=dt_s)
        events += turned
    if AlarmEvent.RAISED in events:
        after = replace(after, raised_at=at, value=value if math.isfinite(value) else None)
    if after.is_suppressed and not after.is_noted and (after.is_active or holds):
        # Only what is really held back is recorded: thirty quiet alarms are not sixty records.
        after = replace(after, is_noted=True)
        events += (AlarmEvent.SUPPRESSED,)
    return (state, ()) if after == state else (_settled(after), events)


def acknowledge(state: AlarmState, who: str) -> Change:
    """Return the alarm after `who` acknowledged it; nothing happens where nothing waits for it."""
    phase = _AFTER_ACKNOWLEDGING.get(state.phase)
    if phase is None:
        return state, ()
    after = replace(state, phase=phase, acknowledged_by=who)
    return _settled(after), (AlarmEvent.ACKNOWLEDGED,)


def _suppress(condition: Condition, state: AlarmState, *, cause: str, dt_s: float) -> Change:
    if cause:
        return replace(state, cause=cause, held_s=None), ()
    if not state.cause:
        return state, ()
    held_s = 0.0 if state.held_s is None else state.held_s + dt_s
    if held_s < condition.suppress_hold_s:
        return replace(state, held_s=held_s), ()
    events = (AlarmEvent.UNSUPPRESSED,) if state.is_noted else ()
    return replace(state, cause="", held_s=None, is_noted=False), events


def _run_delay(condition: Condition, state: AlarmState, *, holds: bool, dt_s: float) -> Change:
    if holds is state.is_active:
        return replace(state, timer_s=None), ()
    timer_s = 0.0 if state.timer_s is None else state.timer_s + dt_s
    if timer_s < (condition.clear_after_s if state.is_active else condition.on_delay_s):
        return replace(state, timer_s=timer_s), ()
    if state.is_active:
        phase = _AFTER_CLEARING[state.phase]
        return replace(state, phase=phase, timer_s=None), (AlarmEvent.CLEARED,)
    raised = replace(state, phase=Phase.UNACK_ACTIVE, timer_s=None, acknowledged_by="")
    return raised, (AlarmEvent.RAISED,)


def _settled(state: AlarmState) -> AlarmState:
    if state.phase is not Phase.NORMAL:
        return state
    rested = replace(state, raised_at=None, value=None, acknowledged_by="")
    return REST if rested == REST else rested
