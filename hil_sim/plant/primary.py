"""The district network in front of the station: its temperature, its pressure, its failures.

Rule: the network knows nothing of this station; a lost network gives no pressure, and the water
that stands in the branch cools.
"""

import math
import random
from typing import Annotated, NamedTuple

from annotated_types import Ge, Gt

from core.parameters import parameters
from core.point import Unit


@parameters
class PrimaryParameters:
    """The network's plan and its unrest.

    Supply plan: `plan_low_c` + `plan_span_k`·(10 - outdoor)/`plan_outdoor_span_k`, held within
    `supply_low_c`..`supply_high_c`. `fixed_kpa` is lost in the station besides the valve at
    `nominal_kg_s`.
    """

    plan_low_c: Annotated[float, Unit.CELSIUS] = 75.0
    plan_span_k: Annotated[float, Unit.KELVIN] = 35.0
    plan_outdoor_span_k: Annotated[float, Unit.KELVIN, Gt(0)] = 26.8
    supply_low_c: Annotated[float, Unit.CELSIUS] = 75.0
    supply_high_c: Annotated[float, Unit.CELSIUS] = 125.0
    outdoor_damping_s: Annotated[float, Unit.SECOND, Gt(0)] = 2 * 3600.0
    noise_k: Annotated[float, Unit.KELVIN, Ge(0)] = 1.5
    noise_s: Annotated[float, Unit.SECOND, Gt(0)] = 2400.0
    pressure_kpa: Annotated[float, Unit.KILOPASCAL, Gt(0)] = 150.0
    pressure_noise_kpa: Annotated[float, Unit.KILOPASCAL, Ge(0)] = 6.0
    pressure_noise_s: Annotated[float, Unit.SECOND, Gt(0)] = 900.0
    return_mpa: Annotated[float, Unit.MEGAPASCAL, Ge(0)] = 0.65
    fixed_kpa: Annotated[float, Unit.KILOPASCAL, Gt(0)] = 80.0
    nominal_kg_s: Annotated[float, Gt(0)] = 21.7
    lost_pressure_s: Annotated[float, Unit.SECOND, Gt(0)] = 5.0
    lost_c: Annotated[float, Unit.CELSIUS] = 20.0
    lost_s: Annotated[float, Unit.SECOND, Gt(0)] = 3600.0
    tripped_c: Annotated[float, Unit.CELSIUS] = 45.0
    tripped_s: Annotated[float, Unit.SECOND, Gt(0)] = 2400.0


def plan_c(parameters: PrimaryParameters, outdoor_c: float) -> float:
    """Return the network's planned supply temperature for an outdoor temperature, °C."""
    p = parameters
    planned = p.plan_low_c + p.plan_span_k * (10.0 - outdoor_c) / p.plan_outdoor_span_k
    return min(max(planned, p.supply_low_c), p.supply_high_c)


class _Steps(NamedTuple):
    """What one step of a given length takes of the way: shares, and the noise that comes on top.

    `k` is of the supply's temperature, `kpa` of the pressure.
    """

    outdoor: float
    pressure: float
    keep_k: float
    noise_k: float
    keep_kpa: float
    noise_kpa: float

    @classmethod
    def of(cls, p: PrimaryParameters, dt_s: float) -> "_Steps":
        # The exact step of a first-order autoregression (Ornstein-Uhlenbeck).
        keep_k, keep_kpa = math.exp(-(dt_s / p.noise_s)), math.exp(-(dt_s / p.pressure_noise_s))
        return cls(
            outdoor=1.0 - math.exp(-dt_s / p.outdoor_damping_s),
            pressure=1.0 - math.exp(-dt_s / p.lost_pressure_s),
            keep_k=keep_k,
            noise_k=p.noise_k * math.sqrt(1.0 - keep_k * keep_k),
            keep_kpa=keep_kpa,
            noise_kpa=p.pressure_noise_kpa * math.sqrt(1.0 - keep_kpa * keep_kpa),
        )


class Primary:
    """The network as the station meets it: `supply_c` and `pressure_kpa` (supply less return).

    Faults: `is_lost` (no pressure, the branch cools), `is_tripped` (the heat plant is out: pumps
    run on, the water cools). `pressure_offset_kpa` and `supply_offset_k` are for scenarios.
    """

    __slots__ = (
        "_dt_s",
        "_noise_k",
        "_noise_kpa",
        "_parameters",
        "_planned_c",
        "_rng",
        "_steps",
        "is_lost",
        "is_tripped",
        "outdoor_c",
        "pressure_kpa",
        "pressure_offset_kpa",
        "supply_c",
        "supply_offset_k",
    )

    def __init__(self, parameters: PrimaryParameters, rng: random.Random) -> None:
        self._parameters = parameters
        self._rng = rng
        self._noise_k = self._noise_kpa = 0.0
        self._dt_s, self._steps = 1.0, _Steps.of(parameters, 1.0)
        self.is_lost = self.is_tripped = False
        self.pressure_offset_kpa = self.supply_offset_k = 0.0
        self.settle(0.0)

    def settle(self, outdoor_c: float) -> None:
        """Put the network where it stands at this outdoor temperature, without noise."""
        self._noise_k = self._noise_kpa = 0.0
        self.outdoor_c = outdoor_c
        self._planned_c = self.supply_c = plan_c(self._parameters, outdoor_c) + self.supply_offset_k
        self.pressure_kpa = max(self._parameters.pressure_kpa + self.pressure_offset_kpa, 0.0)

    def shift(self, by_k: float) -> None:
        """Move the supply by `by_k` at once and for good, as when another heat plant takes over."""
        self.supply_offset_k += by_k
        self.supply_c += by_k

    def step(self, dt_s: float, outdoor_c: float) -> None:
        """Advance by `dt_s` (some seconds) under this outdoor temperature."""
        p = self._parameters
        if dt_s != self._dt_s:
            self._dt_s, self._steps = dt_s, _Steps.of(p, dt_s)
        share, pressure_share, keep_k, noise_k, keep_kpa, noise_kpa = self._steps
        self.outdoor_c += share * (outdoor_c - self.outdoor_c)
        self._noise_k = _wander(self._rng, self._noise_k, keep_k, noise_k)
        self._noise_kpa = _wander(self._rng, self._noise_kpa, keep_kpa, noise_kpa)
        planned = plan_c(p, self.outdoor_c) + self.supply_offset_k
        pressure = p.pressure_kpa + self.pressure_offset_kpa + self._noise_kpa
        if self.is_lost or self.is_tripped:
            end, time_s = (p.lost_c, p.lost_s) if self.is_lost else (p.tripped_c, p.tripped_s)
            self.supply_c += (1.0 - math.exp(-dt_s / time_s)) * (end - self.supply_c)
        else:
            # A network that comes back is warm again within minutes; else it is on its plan.
            target = min(planned + self._noise_k, p.supply_high_c)
            self.supply_c += min(dt_s / _RETURN_S, 1.0) * (target - self.supply_c)
        target_kpa = 0.0 if self.is_lost else max(pressure, 0.0)
        self.pressure_kpa += pressure_share * (target_kpa - self.pressure_kpa)


_RETURN_S = 120.0


def _wander(rng: random.Random, value: float, keep: float, noise: float) -> float:
    return keep * value + rng.gauss(0.0, noise) if noise else 0.0
