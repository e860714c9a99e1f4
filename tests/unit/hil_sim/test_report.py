"""What the simulator prints for people: a table that keeps its names, and how far a run is."""

import io

import pytest
from rich.console import Console

from hil_sim import console
from hil_sim.bench.control import CLAIRVOYANT
from hil_sim.bench.controllers import CONTROLLERS
from hil_sim.bench.report import figures_table

WEEKS = ("mild", "cold-snap", "sunny", "source-drop")


def test_the_table_of_the_benchmark_keeps_all_names_on_a_narrow_terminal() -> None:
    names = (*CONTROLLERS, CLAIRVOYANT)
    figures = {name: {"supply_rmse_k": 100.25} for name in names}
    result = {"plant": "reference", "seed": 1, "means": figures}
    out = Console(width=80, file=io.StringIO(), record=True)
    out.print(figures_table({**result, "weeks": dict.fromkeys(WEEKS, figures)}))
    lines = out.export_text().splitlines()
    assert lines[2].split() == ["week,", "figure", *names]
    assert [line.strip() for line in lines if line.strip() in WEEKS] == list(WEEKS)
    assert sum(line.split() == ["RMSE", "K", *["100.25"] * len(names)] for line in lines) == 5


@pytest.mark.parametrize(
    ("wait_s", "said"), [(0.0, "a day of history: 25%\na day of history: 100%\n"), (10.0, "")]
)
def test_progress_in_a_pipe_is_a_line_now_and_then(
    monkeypatch: pytest.MonkeyPatch, wait_s: float, said: str
) -> None:
    pipe = io.StringIO()
    monkeypatch.setattr(console, "_TALK", Console(file=pipe))
    monkeypatch.setattr(console, "_LINE_S", wait_s)
    with console.progress("a day of history") as tell:
        tell(0.25)
        tell(1.0)
    assert pipe.getvalue() == said
