"""The writer when all goes well: order, durability, checkpoints, limits."""

import asyncio
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest

from core.image import Outputs
from core.record import ExplanationRecord, ModeRecord, OperatorAction, SetpointRecord
from history.journal import open_journal
from history.reader import Reader
from history.rows import TEXT_MAX
from history.writer import NotRecorded, Writer, WriterSettings

BEGIN, END = timedelta(days=-1), timedelta(days=1)


async def until(claim):
    async with asyncio.timeout(10.0):
        while not claim():  # noqa: ASYNC110 - the claim is a figure, and nobody signals it
            await asyncio.sleep(0.001)


def every_kind(at):
    station = "st-017"
    return (
        SetpointRecord(at=at, station=station, loop="T2g", old=float("nan"), new=55.5, why="curve"),
        ModeRecord(at=at, station=station, subject="gas1", old="START", new="BACKUP", why="flame"),
        OperatorAction(
            at=at,
            station=station,
            who="王",
            action="mode",
            detail="T2g MAN",
            why="repair",
            outcome="done",
        ),
    )


def why(n):
    at = datetime(2026, 1, 12, 3, 0, tzinfo=UTC) + timedelta(seconds=n)
    return ExplanationRecord(at=at, station="st-017", loops=f"[{n}]")


def test_every_record_comes_back_as_it_was_put(run, journal, hasty, alarm, scan):
    records = (alarm(3), *every_kind(alarm(4).at), scan(5))

    async def story(writer):
        await writer.commit(records)

    reader = run(journal, hasty, story)
    assert reader.alarms() == (records[0],)
    assert repr(reader.setpoints()) == repr(records[1:2])
    assert reader.modes() == records[2:3]
    assert reader.actions() == records[3:4]
    ((at, kept),) = reader.scans("st-017", alarm(0).at + BEGIN, alarm(0).at + END)
    assert at == scan(5).image.taken_at.utc
    assert kept.outputs == {"CV1_SV": 35.0}
    reader.close()


def test_commit_returns_when_another_connection_can_see_it(run, journal, hasty, alarm):
    async def story(writer):
        reader = Reader(journal.path)
        for n in range(5):
            await writer.commit([alarm(n)])
            assert len(reader.alarms()) == n + 1
        await writer.commit()
        reader.close()

    run(journal, hasty, story).close()


def test_a_full_batch_of_samples_does_not_wait_for_its_time(run, journal, scan):
    async def story(writer):
        writer.put([scan(n) for n in range(40)])
        await asyncio.sleep(0.02)
        assert writer.stats.commits == 0
        writer.put([scan(n) for n in range(40, 120)])
        await until(lambda: writer.stats.waiting == 0)

    run(journal, WriterSettings(sample_flush_s=60.0, batch_max=50), story).close()


def test_events_are_written_at_once_and_samples_at_their_time(run, journal, alarm, scan):
    async def story(writer):
        writer.put([scan(1)])
        await asyncio.sleep(0)
        assert writer.stats.waiting == 2  # the scan and its layout
        writer.put([alarm(1)])
        await until(lambda: writer.stats.waiting == 0)
        assert writer.stats.rows == 3

    run(journal, WriterSettings(sample_flush_s=60.0), story).close()


def test_samples_alone_are_written_after_the_flush_time(run, journal, hasty, scan):
    async def story(writer):
        writer.put([scan(n) for n in range(10)])
        await until(lambda: writer.stats.waiting == 0)
        assert writer.stats.commits == 1

    run(journal, hasty, story).close()


def test_what_was_put_before_the_task_started_is_written(journal, hasty, alarm):
    async def main():
        writer = Writer(journal, hasty)
        writer.put([alarm(1)])
        task = asyncio.create_task(writer.run())
        await until(lambda: writer.stats.rows == 1)
        await writer.close()
        await task

    asyncio.run(main())


def test_closing_writes_what_waits_and_ends_the_task(journal, alarm, scan):
    async def main():
        writer = Writer(journal, WriterSettings(sample_flush_s=60.0))
        task = asyncio.create_task(writer.run())
        await asyncio.sleep(0)
        writer.put([scan(1), alarm(2)])
        writer.put_checkpoint("st-017", alarm(1).at, {"mode": "AUTO"})
        assert await writer.close() == 0
        await task
        assert writer.stats.waiting == 0

    asyncio.run(main())
    reader = Reader(journal.path)
    assert reader.history_rows()["scan"] == 1
    assert reader.latest_checkpoint("st-017").state == {"mode": "AUTO"}
    reader.close()


