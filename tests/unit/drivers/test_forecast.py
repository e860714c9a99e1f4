"""Forecasts as files and messages: both forms, what is refused and why, and what is kept."""

import asyncio
import json
import os
from datetime import UTC, datetime, timedelta
from math import isnan

import pytest
from structlog.testing import capture_logs

from core.clock import Instant
from drivers.forecast import BYTES_MAX, ForecastBoard, ForecastError, ForecastWatch, read_forecast
from drivers.forecast_settings import ForecastFile

ISSUED = datetime(2026, 1, 15, 0, 0, tzinfo=UTC)
NOW = Instant(1000.0, ISSUED + timedelta(hours=1))


def document(*outdoor_c, issued=ISSUED, **more):
    hours = [
        {"time": (issued + timedelta(hours=i)).isoformat(), "outdoor_c": value, **more}
        for i, value in enumerate(outdoor_c)
    ]
    return json.dumps({"issued": issued.isoformat(), "hours": hours}).encode()


def table(*rows, head="issued,time,outdoor_c,wind_m_s,sun_w_m2"):
    return "\n".join((head, *rows)).encode()


def test_json_and_csv_say_the_same():
    from_csv = read_forecast(
        table(
            "2026-01-15T08:00:00+08:00,2026-01-15T08:00:00+08:00,-10,2,0",
            "2026-01-15T08:00:00+08:00,2026-01-15T09:00:00+08:00,-12,2,0",
        )
    )
    from_json = read_forecast(document(-10, -12, wind_m_s=2, sun_w_m2=0))
    assert from_csv == from_json
    assert from_csv.issued_at == ISSUED
    assert from_csv.at(ISSUED + timedelta(minutes=30), ISSUED)[:2] == (-11.0, 2.0)


def test_wind_and_sun_may_be_left_out():
    rows = [f"2026-01-15T00:00Z,2026-01-15T0{h}:00Z,-10,," for h in (1, 2)]
    for data in (
        table(*rows),
        table(*[row[:-2] for row in rows], head="issued,time,outdoor_c"),
        document(-10, -10),
        document(-10, -10, wind_m_s=None),
    ):
        hour = read_forecast(data).hours[0]
        assert hour.outdoor_c == -10.0
        assert isnan(hour.wind_m_s)
        assert isnan(hour.sun_w_m2)


HEAD, LINE = "issued,time,outdoor_c", "2026-01-15T00:00Z,2026-01-15T01:00Z,-10"


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "no column `issued`"),
        (b"\xff\xfe", "not UTF-8"),
        (b"{", "no JSON: "),
        (b"{}", "`hours` is no list"),
        (b'{"hours": [3]}', "hour 1 is no object"),
        (b'{"hours": []}', "no hours"),
        (document(-10), "1 hours; 2 to 1000 are taken"),
        (document(-10, 99), "hour 2: `outdoor_c` 99 is not within -60..50"),
        (document(-10, float("nan")), "hour 2: `outdoor_c` nan is not within -60..50"),
        (document(-10, float("inf")), "hour 2: `outdoor_c` inf is not within -60..50"),
        (document(-10, None), "hour 2: no `outdoor_c`"),
        (document(*[-10, True]), "hour 2: `outdoor_c` is no number"),
        (document(-10, "mild"), "hour 2: `outdoor_c` is no number"),
        (document(-10, -10, wind_m_s=-1), "hour 1: `wind_m_s` -1 is not within 0..70"),
        (document(*[-10] * 1001), "1001 hours; 2 to 1000 are taken"),
        (b" " * (BYTES_MAX + 1), "longer than 262144 bytes"),
        (table(LINE, head="issued,time,temp"), "no column `outdoor_c`"),
        (table(LINE, LINE, head=HEAD), "line 3: `time` does not come after the one before"),
        (
            table(LINE, LINE.replace("15T00", "15T03"), head=HEAD),
            "line 3: another `issued` than above",
        ),
        (
            table(LINE.replace("Z", ""), head=HEAD),
            "line 2: `issued` has no zone; write it as 2026-01-15T08:00:00+08:00",
        ),
        (table("today,x,1", head=HEAD), "line 2: `issued` is no time in ISO 8601"),
        (table('"2026', head=HEAD), "line 2: unexpected end of data"),
    ],
)
def test_what_is_no_forecast_says_where_and_why(data, why):
    with pytest.raises(ForecastError) as refused:
        read_forecast(data)
    assert str(refused.value).startswith(why)


