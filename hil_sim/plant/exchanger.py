"""Plate heat exchanger in counterflow: effectiveness by number of transfer units.

Rule: heat is quasi-static; what stores it (water and plates) is one first-order lag of the outlets.
"""

import math
from typing import Annotated

from annotated_types import Ge, Gt

from core.parameters import parameters
from core.point import Unit

CP_WATER_KJ_PER_KG_K = 4.19
# Below this a side is stagnant, and its outlet is ruled by what the room around it takes away.
_STAGNANT_KW_PER_K = 1.0
_SMALLEST_KW_PER_K = 0.01


@parameters
class ExchangerParameters:
    """One exchanger, or several in parallel seen as one.

    `ua_kw_per_k` holds at the capacity flows `c1_kw_per_k` (primary) and `c2_kw_per_k` (secondary);
    each side's film grows with its flow to the power `film_exponent`.
    """

    ua_kw_per_k: Annotated[float, Gt(0)] = 324.0
    c1_kw_per_k: Annotated[float, Gt(0)] = 90.9
    c2_kw_per_k: Annotated[float, Gt(0)] = 200.0
    film_exponent: Annotated[float, Gt(0)] = 0.8
    holdup_kj_per_k: Annotated[float, Gt(0)] = 1150.0
    standby_loss_kw_per_k: Annotated[float, Ge(0)] = 0.05
    ambient_c: Annotated[float, Unit.CELSIUS] = 18.0


def effectiveness(ntu: float, capacity_ratio: float) -> float:
    """Return the share of the greatest possible heat that counterflow transfers, 0..1.

    Args:
        ntu: UA / Cmin, >= 0.
        capacity_ratio: Cmin / Cmax, 0..1.

    The textbook counterflow relation (Kays and London); equal flows are its limit NTU / (1 + NTU).
    """
    if 1.0 - capacity_ratio < 1e-9:  # noqa: PLR2004 - nearer than this the quotient loses digits
        return ntu / (1.0 + ntu)
    decay = math.exp(-ntu * (1.0 - capacity_ratio))
    return (1.0 - decay) / (1.0 - capacity_ratio * decay)


def conductance_kw_per_k(
    parameters: ExchangerParameters, c1_kw_per_k: float, c2_kw_per_k: float
) -> float:
    """Return UA at the given capacity flows, kW/K.

    1/UA = 1/hA1 + 1/hA2, hA of each side to the power `film_exponent` of its flow. The films at the
    nominal point are as the flows: hA1/hA2 = c1/c2 (as in the Buildings library for Modelica).
    """
    ratio = parameters.c1_kw_per_k / parameters.c2_kw_per_k
    film1 = (1.0 + ratio) * parameters.ua_kw_per_k
    film2 = film1 / ratio
    film1 *= math.pow(c1_kw_per_k / parameters.c1_kw_per_k, parameters.film_exponent)
    film2 *= math.pow(c2_kw_per_k / parameters.c2_kw_per_k, parameters.film_exponent)
    return film1 * film2 / (film1 + film2)


def heat_per_kelvin(
    parameters: ExchangerParameters, c1_kw_per_k: float, c2_kw_per_k: float
) -> float:
    """Return the heat per kelvin between the two inlets, kW/K: effectiveness times Cmin."""
    smaller, larger = c1_kw_per_k, c2_kw_per_k
    if smaller > larger:
        smaller, larger = larger, smaller
    ua = conductance_kw_per_k(parameters, c1_kw_per_k, c2_kw_per_k)
    return effectiveness(ua / smaller, smaller / larger) * smaller


class Exchanger:
    """An exchanger with its outlets' temperatures as state.

    `primary_out_c` and `secondary_out_c` are the outlets, °C.
    """

    __slots__ = (
        "_c1",
        "_c2",
        "_dt_s",
        "_heat_kw_per_k",
        "_parameters",
        "_share",
        "primary_out_c",
        "secondary_out_c",
    )

    def __init__(self, parameters: ExchangerParameters) -> None:
        self._parameters = parameters
        self.primary_out_c = parameters.ambient_c
        self.secondary_out_c = parameters.ambient_c
        self._c1 = self._c2 = self._dt_s = -1.0
        self._heat_kw_per_k = self._share = 0.0

    def step(
        self, dt_s: float, *, t1_c: float, c1_kw_per_k: float, t2_c: float, c2_kw_per_k: float
    ) -> None:
        """Advance the outlets by `dt_s` with the given inlets (°C) and capacity flows (kW/K)."""
        if c1_kw_per_k != self._c1 or c2_kw_per_k != self._c2 or dt_s != self._dt_s:
            self._flows_changed(dt_s, c1_kw_per_k, c2_kw_per_k)
        heat_kw = self._heat_kw_per_k * (t1_c - t2_c)
        c2 = self._c2
        if c2 >= _STAGNANT_KW_PER_K:
            secondary_c = t2_c + heat_kw / c2
        else:
            c2 = max(_SMALLEST_KW_PER_K, c2)
            secondary_c = self._stagnant_c(t2_c + heat_kw / c2, c2)
        c1 = max(_SMALLEST_KW_PER_K, self._c1)
        self.primary_out_c += self._share * (t1_c - heat_kw / c1 - self.primary_out_c)
        self.secondary_out_c += self._share * (secondary_c - self.secondary_out_c)

    def settle(
        self, *, t1_c: float, c1_kw_per_k: float, t2_c: float, c2_kw_per_k: float
    ) -> tuple[float, float]:
        """Put the outlets where these inlets hold them; return (primary, secondary) outlet, °C."""
        heat_kw = heat_per_kelvin(self._parameters, c1_kw_per_k, c2_kw_per_k) * (t1_c - t2_c)
        self.primary_out_c = t1_c - heat_kw / c1_kw_per_k
        self.secondary_out_c = t2_c + heat_kw / c2_kw_per_k
        return self.primary_out_c, self.secondary_out_c

    def _flows_changed(self, dt_s: float, c1: float, c2: float) -> None:
        self._c1, self._c2, self._dt_s = c1, c2, dt_s
        floored1 = max(c1, _SMALLEST_KW_PER_K)
        floored2 = max(c2, _SMALLEST_KW_PER_K)
        self._heat_kw_per_k = heat_per_kelvin(self._parameters, floored1, floored2)
        # Without flow only the loss to the room moves the temperatures.
        moving = floored1 + floored2 + self._parameters.standby_loss_kw_per_k
        self._share = 1.0 - math.exp(-dt_s * moving / self._parameters.holdup_kj_per_k)

    def _stagnant_c(self, flowing_c: float, c2: float) -> float:
        loss = self._parameters.standby_loss_kw_per_k
        return (c2 * flowing_c + loss * self._parameters.ambient_c) / (c2 + loss)
