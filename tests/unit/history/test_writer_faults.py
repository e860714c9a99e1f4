"""The writer when the disk fails: nothing committed is lost, doubled or out of order."""

import asyncio
import json
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import event

from history.reader import Reader
from history.writer import NotRecorded, Writer, WriterSettings

WAVES = 3


async def until(claim):
    async with asyncio.timeout(10.0):
        while not claim():  # noqa: ASYNC110 - the claim is a figure, and nobody signals it
            await asyncio.sleep(0.001)


class Countdown:
    """Fail the N-th time that it is asked, once."""

    def __init__(self, n: int) -> None:
        self.left = n

    def __call__(self, *_: object) -> None:
        self.left -= 1
        if self.left == 0:
            raise sqlite3.OperationalError("disk I/O error")


def fail_at_statement(engine, countdown: Callable[..., None]) -> None:
    event.listen(engine, "before_cursor_execute", countdown)


def fail_before_commit(engine, countdown: Callable[..., None]) -> None:
    event.listen(engine, "commit", countdown)


def fail_after_commit(engine, countdown: Callable[..., None]) -> None:
    committed = engine.dialect.do_commit

    def commit(connection):
        committed(connection)
        countdown()

    engine.dialect.do_commit = commit


async def tell(writer, alarm, scan):
    """Put three waves of events, samples and checkpoints; return what was promised."""
    task = asyncio.create_task(writer.run())
    for wave in range(WAVES):
        writer.put([scan(wave)])
        writer.put_checkpoint("st-017", alarm(wave).at, {"wave": wave})
        writer.put(alarm(10 * wave + n) for n in range(4))
        await writer.commit([alarm(10 * wave + 4)])
    assert await writer.close() == 0
    await task


def check_all_there(path, alarm):
    reader = Reader(path)
    promised = tuple(alarm(10 * wave + n) for wave in range(WAVES) for n in range(5))
    assert reader.alarms() == promised
    rows = reader.history_rows()
    assert (rows["scan"], rows["layout"], rows["checkpoint"]) == (WAVES, 1, WAVES)
    assert reader.latest_checkpoint("st-017").state == {"wave": WAVES - 1}
    reader.close()


@pytest.mark.parametrize("fail", [fail_at_statement, fail_before_commit, fail_after_commit])
def test_whichever_write_fails_nothing_is_lost_doubled_or_reordered(
    new_journal, hasty, alarm, scan, fail
):
    digests, n = set(), 0
    while True:
        n += 1
        journal = new_journal()
        countdown = Countdown(n)
        fail(journal.engine, countdown)
        writer = Writer(journal, hasty)
        asyncio.run(tell(writer, alarm, scan))
        check_all_there(journal.path, alarm)
        reader = Reader(journal.path)
        digests.add(reader.digest())
        reader.close()
        journal.close()
        if countdown.left > 0:  # The story ended before the N-th write: all N were tried.
            break
        assert writer.stats.last_error == "disk I/O error"
    assert n > WAVES
    assert len(digests) == 1


def limit_pages(journal, pages):
    """Make the file full at so many pages, for connections made from now on."""

    @event.listens_for(journal.engine, "connect")
    def limit(connection, _):
        connection.execute(f"PRAGMA max_page_count={pages['max']}")

    journal.engine.dispose()


def test_a_full_disk_is_survived_in_memory_and_filled_in_later(journal, hasty, alarm):
    pages = {"max": 40}
    limit_pages(journal, pages)

    async def main():
        writer = Writer(journal, replace(hasty, commit_s_max=0.05))
        task = asyncio.create_task(writer.run())
        sent = 0
        while not writer.stats.is_degraded:
            writer.put(alarm(sent + n) for n in range(100))
            sent += 100
            await asyncio.sleep(0.001)
        assert writer.stats.last_error == "database or disk is full"
        with pytest.raises(NotRecorded, match="database or disk is full"):
            await writer.commit([alarm(sent)])
        writer.put(alarm(sent + n) for n in range(1, 500))
        sent += 500
        pages["max"] = 100_000
        await until(lambda: writer.stats.waiting == 0)
        assert not writer.stats.is_degraded
        assert await writer.close() == 0
        await task
        return sent

    sent = asyncio.run(main())
    reader = Reader(journal.path)
    assert reader.alarms(limit=sent + 1) == tuple(alarm(n) for n in range(sent))
    reader.close()


