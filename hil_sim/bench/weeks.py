"""The weeks of the benchmark: their weather, what happens to the network, what is scored.

Rule: a week is fixed by its name and the seed, so that every controller meets the same one.
"""

import csv
import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from hil_sim.plant.lines import interpolate
from hil_sim.plant.weather import Sky, Weather, sun_share

HOUR_S = 3600.0
DAY_S = 24.0 * HOUR_S
_WIND_SHARE = 0.15
_WIND_H = 6.0
_FILE_HOURS_MIN = 24.0


@dataclass(frozen=True, slots=True)
class Drop:
    """The network's supply is colder by `by_k` from `at_s` on, for `for_s`."""

    at_s: float
    for_s: float
    by_k: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Week:
    """One span of weather: the first `burn_in_s` are not scored, the `scored_s` after them are."""

    name: str
    weather: Weather
    burn_in_s: float
    scored_s: float
    drops: tuple[Drop, ...] = ()

    @property
    def whole_s(self) -> float:
        """How long the week is played."""
        return self.burn_in_s + self.scored_s

    def drop_k(self, elapsed_s: float) -> float:
        """Return by how much the network's supply is moved at a moment, in K (0 or less)."""
        return sum(-d.by_k for d in self.drops if d.at_s <= elapsed_s < d.at_s + d.for_s)


class SwingWeather:
    """Air on straight lines with a daily swing, a clear sun, and a wind that nobody measures.

    Args:
        points: (hours since the start, °C), hours rising.
        swing_k: Half the difference between 15:00 and 3:00.
        noon_w_per_m2: Radiation on a south wall at noon.
        rng: Of the wind; a first-order autoregression with a standard deviation of 15 % of the air
            exchange and a time constant of 6 h.
        hours: For how long a wind is drawn.
    """

    def __init__(
        self,
        points: Sequence[tuple[float, float]],
        *,
        swing_k: float,
        noon_w_per_m2: float,
        rng: random.Random,
        hours: float,
    ) -> None:
        self._points = tuple(points)
        self._swing_k, self._noon = swing_k, noon_w_per_m2
        self._wind = Wind(rng, hours)

    def at(self, elapsed_s: float) -> Sky:
        """Return the weather at `elapsed_s`; the start is midnight."""
        hour = elapsed_s / HOUR_S
        swing = self._swing_k * math.cos(2.0 * math.pi * (hour % 24.0 - 15.0) / 24.0)
        return Sky(
            interpolate(self._points, hour) + swing,
            self._noon * sun_share(hour % 24.0),
            self._wind.at(hour),
        )


class Wind:
    """How much more air than usual the wind presses through the buildings, hour by hour."""

    def __init__(self, rng: random.Random, hours: float) -> None:
        keep = math.exp(-1.0 / _WIND_H)
        shake = _WIND_SHARE * math.sqrt(1.0 - keep * keep)
        drawn = [rng.gauss(0.0, _WIND_SHARE)]
        while len(drawn) < hours + 2.0:
            drawn.append(keep * drawn[-1] + rng.gauss(0.0, shake))
        self._hourly = tuple(drawn)

    def at(self, hour: float) -> float:
        """Return the draught at an hour since the start, as a share of the air exchange."""
        i = min(int(hour), len(self._hourly) - 2)
        part = min(hour - i, 1.0)
        return self._hourly[i] + part * (self._hourly[i + 1] - self._hourly[i])


class FileWeather:
    """Weather that was measured somewhere: straight lines between the rows of a file."""

    def __init__(self, rows: Sequence[tuple[float, float, float]], wind: Wind) -> None:
        self._rows, self._wind = tuple(rows), wind
        self._at = 0

    @property
    def hours(self) -> float:
        """How many hours the file covers."""
        return self._rows[-1][0]

    def at(self, elapsed_s: float) -> Sky:
        """Return the weather at `elapsed_s` after the first row; its last row holds for ever."""
        hour, rows = elapsed_s / HOUR_S, self._rows
        if hour < rows[self._at][0]:
            self._at = 0
        while self._at + 2 < len(rows) and rows[self._at + 1][0] <= hour:
            self._at += 1
        (h0, t0, s0), (h1, t1, s1) = rows[self._at], rows[self._at + 1]
        part = min(max((hour - h0) / (h1 - h0), 0.0), 1.0)
        return Sky(t0 + part * (t1 - t0), s0 + part * (s1 - s0), self._wind.at(hour))


