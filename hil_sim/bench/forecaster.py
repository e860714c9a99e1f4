"""The forecasts of a week that is played, as wrong as those of a weather service.

Rule: a forecast is drawn by its number, so every controller gets the same ones.
"""

import math
import random
from datetime import datetime, timedelta

from core.forecast import Expected, Forecast
from hil_sim.plant.weather import Weather

_EVERY_H = 6
_HOURS = 48
_GOOD_H = 24
# What a day's forecast of the air temperature is off by, one standard deviation.
_OFF_A_DAY_K = 1.5


class Forecaster:
    """Issues a forecast of the air temperature every 6 h, for 48 h, hour by hour.

    What it is off by is a random walk: nothing now, 1.5 K (one standard deviation) in 24 h.

    Args:
        weather: What comes.
        seed: Of the errors.
        start: The civil time at which the weather begins, UTC.
    """

    def __init__(self, weather: Weather, seed: str, start: datetime) -> None:
        self._weather, self._seed, self._start = weather, seed, start
        self._number, self._newest = -1, self._issue(0)

    def newest(self, now: datetime) -> Forecast:
        """Return the forecast that was issued last."""
        hours = (now - self._start).total_seconds() / 3600.0
        number = max(int(hours // _EVERY_H), 0)
        if number != self._number:
            self._number, self._newest = number, self._issue(number)
        return self._newest

    def _issue(self, number: int) -> Forecast:
        rng = random.Random(f"{self._seed} {number}")
        begin_h, off_k = number * _EVERY_H, 0.0
        step_k = _OFF_A_DAY_K / math.sqrt(24.0)
        hours = []
        for hour in range(_HOURS + 1):
            sky = self._weather.at((begin_h + hour) * 3600.0)
            hours.append(Expected(sky.outdoor_c + off_k))
            off_k += rng.gauss(0.0, step_k)
        issued_at = self._start + timedelta(hours=begin_h)
        return Forecast(
            issued_at=issued_at,
            good_until=issued_at + timedelta(hours=_GOOD_H),
            after_s=tuple(3600.0 * hour for hour in range(_HOURS + 1)),
            hours=tuple(hours),
        )