def test_a_read_only_disk_is_survived_in_memory(journal, hasty, alarm):
    is_read_only = {"now": True}

    @event.listens_for(journal.engine, "connect")
    def forbid(connection, _):
        connection.execute(f"PRAGMA query_only={'ON' if is_read_only['now'] else 'OFF'}")

    journal.engine.dispose()

    async def main():
        writer = Writer(journal, hasty)
        task = asyncio.create_task(writer.run())
        writer.put(alarm(n) for n in range(10))
        await until(lambda: writer.stats.is_degraded)
        assert "readonly" in writer.stats.last_error
        is_read_only["now"] = False
        await until(lambda: writer.stats.waiting == 0)
        assert await writer.close() == 0
        await task

    asyncio.run(main())
    reader = Reader(journal.path)
    assert reader.alarms() == tuple(alarm(n) for n in range(10))
    reader.close()


def test_a_database_locked_for_a_second_delays_records_but_not_the_loop(journal, hasty, alarm):
    backup = sqlite3.connect(journal.path, isolation_level=None)
    backup.execute("BEGIN IMMEDIATE")

    async def main():
        writer = Writer(journal, hasty)
        task = asyncio.create_task(writer.run())
        writer.put(alarm(n) for n in range(10))
        turns = 0
        while not writer.stats.is_degraded:
            await asyncio.sleep(0.001)
            turns += 1
        assert turns > 20
        assert writer.stats.last_error == "database is locked"
        backup.execute("ROLLBACK")
        await writer.commit([alarm(10)])
        assert await writer.close() == 0
        await task

    asyncio.run(main())
    backup.close()
    reader = Reader(journal.path)
    assert reader.alarms() == tuple(alarm(n) for n in range(11))
    reader.close()


def test_a_disk_that_stays_broken_is_reported_at_the_end_and_pruning_gives_up(journal, alarm, scan):
    async def main():
        writer = Writer(
            journal, WriterSettings(retry_s_min=0.01, close_s_max=0.1, commit_s_max=0.05)
        )
        task = asyncio.create_task(writer.run())
        await writer.commit([scan(1)])
        event.listen(journal.engine, "before_cursor_execute", _broken)
        assert await writer.prune(scan(2).image.taken_at.utc) == 0
        with pytest.raises(NotRecorded, match=r"not recorded within 0\.05 s: disk I/O error"):
            await writer.commit([alarm(1)])
        writer.put([alarm(2)])
        assert await writer.close() == 2
        await task

    asyncio.run(main())
    event.remove(journal.engine, "before_cursor_execute", _broken)
    reader = Reader(journal.path)
    assert reader.history_rows()["scan"] == 1
    reader.close()


def test_a_writer_killed_at_any_instant_has_kept_what_it_promised(tmp_path):
    script = Path(__file__).with_name("killed_writer.py")
    answer = subprocess.run(
        [sys.executable, script, tmp_path / "j.db", "20"],
        capture_output=True,
        text=True,
        timeout=100,
        check=True,
        cwd=Path(__file__).parents[3],
    )
    kills = json.loads(answer.stdout)
    assert len(kills) == 20
    for kill in kills:
        assert kill["integrity"] == "ok"
        assert kill["kept"] == list(range(len(kill["kept"])))
        assert len(kill["kept"]) >= kill["promised"]
    assert sum(kill["promised"] for kill in kills) > 100


def _broken(*_: object) -> None:
    raise sqlite3.OperationalError("disk I/O error")
