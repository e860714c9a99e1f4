"""Preheating: warmth that buildings store before a cold that their station cannot carry.

Rule: it needs a forecast, asks for a little more and never for less, and starts no boiler. It comes
and goes slowly: forecasts change their minds, and a lost one ends it as if no cold were to come.
"""

from math import isnan, nan
from typing import Annotated, NamedTuple

from annotated_types import Ge, Gt, Le

from control_loops.heating_curve import HeatingCurve, supply_c
from control_loops.shaping import ramp
from core.parameters import parameters
from core.point import Unit

RATE_K_PER_H = 0.25
"""Rooms need hours to follow; a target that fell at once would make them fall below it."""


@parameters
class Preheat:
    """When rooms are warmed up before a cold spell, and by how much; by 0.25 K in an hour.

    Attributes:
        below_c: Outdoor temperature below which the valve is wide open and the rooms grow cold.
        ahead_s: How long before such a cold the preheating begins.
        by_k: By how much warmer the rooms are wanted until it is over.
    """

    below_c: Annotated[float, Unit.CELSIUS, Ge(-50), Le(0)]
    ahead_s: Annotated[float, Unit.SECOND, Ge(3600), Le(259200)] = 86400.0
    by_k: Annotated[float, Unit.KELVIN, Gt(0), Le(3)] = 1.0


class PreheatMove(NamedTuple):
    """By how much the wanted room and the supply are raised, in K, and the cold ahead, in °C.

    `coldest_c` is the coldest that is expected within `Preheat.ahead_s`; NaN without a forecast.
    """

    room_k: float
    supply_k: float
    coldest_c: float

    @property
    def why(self) -> str:
        """What it rests on, in few words."""
        if isnan(self.coldest_c):
            return "no forecast"
        why = f"coldest expected {self.coldest_c:.1f} °C"
        return f"{why}, rooms wanted {self.room_k:.2f} K warmer" if self.room_k else why


NO_PREHEAT = PreheatMove(0.0, 0.0, nan)
"""Of a circuit that does not preheat."""


def preheat_move(
    preheat: Preheat,
    curve: HeatingCurve,
    before_k: float,
    *,
    outdoor_c: float,
    coldest_c: float,
    is_possible: bool = True,
    dt_s: float,
) -> PreheatMove:
    """Return what preheating asks for now.

    A room that is a kelvin warmer loses as much as if it were a kelvin colder outdoors, so it asks
    for the supply of that outdoor temperature, and a kelvin more.

    Args:
        preheat: Its parameters.
        curve: The circuit's curve.
        before_k: By how much the rooms were wanted warmer in the previous scan, in K.
        outdoor_c: What the curve is asked with, °C.
        coldest_c: The coldest that is expected within `ahead_s`, °C; NaN: nobody knows.
        is_possible: The network heats; while it does not, the preheating ends as well.
        dt_s: Time since the previous scan, in s, > 0.
    """
    wanted_k = preheat.by_k if is_possible and coldest_c < preheat.below_c else 0.0
    by_k = ramp(before_k, wanted_k, up_per_h=RATE_K_PER_H, down_per_h=RATE_K_PER_H, dt_s=dt_s)
    if not by_k:
        return PreheatMove(0.0, 0.0, coldest_c)
    steeper_k = supply_c(curve, outdoor_c - by_k) - supply_c(curve, outdoor_c)
    return PreheatMove(by_k, by_k + steeper_k, coldest_c)
