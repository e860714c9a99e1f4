"""The one task that writes the journal: it takes records at once and makes them durable soon.

Rule: an event that was put is written exactly once and in order, however often the disk fails;
only samples are ever dropped, and those are counted.
"""

import asyncio
import json
import zlib
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, NamedTuple, TypeVar

import structlog
from sqlalchemy import Table

from core.record import ExplanationRecord, Record, ScanRecord
from history.journal import Batch, Journal, WriteFailed
from history.packing import Layout, pack
from history.rows import moment, row_of
from history.schema import checkpoint, explanation, layout, scan

log = structlog.get_logger()
T = TypeVar("T")

_ZLIB_LEVEL = 1
_DROPPED = (scan, explanation)
"""The tables of what is dropped, and counted, when the disk takes nothing for long."""


class NotRecorded(Exception):  # noqa: N818 - it reads as the claim it makes
    """The journal could not take the records in time; they wait and will be written later."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WriterSettings:
    """The limits of a writer.

    Attributes:
        sample_flush_s: Samples are committed at least this often; events, and a full batch, at
            once.
        samples_max: So many samples may wait; more are dropped and counted.
        events_max: So many events may wait before the writer calls itself degraded; none is
            dropped.
        batch_max: So many rows are committed together at most.
        retry_s_min: Wait after the first failure; each further failure doubles it.
        retry_s_max: The longest wait between two tries.
        commit_s_max: How long `commit` waits.
        close_s_max: How long `close` tries.
    """

    sample_flush_s: float = 10.0
    samples_max: int = 20_000
    events_max: int = 10_000
    batch_max: int = 500
    retry_s_min: float = 0.2
    retry_s_max: float = 5.0
    commit_s_max: float = 1.0
    close_s_max: float = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class WriterStats:
    """How the writer fares.

    Attributes:
        rows: Rows committed since it was made.
        commits: Commits since it was made.
        waiting: Records that are not durable yet.
        dropped: Samples dropped since it was made.
        is_degraded: True while writes fail or too many events wait.
        last_error: Why the last write failed, "" if none ever did.
    """

    rows: int
    commits: int
    waiting: int
    dropped: int
    is_degraded: bool
    last_error: str


@dataclass(frozen=True, slots=True)
class _Sent:
    """A batch on its way, and how far the queue is durable when it has arrived."""

    batch: Batch
    rows: int
    entries: int
    checkpoints: int


@dataclass(frozen=True, slots=True)
class _Waiter:
    """Someone who waits until so much of what was put is durable."""

    entries: int
    checkpoints: int
    arrived: asyncio.Future[None]


class _Known(NamedTuple):
    """A layout and its number."""

    layout: Layout
    layout_id: int


class Writer:
    """Writes the records of all stations into one journal.

    Every method is for the thread of the event loop. One task runs `run`; `put` works before it
    starts too.
    """

    def __init__(self, journal: Journal, settings: WriterSettings | None = None) -> None:
        self._journal = journal
        self._settings = settings or WriterSettings()
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="journal")
        self._writing = asyncio.Lock()
        self._urgent = asyncio.Event()
        self._closing = asyncio.Event()
        self._seq = journal.seq
        self._layouts = dict(journal.layouts)
        # What a station's newest scan needed, and the next one needs most often.
        self._known: dict[str, _Known] = {}
        self._queue: deque[tuple[Table, dict[str, Any]]] = deque()
        self._checkpoints: dict[str, dict[str, Any]] = {}
        self._sent: _Sent | None = None
        self._waiters: list[_Waiter] = []
        self._samples = 0
        self._entries_put = self._entries_durable = self._urgent_entries = 0
        self._checkpoints_put = self._checkpoints_durable = 0
        self._rows = self._commits = self._dropped = 0
        self._failing_since_s: float | None = None
        self._pause_s = 0.0
        self._last_error = ""

    def put(self, records: Iterable[Record]) -> None:
        """Take records; never waits and never fails for the disk's sake.

        Raises:
            ValueError: A record's moment has no time zone.
        """
        for record in records:
            if isinstance(record, ScanRecord):
                self._put_scan(record)
            elif isinstance(record, ExplanationRecord):
                self._put_explanation(record)
            else:
                self._enqueue(*row_of(record))
                self._hurry()

    def put_checkpoint(self, station: str, at: datetime, state: Mapping[str, Any]) -> None:
        """Take the state of a station, plain JSON values; it replaces one that still waits.

        It is durable no later than any record that is put after it.

        Raises:
            ValueError: `state` holds NaN or an infinity, or `at` has no time zone.
        """
        written = json.dumps(state, ensure_ascii=False, allow_nan=False, sort_keys=True)
        self._checkpoints[station] = {"at": moment(at), "station": station, "state": written}
        self._checkpoints_put += 1
        self._hurry()

    async def run(self) -> None:
        """Write for ever: events and full batches at once, else every `sample_flush_s`.

        Ends after `close`.
        """
        while not self._closing.is_set():
            await self._until_due()
            if not await self._flush():
                await self._pause()

    async def _pause(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(self._pause_s):
                await self._closing.wait()

    async def commit(self, records: Iterable[Record] = ()) -> None:
        """Take records and return when they, and all that was put before, are durable.

        Raises:
            NotRecorded: They were not within `commit_s_max`; they wait and will be written later.
            ValueError: A record's moment has no time zone.
        """
        self.put(records)
        entries, checkpoints = self._entries_put, self._checkpoints_put
        if self._entries_durable >= entries and self._checkpoints_durable >= checkpoints:
            return
        arrived = asyncio.get_running_loop().create_future()
        self._waiters.append(_Waiter(entries, checkpoints, arrived))
        self._hurry()
        try:
            async with asyncio.timeout(self._settings.commit_s_max):
                await arrived
        except TimeoutError as error:
            raise NotRecorded(
                f"not recorded within {self._settings.commit_s_max} s"
                + (f": {self._last_error}" if self._failing_since_s is not None else "")
            ) from error

    async def prune(self, before: datetime) -> int:
        """Delete scans, explanations and checkpoints older than `before`, but never an event.

        It goes in steps of `batch_max` rows, between which events are written. A failing disk ends
        it early; the next call goes on.

        Returns:
            How many rows were deleted.
        """
        rows_max = self._settings.batch_max
        pruned = 0
        while True:
            async with self._writing:
                try:
                    step = await self._in_thread(partial(self._journal.prune, before, rows_max))
                except WriteFailed as error:
                    log.warning("history_prune_failed", reason=str(error), rows=pruned)
                    return pruned
            pruned += step
            if step < rows_max:
                return pruned

    async def close(self) -> int:
        """Write what waits, trying for `close_s_max`, and end `run`. The journal stays open.

        Returns:
            How many records were lost because the disk did not take them.
        """
        self._closing.set()
        self._urgent.set()
        with suppress(TimeoutError):
            async with asyncio.timeout(self._settings.close_s_max):
                await self._empty()
        self._executor.shutdown(wait=False)
        lost = self._waiting()
        if lost:
            log.error("history_records_lost", rows=lost, reason=self._last_error)
        return lost

    async def _empty(self) -> None:
        while self._waiting():
            if not await self._flush():
                await asyncio.sleep(self._pause_s)

    @property
    def stats(self) -> WriterStats:
        """How the writer fares now."""
        return WriterStats(
            rows=self._rows,
            commits=self._commits,
            waiting=self._waiting(),
            dropped=self._dropped,
            is_degraded=self.is_degraded,
            last_error=self._last_error,
        )

    @property
    def is_degraded(self) -> bool:
        """True while writes fail, too many events wait, or samples are dropped."""
        return (
            self._failing_since_s is not None
            or len(self._queue) - self._samples > self._settings.events_max
            or self._samples >= self._settings.samples_max
        )

    def _put_scan(self, record: ScanRecord) -> None:
        if self._samples >= self._settings.samples_max:
            self._dropped += 1
            return
        at = moment(record.image.taken_at.utc)
        known = self._known.get(record.image.station)
        if known is None or not known.layout.fits(record):
            known = self._known[record.image.station] = self._known_layout(Layout.of(record))
        data = pack(known.layout, record)
        self._enqueue(scan, {"at": at, "layout_id": known.layout_id, "data": data})
        self._count_sample()

    def _known_layout(self, wanted: Layout) -> _Known:
        """Return a layout with its number; a new one is kept before the scan that needs it."""
        layout_id = self._layouts.get(wanted)
        if layout_id is None:
            layout_id = self._layouts[wanted] = max(self._layouts.values(), default=0) + 1
            columns = wanted.to_json()
            row = {"layout_id": layout_id, "station": wanted.station, "columns": columns}
            self._enqueue(layout, row)
        return _Known(wanted, layout_id)

    def _put_explanation(self, record: ExplanationRecord) -> None:
        if self._samples >= self._settings.samples_max:
            self._dropped += 1
            return
        loops = zlib.compress(record.loops.encode(), _ZLIB_LEVEL)
        row = {"at": moment(record.at), "station": record.station, "loops": loops}
        self._enqueue(explanation, row)
        self._count_sample()

    def _count_sample(self) -> None:
        self._samples += 1
        if len(self._queue) >= self._settings.batch_max:
            self._hurry()

    def _hurry(self) -> None:
        """Have all that waits by now written at once."""
        self._urgent_entries = self._entries_put
        self._urgent.set()

    def _enqueue(self, table: Table, row: dict[str, Any]) -> None:
        self._queue.append((table, row))
        self._entries_put += 1

    def _waiting(self) -> int:
        return len(self._queue) + len(self._checkpoints) + (self._sent.rows if self._sent else 0)

    async def _until_due(self) -> None:
        if self._sent is not None:
            return
        try:
            async with asyncio.timeout(self._settings.sample_flush_s):
                await self._urgent.wait()
        except TimeoutError:
            self._hurry()

    async def _flush(self) -> bool:
        async with self._writing:
            self._sent = self._sent or self._next()
            if self._sent is None:
                return True
            try:
                await self._in_thread(partial(self._journal.write, self._sent.batch))
            except Exception as error:  # noqa: BLE001 - a bug must not end the one task that writes
                self._note_failure(error)
                return False
            self._note_success(self._sent)
            self._sent = None
            return True

    async def _in_thread(self, job: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._executor, job)

    def _next(self) -> _Sent | None:
        """Take the next batch off the queue; once taken it is tried, unchanged, until it is kept.

        Numbers are given here, so a second try of a batch that had arrived is recognised by them.
        """
        entries = [
            self._queue.popleft() for _ in range(min(len(self._queue), self._settings.batch_max))
        ]
        self._samples -= sum(1 for table, _ in entries if table in _DROPPED)
        kept = [(checkpoint, row) for row in self._checkpoints.values()]
        self._checkpoints.clear()
        if self._entries_durable + len(entries) >= self._urgent_entries:
            self._urgent.clear()
        rows: dict[Table, list[dict[str, Any]]] = {}
        for table, row in (*entries, *kept):
            self._seq += 1
            rows.setdefault(table, []).append(row if table is layout else {"seq": self._seq, **row})
        if not rows:
            return None
        return _Sent(
            Batch(self._seq, rows),
            rows=len(entries) + len(kept),
            entries=self._entries_durable + len(entries),
            checkpoints=self._checkpoints_put,
        )

    def _note_failure(self, error: Exception) -> None:
        self._last_error = str(error) if isinstance(error, WriteFailed) else repr(error)
        if self._failing_since_s is None:
            self._failing_since_s = asyncio.get_running_loop().time()
            self._pause_s = self._settings.retry_s_min
            log.error("history_lost", reason=self._last_error, waiting=self._waiting())
        else:
            self._pause_s = min(2.0 * self._pause_s, self._settings.retry_s_max)

    def _note_success(self, sent: _Sent) -> None:
        self._rows += sent.rows
        self._commits += 1
        self._entries_durable, self._checkpoints_durable = sent.entries, sent.checkpoints
        if self._failing_since_s is not None:
            outage_s = asyncio.get_running_loop().time() - self._failing_since_s
            self._failing_since_s = None
            log.warning("history_returned", outage_s=round(outage_s, 3), waiting=len(self._queue))
        still = []
        for waiter in self._waiters:
            if waiter.entries > sent.entries or waiter.checkpoints > sent.checkpoints:
                still.append(waiter)
            elif not waiter.arrived.done():
                waiter.arrived.set_result(None)
        self._waiters = still
