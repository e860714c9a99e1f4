"""What was: questions to the journal that never hold up a scan.

Rule: a query runs in a thread, and its answer is bounded.
"""

import asyncio
from collections.abc import Sequence
from datetime import datetime
from functools import partial
from typing import Protocol

from controller.explained import REACH
from core.record import AlarmRecord, ExplanationRecord
from history.reader import Reader


class Past(Protocol):
    """Whoever remembers."""

    async def alarms(self, rows_max: int) -> Sequence[AlarmRecord]:
        """Return at most so many past transitions of alarms, the newest."""
        ...

    async def explanation(self, station: str, at: datetime) -> ExplanationRecord | None:
        """Return why the loops of a station did what they did at a moment; None if not known."""
        ...


class JournalPast:
    """The past as the journal has it."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    async def alarms(self, rows_max: int) -> Sequence[AlarmRecord]:
        """Return at most so many past transitions of alarms, the newest."""
        read = partial(self._reader.alarms, limit=rows_max)
        return await asyncio.get_running_loop().run_in_executor(None, read)

    async def explanation(self, station: str, at: datetime) -> ExplanationRecord | None:
        """Return the newest explanation at or before `at`, not older than it is good for."""
        read = partial(self._reader.explanation, station, at, since=at - REACH)
        return await asyncio.get_running_loop().run_in_executor(None, read)
