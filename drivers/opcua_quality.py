"""What an OPC UA server says about a value: how far it may be trusted, and how old it is.

Rule: a value's age is counted on our own clock from the moment at which its source time was first
seen, so that a PLC whose clock is wrong, or is set, makes no value old or fresh.
"""

import math
from collections.abc import Container, Sequence
from datetime import datetime
from typing import Literal

from asyncua import ua
from asyncua.ua.status_codes import StatusCodes

from core.point import Quality

_SEVERITY_SHIFT = 30
_BY_SEVERITY = (Quality.GOOD, Quality.SUBSTITUTED, Quality.BAD, Quality.BAD)
"""By the two severity bits of a status: good, uncertain, bad, reserved (to be taken as bad)."""
_CODE_BITS = 0xFFFF0000
"""The lower half of a status says more about the value, e.g. which limit it stands at."""

_BY_CODE = {
    # Somebody forced the value: it is not what the sensor says (part 8, 6.3.2).
    StatusCodes.GoodLocalOverride: Quality.SUBSTITUTED,
    # The last value before the connection behind the server broke.
    StatusCodes.UncertainLastUsableValue: Quality.STALE,
    StatusCodes.UncertainNoCommunicationLastUsableValue: Quality.STALE,
    # Out of specification: to be looked at, as with a current loop (NAMUR NE 107).
    StatusCodes.UncertainSensorNotAccurate: Quality.STALE,
    StatusCodes.UncertainSensorCalibration: Quality.STALE,
    StatusCodes.UncertainEngineeringUnitsExceeded: Quality.STALE,
    # Set by a program at its start and never measured.
    StatusCodes.UncertainInitialValue: Quality.BAD,
}
_NO_DATA = frozenset(
    {
        StatusCodes.BadWaitingForInitialData,
        StatusCodes.BadNoCommunication,
        StatusCodes.BadNotConnected,
        StatusCodes.BadCommunicationError,
        StatusCodes.BadServerNotConnected,
        StatusCodes.BadTimeout,
        StatusCodes.BadRequestTimeout,
        StatusCodes.BadNoData,
        StatusCodes.BadDataUnavailable,
    }
)
"""A fault of the transport behind the server, not of the sensor: the last value ages."""

_EPOCH_YEAR = 1601
# An answer may be late by some seconds on a poor line.
_CLOCK_STEP_S = 5.0


def quality_of(status: ua.StatusCode | None) -> Quality | None:
    """Return the quality that a status stands for; None where there is no data at all."""
    if status is None:
        return Quality.GOOD
    code = status.value & _CODE_BITS
    if code in _NO_DATA:
        return None
    return _BY_CODE.get(code, _BY_SEVERITY[code >> _SEVERITY_SHIFT])


class SourceTimes:
    """How old the values of a device are, by the times that its server gives them.

    It outlives the connections: a value that stood still before a new one is no fresher after it.

    Args:
        mode: As `OpcUa.source_time`.
        columns: How many values the device has.
        timeless: Columns whose time says nothing: what was written stands until it is overwritten.
    """

    def __init__(
        self,
        mode: Literal["per_value", "newest", "ignored"],
        columns: int,
        timeless: Container[int],
    ) -> None:
        self.is_asked = mode != "ignored"
        self._is_per_value = mode == "per_value"
        self._watched = tuple(i for i in range(columns) if i not in timeless)
        self._stamps: list[datetime | None] = [None] * columns
        self._since_s = [0.0] * columns
        self._ahead_s = math.nan
        self._moved_s = math.nan

    def ages_s(
        self, results: Sequence[ua.DataValue], server_time: datetime | None, asked_s: float
    ) -> tuple[float, ...]:
        """Return how old each value was when it was asked for, s.

        Args:
            results: The values, in the order of the columns, from the first.
            server_time: The server's own clock as it answered; None if it has none.
            asked_s: Loop time of the question.
        """
        ages_s = [0.0] * len(results)
        clock = self._believed(server_time, asked_s) if self._is_per_value else None
        for i in self._watched:
            if i >= len(results):
                break
            stamp = results[i].SourceTimestamp
            if stamp is None or stamp.year <= _EPOCH_YEAR:
                continue
            if stamp != self._stamps[i]:
                self._stamps[i] = stamp
                age_s = 0.0 if clock is None else max(0.0, (clock - stamp).total_seconds())
                self._since_s[i] = asked_s - age_s
                if not self._since_s[i] <= self._moved_s:  # also where nothing has moved yet
                    self._moved_s = self._since_s[i]
            ages_s[i] = asked_s - self._since_s[i]
        if self._is_per_value:
            return tuple(ages_s)
        return (self.still_s(asked_s),) * len(results)

    def still_s(self, asked_s: float) -> float:
        """Return for how long no source time has moved, s; 0 where there are none."""
        return 0.0 if math.isnan(self._moved_s) else asked_s - self._moved_s

    def _believed(self, server_time: datetime | None, asked_s: float) -> datetime | None:
        """Return the server's clock; None if it was set since the last question.

        A value that was stamped just before that would seem an hour old, or fresh.
        """
        if server_time is None:
            return None
        ahead_s = server_time.timestamp() - asked_s
        is_set = abs(ahead_s - self._ahead_s) > _CLOCK_STEP_S
        self._ahead_s = ahead_s
        return None if is_set else server_time
