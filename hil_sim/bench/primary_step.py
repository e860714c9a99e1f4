"""How a controller takes a primary supply that is 20 K colder from one second to the next.

Rule: the supply's true error counts, in the hour after the step and after the way back, while the
valve is under 98 %: what the network cannot give is no controller's fault.
"""

import random
from dataclasses import dataclass

from hil_sim.bench.controllers import Controller, controller_of, station_for
from hil_sim.bench.lane import ROOM_C, exact_curve
from hil_sim.bench.rig import PROMPT, Rig
from hil_sim.plant.station import StationParameters, StationPlant
from hil_sim.plant.weather import SteadyWeather
from hil_sim.score import SATURATED_PCT

_OUTDOOR_C = -5.0
_STEP_K = 20.0
_SETTLE_S, _HOLD_S, _WATCH_S = 3 * 3600.0, 3 * 3600.0, 3600.0
_BEYOND_K = 1.0


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
    controller = controller_of(name, rig, curve)
    _errors(rig, controller, _SETTLE_S, scan_s)
    plant.primary.shift(-_STEP_K)
    drop = _errors(rig, controller, _WATCH_S, scan_s)
    _errors(rig, controller, _HOLD_S - _WATCH_S, scan_s)
    plant.primary.shift(_STEP_K)
    back = _errors(rig, controller, _WATCH_S, scan_s)
    return StepFigures(
        drop_peak_k=max(drop),
        drop_beyond_1k_min=_beyond_min(drop, scan_s),
        return_peak_k=max(back),
        return_beyond_1k_min=_beyond_min(back, scan_s),
    )


def _errors(rig: Rig, controller: Controller, for_s: float, scan_s: float) -> list[float]:
    errors = []
    for _ in range(round(for_s / scan_s)):
        rig.advance(scan_s)
        error_k = abs(rig.plant.supply_c - controller.scan(scan_s))
        errors.append(error_k if rig.plant.valve.stem_pct < SATURATED_PCT else 0.0)
    return errors


def _beyond_min(errors: list[float], scan_s: float) -> float:
    return sum(error > _BEYOND_K for error in errors) * scan_s / 60.0
