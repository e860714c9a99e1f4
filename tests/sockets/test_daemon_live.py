"""The daemon as systemd and people meet it: a process, in real time, on real sockets."""

import json
import os
import re
import socket
import sqlite3
import subprocess
import tempfile
import threading
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import pytest

from api.client import Client, ClientError
from api.messages import LoopStatus, StationStatus
from history.reader import Reader
from tests.running import (
    WatchedPlc,
    environment,
    free_port,
    heatd,
    one_station,
    plc_of,
    process,
    station_of,
    terminated,
    until,
)

READY_S = 30.0
STOP_S = 10.0
# Only root must say who it is, and only root may.
AS = ["--as", "wang"] if os.getuid() == 0 else []
WHY = ["--why", "a test on the bench", *AS]


class Systemd:
    """The notification socket of systemd: a thread hears it, for its queue is ten messages long."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "notify"
        self.said: list[str] = []
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(self.path))
        self._thread = threading.Thread(target=self._hear, name="systemd")
        self._thread.start()

    def close(self) -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as last:
            last.sendto(b"", str(self.path))
        self._thread.join()
        self._socket.close()

    def _hear(self) -> None:
        while message := self._socket.recv(4096):
            self.said += message.decode().split("\n")


@dataclass
class House:
    """A station's PLC with a daemon beside it."""

    folder: Path
    site: Path
    plc: WatchedPlc
    systemd: Systemd
    stack: ExitStack

    @property
    def control(self) -> Path:
        return self.folder / "run" / "control.sock"

    @property
    def journal(self) -> Path:
        return self.folder / "state" / "journal.sqlite"

    def start(self, *words: object) -> "subprocess.Popen[bytes]":
        """Start the daemon; it is ready when systemd has been told so."""
        state, runtime = self.folder / "state", self.folder / "run"
        already = self.systemd.said.count("READY=1")
        command = heatd("run", self.site, "--state", state, "--runtime", runtime, *words)
        daemon = self.stack.enter_context(
            process(
                command,
                self.folder / "daemon.log",
                NOTIFY_SOCKET=str(self.systemd.path),
                WATCHDOG_USEC="1000000",
            )
        )

        def is_ready() -> bool:
            assert daemon.poll() is None, self.log()
            return self.systemd.said.count("READY=1") > already

        until(is_ready, "READY=1", seconds=READY_S)
        return daemon

    def ask(self, *words: object) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            heatd(*words, "--socket", self.control),
            env=environment(),
            capture_output=True,
            text=True,
            check=False,
            timeout=30.0,
        )

    def status(self) -> StationStatus | None:
        """Return the station as the daemon shows it, None while it does not."""
        try:
            with Client(self.control) as client:
                return client.station("st-01")
        except ClientError:
            return None

    def alarms(self) -> dict[str, str]:
        shown = self.status()
        return {alarm.name: alarm.state for alarm in shown.alarms} if shown else {}

    def offset_k(self) -> float | None:
        with Client(self.control) as client:
            chain = client.explain("st-01", "T2g").chain
        return next(link.value for link in chain if link.name == "offset")

    def taken_over(self) -> None:
        """Wait until the daemon moves the outputs."""

        def controls() -> bool:
            shown = self.status()
            return shown is not None and shown.authority == "heatd"

        until(controls, "heatd controls", seconds=30.0)

    def log(self) -> str:
        return (self.folder / "daemon.log").read_text(encoding="utf-8")


@contextmanager
def built():
    """Build a house in a folder with a short name: a socket's has 107 characters at most."""
    with tempfile.TemporaryDirectory(prefix="heatd-") as name:
        folder = Path(name)
        site, systemd = one_station(folder, free_port(), ramp="55 K/h"), Systemd(folder)
        for part in ("state", "run"):
            (folder / part).mkdir()
        with plc_of(station_of(site)) as plc, ExitStack() as stack:
            stack.callback(systemd.close)
            yield House(folder, site, plc, systemd, stack)


@pytest.fixture
def house():
    """A station's PLC, and nobody who controls it yet."""
    with built() as made:
        yield made


@pytest.fixture(scope="module")
def lived_in():
    """A house whose daemon controls the station; its tests leave it as they found it."""
    with built() as made:
        made.start()
        made.taken_over()
        yield made


