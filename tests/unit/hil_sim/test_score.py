"""The figures of a run: each against a run whose answer is known without a computer."""

from dataclasses import replace
from typing import get_args

import pytest

from hil_sim.scenario import Figure
from hil_sim.score import Observation, Score

CALM = Observation(
    supply_c=60.0,
    wanted_c=60.0,
    setpoint_c=60.0,
    valve_pct=50.0,
    room_p10_c=20.0,
    room_mean_c=21.0,
    heat_mwh=0.0,
    valve_travel_pct=0.0,
    valve_starts=0,
    primary_return_c=45.0,
    primary_flow_kg_s=10.0,
    is_scored=True,
)
HOUR_S = 3600.0


def figures_of(*observations, dt_s=HOUR_S):
    score = Score()
    for seen in observations:
        score.observe(seen, dt_s)
    return score.figures()


def test_a_run_has_every_figure_under_its_stable_name():
    assert tuple(figures_of(CALM)) == get_args(Figure)


def test_a_run_that_is_not_scored_has_them_too_and_nothing_to_tell():
    empty = figures_of(replace(CALM, is_scored=False))
    assert tuple(empty) == get_args(Figure)
    assert {name for name, value in empty.items() if value is not None} == {"alarms_raised"}


@pytest.mark.parametrize(
    ("figure", "observations", "value"),
    [
        # Tracking is judged by the curve, the loop by its ramped setpoint.
        ("within_1k_pct", [CALM, replace(CALM, supply_c=61.0)], 100.0),
        ("within_1k_pct", [CALM, replace(CALM, supply_c=61.01)], 50.0),
        ("within_1k_pct", [CALM, replace(CALM, supply_c=58.9)], 50.0),
        ("within_1k_pct", [replace(CALM, setpoint_c=70.0)], 100.0),
        ("supply_rmse_k", [replace(CALM, supply_c=63.0), replace(CALM, supply_c=57.0)], 3.0),
        ("supply_rmse_k", [replace(CALM, wanted_c=70.0)], 0.0),
        # A valve that is open all the way cannot do more: reported, and not counted as tracking.
        ("saturated_pct", [CALM, CALM, CALM, replace(CALM, valve_pct=98.0)], 25.0),
        ("within_1k_pct", [CALM, replace(CALM, valve_pct=99.0, supply_c=40.0)], 100.0),
        ("within_1k_pct", [replace(CALM, valve_pct=99.0)], None),
        # Who has no setpoint yet is held against the curve.
        ("supply_rmse_k", [replace(CALM, setpoint_c=float("nan"), supply_c=62.0)], 2.0),
        # Rooms: the coldest tenth for the promise, the mean for waste.
        ("room_min_c", [CALM, replace(CALM, room_p10_c=18.4), CALM], 18.4),
        ("degree_hours_below_19", [CALM, replace(CALM, room_p10_c=18.4)], 0.6),
        ("degree_hours_above_22", [CALM, replace(CALM, room_mean_c=23.5)], 1.5),
        # Counters run from the start of the plant; only what happened while scored counts.
        ("heat_mwh", [replace(CALM, heat_mwh=7.0), replace(CALM, heat_mwh=9.5)], 2.5),
        ("valve_starts_per_day", [CALM, replace(CALM, valve_starts=10)], 120.0),
        ("valve_strokes_per_day", [CALM, replace(CALM, valve_travel_pct=50.0)], 6.0),
        # The mean return temperature is the mixed one: by flow, not by time.
        (
            "primary_return_c",
            [CALM, replace(CALM, primary_return_c=60.0, primary_flow_kg_s=5.0)],
            50.0,
        ),
        ("primary_return_c", [replace(CALM, primary_flow_kg_s=0.0)], None),
    ],
)
def test_a_figure_is_what_its_name_says(figure, observations, value):
    assert figures_of(*observations)[figure] == (value if value is None else pytest.approx(value))


def test_what_happens_before_the_daemon_has_settled_is_not_scored():
    before = replace(CALM, supply_c=20.0, room_p10_c=5.0, is_scored=False)
    assert figures_of(before, CALM) == figures_of(CALM)


def test_alarms_and_the_failover_are_told_as_they_were_noted():
    score = Score()
    score.observe(CALM, HOUR_S)
    score.alarms_raised, score.failover_decision_s, score.failover_heat_s = 2, 114.4, 309.4
    told = score.figures()
    assert (told["alarms_raised"], told["failover_decision_s"]) == (2, 114.4)
    assert told["failover_heat_s"] == 309.4
