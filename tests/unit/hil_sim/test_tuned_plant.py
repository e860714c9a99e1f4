"""The autotune on the reference plant: what it finds is what the plant's own step response says."""

import math
import random

import pytest

from control_loops.autotune import AutotuneLimits, Process
from core.command import StartTune
from core.point import Tag
from hil_sim.bench.controllers import Shipped, station_for
from hil_sim.bench.lane import exact_curve
from hil_sim.bench.rig import PROMPT, Rig
from hil_sim.plant.station import StationParameters, StationPlant
from hil_sim.plant.weather import SteadyWeather

SCAN_S = 5.0
PARAMETERS = StationParameters()
LIMITS = AutotuneLimits()
ONCE_THROUGH_S = 100
"""Then the warmer water is back from the flats, and a second, slow answer begins, which no loop of
half a minute waits for."""


def rig_at(outdoor_c: float, seed: int) -> Rig:
    plant = StationPlant(
        PARAMETERS, random.Random(f"{seed} plant"), weather=SteadyWeather(outdoor_c)
    )
    curve = exact_curve(PARAMETERS, 21.0)
    return Rig(
        plant,
        station_for("shipped", PARAMETERS, curve, 21.0),
        curve=curve,
        room_c=21.0,
        collectors=PROMPT,
        rng=random.Random(f"{seed} collectors"),
    )


def step_response(outdoor_c: float, base_pct: float) -> list[float]:
    """What the supply's sensor shows without its noise, every second after the bump alone, K."""
    rig = rig_at(outdoor_c, seed=0)
    plant, valve = rig.plant, rig.plant.valve
    for opening_pct, for_s in ((base_pct, 1800), (base_pct + LIMITS.pre_move_pct, 600)):
        valve.command_pct = opening_pct
        for _ in range(for_s):
            plant.step(1.0)
    valve.command_pct += LIMITS.bump_pct
    seen = [plant.instruments.t2g.value]
    for _ in range(ONCE_THROUGH_S):
        plant.step(1.0)
        seen.append(plant.instruments.t2g.value)
    return [value - seen[0] for value in seen]


def fitted(response: list[float]) -> Process:
    """The process whose step response is nearest in squares; the gain follows for each pair."""
    best, least = Process(0.0, 0.0, 0.0), math.inf
    for dead_s in range(41):
        for tau_s in range(6, 81):
            shape = [
                1.0 - math.exp(-(at_s - dead_s) / tau_s) if at_s > dead_s else 0.0
                for at_s in range(len(response))
            ]
            gain = sum(a * b for a, b in zip(shape, response, strict=True)) / sum(
                a * a for a in shape
            )
            off = sum((gain * a - b) ** 2 for a, b in zip(shape, response, strict=True))
            if off < least:
                best, least = Process(gain / LIMITS.bump_pct, float(tau_s), float(dead_s)), off
    return best


@pytest.mark.parametrize(("outdoor_c", "seed"), [(-10.0, 1), (-10.0, 2), (3.0, 1)])
def test_it_finds_the_plants_gain_time_constant_and_dead_time(outdoor_c, seed):
    rig = rig_at(outdoor_c, seed)
    heatd = Shipped(rig)
    for _ in range(round(1800.0 / SCAN_S)):
        rig.advance(SCAN_S)
        heatd.scan(SCAN_S)
    heatd.commands = (StartTune(station="shipped", who="ann", why="test", loop="T2g"),)
    phases = []
    for _ in range(round((LIMITS.wait_s + LIMITS.whole_s) / SCAN_S)):
        rig.advance(SCAN_S)
        heatd.scan(SCAN_S)
        tune = heatd.decision.circuits[0].state.tune.state
        phases.append(tune.phase)
        if tune.phase in {"done", "aborted"}:
            break
    assert (phases[-1], tune.why) == ("done", "")
    assert rig.read(Tag("CV1_SV")) == tune.base_pct
    truth, found = fitted(step_response(outdoor_c, tune.base_pct)), tune.found
    assert found.gain_k_per_pct == pytest.approx(truth.gain_k_per_pct, rel=0.3)
    assert found.tau_s == pytest.approx(truth.tau_s, rel=0.3)
    assert found.dead_s == pytest.approx(truth.dead_s, rel=0.3)
