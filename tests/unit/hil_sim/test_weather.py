"""Weather: steady, scripted, and a season with the climate's own statistics."""

import random

import pytest

from hil_sim.plant.weather import (
    ClimateParameters,
    ScriptedWeather,
    Sky,
    SteadyWeather,
    SyntheticWeather,
    sun_share,
)

HOUR_S = 3600.0


def test_steady_weather_stays() -> None:
    weather = SteadyWeather(-16.8)
    assert weather.at(0.0) == weather.at(1e7) == Sky(-16.8)


@pytest.mark.parametrize(
    ("hour", "expected"), [(0, -10.0), (2, -10.0), (8, -17.5), (14, -25.0), (40, -25.0)]
)
def test_a_script_runs_on_straight_lines(hour: float, expected: float) -> None:
    weather = ScriptedWeather([(2.0, -10.0), (14.0, -25.0)])
    assert weather.at(hour * HOUR_S).outdoor_c == pytest.approx(expected)


@pytest.mark.parametrize("points", [[], [(1.0, 0.0), (1.0, 5.0)], [(2.0, 0.0), (1.0, 5.0)]])
def test_a_script_that_goes_back_in_time_is_refused(points: list[tuple[float, float]]) -> None:
    with pytest.raises(ValueError, match="rising hours"):
        ScriptedWeather(points)


def test_a_scripted_sun_shines_at_noon_alone() -> None:
    weather = ScriptedWeather([(0.0, -5.0)], clear_sun_w_per_m2=650.0, start_hour=6.0)
    assert weather.at(0.0).sun_w_per_m2 == 0.0
    assert weather.at(6.5 * HOUR_S).sun_w_per_m2 == pytest.approx(650.0)
    assert sun_share(3.0) == 0.0


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_season_has_the_degree_days_of_its_place(seed: int) -> None:
    # given a season of 168 days
    season = SyntheticWeather(ClimateParameters(), random.Random(seed))
    hourly = season.hourly_c[: 168 * 24]
    daily = [sum(hourly[d * 24 : d * 24 + 24]) / 24.0 for d in range(168)]
    # then its mean, its degree days and its extreme are the climate's
    assert sum(hourly) / len(hourly) == pytest.approx(-4.9, abs=0.05)
    assert sum(max(0.0, 18.0 - day) for day in daily) == pytest.approx(3847.0, abs=20.0)
    assert min(hourly) >= -28.4
    # and the design temperature is undercut on few days
    assert 0 <= sum(day < -16.8 for day in daily) <= 20
    assert min(daily) < -12.0


def test_nights_are_colder_than_afternoons() -> None:
    hourly = SyntheticWeather(ClimateParameters(), random.Random(1)).hourly_c
    nights = sum(hourly[d * 24 + 5] for d in range(168)) / 168.0
    afternoons = sum(hourly[d * 24 + 15] for d in range(168)) / 168.0
    assert 3.0 < afternoons - nights < 9.0


def test_the_same_seed_gives_the_same_season() -> None:
    first, again, other = (
        SyntheticWeather(ClimateParameters(), random.Random(seed)).hourly_c for seed in (7, 7, 8)
    )
    assert first == again
    assert first != other


def test_a_start_day_shifts_the_season() -> None:
    season = SyntheticWeather(ClimateParameters(), random.Random(1))
    later = SyntheticWeather(ClimateParameters(), random.Random(1), start_day=80.0, start_hour=6.0)
    assert later.at(0.0) == season.at((80 * 24 + 6) * HOUR_S)


def test_after_its_end_the_season_stays() -> None:
    season = SyntheticWeather(ClimateParameters(), random.Random(1))
    assert season.at(200 * 86_400.0) == season.at(300 * 86_400.0)
