"""The plant's pipe against measurements of the University of Liège on a steel pipe of 39 m.

The measurements are not ours to copy: they lie beside the repository in `shared/data/pipes`, or
where HEATD_SHARED says. Columns: s, kg/s, pipe out, water out, pipe in, water in (°C).
"""

import math
from itertools import pairwise

import pytest

from hil_sim.plant.network import WATER_KJ_PER_M3K, Pipe, PipeParameters
from tests.shared_data import shared_data

LENGTH_M, INNER_M, OUTER_M = 39.0, 0.05248, 0.0603
LOSS_KW_PER_K = 0.462e-3 * LENGTH_M
STEEL_KJ_PER_M3K = 7850.0 * 0.46
WATER_CP = 4.186
HALL_C = 18.0

WATER_M2 = math.pi / 4.0 * INNER_M**2
WALL_SHARE = (
    math.pi / 4.0 * (OUTER_M**2 - INNER_M**2) * STEEL_KJ_PER_M3K / (WATER_M2 * WATER_KJ_PER_M3K)
)


def measured(name: str) -> list[list[float]]:
    """Return the rows of a measurement, or stand aside where they are not at hand."""
    lines = shared_data(f"pipes/{name}").read_text(encoding="utf-8").splitlines()
    return [[float(c.strip(" )")) for c in ln.split(",")] for ln in lines if ln.count(",") == 5]


def rmse_k(rows: list[list[float]], parameters: PipeParameters) -> float:
    """Return how far the pipe's outlet lies from the measured one, K."""
    pipe = Pipe(WATER_M2 * LENGTH_M, cells=200, start_c=rows[0][3], parameters=parameters)
    squares = 0.0
    for before, after in pairwise(rows):
        dt_s = after[0] - before[0]
        pipe.cool(dt_s)
        volume_m3 = before[1] * WATER_CP / WATER_KJ_PER_M3K * dt_s
        out_c = pipe.push(volume_m3, (before[5] + after[5]) / 2.0)
        squares += (out_c - after[3]) ** 2
    return math.sqrt(squares / (len(rows) - 1))


@pytest.mark.parametrize("name", ["PipeDataULg150801.mos", "PipeDataULg151202.mos"])
def test_the_outlet_of_a_measured_pipe_is_met_with_its_steel_and_not_without(name: str) -> None:
    rows = measured(name)
    steel = PipeParameters(
        wall_share=WALL_SHARE, mixed_share=0.16, loss_kw_per_k=LOSS_KW_PER_K, ground_c=HALL_C
    )
    bare = PipeParameters(loss_kw_per_k=LOSS_KW_PER_K, ground_c=HALL_C)
    assert rmse_k(rows, steel) <= 1.5
    assert rmse_k(rows, bare) > 2.0
