"""The log is JSON with the daemon's own time, without local variables and without secrets."""

import io
import json
import logging
import threading

import pytest
import structlog

from controller.logs import configure
from core.clock import LoopClock
from tests.face import AT, SetClock


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture(autouse=True)
def _logging_as_it_was():
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    levels = {name: logging.getLogger(name).level for name in ("pymodbus", "asyncua", "uvicorn")}
    yield
    root.handlers[:], root.level = before, level
    for name, kept in levels.items():
        logging.getLogger(name).setLevel(kept)
    structlog.reset_defaults()


def lines(out):
    return [json.loads(line) for line in out.getvalue().splitlines()]


def test_a_line_is_json_with_the_time_of_the_daemons_clock():
    out = io.StringIO()
    configure(SetClock(), out)
    structlog.get_logger("drivers.link").warning("link_lost", station="st-01", after_s=12.0)
    assert lines(out) == [
        {
            "event": "link_lost",
            "station": "st-01",
            "after_s": 12.0,
            "level": "warning",
            "logger": "drivers.link",
            "timestamp": "2026-01-15T04:00:00.000+00:00",
        }
    ]


def test_libraries_speak_the_same_way_and_chatty_ones_are_silent():
    out = io.StringIO()
    configure(SetClock(), out)
    logging.getLogger("asyncua.client").warning("lost %s", "it")
    logging.getLogger("pymodbus.logging").error("the last twenty frames")
    logging.getLogger("uvicorn.error").info("Started server process")
    assert [line["event"] for line in lines(out)] == ["lost it"]


def test_a_traceback_shows_no_local_variables():
    out = io.StringIO()
    configure(SetClock(), out)

    def fail():
        hidden = "hunter2-in-a-local"
        return len(hidden) / 0

    try:
        fail()
    except ZeroDivisionError:
        structlog.get_logger("controller").exception("loop_failed")
    (line,) = lines(out)
    assert line["exception"][0]["exc_type"] == "ZeroDivisionError"
    assert all("locals" not in frame for frame in line["exception"][0]["frames"])
    assert "hunter2" not in out.getvalue()


@pytest.mark.parametrize(
    "secret",
    [
        {"password": "hunter2"},
        {"access_token": "hunter2"},
        {"Authorization": "hunter2"},
        {"settings": {"mqtt": {"client_secret": "hunter2"}}},
        {"settings": [{"api_key": "hunter2"}]},
    ],
)
def test_secrets_are_starred_out_however_deep_they_lie(secret):
    out = io.StringIO()
    configure(SetClock(), out)
    structlog.get_logger().info("configured", **secret)
    assert "hunter2" not in out.getvalue()
    assert "***" in out.getvalue()


def test_a_terminal_gets_words():
    out = Terminal()
    configure(SetClock(), out)
    structlog.get_logger().info("daemon_started", stations=2)
    assert "daemon_started" in out.getvalue()
    assert not out.getvalue().startswith("{")


def test_a_thread_without_a_loop_still_logs():
    out = io.StringIO()
    configure(LoopClock(AT), out)
    thread = threading.Thread(target=lambda: structlog.get_logger().info("row_written"))
    thread.start()
    thread.join()
    assert lines(out)[0]["event"] == "row_written"
