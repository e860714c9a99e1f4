"""An autotune as an engineer runs it: `heatd tune` against a daemon and its PLC, 30 times as fast.

Each of the processes is a real one, on real sockets; the journal tells where the valve went.
"""

import asyncio
import os
import re
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import groupby
from pathlib import Path
from typing import Literal

import pytest
from ruamel.yaml import YAML

from api.client import Client
from api.messages import LoopStatus, ModeRequest, StationStatus
from config.load import load
from controller.daemon import JOURNAL
from controller.live import SOCKET
from core.point import Tag
from core.record import ModeRecord
from hil_sim.demo import processes, wait_ready
from hil_sim.demo_plan import DemoPlan
from history.reader import Reader
from tests.running import environment, free_port, heatd, one_station, until

# A machine that stops for half a second stops the station for fifteen. After three scans without
# one control is won anew, and an autotune is over.
SPEED = 30.0
PATIENT = {"scan": "10 s", "plc_timeout": "120 s"}
EPOCH = datetime(2026, 1, 12, tzinfo=UTC)
AS = ["--as", "wang"] if os.getuid() == 0 else []
WHY = ["--why", "new valve", *AS]
# A minute each of calm and of the pre-move; the answer itself is watched for its whole 300 s.
AUTOTUNE = "    autotune: {calm: 1 min, pre_move_time: 1 min}\n"
CIRCUIT = "    limits: {T2g: 35..83"
PHASE_S = 50.0


@dataclass
class House:
    """A daemon that controls a station, and whoever tunes it."""

    folder: Path
    site: Path
    running: "dict[str, subprocess.Popen[bytes]]"
    stack: ExitStack

    @property
    def socket(self) -> Path:
        return self.folder / SOCKET

    def station(self) -> StationStatus:
        with Client(self.socket) as client:
            return client.station("st-01")

    def supply(self) -> LoopStatus:
        return next(loop for loop in self.station().loops if loop.name == "T2g")

    def tune(self) -> "subprocess.Popen[str]":
        """Start `heatd tune` in a process of its own; return it once the autotune is under way."""
        command = heatd("tune", "st-01", "T2g", "--yes", *WHY, "--socket", self.socket)
        running = self.stack.enter_context(
            subprocess.Popen(
                command,
                env=environment(),
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                # Where the tests run in the background, a shell has taken ^C away from them.
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509 - no threads here
            )
        )

        def is_under_way() -> bool:
            assert running.poll() is None, running.communicate()
            tune = self.supply().tune
            return tune is not None and tune.is_busy

        until(is_under_way, "the autotune is under way", seconds=PHASE_S)
        return running

    def reaches(self, phase: str) -> None:
        def is_there() -> bool:
            tune = self.supply().tune
            return tune is not None and tune.phase == phase

        until(is_there, f"the autotune is at {phase}", seconds=PHASE_S)

    def mode(self, wanted: Literal["man", "auto"]) -> None:
        name = AS[-1] if AS else ""
        with Client(self.socket) as client:
            asked = ModeRequest(
                station="st-01", loop="T2g", mode=wanted, why="a leak", as_name=name
            )
            client.operate(client.select(asked).token, as_name=name)

    def phases(self, since: datetime) -> list[ModeRecord]:
        """Return what autotunes have gone through after a scan."""
        reader = Reader(self.folder / JOURNAL)
        modes = reader.modes("st-01", since=since)
        reader.close()
        return [one for one in modes if one.subject == "T2g autotune" and one.at > since]

    def moves(self, since: datetime) -> list[float]:
        """Return by how much the valve stood off where the autotune after a scan found it."""
        begun = next(one.at for one in self.phases(since) if one.new == "pre-move")
        reader = Reader(self.folder / JOURNAL)
        openings = reader.outputs("st-01", Tag("CV1_SV"), since, begun + timedelta(days=1))
        reader.close()
        base = [point.value for point in openings if point.at < begun][-1]
        after = [round(point.value - base, 1) for point in openings if point.at >= begun]
        return [value for value, _ in groupby(after)]

    def now(self) -> datetime:
        return self.station().at


