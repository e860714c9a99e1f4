"""A weather forecast: what somebody expects of the hours to come, and how long it may be believed.

Rule: frozen, and a function of the moment asked for; where it says nothing it gives NaN.
"""

from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import inf, isnan, nan
from typing import NamedTuple

GAP_S_MAX = 21600.0
"""Between hours further apart than this nothing is known; weather services give 1, 3 or 6 h."""


class Expected(NamedTuple):
    """The weather that is expected for a moment; NaN where nothing is."""

    outdoor_c: float = nan
    wind_m_s: float = nan
    sun_w_m2: float = nan


NOTHING_EXPECTED = Expected()


@dataclass(frozen=True, slots=True)
class Forecast:
    """One forecast.

    Attributes:
        issued_at: When it was made, UTC.
        good_until: When it is too old, UTC.
        after_s: The times that it is about, in s after `issued_at`, rising.
        hours: What it says of each: outdoor temperature in °C, wind in m/s, radiation on a
            horizontal plane in W/m²; wind and radiation may be NaN.
    """

    issued_at: datetime
    good_until: datetime
    after_s: tuple[float, ...]
    hours: tuple[Expected, ...]

    def age_s(self, now: datetime) -> float:
        """Return how long ago it was made, in s."""
        return max(0.0, (now - self.issued_at).total_seconds())

    def is_good(self, now: datetime) -> bool:
        """Return whether it may still be believed."""
        return now <= self.good_until

    def coldest_c(self, within_s: float, now: datetime) -> float:
        """Return the coldest that it says of the next `within_s` seconds, °C; NaN if nothing."""
        if not self.is_good(now):
            return nan
        begin_s = (now - self.issued_at).total_seconds()
        first = bisect_left(self.after_s, begin_s)
        last = bisect_right(self.after_s, begin_s + within_s)
        between = [hour.outdoor_c for hour in self.hours[first:last]]
        ends = [self.at(now + timedelta(seconds=s), now).outdoor_c for s in (0.0, within_s)]
        return min((c for c in (*between, *ends) if not isnan(c)), default=nan)

    def at(self, moment: datetime, now: datetime) -> Expected:
        """Return what it says of a moment, on straight lines between its hours.

        Args:
            moment: The moment asked for, UTC.
            now: The present: a forecast that is too old by now says nothing.
        """
        if not self.is_good(now):
            return NOTHING_EXPECTED
        wanted_s = (moment - self.issued_at).total_seconds()
        i = bisect_left(self.after_s, wanted_s)
        if i < len(self.after_s) and self.after_s[i] == wanted_s:
            return self.hours[i]
        if i in {0, len(self.after_s)}:
            return NOTHING_EXPECTED
        gap_s = self.after_s[i] - self.after_s[i - 1]
        if gap_s > GAP_S_MAX:
            return NOTHING_EXPECTED
        share = (wanted_s - self.after_s[i - 1]) / gap_s
        left, right = self.hours[i - 1], self.hours[i]
        return Expected(*[a + share * (b - a) for a, b in zip(left, right, strict=True)])


class Outlook(NamedTuple):
    """What is expected in one scan: for now, and, by `outdoor_c` and `coldest_c`, for later.

    `age_s` is how long ago the forecast was made, in s; infinite without one.
    """

    now: Expected
    age_s: float
    forecast: Forecast | None
    taken_at: datetime

    def outdoor_c(self, ahead_s: float) -> float:
        """Return the outdoor temperature that is expected in so many seconds; NaN if none is."""
        if self.forecast is None:
            return nan
        moment = self.taken_at + timedelta(seconds=ahead_s)
        return self.forecast.at(moment, self.taken_at).outdoor_c

    def coldest_c(self, within_s: float) -> float:
        """Return the coldest that is expected in the next `within_s` seconds; NaN if nothing is."""
        return nan if self.forecast is None else self.forecast.coldest_c(within_s, self.taken_at)


def outlook(forecast: Forecast | None, now: datetime) -> Outlook:
    """Return what a forecast lets one expect at a moment, UTC; nothing without a forecast."""
    if forecast is None:
        return Outlook(NOTHING_EXPECTED, inf, None, now)
    return Outlook(forecast.at(now, now), forecast.age_s(now), forecast, now)
