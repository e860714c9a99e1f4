"""A station whose valve is too small for the cold: what preheating is worth to its rooms."""

import random
from dataclasses import replace
from typing import Any

import pytest

from config.model import Station
from hil_sim.bench import lane
from hil_sim.bench.controllers import SHIPPED, station_for
from hil_sim.bench.lane import Lane, run_lane
from hil_sim.bench.stations import reference_plant
from hil_sim.bench.weeks import HOUR_S, SwingWeather, Week

HOURS = 66.0
# A day of mild cold, twelve hours of fall, and a day in which the valve is wide open.
FALL = ((0.0, -10.0), (30.0, -10.0), (42.0, -25.0), (HOURS, -25.0))


@pytest.mark.timeout(600)
def test_it_keeps_the_rooms_warmer_in_a_cold_that_the_valve_cannot_carry(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    whole = reference_plant()
    plant = replace(whole, valve=replace(whole.valve, kvs_m3h=0.5 * whole.valve.kvs_m3h))
    weather = SwingWeather(
        FALL, swing_k=1.0, noon_w_per_m2=0.0, rng=random.Random("preheat"), hours=HOURS
    )
    week = Week(
        name="snap", weather=weather, burn_in_s=6.0 * HOUR_S, scored_s=(HOURS - 6.0) * HOUR_S
    )
    run = Lane(controller=SHIPPED, week=week, plant=plant, seed=1, scan_s=30.0, offset_k=-0.5)

    def without(*args: Any) -> Station:
        station = station_for(*args)
        circuit = station.circuits["main"]
        assert circuit.preheat is not None
        return replace(station, circuits={"main": replace(circuit, preheat=None)})

    preheated = run_lane(run)
    monkeypatch.setattr(lane, "station_for", without)
    plain = run_lane(run)
    assert plain.figures["saturated_pct"] > 30.0
    coldest = [min(outcome.trace.room_mean_c) for outcome in (plain, preheated)]
    assert coldest[1] > coldest[0] + 0.3
    assert preheated.figures["room_max_c"] < 20.5 + 1.5 + 0.5
