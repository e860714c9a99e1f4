"""The figures of a run, from what the plant truly did and what the daemon wanted.

Rule: temperatures that judge are the plant's own, never a sensor's; tracking counts while the valve
is under 98 %, and the share of the time in which it was not is reported beside.
"""

import math
from dataclasses import dataclass

SATURATED_PCT = 98.0
_ROOM_LOW_C = 19.0
_ROOM_HIGH_C = 22.0
_TRACKING_K = 1.0
_SECONDS_PER_HOUR = 3600.0
_SECONDS_PER_DAY = 86400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """What counts of one scan: the plant's truth, and the daemon's wishes beside it.

    `wanted_c` is the supply temperature of the curve before its rate limit, `setpoint_c` after it.
    `room_p10_c` is the tenth percentile of the true flats, `room_mean_c` their mean. Counters
    (`heat_mwh`, `valve_travel_pct`, `valve_starts`) run from the start of the plant.
    """

    supply_c: float
    wanted_c: float
    setpoint_c: float
    valve_pct: float
    room_p10_c: float
    room_mean_c: float
    heat_mwh: float
    valve_travel_pct: float
    valve_starts: int
    primary_return_c: float
    primary_flow_kg_s: float
    is_scored: bool


@dataclass(slots=True)
class Score:
    """Adds up observations; `figures` gives the result object's figures."""

    _first: Observation | None = None
    _last: Observation | None = None
    _time_s: float = 0.0
    _free_s: float = 0.0
    _near_s: float = 0.0
    _square_k2s: float = 0.0
    _room_min_c: float = math.inf
    _below_kh: float = 0.0
    _above_kh: float = 0.0
    _return_kj: float = 0.0
    _return_kg: float = 0.0
    alarms_raised: int = 0
    failover_decision_s: float | None = None
    failover_heat_s: float | None = None

    def observe(self, seen: Observation, dt_s: float) -> None:
        """Add one scan of `dt_s` seconds; one that is not scored (warm-up) leaves no trace."""
        if not seen.is_scored:
            return
        self._first = self._first or seen
        self._last = seen
        self._time_s += dt_s
        self._room_min_c = min(self._room_min_c, seen.room_p10_c)
        hours = dt_s / _SECONDS_PER_HOUR
        self._below_kh += max(0.0, _ROOM_LOW_C - seen.room_p10_c) * hours
        self._above_kh += max(0.0, seen.room_mean_c - _ROOM_HIGH_C) * hours
        self._return_kj += seen.primary_return_c * seen.primary_flow_kg_s * dt_s
        self._return_kg += seen.primary_flow_kg_s * dt_s
        if seen.valve_pct >= SATURATED_PCT:
            return
        self._free_s += dt_s
        self._near_s += dt_s if abs(seen.supply_c - seen.wanted_c) <= _TRACKING_K else 0.0
        # Without a setpoint of the daemon's own there is only the curve to be held against.
        setpoint_c = seen.wanted_c if math.isnan(seen.setpoint_c) else seen.setpoint_c
        self._square_k2s += (seen.supply_c - setpoint_c) ** 2 * dt_s

    def figures(self) -> dict[str, float | int | None]:
        """Return the figures under their stable names; None where there is nothing to tell."""
        return {
            **(self._scored() or dict.fromkeys(_SCORED)),
            "failover_decision_s": self.failover_decision_s,
            "failover_heat_s": self.failover_heat_s,
            "alarms_raised": self.alarms_raised,
        }

    def _scored(self) -> dict[str, float | int | None]:
        first, last = self._first, self._last
        if first is None or last is None or self._time_s == 0.0:
            return {}
        days = self._time_s / _SECONDS_PER_DAY
        travel_pct = last.valve_travel_pct - first.valve_travel_pct
        return {
            "supply_rmse_k": _ratio(self._square_k2s, self._free_s, root=True),
            "within_1k_pct": _ratio(100.0 * self._near_s, self._free_s),
            "saturated_pct": round(100.0 * (1.0 - self._free_s / self._time_s), 2),
            "room_min_c": round(self._room_min_c, 3),
            "degree_hours_below_19": round(self._below_kh, 3),
            "degree_hours_above_22": round(self._above_kh, 3),
            "heat_mwh": round(last.heat_mwh - first.heat_mwh, 3),
            "valve_starts_per_day": round((last.valve_starts - first.valve_starts) / days, 1),
            "valve_strokes_per_day": round(travel_pct / 100.0 / days, 3),
            "primary_return_c": _ratio(self._return_kj, self._return_kg),
        }


_SCORED = (
    "supply_rmse_k",
    "within_1k_pct",
    "saturated_pct",
    "room_min_c",
    "degree_hours_below_19",
    "degree_hours_above_22",
    "heat_mwh",
    "valve_starts_per_day",
    "valve_strokes_per_day",
    "primary_return_c",
)


def _ratio(part: float, whole: float, *, root: bool = False) -> float | None:
    if whole <= 0.0:
        return None
    return round(math.sqrt(part / whole) if root else part / whole, 3)
