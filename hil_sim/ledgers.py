"""Books kept beside a run: do the records of alarms, setpoints and modes add up to what is so?

Rule: a ledger believes records alone, and compares what they add up to with the decision's state.
"""

import math

from alarms.table import AlarmTable
from controller.decide import Decision
from core.image import ProcessImage
from core.record import AlarmEvent, AlarmRecord, ModeRecord, ScanRecord, SetpointRecord


def scan_record_found(image: ProcessImage, decision: Decision) -> str:
    """Return what is wrong with the record of the scan itself and with the records' times."""
    scan = decision.records[-1]
    if not isinstance(scan, ScanRecord):
        return "the scan is not recorded"
    if scan.image is not image or scan.outputs is not decision.outputs:
        return "another scan is recorded than the one that was decided"
    at = image.taken_at.utc
    for record in decision.records:
        if not isinstance(record, ScanRecord) and record.at != at:
            return f"{type(record).__name__} of {record.at} in the scan of {at}"
    return ""


class AlarmLedger:
    """Every alarm is raised and cleared in turn, and the records tell all of it."""

    def __init__(self) -> None:
        self._active: set[str] = set()
        self._table: AlarmTable | None = None

    def check(self, decision: Decision) -> str:
        """Take one scan's records; return what is wrong."""
        if decision.state.alarms is self._table and len(decision.records) == 1:
            return ""
        self._table = decision.state.alarms
        for record in decision.records:
            if isinstance(record, AlarmRecord):
                found = self._note(record)
                if found:
                    return found
        table = set(decision.active_alarms)
        if table == self._active:
            return ""
        return f"records say that {sorted(self._active)} are active, the table {sorted(table)}"

    def _note(self, record: AlarmRecord) -> str:
        match record.event:
            case AlarmEvent.RAISED if record.alarm in self._active:
                return f"{record.alarm} raised twice"
            case AlarmEvent.RAISED:
                self._active.add(record.alarm)
            case AlarmEvent.CLEARED if record.alarm not in self._active:
                return f"{record.alarm} cleared without being raised"
            case AlarmEvent.CLEARED:
                self._active.discard(record.alarm)
            case _:
                pass
        return ""


class SetpointLedger:
    """Each setpoint record begins where the one before it ended, and ends at the setpoint."""

    def __init__(self) -> None:
        self._last: dict[str, float] = {}

    def check(self, decision: Decision) -> str:
        """Take one scan's records; return what is wrong."""
        for record in decision.records:
            if not isinstance(record, SetpointRecord):
                continue
            before = self._last.get(record.loop, record.old)
            if before != record.old and not (math.isnan(before) and math.isnan(record.old)):
                return f"{record.loop}: from {record.old:g}, but it stood at {before:g}"
            self._last[record.loop] = record.new
        for circuit in decision.circuits:
            so_c = round(circuit.chain.setpoint_c, 1)
            told_c = self._last.get(circuit.plan.t2g, so_c)
            if so_c != told_c and not math.isnan(so_c):
                return f"{circuit.plan.t2g} has the setpoint {so_c:g}, records say {told_c:g}"
        return ""


class ModeLedger:
    """Authority and source change only as the records say."""

    def __init__(self) -> None:
        self._modes: dict[str, str] = {}

    def check(self, decision: Decision) -> str:
        """Take one scan's records; return what is wrong."""
        for record in decision.records:
            if not isinstance(record, ModeRecord):
                continue
            before = self._modes.get(record.subject, record.old)
            if before != record.old:
                return f"{record.subject}: from {record.old}, but it was {before}"
            self._modes[record.subject] = record.new
        authority = decision.state.authority.holds.value
        return self._compare("authority", authority) or self._compare(
            "source", decision.source.name.lower()
        )

    def _compare(self, subject: str, mode: str) -> str:
        told = self._modes.setdefault(subject, mode)
        return "" if told == mode else f"{subject} is {mode}, records say {told}"
