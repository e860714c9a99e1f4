"""Whatever is put, in whatever waves, over whatever failures: the journal has it once, in order."""

import asyncio
import sqlite3
import tempfile
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import event

from core.record import ModeRecord
from history.journal import open_journal
from history.reader import Reader
from history.writer import NotRecorded, Writer, WriterSettings

AT = datetime(2026, 1, 12, tzinfo=UTC)
SETTINGS = WriterSettings(
    sample_flush_s=0.001, retry_s_min=0.0005, retry_s_max=0.001, commit_s_max=0.002, batch_max=5
)
waves = st.lists(st.tuples(st.integers(0, 12), st.booleans(), st.integers(0, 3)), max_size=12)
faults = st.sets(st.integers(1, 40), max_size=15)


def mode(n: int) -> ModeRecord:
    at = AT + timedelta(microseconds=n)
    return ModeRecord(at=at, station="st-017", subject=f"{n}", old="a", new="b", why="")


def break_sometimes(journal, at_uses):
    """Fail the uses of the database whose numbers are given, before a statement or a commit."""
    uses = 0

    def use(*_: object) -> None:
        nonlocal uses
        uses += 1
        if uses in at_uses:
            raise sqlite3.OperationalError("disk I/O error")

    event.listen(journal.engine, "before_cursor_execute", use)
    event.listen(journal.engine, "commit", use)


async def tell(writer, story):
    task = asyncio.create_task(writer.run())
    put, committed = 0, 0
    for count, wants_commit, turns in story:
        wave = [mode(put + n) for n in range(count)]
        put += count
        if wants_commit:
            with suppress(NotRecorded):
                await writer.commit(wave)
                committed = put
        else:
            writer.put(wave)
        for _ in range(turns):
            await asyncio.sleep(0)
    assert committed <= writer.stats.rows <= put
    assert await writer.close() == 0
    await task
    return put


@settings(max_examples=40, deadline=None)
@given(waves, faults)
def test_every_record_is_kept_once_and_in_order(story, at_uses):
    with tempfile.TemporaryDirectory() as folder:
        journal = open_journal(Path(folder) / "j.db", durable=False)
        break_sometimes(journal, at_uses)
        put = asyncio.run(tell(Writer(journal, SETTINGS), story))
        reader = Reader(journal.path)
        assert reader.modes() == tuple(mode(n) for n in range(put))
        reader.close()
        journal.close()