@contextmanager
def built() -> Iterator[House]:
    with tempfile.TemporaryDirectory(prefix="heatd-") as name, ExitStack() as stack:
        folder, port = Path(name), free_port()
        site = one_station(folder, port, **PATIENT)
        path = site / "stations" / "st-01.yaml"
        text = path.read_text(encoding="utf-8")
        path.write_text(text.replace(CIRCUIT, AUTOTUNE + CIRCUIT), encoding="utf-8")
        with closing(asyncio.SelectorEventLoop()) as machine:
            plan = DemoPlan(
                config=str(site),
                speed=SPEED,
                origin_monotonic_s=machine.time(),
                epoch=EPOCH.isoformat(),
                seed=1,
                ports={"st-01": port},
            )
        running = stack.enter_context(processes(folder, plan))
        wait_ready(folder, running, stations=1)
        house = House(folder, site, running, stack.enter_context(ExitStack()))
        until(lambda: house.station().authority == "heatd", "heatd controls", seconds=PHASE_S)
        yield house


@pytest.fixture(scope="module")
def house() -> Iterator[House]:
    """A house whose tests leave the loop in automatic and no autotune under way."""
    with built() as made:
        yield made


def ended(tuning: "subprocess.Popen[str]") -> tuple[int, str, str]:
    said, told = tuning.communicate(timeout=120.0)
    return tuning.returncode, said, told


def test_it_goes_on_until_it_prints_gains_that_a_station_file_takes(house):
    since = house.now()
    code, said, told = ended(house.tune())
    assert code == 0, told
    printed = said[said.index("# st-01 T2g:") :]
    gain = float(re.search(r"# st-01 T2g: ([\d.]+) K/%", printed)[1])
    phases = [one.new for one in house.phases(since)]
    assert phases == ["settling", "pre-move", "bump", "done"]
    assert house.moves(since)[:3] == [2.0, 7.0, 0.0]
    # The valve stands wide open at this weather; half open it would be twice as strong.
    assert 0.2 < gain < 0.6
    pid = YAML(typ="safe").load(printed)["circuits"]["main"]["pid"]
    path = house.site / "stations" / "st-01.yaml"
    lines = f"    pid: {{gain: {pid['gain']}, reset_time: {pid['reset_time']}}}\n"
    path.write_text(path.read_text(encoding="utf-8").replace(CIRCUIT, lines + CIRCUIT))
    (station,) = load(house.site).stations
    taken = station.circuits["main"].pid
    assert 0.2 < taken.gain_pct_per_k < 4.0
    assert 5.0 < taken.reset_time_s < 60.0


def test_ctrl_c_ends_it_with_the_valve_back_where_it_stood(house):
    since, tuning = house.now(), house.tune()
    house.reaches("bump")
    tuning.send_signal(signal.SIGINT)
    code, _, told = ended(tuning)
    house.reaches("aborted")
    last = house.phases(since)[-1]
    assert (code, told.splitlines()[-1]) == (
        1,
        "The autotune was ended; the valve goes back to where it stood.",
    )
    assert (last.new, last.why.endswith(" ended it")) == ("aborted", True)
    assert house.moves(since)[:3] == [2.0, 7.0, 0.0]


def test_a_person_who_takes_the_valve_ends_it_and_keeps_the_valve(house):
    since, tuning = house.now(), house.tune()
    house.reaches("bump")
    house.mode("man")
    code, _, told = ended(tuning)
    supply, moves, last = house.supply(), house.moves(since), house.phases(since)[-1]
    house.mode("auto")
    assert (code, told.splitlines()[-1]) == (
        1,
        "The autotune was given up: a person took the valve. No setting was changed.",
    )
    assert (last.new, last.why) == ("aborted", "a person took the valve")
    assert (supply.mode, supply.holder, moves) == ("man", "operator", [2.0, 7.0])


def test_a_daemon_that_ends_takes_it_along_and_that_is_said():
    with built() as house:
        tuning = house.tune()
        house.running["daemon"].terminate()
        code, _, told = ended(tuning)
    assert (code, told.splitlines()[-1]) == (1, "heatd has stopped, and the autotune with it.")
