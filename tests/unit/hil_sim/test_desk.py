"""What an engineer is told before PLCs are served at a desk: what they lack, and their haste."""

from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from config.load import load
from hil_sim.cli import app
from hil_sim.desk import too_fast
from tests.running import EXAMPLES, free_port, one_station


def test_points_that_the_simulated_plc_lacks_are_named(tmp_path: Path) -> None:
    site = one_station(tmp_path, free_port())
    path = next((site / "maps").glob("station-plc-v1.yaml"))
    text = path.read_text(encoding="utf-8")
    second = '  CV2_U: {at: holding 190, type: f32, unit: "%", range: 0..100}\n'
    path.write_text(text.replace("points:\n", "points:\n" + second, 1), encoding="utf-8")
    ran = CliRunner().invoke(app, ["serve", str(site)])
    assert ran.exit_code == 1, ran.output
    assert "the simulated PLC of st-01 has no CV2_U: to rehearse" in ran.stderr
    assert "Traceback" not in ran.output


@pytest.fixture(scope="module")
def station():
    return load(EXAMPLES).stations[0]


@pytest.mark.parametrize(("speed", "is_told"), [(1.0, False), (4.0, False), (4.1, True)])
def test_a_plc_that_runs_too_fast_for_a_daemon_in_real_time_is_told(station, speed, is_told):
    said = too_fast(station, speed)
    assert ("give --speed 4 or less" in said) is is_told
    assert said.startswith("st-01: at 4.1 times real time its PLC waits 14.6 s") is is_told


def test_a_plc_that_is_only_watched_may_run_as_fast_as_it_likes(station):
    watched = replace(station, authority=replace(station.authority, write="none"))
    assert too_fast(watched, 60.0) == ""
