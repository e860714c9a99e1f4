"""Records as rows of the journal's tables, and back.

Rule: whatever is put can be written. NaN becomes NULL, and text from outside is cut to
`TEXT_MAX` and freed of what UTF-8 cannot hold, so no row can block those behind it.
"""

import math
from datetime import datetime
from typing import Any, assert_never

from sqlalchemy import RowMapping, Table

from core.record import (
    AlarmEvent,
    AlarmRecord,
    ModeRecord,
    OperatorAction,
    SetpointRecord,
)
from history.schema import alarm_event, mode_change, operator_action, setpoint_change

TEXT_MAX = 2000

Event = AlarmRecord | SetpointRecord | ModeRecord | OperatorAction
"""The records that are never dropped."""


def row_of(record: Event) -> tuple[Table, dict[str, Any]]:
    """Return the table that keeps `record`, and its columns but for `seq`.

    Raises:
        ValueError: The record's moment has no time zone.
    """
    row: dict[str, Any] = {"at": moment(record.at), "station": _clean(record.station)}
    match record:
        case AlarmRecord():
            row |= {
                "alarm": _clean(record.alarm),
                "event": record.event.value,
                "priority": record.priority,
                "value": _kept(record.value),
                "text": _clean(record.text),
                "who": _clean(record.who),
                "why": _clean(record.why),
            }
            return alarm_event, row
        case SetpointRecord():
            row |= {
                "loop": _clean(record.loop),
                "old": _kept(record.old),
                "new": _kept(record.new),
                "why": _clean(record.why),
            }
            return setpoint_change, row
        case ModeRecord():
            row |= {
                "subject": _clean(record.subject),
                "old": _clean(record.old),
                "new": _clean(record.new),
                "why": _clean(record.why),
            }
            return mode_change, row
        case OperatorAction():
            row |= {
                "who": _clean(record.who),
                "action": _clean(record.action),
                "detail": _clean(record.detail),
                "why": _clean(record.why),
                "outcome": _clean(record.outcome),
            }
            return operator_action, row
        case _:
            assert_never(record)


def alarm_of(row: RowMapping) -> AlarmRecord:
    """Return the record that a row of `alarm_event` keeps."""
    return AlarmRecord(
        at=row["at"],
        station=row["station"],
        alarm=row["alarm"],
        event=AlarmEvent(row["event"]),
        priority=row["priority"],
        value=_given(row["value"]),
        text=row["text"],
        who=row["who"],
        why=row["why"],
    )


def setpoint_of(row: RowMapping) -> SetpointRecord:
    """Return the record that a row of `setpoint_change` keeps."""
    return SetpointRecord(
        at=row["at"],
        station=row["station"],
        loop=row["loop"],
        old=_given(row["old"]),
        new=_given(row["new"]),
        why=row["why"],
    )


def mode_of(row: RowMapping) -> ModeRecord:
    """Return the record that a row of `mode_change` keeps."""
    return ModeRecord(
        at=row["at"],
        station=row["station"],
        subject=row["subject"],
        old=row["old"],
        new=row["new"],
        why=row["why"],
    )


def action_of(row: RowMapping) -> OperatorAction:
    """Return the record that a row of `operator_action` keeps."""
    return OperatorAction(
        at=row["at"],
        station=row["station"],
        who=row["who"],
        action=row["action"],
        detail=row["detail"],
        why=row["why"],
        outcome=row["outcome"],
    )


def moment(at: datetime) -> datetime:
    """Return `at`.

    Raises:
        ValueError: It has no time zone, so nobody could say when it was.
    """
    if at.tzinfo is None:
        raise ValueError(f"a moment without time zone: {at}")
    return at


def _clean(text: str) -> str:
    return text[:TEXT_MAX].encode("utf-8", "replace").decode("utf-8")


def _kept(value: float) -> float | None:
    return None if math.isnan(value) else value


def _given(value: float | None) -> float:
    return math.nan if value is None else value