class BadWeatherFile(ValueError):  # noqa: N818 - it names the file, as ConfigErrors do
    """A weather file that cannot be played; the text says which line and what is wrong."""


def usual_weeks(seed: int, *, is_short: bool) -> tuple[Week, ...]:
    """Return the four weeks: mild, cold snap, sunny, source drop.

    Each is 9 days with 2 of burn-in; the short ones are 54 hours with 18 of burn-in.
    """
    burn_h, hours = (18.0, 54.0) if is_short else (48.0, 216.0)
    fall_h = burn_h + (2.0 if is_short else 24.0)
    rise_h = fall_h + 12.0 + (14.0 if is_short else 72.0)
    snap = [(0.0, -10.0), (fall_h, -10.0), (fall_h + 12.0, -25.0), (rise_h, -25.0)]
    snap.append((rise_h + 24.0, -10.0))
    drop = Drop((burn_h + (6.0 if is_short else 78.0)) * HOUR_S, 6.0 * HOUR_S, 20.0)
    made = []
    for name, points, swing_k, noon, drops in (
        ("mild", [(0.0, 3.0)], 2.0, 150.0, ()),
        ("cold-snap", snap, 1.0, 150.0, ()),
        ("sunny", [(0.0, -6.0)], 7.0, 700.0, ()),
        ("source-drop", [(0.0, -12.0)], 2.0, 150.0, (drop,)),
    ):
        weather = SwingWeather(
            points,
            swing_k=swing_k,
            noon_w_per_m2=noon,
            rng=random.Random(f"{seed} {name}"),
            hours=hours,
        )
        made.append(
            Week(
                name=name,
                weather=weather,
                burn_in_s=burn_h * HOUR_S,
                scored_s=(hours - burn_h) * HOUR_S,
                drops=drops,
            )
        )
    return tuple(made)


def week_of_file(path: Path, seed: int, *, is_short: bool) -> Week:
    """Return the one week that a weather file describes; a fifth of it, at most 2 days, is burn-in.

    The file is CSV with a head line and three columns: time (ISO 8601, or hours since the start),
    outdoor °C, global W/m². People's evenings are counted from the first row as from midnight.

    Raises:
        BadWeatherFile: It cannot be read so; the text says where.
    """
    rows = _rows_of(path)
    hours = min(rows[-1][0], 54.0) if is_short else rows[-1][0]
    weather = FileWeather(rows, Wind(random.Random(f"{seed} {path.stem}"), hours))
    burn_h = min(48.0, hours / 5.0)
    return Week(
        name=path.stem,
        weather=weather,
        burn_in_s=burn_h * HOUR_S,
        scored_s=(hours - burn_h) * HOUR_S,
    )


def _rows_of(path: Path) -> list[tuple[float, float, float]]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise BadWeatherFile(f"{path}: cannot be read ({error})") from error
    rows: list[tuple[float, float, float]] = []
    start: datetime | None = None
    for number, cells in enumerate(csv.reader(text.splitlines()), start=1):
        if number == 1 or not cells:
            continue
        try:
            when, outdoor_c, sun = (cell.strip() for cell in cells[:3])
            at, start = _hours(when, start)
            row = (at, _finite(outdoor_c), max(_finite(sun), 0.0))
        except ValueError as error:
            raise BadWeatherFile(
                f"{path}:{number}: {error}; write time, outdoor °C, global W/m², as in "
                f"2024-01-15T00:00,-12.5,0"
            ) from error
        if rows and row[0] <= rows[-1][0]:
            raise BadWeatherFile(f"{path}:{number}: its time is not after that of the row before")
        rows.append(row)
    if not rows or rows[-1][0] - rows[0][0] < _FILE_HOURS_MIN:
        raise BadWeatherFile(f"{path}: a benchmark needs at least {_FILE_HOURS_MIN:g} hours")
    first_h = rows[0][0]
    return [(at - first_h, outdoor_c, sun) for at, outdoor_c, sun in rows]


def _hours(text: str, start: datetime | None) -> tuple[float, datetime | None]:
    if "-" not in text[1:]:
        return _finite(text), start
    when = datetime.fromisoformat(text)
    start = start or when
    return (when - start).total_seconds() / HOUR_S, start


def _finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"`{text}` is no number")
    return value
