"""What a message about a flat is worth: by its own time, whatever the order of arrival."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from core.clock import Instant
from drivers.collector import FlatBoard
from drivers.collector_settings import TopicReading, pattern_fault, subscription

NOW = datetime(2026, 1, 15, 8, 0, tzinfo=UTC)
TOPIC = "home/3-502/t1/state"
READING = TopicReading(value="/temp", time="/ts")


def at(seconds):
    return Instant(1000.0 + seconds, NOW + timedelta(seconds=seconds))


def board(reading=READING, pattern="home/{flat}/+/state"):
    return FlatBoard({pattern: reading}, ["3-502", "3-601"])


def said(value, seconds=0.0, **more):
    return json.dumps({"temp": value, "ts": (NOW + timedelta(seconds=seconds)).isoformat()} | more)


def take(into, text, seconds=0.0, *, topic=TOPIC, is_retained=False):
    return into.take(topic, text.encode(), is_retained=is_retained, now=at(seconds))


def test_a_room_is_as_old_as_the_time_in_its_message():
    rooms = board()

    assert take(rooms, said(21.5, -300.0)) == "taken"

    room = rooms.room("3-502")
    assert (room.value_c, room.true_s, room.is_live) == (21.5, 700.0, True)
    assert rooms.room("3-601") is None


@pytest.mark.parametrize(
    ("rows", "fates", "value_c"),
    [
        ([(20.0, 0), (21.0, 60)], ["taken", "taken"], 21.0),
        ([(21.0, 60), (20.0, 0)], ["taken", "late"], 21.0),
        ([(21.0, 60), (21.0, 60)], ["taken", "duplicate"], 21.0),
        (
            [(21.0, 60), (20.0, 0), (21.0, 60), (22.0, 61)],
            ["taken", "late", "duplicate", "taken"],
            22.0,
        ),
    ],
)
def test_late_and_duplicate_messages_change_nothing_and_are_counted(rows, fates, value_c):
    rooms = board()

    assert [take(rooms, said(value, s), 120.0) for value, s in rows] == fates
    assert rooms.room("3-502").value_c == value_c
    assert sum(rooms.fates.values()) == len(rows)


def test_a_retained_message_is_not_live_until_its_device_speaks():
    rooms = board()

    take(rooms, said(20.0, -60.0), is_retained=True)
    assert not rooms.room("3-502").is_live
    assert take(rooms, said(20.0, -60.0), is_retained=True) == "duplicate"
    assert take(rooms, said(20.0, -60.0)) == "taken"
    assert rooms.room("3-502").is_live


def test_an_undated_message_is_looked_at_only_where_nothing_better_is_known():
    rooms = board()

    assert take(rooms, '{"temp": 19.0}') == "undated"
    assert (rooms.room("3-502").value_c, rooms.room("3-502").is_live) == (19.0, False)
    take(rooms, said(21.0, 0.0))
    assert take(rooms, '{"temp": 25.0}', 10.0) == "undated"
    assert rooms.room("3-502").value_c == 21.0


def test_a_time_in_the_future_does_not_shut_out_the_true_ones():
    rooms = board()

    assert take(rooms, said(20.0, 3600.0)) == "undated"
    assert take(rooms, said(21.0, 60.0), 60.0) == "taken"
    assert rooms.room("3-502").value_c == 21.0


@pytest.mark.parametrize(
    ("ts", "is_dated"),
    [
        ("2026-01-15T08:00:00Z", True),
        ("2026-01-15T16:00:00+08:00", True),
        (1768464000, True),
        (1768464000000, True),
        ("2026-01-15T08:00:00", False),
        ("yesterday", False),
        (float("inf"), False),
        (10**400, False),
        (None, False),
        (True, False),
    ],
)
def test_times_as_devices_write_them(ts, is_dated):
    rooms = board()

    fate = take(rooms, json.dumps({"temp": 20.0, "ts": ts}), 1.0)

    assert fate == ("taken" if is_dated else "undated")
    assert rooms.room("3-502").said_at == (NOW if is_dated else None)


@pytest.mark.parametrize(
    ("reading", "payload", "value_c"),
    [
        (TopicReading(), "21.5", 21.5),
        (TopicReading(value="/a/0/b~1c"), '{"a": [{"b/c": 21.5}]}', 21.5),
        (TopicReading(value="/t", scale=0.1), '{"t": 215}', 21.5),
        (TopicReading(value="/t", unit="K"), '{"t": 294.65}', 21.5),
        (TopicReading(value="/t", unit="°F"), '{"t": 70.7}', 21.5),
    ],
)
def test_units_and_pointers(reading, payload, value_c):
    rooms = board(reading)

    take(rooms, payload)

    assert rooms.room("3-502").value_c == pytest.approx(value_c)


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b"null",
        b'"21"',
        b'{"temp": "21"}',
        b'{"temp": true}',
        b'{"temp": NaN}',
        b'{"temp": 1e999}',
        b'{"temp": 85.0}',
        b"[" * 10000,
        b'{"temp": 20, "x": "' + b"x" * 20000 + b'"}',
    ],
    ids=range(12),
)
def test_what_is_not_understood_changes_nothing(payload):
    rooms = board()

    assert rooms.take(TOPIC, payload, is_retained=False, now=at(0.0)) == "garbled"
    assert rooms.room("3-502") is None


@pytest.mark.parametrize(
    "topic", ["home/9-999/t1/state", "home/3-502/state", "office/3-502/t1/state", ""]
)
def test_who_is_not_asked_is_not_kept(topic):
    rooms = board()

    assert take(rooms, said(21.0), topic=topic) == "unknown"
    assert rooms.room("9-999") is None


@pytest.mark.parametrize(
    ("pattern", "asked", "is_fit"),
    [
        ("home/{flat}/+/state", "home/+/+/state", True),
        ("home/{flat}/#", "home/+/#", True),
        ("home/{flat}", "home/+", False),
    ],
)
def test_patterns_are_asked_for_and_matched(pattern, asked, is_fit):
    assert pattern_fault(pattern) == ""
    assert subscription(pattern) == asked
    assert (take(board(pattern=pattern), said(21.0)) == "taken") is is_fit


@pytest.mark.parametrize(
    "pattern",
    [
        "home/+/state",
        "home/{room}/state",
        "home/{flat}/{flat}",
        "home/x{flat}",
        "#/{flat}",
        "{flat}/a+",
    ],
)
def test_patterns_that_cannot_be(pattern):
    assert pattern_fault(pattern)
