"""The demo as a user starts it: real processes on real sockets, and none of them left behind."""

import asyncio
import json
import os
import socket
import subprocess
import sys
import tempfile
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from hil_sim.demo_plan import DemoPlan, said_port
from hil_sim.play import EXAMPLES
from tests.running import environment, heatd_sim, process, until

# A day of history takes half a minute; an hour shows the same.
SHORT = "from hil_sim import demo; demo.PREFILL_H = 1"
READY_S = 90.0
PORT = 15021


@dataclass(frozen=True)
class Demo:
    """A demo that has ended: its answer, its plan, and the processes that it had started.

    The port that its first PLC was to have was taken.
    """

    answer: dict
    plan: dict
    children: tuple[int, ...]
    told: str
    busy_port: int


def children_of(pid: int) -> list[int]:
    path = Path(f"/proc/{pid}/task/{pid}/children")
    with suppress(FileNotFoundError):
        return [int(child) for child in path.read_text(encoding="ascii").split()]
    return []


def children_once_up(running: "subprocess.Popen[bytes]", home: Path, said: Path) -> list[int]:
    """Wait until the demo's daemon answers; return the processes that the demo started."""

    def is_up() -> bool:
        assert running.poll() is None, said.read_text(encoding="utf-8")
        return (home / "control.sock").exists()

    until(is_up, "the daemon's socket", seconds=READY_S)
    return children_of(running.pid)


def runs(pid: int) -> bool:
    with suppress(FileNotFoundError, ProcessLookupError):
        state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
        return state != "Z"
    return False


@contextmanager
def folder_for_sockets():
    with tempfile.TemporaryDirectory(prefix="heatd-") as name:
        yield Path(name)


@contextmanager
def a_busy_port():
    """Hold a port of our own: one that other demos want as well may be given back meanwhile."""
    with closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        yield taken.getsockname()[1]


@pytest.fixture(scope="module")
def demo():
    """One demo of five seconds, in which the network's heat is lost at the first station."""
    with folder_for_sockets() as folder, a_busy_port() as busy:
        said, home = folder / "said", folder / f"heatd-demo-{os.getuid()}"
        wanted = f"demo.wanted_ports = lambda _: {{'st-01': {busy}, 'st-02': 14841}}"
        command = heatd_sim("demo", "--seconds", 5, "-o", "json", before=f"{SHORT}; {wanted}")
        with process(command, said, XDG_RUNTIME_DIR=str(folder)) as running:
            children = children_once_up(running, home, said)
            fault = asked(folder, heatd_sim("fault", "st-01", "primary-lost"))
            code = running.wait(60.0)
        text = said.read_text(encoding="utf-8")
        assert code == 0, text
        plan = json.loads((home / "demo.json").read_text(encoding="utf-8"))
        yield Demo(json.loads(text.splitlines()[-1]), plan, tuple(children), fault.stdout, busy)


def test_it_shows_both_protocols_without_a_failed_poll(demo):
    stations = demo.answer["stations"]
    assert [(s["station"], s["driver"]) for s in stations] == [
        ("st-01", "modbus_tcp"),
        ("st-02", "opc_ua"),
    ]
    for station in stations:
        assert station["poll_errors"] == 0
        # Five seconds at 30 times speed are 150 s.
        assert station["polls"] >= 6
        assert station["writes_verified"] > 0
        assert station["authority"] == "heatd"
        # An hour of history, and what came after.
        assert station["history_rows"] >= 180


def test_its_supply_follows_the_setpoint(demo):
    second = demo.answer["stations"][1]
    assert second["supply_c"] == pytest.approx(second["setpoint_c"], abs=3.0)
    assert second["source"] == "normal"
    assert second["alarms"] == []


def test_a_fault_of_one_station_is_seen_and_named_once(demo):
    first = demo.answer["stations"][0]
    assert demo.told == "st-01: primary-lost is on\n"
    assert first["source"] in {"suspect", "start", "backup"}
    assert first["alarms"] == ["source_lost"]


def test_a_busy_port_is_stepped_over(demo):
    assert demo.plan["ports"]["st-01"] > demo.busy_port


def test_it_leaves_no_process_behind(demo):
    assert len(demo.children) == 3
    assert [pid for pid in demo.children if runs(pid)] == []


def test_it_says_that_it_is_a_simulation(demo):
    assert demo.answer["simulation"] is True
    assert (demo.answer["speed"], demo.answer["seed"], demo.answer["seconds"]) == (30.0, 1, 5.0)


def test_a_part_ends_when_the_demo_was_killed():
    with folder_for_sockets() as folder, closing(asyncio.SelectorEventLoop()) as machine:
        plan = DemoPlan(
            config=str(EXAMPLES),
            speed=30.0,
            origin_monotonic_s=machine.time(),
            epoch="2026-01-12T00:00:00+00:00",
            seed=1,
            ports={"st-01": PORT, "st-02": PORT + 1},
        )
        plan.save(folder)
        command = [sys.executable, "-m", "hil_sim.demo_part", str(folder), "st-01"]
        with subprocess.Popen(command, stdin=subprocess.PIPE, env=environment()) as part:
            until(lambda: said_port(folder, "st-01"), "the PLC's port", seconds=READY_S)
            assert part.poll() is None
            part.stdin.close()
            assert part.wait(READY_S) == 0


def asked(folder: Path, command: list[str]) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        command,
        env=environment(XDG_RUNTIME_DIR=str(folder)),
        capture_output=True,
        text=True,
        check=False,
        timeout=60.0,
    )
