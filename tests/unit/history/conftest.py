"""What the tests of history share: a migrated journal, records, and a writer that hurries."""

import asyncio
import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from core.clock import Instant
from core.image import Outputs, ProcessImage
from core.point import Quality, TagTable
from core.record import AlarmEvent, AlarmRecord, ScanRecord
from history.journal import Journal, open_journal
from history.reader import Reader
from history.writer import Writer, WriterSettings

AT = datetime(2026, 1, 12, 3, 0, tzinfo=UTC)


@pytest.fixture
def run() -> Callable[..., Reader]:
    """Play `story(writer)` beside a running writer, close that, and return a reader."""

    def play(journal, settings, story) -> Reader:
        async def main() -> None:
            writer = Writer(journal, settings)
            task = asyncio.create_task(writer.run())
            await story(writer)
            assert await writer.close() == 0
            await task

        asyncio.run(main())
        return Reader(journal.path)

    return play


@pytest.fixture
def hasty() -> WriterSettings:
    """Return limits that let a test end soon."""
    return WriterSettings(
        sample_flush_s=0.005, retry_s_min=0.001, retry_s_max=0.01, commit_s_max=5.0, close_s_max=5.0
    )


@pytest.fixture(scope="session")
def empty_journal(tmp_path_factory) -> Path:
    """Return the file of a journal that was migrated and closed; migrating is the slow part."""
    path = tmp_path_factory.mktemp("journal") / "empty.db"
    open_journal(path).close()
    return path


@pytest.fixture
def new_journal(empty_journal, tmp_path) -> Iterator[Callable[[], Journal]]:
    """Open one more fresh journal, in a file of its own."""
    opened: list[Journal] = []

    def make() -> Journal:
        path = tmp_path / f"journal-{len(opened)}.db"
        shutil.copy(empty_journal, path)
        opened.append(open_journal(path, durable=False))
        return opened[-1]

    yield make
    for journal in opened:
        journal.close()


@pytest.fixture
def journal(new_journal) -> Journal:
    """Return a fresh journal."""
    return new_journal()


@pytest.fixture
def alarm() -> Callable[..., AlarmRecord]:
    """Make the n-th alarm record, n seconds after the epoch of the tests."""

    def make(
        n: int,
        *,
        station: str = "st-017",
        name: str | None = None,
        event: AlarmEvent = AlarmEvent.RAISED,
    ) -> AlarmRecord:
        return AlarmRecord(
            at=AT + timedelta(seconds=n, microseconds=n),
            station=station,
            alarm=name or f"alarm-{n}",
            event=event,
            priority=2,
            value=n / 3,
            text="供水温度过高 / supply temperature high",
        )

    return make


@pytest.fixture
def scan() -> Callable[..., ScanRecord]:
    """Make the n-th scan record, 5 n seconds after the epoch of the tests."""
    table = TagTable(("T2g", "T2h", "P2h"))

    def make(n: int, *, station: str = "st-017", outputs: Outputs | None = None) -> ScanRecord:
        return ScanRecord(
            ProcessImage(
                station,
                Instant(5.0 * n, AT + timedelta(seconds=5 * n)),
                table,
                (50.0 + n, 40.0, float("nan")),
                bytes((Quality.GOOD, Quality.SUBSTITUTED, Quality.BAD)),
                (0.1, 0.1, 90.0),
            ),
            outputs or Outputs({"CV1_SV": 30.0 + n}),
        )

    return make
