"""systemd hears when the daemon is ready, and is fed only while every station scans."""

import asyncio
import os
import socket

import pytest

from controller.watchdog import Systemd, Watchdog, scan_limit_s
from core.clock import LoopClock
from hil_sim.virtual_loop import VirtualLoop
from tests.face import AT, SetClock

PERIODS_S = {"st-01": 5.0, "st-02": 1.0}


class Listener:
    """systemd's end of the notification socket."""

    def __init__(self, folder):
        self.path = str(folder / "notify")
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(self.path)
        self._socket.settimeout(0.0)

    def heard(self):
        heard = []
        while True:
            try:
                heard.append(self._socket.recv(4096).decode())
            except BlockingIOError:
                return heard

    def close(self):
        self._socket.close()


@pytest.fixture
def listener(tmp_path):
    made = Listener(tmp_path)
    yield made
    made.close()


def test_systemd_hears_that_the_daemon_is_ready_how_it_fares_and_that_it_stops(listener):
    systemd = Systemd({"NOTIFY_SOCKET": listener.path})
    systemd.ready("2 stations")
    systemd.status("2 stations,\n1 alarm")
    systemd.stopping()
    assert listener.heard() == [
        "READY=1\nSTATUS=2 stations",
        "STATUS=2 stations, 1 alarm",
        "STOPPING=1",
    ]


@pytest.mark.parametrize("environment", [{}, {"NOTIFY_SOCKET": "/nowhere/notify"}])
def test_nobody_to_notify_is_no_fault(environment):
    Systemd(environment).ready("alone")


@pytest.mark.parametrize(
    ("environment", "watchdog_s"),
    [
        ({"WATCHDOG_USEC": "8000000"}, 8.0),
        ({"WATCHDOG_USEC": "8000000", "WATCHDOG_PID": str(os.getpid())}, 8.0),
        ({"WATCHDOG_USEC": "8000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({}, None),
    ],
)
def test_the_watchdog_is_the_one_that_systemd_gave_this_process(environment, watchdog_s):
    assert Systemd(environment).watchdog_s == watchdog_s


@pytest.mark.parametrize(
    ("after_s", "late"),
    [(3.9, ()), (4.0, ()), (4.1, ("st-02",)), (12.0, ("st-02",)), (12.1, ("st-01", "st-02"))],
)
def test_each_station_has_its_own_limit(after_s, late):
    clock = SetClock()
    watchdog = Watchdog(clock, PERIODS_S, Systemd({}))
    clock.advance(after_s)
    assert watchdog.late() == late


def test_a_station_that_scans_is_not_late():
    clock = SetClock()
    watchdog = Watchdog(clock, PERIODS_S, Systemd({}))
    clock.advance(4.1)
    watchdog.fed("st-02", clock.now())
    assert watchdog.late() == ()


def test_the_limit_is_two_periods_and_two_seconds():
    assert scan_limit_s(5.0) == 12.0


def test_one_station_that_hangs_withholds_the_watchdog_until_it_scans_again(listener):
    environment = {"NOTIFY_SOCKET": listener.path, "WATCHDOG_USEC": "8000000"}
    beats = []

    async def scenario():
        clock = LoopClock(AT)
        watchdog = Watchdog(clock, {"st-01": 5.0, "st-02": 5.0}, Systemd(environment))
        task = asyncio.create_task(watchdog.run())
        for second in range(1, 61):
            await asyncio.sleep(second - 0.5 - clock.now().monotonic_s)
            watchdog.fed("st-01", clock.now())
            if not 20 <= second < 40:
                watchdog.fed("st-02", clock.now())
            beats.extend(second for _ in listener.heard())
        task.cancel()

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(scenario())
    # Beats come every 4 s; st-02 scanned last at 19 s, and its limit is 12 s.
    assert beats == [1, 5, 9, 13, 17, 21, 25, 29, 41, 45, 49, 53, 57]


def test_without_a_watchdog_there_is_nothing_to_run():
    asyncio.run(Watchdog(SetClock(), PERIODS_S, Systemd({})).run())
