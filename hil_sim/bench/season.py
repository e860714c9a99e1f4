"""A whole heating season of one station with the real decision, as fast as it goes.

Rule: nothing is left out but the network and the journal; one seed gives one digest.
"""

import hashlib
import random
import struct
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta

from hil_sim.bench.controllers import SHIPPED_DEFAULT, Shipped, station_for
from hil_sim.bench.lane import ROOM_C, exact_curve
from hil_sim.bench.rig import PROMPT, Rig
from hil_sim.bench.tally import Tally
from hil_sim.calibration import calibration_s
from hil_sim.plant.station import StationParameters, StationPlant
from hil_sim.plant.weather import ClimateParameters, SyntheticWeather

SEASON_DAYS = 183
SCAN_S = 10.0
_FAST_S = 10.0
_DAY_S = 86_400.0
_START = datetime(2024, 10, 1, tzinfo=UTC) - timedelta(hours=8)
_CLIMATE = ClimateParameters(days=SEASON_DAYS, mean_c=-4.0, edge_c=6.0)
_TELL_EVERY = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class SeasonResult:
    """What a season came to, and what it cost.

    `ratio` is the CPU time over that of the calibration loop; `digest` covers every write and the
    rooms at the end.
    """

    days: float
    scans: int
    wall_s: float
    cpu_s: float
    ratio: float
    heat_mwh: float
    figures: dict[str, float]
    digest: str


def play_season(
    parameters: StationParameters,
    *,
    seed: int,
    days: float = SEASON_DAYS,
    tell: Callable[[float], None] = lambda _share: None,
) -> SeasonResult:
    """Return the season's result.

    Args:
        parameters: The plant.
        seed: Of weather, plant and collectors.
        days: How many days from 1 October are played.
        tell: Told the share that is done, 0..1.
    """
    calibration = calibration_s()
    began_s, began_cpu_s = time.perf_counter(), time.process_time()
    weather = SyntheticWeather(_CLIMATE, random.Random(f"{seed} season"))
    plant = StationPlant(
        parameters,
        random.Random(f"{seed} season plant"),
        weather=weather,
        fast_s=_FAST_S,
    )
    curve = exact_curve(parameters, ROOM_C)
    rig = Rig(
        plant,
        station_for(SHIPPED_DEFAULT, parameters, curve, ROOM_C),
        curve=curve,
        room_c=ROOM_C,
        collectors=PROMPT,
        rng=random.Random(f"{seed} season collectors"),
    )
    controller = Shipped(rig, _START)
    tally, writes = Tally(plant), hashlib.sha256()
    scans = round(days * _DAY_S / SCAN_S)
    for scan in range(scans):
        rig.advance(SCAN_S)
        setpoint_c = controller.scan(SCAN_S)
        tally.observe(setpoint_c)
        writes.update(struct.pack("<2d", plant.valve.command_pct, setpoint_c))
        if scan % _TELL_EVERY == 0:
            tell(scan / scans)
    truth = asdict(plant.truth())
    writes.update(repr(sorted(truth.items())).encode())
    outcome = tally.outcome()
    cpu_s = time.process_time() - began_cpu_s
    return SeasonResult(
        days=days,
        scans=scans,
        wall_s=round(time.perf_counter() - began_s, 1),
        cpu_s=round(cpu_s, 1),
        ratio=round(cpu_s / calibration, 1),
        heat_mwh=round(outcome.heat_mwh, 2),
        figures={name: round(value, 3) for name, value in outcome.figures.items()},
        digest=writes.hexdigest(),
    )
