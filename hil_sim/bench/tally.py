"""What a week came to: the figures of one controller, and a trace for pictures and for comfort.

Rule: all of it is the plant's truth, never a sensor's; only the scored part of the week counts.
"""

import math
from dataclasses import dataclass, field

from hil_sim.plant.flats import percentile
from hil_sim.plant.station import StationPlant
from hil_sim.score import SATURATED_PCT

TRACE_S = 300.0
_ROOMS_S = 60.0
_ROOM_LOW_C, _ROOM_HIGH_C = 19.0, 22.0
_BIN_K = 0.01
_BINS = 2000
_P95 = 0.95
_KJ_PER_MWH = 3.6e6


@dataclass(slots=True)
class Trace:
    """Columns over the scored time, one row each 5 min; temperatures in °C.

    `room_mean_c` is the mean room, `room_p10_c` and `room_p90_c` the flats around it.
    """

    at_s: list[float] = field(default_factory=list)
    outdoor_c: list[float] = field(default_factory=list)
    sun_w_per_m2: list[float] = field(default_factory=list)
    primary_c: list[float] = field(default_factory=list)
    setpoint_c: list[float] = field(default_factory=list)
    supply_c: list[float] = field(default_factory=list)
    valve_pct: list[float] = field(default_factory=list)
    room_mean_c: list[float] = field(default_factory=list)
    room_p10_c: list[float] = field(default_factory=list)
    room_p90_c: list[float] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """One controller in one week: heat less the change of what is stored, and the figures."""

    heat_mwh: float
    figures: dict[str, float]
    trace: Trace


class Tally:
    """Watches one plant through the scored time."""

    def __init__(self, plant: StationPlant) -> None:
        self._plant = plant
        self.trace = Trace()
        self._start = _Counters.of(plant)
        self._bins = [0] * (_BINS + 1)
        self._square_k2 = self._errors = 0.0
        self._scans = 0
        self._return_kj = self._return_kg = 0.0
        self._rooms_due_s = self._trace_due_s = plant.elapsed_s
        self._low_kh = self._high_kh = self._sum_c = 0.0
        self._rooms = 0
        self._min_c, self._max_c = math.inf, -math.inf

    def observe(self, setpoint_c: float) -> None:
        """Look at the plant after a scan."""
        plant = self._plant
        flow_kg_s = plant.primary_kg_s
        self._scans += 1
        self._return_kg += flow_kg_s
        self._return_kj += flow_kg_s * plant.exchanger.primary_out_c
        if plant.valve.stem_pct < SATURATED_PCT:
            error_k = abs(plant.supply_c - setpoint_c)
            self._square_k2 += error_k * error_k
            self._errors += 1
            self._bins[min(int(error_k / _BIN_K), _BINS)] += 1
        if plant.elapsed_s >= self._rooms_due_s:
            self._look_at_rooms(setpoint_c)

    def outcome(self) -> Outcome:
        """Return what it came to."""
        plant, start, end = self._plant, self._start, _Counters.of(self._plant)
        days = (plant.elapsed_s - start.at_s) / 86_400.0
        strokes = (end.travel_pct - start.travel_pct) / 100.0
        return Outcome(
            heat_mwh=(end.heat_kj - start.heat_kj - (end.stored_kj - start.stored_kj))
            / _KJ_PER_MWH,
            figures={
                "degree_hours_below_19": self._low_kh,
                "degree_hours_above_22": self._high_kh,
                "valve_starts_per_day": (end.starts - start.starts) / days,
                "valve_strokes_per_day": strokes / days,
                "supply_rmse_k": math.sqrt(self._square_k2 / max(self._errors, 1)),
                "supply_p95_k": self._p95_k(),
                "saturated_pct": 100.0 * (1.0 - self._errors / max(self._scans, 1)),
                "primary_return_c": self._return_kj / max(self._return_kg, 1e-9),
                "room_min_c": self._min_c,
                "room_mean_c": self._sum_c / max(self._rooms, 1),
                "room_max_c": self._max_c,
            },
            trace=self.trace,
        )

    def _look_at_rooms(self, setpoint_c: float) -> None:
        plant = self._plant
        self._rooms_due_s += _ROOMS_S
        rooms = plant.circuit.rooms
        flats = plant.circuit.flats.true_c(rooms.air_c)
        p10_c, mean_c = percentile(flats, 0.1), rooms.mean_c
        hours = _ROOMS_S / 3600.0
        self._low_kh += max(_ROOM_LOW_C - p10_c, 0.0) * hours
        self._high_kh += max(mean_c - _ROOM_HIGH_C, 0.0) * hours
        self._sum_c += mean_c
        self._rooms += 1
        self._min_c = min(self._min_c, p10_c)
        self._max_c = max(self._max_c, mean_c)
        if plant.elapsed_s >= self._trace_due_s:
            self._trace_due_s += TRACE_S
            self._draw(setpoint_c, mean_c, p10_c, percentile(flats, 0.9))

    def _draw(self, setpoint_c: float, mean_c: float, p10_c: float, p90_c: float) -> None:
        plant, trace = self._plant, self.trace
        trace.at_s.append(plant.elapsed_s)
        trace.outdoor_c.append(plant.sky.outdoor_c)
        trace.sun_w_per_m2.append(plant.sky.sun_w_per_m2)
        trace.primary_c.append(plant.primary.supply_c)
        trace.setpoint_c.append(setpoint_c)
        trace.supply_c.append(plant.supply_c)
        trace.valve_pct.append(plant.valve.stem_pct)
        trace.room_mean_c.append(mean_c)
        trace.room_p10_c.append(p10_c)
        trace.room_p90_c.append(p90_c)

    def _p95_k(self) -> float:
        wanted, seen = _P95 * sum(self._bins), 0
        for i, count in enumerate(self._bins):
            seen += count
            if seen >= wanted:
                return (i + 0.5) * _BIN_K
        return _BINS * _BIN_K


@dataclass(frozen=True, slots=True)
class _Counters:
    at_s: float
    heat_kj: float
    stored_kj: float
    travel_pct: float
    starts: int

    @classmethod
    def of(cls, plant: StationPlant) -> "_Counters":
        return cls(
            plant.elapsed_s,
            plant.heat_network_kj + plant.heat_boiler_kj,
            plant.circuit.stored_kj,
            plant.valve.travel_pct,
            plant.valve.starts,
        )
