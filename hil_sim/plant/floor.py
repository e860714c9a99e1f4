"""Floor heating: water that warms a slab of screed, and a slab that warms the rooms.

Rule: it answers to the same calls as radiators do, so a circuit does not know which of them it has.
"""

import math
from collections.abc import Sequence

from hil_sim.plant.network import EmitterParameters, WarmedWater

# The surface of a heated floor gives 8.92 W/m² at 1 K, to the power 1.1 (EN 1264-2).
_SURFACE_W = 8.92
_SURFACE_EXPONENT = 1.1
_ROUNDS = 40


class FloorEmitters(WarmedWater):
    """All heated floors of the circuit: `segments` of water along the flow, a slab for each group.

    The conductance between water and slab is sized so that the whole emits `nominal_kw` at the
    nominal temperatures.
    """

    __slots__ = ("_area_m2", "_conductance_kw_per_k", "_slab_kj_per_k", "slab_c")

    def __init__(
        self,
        parameters: EmitterParameters,
        *,
        water_m3: float,
        shares: Sequence[float],
        area_m2: float,
    ) -> None:
        super().__init__(parameters, water_m3=water_m3, shares=shares)
        self._area_m2 = area_m2
        self._slab_kj_per_k = parameters.slab_kj_per_m2k * area_m2
        self._conductance_kw_per_k = segment_conductance_kw_per_k(parameters, area_m2)
        self.slab_c = [parameters.nominal_room_c] * len(self._shares)

    @property
    def stored_kj(self) -> float:
        """Heat in water and slabs above 0 °C, kJ."""
        slab_c = sum(s * c for s, c in zip(self._shares, self.slab_c, strict=True))
        return super().stored_kj + self._slab_kj_per_k * slab_c

    def step(
        self, dt_s: float, *, inlet_c: float, flow_kw_per_k: float, air_c: Sequence[float]
    ) -> float:
        """Advance by `dt_s` (implicit in the water); return the outlet, °C.

        `heat_kw` then holds what each group of rooms got.
        """
        carried = flow_kw_per_k * dt_s / self._segment_kj_per_k
        given = (1.0 + self._parameters.loss_share) * self._conductance_kw_per_k * dt_s
        given /= self._segment_kj_per_k
        slab_c = sum(s * c for s, c in zip(self._shares, self.slab_c, strict=True))
        water_c = self.water_c
        upstream_c, whole_k = inlet_c, 0.0
        for k, here_c in enumerate(water_c):
            upstream_c = (here_c + carried * upstream_c + given * slab_c) / (1.0 + carried + given)
            water_c[k] = upstream_c
            whole_k += upstream_c
        segments = len(water_c)
        for i, share in enumerate(self._shares):
            here_c = self.slab_c[i]
            into_kw = self._conductance_kw_per_k * share * (whole_k - segments * here_c)
            self.heat_kw[i] = heat_kw = share * self._emitted_kw(here_c - air_c[i])
            self.slab_c[i] = here_c + (into_kw - heat_kw) * dt_s / (self._slab_kj_per_k * share)
        return upstream_c

    def settle(self, *, inlet_c: float, flow_kw_per_k: float, air_c: Sequence[float]) -> float:
        """Put water and slabs where they stand still at this inlet; return the outlet, °C."""
        ratio = self._conductance_kw_per_k * (1.0 + self._parameters.loss_share) / flow_kw_per_k
        segments = len(self.water_c)
        slab = [min(max(air, inlet_c - 1.0), air + 1.0) for air in air_c]
        for _ in range(_ROUNDS):
            slab_c = sum(s * c for s, c in zip(self._shares, slab, strict=True))
            upstream_c = inlet_c
            for k in range(segments):
                upstream_c = (upstream_c + ratio * slab_c) / (1.0 + ratio)
                self.water_c[k] = upstream_c
            mean_c = self.mean_c
            slab = [self._slab_at(mean_c, air) for air in air_c]
        self.slab_c = slab
        self.heat_kw = [
            share * self._emitted_kw(here_c - air)
            for share, here_c, air in zip(self._shares, slab, air_c, strict=True)
        ]
        return self.water_c[-1]

    def _emitted_kw(self, excess_k: float) -> float:
        if excess_k <= 0.0:
            return 0.0
        return self._area_m2 * _SURFACE_W * math.pow(excess_k, _SURFACE_EXPONENT) / 1000.0

    def _slab_at(self, water_c: float, air_c: float) -> float:
        """Return where a slab stands still between water and air, °C."""
        conductance = self._conductance_kw_per_k * len(self.water_c)
        low, high = min(air_c, water_c), max(air_c, water_c)
        for _ in range(_ROUNDS):
            middle = 0.5 * (low + high)
            if conductance * (water_c - middle) > self._emitted_kw(middle - air_c):
                low = middle
            else:
                high = middle
        return 0.5 * (low + high)


def segment_conductance_kw_per_k(parameters: EmitterParameters, area_m2: float) -> float:
    """Return what lies between the water of one segment and the slab, kW/K, closed form.

    With u = conductance / flow, n well-mixed segments bring the water to (1 + u)^-n of its excess
    over the slab.
    """
    p = parameters
    slab_k = math.pow(1000.0 * p.nominal_kw / area_m2 / _SURFACE_W, 1.0 / _SURFACE_EXPONENT)
    slab_c = p.nominal_room_c + slab_k
    left = (p.nominal_return_c - slab_c) / (p.nominal_supply_c - slab_c)
    flow = p.nominal_kw / (p.nominal_supply_c - p.nominal_return_c)
    return flow * (math.pow(left, -1.0 / p.segments) - 1.0)