def test_a_cancelled_task_loses_nothing(journal, hasty, alarm):
    async def main():
        writer = Writer(journal, hasty)
        for n in range(20):
            task = asyncio.create_task(writer.run())
            writer.put([alarm(n)])
            for _ in range(n % 4):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        assert await writer.close() == 0

    asyncio.run(main())
    reader = Reader(journal.path)
    assert reader.alarms() == tuple(alarm(n) for n in range(20))
    reader.close()


def test_large_backlogs_are_written_in_bounded_batches_without_a_break(run, journal, hasty, alarm):
    async def story(writer):
        writer.put(alarm(n) for n in range(25))
        await until(lambda: writer.stats.waiting == 0)
        assert writer.stats.commits == 3

    reader = run(journal, replace(hasty, batch_max=10, sample_flush_s=60.0), story)
    assert reader.alarms() == tuple(alarm(n) for n in range(25))
    reader.close()


def test_samples_beyond_the_limit_are_dropped_and_counted_but_events_never(journal, alarm, scan):
    async def main():
        writer = Writer(journal, WriterSettings(samples_max=5, events_max=8))
        writer.put(scan(n) for n in range(8))
        assert writer.stats.dropped == 3
        assert writer.stats.is_degraded
        writer.put(alarm(n) for n in range(20))
        assert await writer.close() == 0
        assert not writer.stats.is_degraded

    asyncio.run(main())
    reader = Reader(journal.path)
    rows = reader.history_rows()
    assert (rows["scan"], rows["alarm_event"]) == (5, 20)
    reader.close()


def test_too_many_waiting_events_are_a_reason_for_an_alarm(journal, alarm):
    async def main():
        writer = Writer(journal, WriterSettings(events_max=8))
        writer.put(alarm(n) for n in range(8))
        assert not writer.stats.is_degraded
        writer.put([alarm(9)])
        assert writer.stats.is_degraded
        await writer.close()

    asyncio.run(main())


def test_a_newer_checkpoint_replaces_one_that_waits(journal, hasty, alarm):
    async def main():
        writer = Writer(journal, hasty)
        for n in range(5):
            writer.put_checkpoint("st-017", alarm(n).at, {"n": n})
            writer.put_checkpoint("st-018", alarm(n).at, {"n": -n})
        await writer.close()

    asyncio.run(main())
    reader = Reader(journal.path)
    assert reader.history_rows()["checkpoint"] == 2
    latest = reader.latest_checkpoint("st-018")
    assert (latest.at, latest.state) == (alarm(4).at, {"n": -4})
    assert reader.latest_checkpoint("st-019") is None
    reader.close()


def test_a_checkpoint_is_durable_with_the_record_put_after_it(run, journal, hasty, alarm):
    async def story(writer):
        reader = Reader(journal.path)
        writer.put(alarm(n) for n in range(50))
        writer.put_checkpoint("st-017", alarm(1).at, {"offset_k": 1.5})
        await writer.commit([alarm(50)])
        assert reader.latest_checkpoint("st-017").state == {"offset_k": 1.5}
        writer.put_checkpoint("st-017", alarm(2).at, {"offset_k": 2.5})
        await writer.commit()
        assert reader.latest_checkpoint("st-017").state == {"offset_k": 2.5}
        reader.close()

    run(journal, replace(hasty, batch_max=10), story).close()


def test_a_checkpoint_must_be_json(journal, alarm):
    async def main():
        writer = Writer(journal)
        with pytest.raises(ValueError, match="JSON"):
            writer.put_checkpoint("st-017", alarm(1).at, {"integral": float("nan")})
        await writer.close()

    asyncio.run(main())


def test_a_moment_without_time_zone_is_refused_when_it_is_put(journal, alarm):
    async def main():
        writer = Writer(journal)
        naive = datetime(2026, 1, 12)  # noqa: DTZ001 - this is the mistake
        with pytest.raises(ValueError, match="without time zone"):
            writer.put([replace(alarm(1), at=naive)])
        with pytest.raises(ValueError, match="without time zone"):
            writer.put_checkpoint("st-017", naive, {})
        assert writer.stats.waiting == 0
        await writer.close()

    asyncio.run(main())


def test_text_that_no_database_takes_is_made_fit(run, journal, hasty, alarm):
    odd = replace(alarm(1), text="broken \ud800 letter", who="w" * 5000)

    async def story(writer):
        await writer.commit([odd])

    reader = run(journal, hasty, story)
    (kept,) = reader.alarms()
    assert kept.text == "broken ? letter"
    assert kept.who == "w" * TEXT_MAX
    reader.close()


