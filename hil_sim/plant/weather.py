"""Weather in front of the station: steady, scripted, or a seeded synthetic heating season.

Rule: weather is a function of the seconds since the start of the simulation, fixed once it is made.
"""

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated, Protocol

from annotated_types import Ge, Gt

from core.parameters import parameters
from core.point import Unit
from hil_sim.plant.lines import interpolate

_DAY_S = 86_400.0
_SUNRISE_H, _SUNSET_H = 7.5, 17.5


@dataclass(frozen=True, slots=True)
class Sky:
    """Outdoor air, °C, radiation on a south wall, W/m², and what the wind does to the air exchange.

    `draught` is how much more air than usual the wind presses through the buildings, as a share of
    their usual exchange; below 0 on a still day.
    """

    outdoor_c: float
    sun_w_per_m2: float = 0.0
    draught: float = 0.0


class Weather(Protocol):
    """Whoever can tell the weather at a moment of the simulation."""

    def at(self, elapsed_s: float) -> Sky:
        """Return the weather `elapsed_s` seconds after the start."""
        ...


@dataclass(frozen=True, slots=True)
class SteadyWeather:
    """The same air for ever, and no sun."""

    outdoor_c: float

    def at(self, elapsed_s: float) -> Sky:  # noqa: ARG002 - the protocol's argument
        """Return the one weather there is."""
        return Sky(self.outdoor_c)


class ScriptedWeather:
    """Outdoor air on straight lines between given moments, with an optional clear-sky sun.

    Args:
        points: (hours since the start, °C), hours rising; constant before and after.
        clear_sun_w_per_m2: Radiation at noon of a clear day, 0 for none.
        start_hour: Civil hour at the start of the simulation, for the sun.

    Raises:
        ValueError: No points, or their hours do not rise.
    """

    def __init__(
        self,
        points: Sequence[tuple[float, float]],
        *,
        clear_sun_w_per_m2: float = 0.0,
        start_hour: float = 0.0,
    ) -> None:
        if not points or any(later[0] <= earlier[0] for earlier, later in pairwise(points)):
            raise ValueError("a weather script needs points (hour, °C) with rising hours")
        self._points = tuple(points)
        self._clear_sun_w_per_m2 = clear_sun_w_per_m2
        self._start_hour = start_hour

    def at(self, elapsed_s: float) -> Sky:
        """Return the scripted weather at `elapsed_s`."""
        hour = elapsed_s / 3600.0
        sun = self._clear_sun_w_per_m2 * sun_share((self._start_hour + hour) % 24.0)
        return Sky(interpolate(self._points, hour), sun)


@parameters
class ClimateParameters:
    """A heating season's climate; the default is Dongsheng (Ordos), 168 days at or below 5 °C.

    The seasonal mean runs as a - b·sin(π·day/days) with the whole season's mean as given. Synoptic
    weather is a first-order autoregression.
    """

    days: Annotated[int, Gt(0)] = 168
    mean_c: Annotated[float, Unit.CELSIUS] = -4.9
    edge_c: Annotated[float, Unit.CELSIUS] = 4.0
    extreme_c: Annotated[float, Unit.CELSIUS] = -28.4
    synoptic_k: Annotated[float, Unit.KELVIN, Ge(0)] = 4.3
    synoptic_s: Annotated[float, Unit.SECOND, Gt(0)] = 48 * 3600.0
    swing_k: Annotated[float, Unit.KELVIN, Ge(0)] = 4.5
    clear_sun_w_per_m2: Annotated[float, Ge(0)] = 650.0


class SyntheticWeather:
    """One seeded heating season, hour by hour, whose mean is the climate's exactly.

    Args:
        climate: Statistics of the season.
        rng: Source of the season's weather; used here only, never later.
        start_day: Day of the season on which the simulation starts, 0..days.
        start_hour: Civil hour at the start of the simulation.
    """

    def __init__(
        self,
        climate: ClimateParameters,
        rng: random.Random,
        *,
        start_day: float = 0.0,
        start_hour: float = 0.0,
    ) -> None:
        self._offset_h = start_day * 24.0 + start_hour
        self._climate = climate
        hours = climate.days * 24
        keep = math.exp(-3600.0 / climate.synoptic_s)
        shake = climate.synoptic_k * math.sqrt(1.0 - keep * keep)
        synoptic = rng.gauss(0.0, climate.synoptic_k)
        outdoor, clear = [], []
        for hour in range(hours + 1):
            synoptic = keep * synoptic + rng.gauss(0.0, shake)
            # Cold spells come with clear skies, mild ones with clouds.
            clearness = min(max(0.55 - 0.06 * synoptic, 0.1), 1.0)
            clear.append(clearness)
            swing = climate.swing_k * clearness * math.cos(2.0 * math.pi * (hour % 24 - 15) / 24.0)
            outdoor.append(_seasonal_c(climate, hour / 24.0) + synoptic + swing)
        self._outdoor_c = _moved_to(outdoor, mean_c=climate.mean_c, low_c=climate.extreme_c)
        self._clear = tuple(clear)

    @property
    def hourly_c(self) -> tuple[float, ...]:
        """Outdoor air at every full hour of the season, °C."""
        return self._outdoor_c

    def at(self, elapsed_s: float) -> Sky:
        """Return the season's weather at `elapsed_s`; it ends with its last hour for ever."""
        hour = min(max(self._offset_h + elapsed_s / 3600.0, 0.0), len(self._outdoor_c) - 1.001)
        i = int(hour)
        part = hour - i
        outdoor_c = self._outdoor_c[i] + part * (self._outdoor_c[i + 1] - self._outdoor_c[i])
        clear = self._clear[i] + part * (self._clear[i + 1] - self._clear[i])
        sun = self._climate.clear_sun_w_per_m2 * sun_share(hour % 24.0)
        return Sky(outdoor_c, sun * max(clear - 0.1, 0.0) / 0.9)


def sun_share(hour: float) -> float:
    """Return the sun on a south wall as a share of its noon value: half a sine over the day."""
    if not _SUNRISE_H < hour < _SUNSET_H:
        return 0.0
    return math.sin(math.pi * (hour - _SUNRISE_H) / (_SUNSET_H - _SUNRISE_H))


def _seasonal_c(climate: ClimateParameters, day: float) -> float:
    depth = (climate.edge_c - climate.mean_c) * math.pi / 2.0
    return climate.edge_c - depth * math.sin(math.pi * day / climate.days)


def _moved_to(hourly: Sequence[float], *, mean_c: float, low_c: float) -> tuple[float, ...]:
    # The cut at the extreme moves the mean, so shift and cut until both hold.
    values = list(hourly)
    for _ in range(20):
        shift = mean_c - sum(values) / len(values)
        values = [max(value + shift, low_c) for value in values]
    return tuple(values)