class TestTheBoard:
    def test_what_is_broken_is_told_once_and_the_last_one_is_kept(self):
        board = ForecastBoard(86400.0)
        board.take(document(-10, -12), "mqtt", NOW)
        kept = board.newest
        with capture_logs() as logs:
            for data in (b"{", b"{", b"{}", document(-11, -13), document(-11, -13)):
                board.take(data, "mqtt", NOW)
                assert board.newest is not None
        assert [entry["event"] for entry in logs] == [
            "forecast_refused",
            "forecast_refused",
            "forecast_back",
        ]
        assert logs[0]["log_level"] == "warning"
        assert "kept until it is too old" in logs[0]["remedy"]
        assert board.newest != kept

    def test_an_older_one_that_comes_late_changes_nothing(self):
        board = ForecastBoard(86400.0)
        board.take(document(-10, -12), "mqtt", NOW)
        board.take(document(-1, -1, issued=ISSUED - timedelta(hours=6)), "mqtt", NOW)
        assert board.newest.hours[0].outdoor_c == -10.0

    def test_one_that_is_too_old_already_is_refused_and_brings_nothing_back(self):
        board = ForecastBoard(86400.0)
        board.take(b"{", "mqtt", NOW)
        with capture_logs() as logs:
            for days in (2, 1.5):
                issued = ISSUED - timedelta(days=days)
                board.take(document(-1, -1, issued=issued), "mqtt", NOW)
        assert board.newest is None
        assert "too long ago" in board.fault
        assert {entry["event"] for entry in logs} == {"forecast_refused"}
        assert logs[0]["remedy"] == "there is no forecast until a good one comes"

    def test_an_older_one_does_not_end_a_fault(self):
        board = ForecastBoard(86400.0)
        board.take(document(-10, -12), "mqtt", NOW)
        board.take(b"{", "mqtt", NOW)
        board.take(document(-1, -1, issued=ISSUED - timedelta(hours=6)), "mqtt", NOW)
        assert board.fault != ""

    def test_one_from_the_future_is_refused(self):
        board = ForecastBoard(86400.0)
        board.take(document(-10, -12, issued=NOW.utc + timedelta(minutes=6)), "mqtt", NOW)
        assert board.newest is None
        assert "in the future" in board.fault

    def test_it_is_believed_for_its_age_and_no_longer(self):
        board = ForecastBoard(3600.0)
        board.take(document(-10, -12), "mqtt", NOW)
        assert board.newest.is_good(ISSUED + timedelta(hours=1))
        assert not board.newest.is_good(ISSUED + timedelta(hours=1, seconds=1))


class TestTheFile:
    @pytest.fixture
    def watched(self, tmp_path):
        path = tmp_path / "forecast.json"
        board = ForecastBoard(86400.0)

        class Still:
            later = timedelta(0)

            def now(self):
                return Instant(NOW.monotonic_s, NOW.utc + self.later)

        settings = ForecastFile(kind="file", path=str(path))
        watch = ForecastWatch(settings, board, Still())

        def look(later=timedelta(0)):
            Still.later = later
            asyncio.run(watch.look())

        return path, board, look

    def test_one_that_is_not_there_is_no_fault(self, watched):
        _, board, look = watched
        with capture_logs() as logs:
            look()
        assert (board.newest, board.fault, logs) == (None, "", [])

    def test_it_is_read_when_it_has_changed_and_kept_when_it_goes(self, watched):
        path, board, look = watched
        path.write_bytes(document(-10, -12))
        look()
        first = board.newest
        look()
        assert board.newest is first
        path.write_bytes(document(-10, -12.5))
        look()
        assert board.newest.hours[1].outdoor_c == -12.5
        path.unlink()
        look()
        assert board.newest.hours[1].outdoor_c == -12.5

    def test_half_a_file_is_refused_and_the_whole_one_taken(self, watched):
        path, board, look = watched
        path.write_bytes(document(-10, -12)[:40])
        look()
        assert (board.newest, board.fault != "") == (None, True)
        path.write_bytes(document(-10, -12))
        look()
        assert (board.newest is not None, board.fault) == (True, "")

    def test_one_from_the_future_is_taken_once_its_time_has_come(self, watched):
        path, board, look = watched
        path.write_bytes(document(-10, -12, issued=NOW.utc + timedelta(minutes=20)))
        with capture_logs() as logs:
            look()
            look()
        assert (board.newest, len(logs)) == (None, 1)
        look(timedelta(minutes=16))
        assert (board.newest is not None, board.fault) == (True, "")

    def test_one_that_cannot_be_read_is_told(self, watched):
        path, board, look = watched
        path.mkdir()
        look()
        assert board.fault == os.strerror(21)

    def test_it_watches_until_it_is_stopped(self, watched):
        path, board, _ = watched
        path.write_bytes(document(-10, -12))

        async def scene():
            settings = ForecastFile(kind="file", path=str(path), look_s=0.01)

            class Still:
                def now(self):
                    return NOW

            task = asyncio.create_task(ForecastWatch(settings, board, Still()).run())
            async with asyncio.timeout(10.0):
                while board.newest is None:  # noqa: ASYNC110 - a file sets no event of ours
                    await asyncio.sleep(0.01)
            task.cancel()
            await asyncio.wait([task])

        asyncio.run(scene())
        assert board.newest.hours[0].outdoor_c == -10.0