def test_a_changed_list_of_tags_still_decodes_what_was_written_before(
    run, journal, hasty, alarm, scan
):
    async def story(writer):
        writer.put([scan(1), scan(2, outputs=Outputs({}, frozenset({"XP1_start"}))), scan(3)])
        writer.put([scan(4, station="st-018")])

    reader = run(journal, hasty, story)
    assert reader.history_rows()["layout"] == 3
    begin, end = alarm(0).at + BEGIN, alarm(0).at + END
    assert [s.pulses for _, s in reader.scans("st-017", begin, end)] == [
        set(),
        {"XP1_start"},
        set(),
    ]
    assert [p.value for p in reader.outputs("st-017", "CV1_SV", begin, end)] == [31.0, 33.0]
    reader.close()


def test_a_reopened_journal_goes_on_where_it_ended(run, journal, hasty, alarm, scan):
    async def story(writer):
        writer.put([alarm(1), scan(1)])

    run(journal, hasty, story).close()
    journal.close()
    again = open_journal(journal.path)

    async def more(writer):
        writer.put([scan(2), alarm(2)])

    reader = run(again, hasty, more)
    assert reader.alarms() == (alarm(1), alarm(2))
    assert (reader.history_rows()["layout"], reader.history_rows()["scan"]) == (1, 2)
    reader.close()
    again.close()


def test_pruning_takes_old_scans_in_steps_and_keeps_events_and_the_last_checkpoint(
    run, journal, hasty, alarm, scan
):
    async def story(writer):
        writer.put(scan(n) for n in range(50))
        writer.put([alarm(1)])
        for n in range(3):
            writer.put_checkpoint("st-017", alarm(n).at, {"n": n})
            await writer.commit()
        writer.put(why(n) for n in range(180, 220, 10))
        await writer.commit()
        assert await writer.prune(scan(40).image.taken_at.utc) == 44
        assert await writer.prune(scan(40).image.taken_at.utc) == 0

    reader = run(journal, replace(hasty, batch_max=7), story)
    rows = reader.history_rows()
    assert (rows["scan"], rows["checkpoint"], rows["alarm_event"]) == (10, 1, 1)
    assert reader.latest_checkpoint("st-017").state == {"n": 2}
    assert rows["explanation"] == 2
    reader.close()


def test_an_explanation_is_found_by_its_moment(run, journal, hasty):
    async def story(writer):
        writer.put(why(n) for n in (0, 60, 120))

    reader = run(journal, hasty, story)

    def found(n, since):
        kept = reader.explanation("st-017", why(n).at, since=why(since).at)
        return None if kept is None else kept.loops

    assert found(119, 0) == "[60]"
    assert found(120, 0) == "[120]"
    assert found(500, 200) is None
    assert reader.explanation("st-018", why(60).at, since=why(0).at) is None
    reader.close()


def test_without_a_running_task_commit_says_that_nothing_is_recorded_yet(journal, hasty, alarm):
    async def main():
        writer = Writer(journal, replace(hasty, commit_s_max=0.01))
        with pytest.raises(NotRecorded, match=r"not recorded within 0\.01 s$"):
            await writer.commit([alarm(1)])
        assert await writer.close() == 0

    asyncio.run(main())
    reader = Reader(journal.path)
    assert reader.alarms() == (alarm(1),)
    reader.close()


class InlineLoop(asyncio.SelectorEventLoop):
    """Run jobs on the spot and deliver their results later, as a loop in virtual time does."""

    def run_in_executor(self, executor, func, *args):  # noqa: ARG002 - the loop's signature
        done = self.create_future()
        try:
            deliver = partial(done.set_result, func(*args))
        except Exception as error:  # noqa: BLE001 - whatever the job raises belongs to its future
            deliver = partial(done.set_exception, error)
        self.call_later(0.001, deliver)
        return done


def test_where_jobs_run_inline_no_thread_is_ever_made(journal, hasty, alarm):
    async def main():
        writer = Writer(journal, hasty)
        task = asyncio.create_task(writer.run())
        await writer.commit([alarm(1)])
        # A thread of an earlier test may end meanwhile; none may begin.
        assert set(threading.enumerate()) <= before
        await writer.close()
        await task

    before = set(threading.enumerate())
    with asyncio.Runner(loop_factory=InlineLoop) as runner:
        runner.run(main())
