"""The guard of the control's quality: a short benchmark that a worse tuning does not pass.

The whole figures and how to read them stand in docs/control-quality.md.
"""

import pytest

from hil_sim.bench.control import ControlResult, Settings, bench_control
from hil_sim.bench.controllers import ANCHOR, SHIPPED
from hil_sim.bench.primary_step import primary_step
from hil_sim.bench.stations import reference_plant
from hil_sim.bench.weeks import usual_weeks
from tests.playing import elsewhere

WEEKS = ("cold-snap", "sunny")

# Some 20 s of CPU; a loaded machine takes its time.
pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def result(tmp_path_factory: pytest.TempPathFactory) -> ControlResult:
    return elsewhere(tmp_path_factory, "control-quality", short_bench)


def short_bench() -> ControlResult:
    weeks = tuple(week for week in usual_weeks(1, is_short=True) if week.name in WEEKS)
    settings = Settings(
        plant=reference_plant(), weeks=weeks, seed=1, scan_s=10.0, controllers=(SHIPPED, ANCHOR)
    )
    return bench_control(settings, lambda _: None)


def test_heat_stays_near_the_clairvoyant_bound(result: ControlResult) -> None:
    # Measured: 0.7 % in these two short weeks, 27 % of the usual controller's excess.
    assert result.mean["heat_above_clairvoyant_pct"] <= 1.2
    assert result.anchor_share_pct is not None
    assert result.anchor_share_pct <= 40.0


def test_the_valve_rests_and_the_supply_is_held_all_the_same(result: ControlResult) -> None:
    assert result.mean["valve_starts_per_day"] <= 50.0
    # The snap fills a half of its short week: whole weeks show a tenth less travel.
    assert result.mean["valve_strokes_per_day"] <= 0.65
    assert result.mean["supply_rmse_k"] <= 0.5
    assert result.means[ANCHOR]["valve_starts_per_day"] > 400.0


def test_no_flat_is_too_cold_and_none_is_driven_to_open_its_windows(result: ControlResult) -> None:
    assert result.mean["degree_hours_below_19"] == 0.0
    assert result.mean["degree_hours_above_22"] <= 1.0


def test_a_colder_primary_is_met_before_the_supply_is_far_off() -> None:
    # As in the whole benchmark: with scans of 10 s the peak comes before the first of them.
    step = primary_step(SHIPPED, reference_plant(), seed=1, scan_s=6.0)
    assert step.drop_peak_k <= 4.0
    assert step.drop_beyond_1k_min <= 6.0
