"""One controller through one week on one plant.

Rule: a lane is told everything by its `Lane`, so it may run in a process of its own.
"""

import random
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from hil_sim.bench.controllers import controller_of, station_for
from hil_sim.bench.rig import PROMPT, Collectors, Rig
from hil_sim.bench.tally import Outcome, Tally
from hil_sim.bench.weeks import Week
from hil_sim.plant.station import StationParameters, StationPlant

ROOM_C = 21.0
START_C = 20.3
# Where the exact curve is worked out: denser where radiators bend it most; 8 fit into any PLC.
_CURVE_AT_C = (-30.0, -24.0, -18.0, -12.0, -6.0, 0.0, 6.0, 12.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lane:
    """What is run: `offset_k` moves the wanted room, 21 °C, and the curve with it."""

    controller: str
    week: Week
    plant: StationParameters
    seed: int
    scan_s: float
    offset_k: float
    collectors: Collectors = PROMPT


def run_lane(lane: Lane) -> Outcome:
    """Return what one controller made of one week."""
    week = lane.week
    plant = StationPlant(
        lane.plant, random.Random(f"{lane.seed} {week.name} plant"), weather=week.weather
    )
    room_c = ROOM_C + lane.offset_k
    curve = exact_curve(lane.plant, room_c)
    rig = Rig(
        plant,
        station_for(lane.controller, lane.plant, curve, room_c),
        curve=curve,
        room_c=START_C,
        collectors=lane.collectors,
        rng=random.Random(f"{lane.seed} {week.name} collectors"),
    )
    controller = controller_of(
        lane.controller, rig, curve, seed=f"{lane.seed} {week.name} forecast"
    )
    shifted_k = 0.0
    tally: Tally | None = None
    for _ in range(round(week.whole_s / lane.scan_s)):
        drop_k = week.drop_k(plant.elapsed_s)
        if drop_k != shifted_k:
            plant.primary.shift(drop_k - shifted_k)
            shifted_k = drop_k
        rig.advance(lane.scan_s)
        setpoint_c = controller.scan(lane.scan_s)
        if tally is not None:
            tally.observe(setpoint_c)
        elif plant.elapsed_s >= week.burn_in_s:
            tally = Tally(plant)
    assert tally is not None, "a week has a scored part"
    return tally.outcome()


@cache
def _balance_plant(parameters: StationParameters) -> StationPlant:
    return StationPlant(parameters, random.Random(0))


def exact_curve(parameters: StationParameters, room_c: float) -> Mapping[float, float]:
    """Return the curve that holds the mean room of this plant at rest, without sun and wind.

    Supply by outdoor temperature, °C, at 8 points; where no heat is needed, the room itself.
    """
    plant = _balance_plant(parameters)
    return {
        outdoor_c: round(max(plant.balanced_supply_c(outdoor_c, room_c), room_c), 2)
        for outdoor_c in _CURVE_AT_C
    }
