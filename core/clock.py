"""Civil and monotonic time, read in one place.

Rule: `Clock.now` is the only source of time for a decision; waiting is plain asyncio.
"""

import asyncio
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Instant:
    """One moment on both clocks.

    `monotonic_s` never steps and measures durations; `utc` is for people and may step with NTP.
    """

    monotonic_s: float
    utc: datetime


class Clock(Protocol):
    """Whoever can tell the time."""

    def now(self) -> Instant:
        """Return the present moment."""
        ...


class SystemClock:
    """The clock of the machine, for a daemon that runs live."""

    def now(self) -> Instant:
        """Return the present moment of the machine's clocks."""
        return Instant(
            time.monotonic(),  # noqa: TID251 - this class is the seam that the rule points to
            datetime.now(UTC),  # noqa: TID251 - this class is the seam that the rule points to
        )


class LoopClock:
    """Civil time that follows the running loop's own time, virtual or scaled.

    Args:
        epoch: Civil time, with time zone, when the loop's clock showed `at_s`.
        at_s: Loop time in seconds at the epoch.
    """

    def __init__(self, epoch: datetime, at_s: float = 0.0) -> None:
        self._epoch = epoch.astimezone(UTC)
        self._at_s = at_s

    def now(self) -> Instant:
        """Return the present moment of the running event loop.

        Raises:
            RuntimeError: No event loop is running.
        """
        now_s = asyncio.get_running_loop().time()
        return Instant(now_s, self._epoch + timedelta(seconds=now_s - self._at_s))
