"""How a controller takes a primary supply that is 20 K colder from one second to the next.

Rule: the supply's true error counts, in the hour after the step and after the way back, while the
valve is under 98 %: what the network cannot give is no controller's fault.
"""

import math
import random
from dataclasses import dataclass

from hil_sim.bench.controllers import ANCHOR, Controller, controller_of, station_for
from hil_sim.bench.lane import ROOM_C, exact_curve
from hil_sim.bench.rig import PROMPT, Rig
from hil_sim.plant.station import StationParameters, StationPlant
from hil_sim.plant.weather import SteadyWeather
from hil_sim.score import SATURATED_PCT

_OUTDOOR_C = -5.0
_STEP_K = 20.0
_SETTLE_S, _HOLD_S, _WATCH_S = 3 * 3600.0, 3 * 3600.0, 3600.0
_BEYOND_K = 1.0
_THROWN_S = 120


@dataclass(frozen=True, slots=True, kw_only=True)
class StepFigures:
    """Peak of the supply's error in K, and for how many minutes it was beyond 1 K."""

    drop_peak_k: float
    drop_beyond_1k_min: float
    return_peak_k: float
    return_beyond_1k_min: float


def primary_step(
    name: str, parameters: StationParameters, *, seed: int, scan_s: float
) -> StepFigures:
    """Return what the step of -20 K and its way back after 3 h do under a controller."""
    rig, controller = _at_rest(name, parameters, seed=seed, scan_s=scan_s)
    rig.plant.primary.shift(-_STEP_K)
    drop = _errors(rig, controller, _WATCH_S, scan_s)
    _errors(rig, controller, _HOLD_S - _WATCH_S, scan_s)
    rig.plant.primary.shift(_STEP_K)
    back = _errors(rig, controller, _WATCH_S, scan_s)
    return StepFigures(
        drop_peak_k=max(drop),
        drop_beyond_1k_min=_beyond_min(drop, scan_s),
        return_peak_k=max(back),
        return_beyond_1k_min=_beyond_min(back, scan_s),
    )


def least_peaks(parameters: StationParameters, *, seed: int, scan_s: float) -> tuple[float, float]:
    """Return the peaks of step and way back that no controller can avoid, K.

    The valve is thrown open, and shut on the way back, at full speed in the very second of the
    step, by somebody who waits for no sensor and no scan.
    """
    rig, controller = _at_rest(ANCHOR, parameters, seed=seed, scan_s=scan_s)
    drop_k = _thrown(rig, 100.0, -_STEP_K)
    _errors(rig, controller, _HOLD_S, scan_s)
    return drop_k, _thrown(rig, 0.0, _STEP_K)


def _at_rest(
    name: str, parameters: StationParameters, *, seed: int, scan_s: float
) -> tuple[Rig, Controller]:
    plant = StationPlant(
        parameters, random.Random(f"{seed} step plant"), weather=SteadyWeather(_OUTDOOR_C)
    )
    curve = exact_curve(parameters, ROOM_C)
    rig = Rig(
        plant,
        station_for(name, parameters, curve, ROOM_C),
        curve=curve,
        room_c=ROOM_C,
        collectors=PROMPT,
        rng=random.Random(f"{seed} step collectors"),
    )
    controller = controller_of(name, rig, curve, seed=f"{seed} step forecast")
    _errors(rig, controller, _SETTLE_S, scan_s)
    return rig, controller


def _thrown(rig: Rig, valve_pct: float, step_k: float) -> float:
    """Return by how much the supply is pushed away in the step's direction, K."""
    plant = rig.plant
    before_c = plant.supply_c
    plant.primary.shift(step_k)
    plant.valve.command_pct = valve_pct
    peak_k = 0.0
    for _ in range(_THROWN_S):
        rig.advance(1.0)
        peak_k = max(peak_k, math.copysign(1.0, step_k) * (plant.supply_c - before_c))
    return peak_k


def _errors(rig: Rig, controller: Controller, for_s: float, scan_s: float) -> list[float]:
    errors = []
    for _ in range(round(for_s / scan_s)):
        rig.advance(scan_s)
        error_k = abs(rig.plant.supply_c - controller.scan(scan_s))
        errors.append(error_k if rig.plant.valve.stem_pct < SATURATED_PCT else 0.0)
    return errors


def _beyond_min(errors: list[float], scan_s: float) -> float:
    return sum(error > _BEYOND_K for error in errors) * scan_s / 60.0
