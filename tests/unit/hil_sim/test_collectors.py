"""The simulated flats reach a station's image as points like any other, in virtual time."""

import asyncio
import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from config.load import load
from controller.daemon import Daemon, Options
from core.clock import LoopClock
from core.point import Quality, Tag
from core.rooms import room_readings
from drivers.collector_settings import FlatRow
from hil_sim.collectors import REPORT_S, message, report_for_ever, with_collector
from hil_sim.virtual_loop import VirtualLoop

EXAMPLES = Path(__file__).parents[3] / "config" / "examples"
EPOCH = datetime(2026, 1, 15, tzinfo=UTC)
FLATS = {
    "3-502": FlatRow(position="edge"),
    "3-601": FlatRow(position="top", device="a4c1"),
    "3-701": FlatRow(),
}


def site_with_flats():
    site = with_collector(load(EXAMPLES))
    return replace(site, stations=(replace(site.stations[0], flats=FLATS),))


def test_a_message_is_what_a_collector_would_send():
    assert json.loads(message(21.456, EPOCH)) == {"temp": 21.46, "ts": "2026-01-15T00:00:00+00:00"}


@pytest.fixture
def watched(tmp_path):
    """Return what a station's image shows while its collectors report, and after they stopped."""

    async def scene():
        site, clock = site_with_flats(), LoopClock(EPOCH)
        daemon = Daemon(site, clock, Options(state_dir=tmp_path, is_durable=False))
        (shell,) = daemon.stations.values()
        stop = asyncio.Event()
        running = asyncio.create_task(daemon.run(stop))
        reporting = asyncio.create_task(
            report_for_ever(shell.config, daemon.boards, lambda: [20.0, 21.0, 22.0], clock)
        )
        await asyncio.sleep(2 * REPORT_S)
        while_reporting = shell.image
        facts_before = shell.decision
        reporting.cancel()
        await asyncio.wait([reporting])
        daemon.boards["rooms"].is_up = False
        await asyncio.sleep(3 * 3600.0)
        silent = shell.image
        stop.set()
        await running
        return shell.plan, while_reporting, silent, facts_before

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(scene())


def test_flats_are_points_of_the_image_with_quality_and_age(watched):
    plan, image, silent, _ = watched

    (circuit,) = plan.circuits
    readings = room_readings(circuit.flats, image)
    assert [(r.flat.name, r.flat.position, r.sample.value) for r in readings] == [
        ("3-502", "edge", 20.0),
        ("3-601", "top", 21.0),
        ("3-701", "middle", 22.0),
    ]
    assert all(r.sample.quality is Quality.GOOD for r in readings)
    assert all(0.0 <= r.sample.age_s <= REPORT_S for r in readings)
    assert image[Tag("T_room_count")].value == 3.0
    # Nobody reports any more: two hours later the rooms are looked at, and count for nothing.
    assert silent[Tag("room.3-502")].quality is Quality.STALE
    assert silent[Tag("T_room_count")].value == 0.0


def test_figures_that_the_plc_gives_are_the_plc_s(watched):
    _, image, _, _ = watched

    # The map of this station has T_room_avg, and nobody answers for the PLC here.
    assert image[Tag("T_room_avg")].quality is Quality.BAD
    assert image.table.tags.count(Tag("T_room_avg")) == 1
