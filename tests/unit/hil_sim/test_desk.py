"""A station that no simulated PLC can stand in for is refused in one sentence."""

from pathlib import Path

from typer.testing import CliRunner

from hil_sim.cli import app
from tests.running import free_port, one_station


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
