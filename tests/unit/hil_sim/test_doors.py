"""The doors of simulated stations: a fault goes in, a sentence comes out, and nobody hangs."""

import asyncio
import json
import os
import random
import socket
import threading
from contextlib import AsyncExitStack, closing

import pytest

from hil_sim.doors import NoDemo, ask, fault_door, runtime_dir
from hil_sim.plant.station import StationParameters, StationPlant
from hil_sim.plc import SimPlc
from hil_sim.serve import SimStation, inject, open_fault_door


@pytest.fixture
def station():
    plant = StationPlant(StationParameters(), random.Random(1))
    return SimStation(name="st-01", plc=SimPlc(plant, rng=random.Random(2), curve=[(0.0, 50.0)]))


@pytest.fixture
def here(tmp_path, monkeypatch):
    """This user's runtime folder, for once in the test's own."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    return runtime_dir()


def test_the_doors_of_a_demo_lie_in_the_users_own_runtime_folder(here, tmp_path):
    assert here == tmp_path / f"heatd-demo-{os.getuid()}"
    assert fault_door("st-01") == here / "sim-st-01.sock"
    assert fault_door("st-01", tmp_path) == tmp_path / "sim-st-01.sock"


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        ({"do": "primary-lost"}, "st-01: primary-lost is on"),
        ({"do": "primary-lost", "on": False}, "st-01: primary-lost is off"),
        ({"do": "sensor-open", "tag": "T2g"}, "st-01: sensor-open is on"),
    ],
)
def test_a_fault_is_put_on_and_told(station, request_, said):
    assert inject(station, json.dumps(request_).encode()) == {"ok": True, "said": said}


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (b'{"do": "nothing-such"}', "no fault is called nothing-such"),
        (b'{"do": "sensor-open"}', "fault sensor-open: 'tag' is not there"),
        (b'{"do": "sensor-open", "tag": "T9g"}', "fault sensor-open: 'T9g' is not there"),
        (b'{"do": "sensor-drift", "tag": "T2g", "per_day": "x"}', "could not convert"),
        (b'{"on": true}', "'do'"),
        (b"[1]", "integer"),
        (b"5", "int"),
        (b"no json", "Expecting value"),
        (b"", "Expecting value"),
        (b"\xff", "decode"),
    ],
)
def test_what_is_no_fault_is_answered_with_those_that_are(station, line, said):
    answer = inject(station, line)
    assert answer["ok"] is False
    assert said in answer["said"]
    assert "Faults are: boiler-lockout, both-pumps-trip, " in answer["said"]


def test_a_request_goes_through_the_door_and_breaks_the_plant(station, here):
    """The old socket of a demo that was killed is replaced."""
    here.mkdir()
    fault_door("st-01").touch()

    async def main():
        async with AsyncExitStack() as stack:
            await open_fault_door(stack, station, fault_door("st-01"))
            return await asyncio.to_thread(ask, "st-01", {"do": "primary-lost", "on": True})

    assert asyncio.run(main()) == {"ok": True, "said": "st-01: primary-lost is on"}
    assert station.plc.plant.primary.is_lost
    assert not fault_door("st-01").exists()


def test_without_a_demo_the_user_hears_what_to_start(here):
    with pytest.raises(NoDemo, match=r"st-01 answers; start `\./run demo`"):
        ask("st-01", {"do": "primary-lost"})


def test_a_station_that_is_not_there_is_told_from_those_that_are(here):
    here.mkdir()
    fault_door("st-02").touch()
    with pytest.raises(NoDemo, match="no simulated station st-01 answers; these run: st-02"):
        ask("st-01", {"do": "primary-lost"})


def test_a_station_that_dies_while_it_is_asked_is_no_crash_of_ours(here):
    here.mkdir()
    with closing(socket.socket(socket.AF_UNIX)) as door:
        door.bind(str(fault_door("st-01")))
        door.listen()

        def hang_up():
            asked, _ = door.accept()
            with closing(asked):
                asked.recv(100)

        thread = threading.Thread(target=hang_up)
        thread.start()
        with pytest.raises(NoDemo, match="no simulated station st-01 answers"):
            ask("st-01", {"do": "primary-lost"})
        thread.join()
