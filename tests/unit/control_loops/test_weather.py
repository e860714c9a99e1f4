"""Composite outdoor temperature, wind and sun: what they make of the weather, and how they fade."""

from math import exp, nan

import pytest

from control_loops.weather import (
    Felt,
    Mixed,
    Sun,
    WeatherFacts,
    WeatherState,
    WeatherTerms,
    Wind,
    felt_step,
)
from core.point import NO_SAMPLE, Quality, Sample

WIND = Wind(source="wind", per_m_s_k=0.3, above_m_s=4.0, max_k=2.0)
SUN = Sun(source="sun", per_100_w_k=0.5, filter_s=7200.0, max_k=2.0)
NO_FACTS = WeatherFacts(NO_SAMPLE, NO_SAMPLE, is_sunlit=False)


def good(value, age_s=1.0):
    return Sample(value, Quality.GOOD, age_s)


def follow(terms, seconds, facts=NO_FACTS, state=None, *, outdoor_c=-5.0, damped_c=-5.0, dt_s=5.0):
    """Return what is felt after some time, the state, and the largest move in a minute."""
    felt, largest = None, 0.0
    for _ in range(round(seconds / dt_s)):
        before = felt
        felt, state = felt_step(
            terms, state, facts, outdoor_c=outdoor_c, damped_c=damped_c, dt_s=dt_s
        )
        if before is not None:
            largest = max(largest, abs(felt.outdoor_c - before.outdoor_c) * 60.0 / dt_s)
    return felt, state, largest


def blowing(wind_m_s, **changes):
    return NO_FACTS._replace(
        wind=Sample(wind_m_s, **{"quality": Quality.GOOD, "age_s": 1.0} | changes)
    )


def shining(sun_w_m2, **changes):
    return NO_FACTS._replace(sun=good(sun_w_m2), **changes)


class TestTheMixture:
    @pytest.mark.parametrize("dt_s", [5.0, 600.0])
    def test_it_weighs_a_fast_and_a_slow_temperature(self, dt_s):
        terms = WeatherTerms(mixed=Mixed(fast_s=3600.0, slow_s=86400.0, fast_share=0.5))
        start = WeatherState(0.0, 0.0)
        felt, _, _ = follow(terms, 7200.0, state=start, outdoor_c=-10.0, damped_c=3.0, dt_s=dt_s)
        fast_c, slow_c = (-10.0 * (1.0 - exp(-7200.0 / tau)) for tau in (3600.0, 86400.0))
        assert felt.mixed_c == felt.outdoor_c == pytest.approx(0.5 * (fast_c + slow_c))

    def test_it_begins_where_the_damped_one_stands(self):
        terms = WeatherTerms(mixed=Mixed(fast_share=0.0, slow_s=864000.0))
        assert follow(terms, 5.0, outdoor_c=-10.0, damped_c=-2.0)[0].mixed_c == pytest.approx(
            -2.0, abs=0.001
        )

    def test_without_one_the_damped_temperature_counts(self):
        felt, _, _ = follow(WeatherTerms(wind=WIND), 60.0, outdoor_c=-10.0, damped_c=-2.0)
        assert felt.outdoor_c == felt.mixed_c == -2.0


class TestTheWind:
    @pytest.mark.parametrize(
        ("wind_m_s", "wind_k"), [(0.0, 0.0), (4.0, 0.0), (6.0, 0.6), (9.0, 1.5), (30.0, 2.0)]
    )
    def test_it_counts_above_its_threshold_and_up_to_its_bound(self, wind_m_s, wind_k):
        felt, _, largest = follow(WeatherTerms(wind=WIND), 3600.0, blowing(wind_m_s))
        assert felt.wind_k == pytest.approx(wind_k)
        assert felt.outdoor_c == pytest.approx(-5.0 - wind_k)
        assert largest <= 0.1 + 1e-9

    @pytest.mark.parametrize(
        "lost",
        [
            NO_FACTS,
            blowing(9.0, quality=Quality.STALE),
            blowing(9.0, age_s=1801.0),
            blowing(nan, quality=Quality.BAD),
        ],
        ids=["none", "stale", "old", "bad"],
    )
    def test_one_that_is_lost_fades_at_a_tenth_of_a_kelvin_a_minute(self, lost):
        terms = WeatherTerms(wind=WIND)
        _, state, _ = follow(terms, 3600.0, blowing(9.0))
        soon, state, _ = follow(terms, 300.0, lost, state)
        later, _, largest = follow(terms, 900.0, lost, state)
        assert (soon.wind_k, later.wind_k) == (pytest.approx(1.0), 0.0)
        assert largest <= 0.1 + 1e-9


class TestTheSun:
    def test_it_is_filtered_and_bounded(self):
        terms = WeatherTerms(sun=SUN)
        felt, state, largest = follow(terms, 7200.0, shining(300.0))
        assert felt.sun_k == pytest.approx(1.5 * (1.0 - exp(-1.0)), abs=0.001)
        assert felt.outdoor_c == pytest.approx(-5.0 + felt.sun_k)
        assert follow(terms, 36000.0, shining(1000.0), state)[0].sun_k == 2.0
        assert largest <= 0.1

    def test_at_night_a_meter_below_zero_takes_nothing_away(self):
        assert follow(WeatherTerms(sun=SUN), 7200.0, shining(-5.0))[0].sun_k == 0.0

    @pytest.mark.parametrize("lost", [NO_FACTS, shining(500.0, is_sunlit=True)])
    def test_lost_or_in_the_sensor_already_it_fades(self, lost):
        terms = WeatherTerms(sun=SUN)
        _, state, _ = follow(terms, 36000.0, shining(300.0))
        felt, _, largest = follow(terms, 1800.0, lost, state)
        assert felt.sun_k == 0.0
        assert largest <= 0.1 + 1e-9

    def test_a_meter_that_comes_back_at_night_brings_no_old_sun(self):
        terms = WeatherTerms(sun=SUN)
        _, state, _ = follow(terms, 36000.0, shining(300.0))
        _, state, _ = follow(terms, 36000.0, NO_FACTS, state)
        assert follow(terms, 600.0, shining(0.0), state)[0].sun_k < 0.02


def test_an_unknown_outdoor_temperature_stays_unknown_and_what_is_remembered_stays():
    state = WeatherState(-5.0, -4.0, 100.0, 1.0, 0.5)
    felt, after = felt_step(
        WeatherTerms(wind=WIND, sun=SUN), state, NO_FACTS, outdoor_c=nan, damped_c=nan, dt_s=5.0
    )
    assert isinstance(felt, Felt)
    assert felt.outdoor_c != felt.outdoor_c
    assert after is state