class TestADaemonThatControls:
    def test_took_the_station_over_without_moving_the_valve(self, lived_in):
        first = lived_in.plc.of("CV1_SV")[0]
        assert abs(first.value - first.valve_pct) <= 1.0

    def test_feeds_the_watchdog(self, lived_in):
        beats = lived_in.systemd.said.count("WATCHDOG=1")
        until(lambda: lived_in.systemd.said.count("WATCHDOG=1") > beats, "WATCHDOG=1", seconds=5.0)

    def test_shows_what_the_plc_shows(self, lived_in):
        shown = json.loads(lived_in.ask("status", "st-01", "-o", "json").stdout)
        (device,) = shown["devices"]
        supply = next(loop for loop in shown["loops"] if loop["name"] == "T2g")
        assert (shown["station"], shown["authority"]) == ("st-01", "heatd")
        assert shown["is_simulation"] is True
        assert (device["driver"], device["poll_errors"]) == ("modbus_tcp", 0)
        assert device["writes_verified"] > 0
        assert supply["measured"] == pytest.approx(lived_in.plc.registers["T2g"], abs=1.0)
        assert "st-01" in lived_in.ask("status").stdout

    def test_explains_a_loop_from_the_weather_to_the_write(self, lived_in):
        explained = json.loads(lived_in.ask("explain", "st-01", "T2g", "-o", "json").stdout)
        links = [link["name"] for link in explained["chain"]]
        assert links[0] == "outdoor"
        assert links[-2:] == ["arbiter", "written"]

    def test_raises_an_alarm_and_takes_its_acknowledgement(self, lived_in):
        lived_in.plc.plc.inject("digital-input", tag="SMOKE")
        until(lambda: "smoke" in lived_in.alarms(), "smoke is active", seconds=15.0)
        listed = json.loads(lived_in.ask("alarms", "-o", "json").stdout)["active"]
        seen = lived_in.ask("alarms", "ack", "st-01", "smoke", *WHY)
        until(lambda: lived_in.alarms()["smoke"] == "ack_active", "seen", seconds=5.0)
        lived_in.plc.plc.inject("digital-input", active=False, tag="SMOKE")
        assert ("smoke", "unack_active") in [(row["name"], row["state"]) for row in listed]
        assert (seen.returncode, seen.stdout.strip()) == (0, "done")

    def test_lets_a_person_move_the_valve_at_the_loops_rate(self, lived_in):
        plc = lived_in.plc
        before = len(plc.of("CV1_SV"))
        manual = lived_in.ask("mode", "st-01", "T2g", "man", "--yes", *WHY)
        wanted = round(plc.registers["CV1_SV"]) - 6.0
        moved = lived_in.ask("set", "st-01", "CV1_SV", wanted, "--yes", *WHY)
        until(lambda: plc.registers["CV1_SV"] == wanted, f"CV1_SV is {wanted}", seconds=15.0)
        automatic = lived_in.ask("mode", "st-01", "T2g", "auto", "--yes", *WHY)
        path = plc.of("CV1_SV")[before:]
        # A scan of 1 s that comes late may make up for another one.
        steps = [abs(two.value - one.value) for one, two in pairwise(path)]
        assert [answer.returncode for answer in (manual, moved, automatic)] == [0, 0, 0]
        assert max(steps) <= 1.2 * 3.0

    def test_follows_a_persons_setpoint_until_it_is_given_back(self, lived_in):
        wanted_c = round(supply_of(lived_in).setpoint - 0.3, 1)
        given = lived_in.ask("set", "st-01", "setpoint", wanted_c, "--yes", *WHY)
        assert (given.returncode, given.stdout.splitlines()[-1]) == (0, "done"), given.stderr
        written = pytest.approx(wanted_c, abs=0.01)  # the register is a 32-bit float
        until(lambda: lived_in.plc.registers["T2g_SP"] == written, "T2g_SP", seconds=60.0)
        explained = lived_in.ask("explain", "st-01", "T2g").stdout
        shown = lived_in.ask("status").stdout
        back = lived_in.ask("mode", "st-01", "setpoint", "auto", "--yes", *WHY)
        until(lambda: supply_of(lived_in).ruling == "", "the curve rules", seconds=5.0)
        assert re.search(r"a test on the bench, (239|240) min left", explained)
        assert f"{wanted_c} (operator)" in shown
        assert back.returncode == 0, back.stderr
        until(lambda: len(setpoint_actions(lived_in)) == 2, "both are recorded", seconds=10.0)
        assert setpoint_actions(lived_in) == ["set_setpoint", "end_setpoint"]

    def test_refuses_what_cannot_be_with_a_sentence(self, lived_in):
        refused = lived_in.ask("set", "st-01", "offset", 50, "--yes", *WHY)
        assert refused.returncode == 1
        assert "Traceback" not in refused.stderr
        assert "offset" in refused.stderr
        too_hot = lived_in.ask("set", "st-01", "setpoint", 90, "--yes", *WHY)
        assert (too_hot.returncode, too_hot.stdout) == (1, "")
        assert "Give 35 to 83 °C" in too_hot.stderr


def test_a_daemon_that_is_told_to_end_does_so_in_order(house):
    daemon = house.start()
    until(house.status, "the first scan", seconds=10.0)
    told = house.ask("set", "st-01", "offset", 1.5, "--yes", *WHY)
    scans = house.status().scans
    code, took_s = terminated(daemon, seconds=STOP_S)
    assert (told.returncode, code) == (0, 0), told.stderr + house.log()
    assert took_s < STOP_S
    assert "STOPPING=1" in house.systemd.said
    assert house.status() is None
    assert "Traceback" not in house.log()
    reader = Reader(house.journal)
    action = reader.actions("st-01")[-1]
    modes = [(row.subject, row.new) for row in reader.modes("st-01")]
    rows = reader.history_rows()
    reader.close()
    assert (action.outcome, action.why) == ("done", "a test on the bench")
    assert modes[0] == ("authority", "tracking")
    assert rows["scan"] >= scans


def test_a_daemon_that_was_killed_goes_on_where_it_stopped(house):
    daemon = house.start()
    house.taken_over()
    offset = house.ask("set", "st-01", "offset", 1.5, "--yes", *WHY)
    until(lambda: house.offset_k() == 1.5, "the offset rules", seconds=5.0)
    stood = house.plc.registers["CV1_SV"]
    daemon.kill()
    daemon.wait()
    count = len(house.plc.writes)
    assert offset.returncode == 0, offset.stderr
    assert integrity(house.journal) == "ok"

    house.start()
    first = until(
        lambda: [w for w in house.plc.writes[count:] if w.tag == "CV1_SV"], "CV1_SV", seconds=20.0
    )[0]
    house.taken_over()
    assert abs(first.value - first.valve_pct) <= 1.0
    assert abs(first.value - stood) <= 2.0
    assert "checkpoint_not_used" not in house.log()
    assert house.offset_k() == 1.5


def setpoint_actions(house: House) -> list[str]:
    reader = Reader(house.journal)
    actions = reader.actions("st-01")
    reader.close()
    return [a.action for a in actions if a.action.endswith("_setpoint") and a.outcome == "done"]


def supply_of(house: House) -> LoopStatus:
    shown = house.status()
    assert shown is not None, house.log()
    return next(loop for loop in shown.loops if loop.name == "T2g")


def integrity(journal: Path) -> str:
    with closing(sqlite3.connect(f"file:{journal}?mode=ro", uri=True)) as opened:
        return str(opened.execute("PRAGMA integrity_check").fetchone()[0])


def test_a_read_only_daemon_writes_nothing_at_all(house):
    house.start("--read-only")

    def scanned():
        shown = house.status()
        return shown if shown is not None and shown.scans >= 6 else None

    assert until(scanned, "six scans", seconds=20.0).authority == "watch"
    assert house.plc.writes == []


def test_a_daemon_without_a_good_configuration_says_what_is_wrong(tmp_path):
    site = one_station(tmp_path, free_port())
    path = site / "stations" / "st-01.yaml"
    path.write_text(path.read_text(encoding="utf-8").replace("  unit: 1", "  unti: 1"))
    command = heatd("run", site, "--state", tmp_path, "--runtime", tmp_path)
    answer = subprocess.run(
        command, env=environment(), capture_output=True, text=True, check=False, timeout=30.0
    )
    assert answer.returncode == 1
    assert re.match(r"stations/st-01.yaml:\d+:\d+: .*unti", answer.stderr)
