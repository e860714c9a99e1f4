"""A forecast between its hours, beyond them, and when it is too old."""

from datetime import UTC, datetime, timedelta
from math import inf, isnan, nan

import pytest

from core.forecast import Expected, Forecast, outlook

ISSUED = datetime(2026, 1, 15, 0, 0, tzinfo=UTC)
FORECAST = Forecast(
    ISSUED,
    ISSUED + timedelta(days=1),
    (3600.0, 7200.0, 7200.0 + 21600.0, 7200.0 + 43201.0),
    (
        Expected(-10.0, 2.0, 0.0),
        Expected(-14.0, 4.0, nan),
        Expected(-20.0, 1.0, 300.0),
        Expected(-8.0, 1.0, 300.0),
    ),
)


def at(hours, now_h=0.0):
    moment, now = (ISSUED + timedelta(hours=h) for h in (hours, now_h))
    return FORECAST.at(moment, now)


@pytest.mark.parametrize(
    ("hours", "outdoor_c"), [(1.0, -10.0), (1.5, -12.0), (2.0, -14.0), (5.0, -17.0), (8.0, -20.0)]
)
def test_between_its_hours_it_is_straight(hours, outdoor_c):
    assert at(hours).outdoor_c == pytest.approx(outdoor_c)


@pytest.mark.parametrize("hours", [0.99, 14.01, 30.0, -5.0])
def test_beyond_its_hours_it_says_nothing(hours):
    assert all(isnan(value) for value in at(hours))


def test_hours_that_are_too_far_apart_say_nothing_of_what_lies_between():
    assert isnan(at(11.0).outdoor_c)


def test_what_it_does_not_know_stays_unknown():
    assert at(1.5).wind_m_s == pytest.approx(3.0)
    assert isnan(at(1.5).sun_w_m2)
    assert isnan(at(5.0).sun_w_m2)


@pytest.mark.parametrize(("now_h", "knows"), [(24.0, True), (24.01, False)])
def test_when_it_is_too_old_it_says_nothing(now_h, knows):
    assert isnan(at(1.5, now_h).outdoor_c) is not knows


def test_an_outlook_tells_of_now_and_of_later():
    seen = outlook(FORECAST, ISSUED + timedelta(hours=1))
    assert (seen.now.outdoor_c, seen.age_s) == (-10.0, 3600.0)
    assert seen.outdoor_c(1800.0) == pytest.approx(-12.0)
    assert isnan(seen.outdoor_c(86400.0))


def test_without_a_forecast_nothing_is_expected():
    seen = outlook(None, ISSUED)
    assert isnan(seen.now.outdoor_c)
    assert isnan(seen.outdoor_c(0.0))
    assert seen.age_s == inf


@pytest.mark.parametrize(
    ("now_h", "within_h", "coldest_c"),
    [
        (1.0, 0.0, -10.0),
        (1.0, 0.5, -12.0),
        (1.0, 7.0, -20.0),
        (2.0, 4.0, -18.0),
        (2.0, 24.0, -20.0),
        (0.0, 0.5, nan),
        (0.0, 1.5, -12.0),
        (20.0, 4.0, nan),
        (24.1, 24.0, nan),
    ],
)
def test_the_coldest_of_the_hours_to_come_is_between_them_too(now_h, within_h, coldest_c):
    now = ISSUED + timedelta(hours=now_h)
    found_c = FORECAST.coldest_c(3600.0 * within_h, now)
    assert found_c == pytest.approx(coldest_c, nan_ok=True)
    assert outlook(FORECAST, now).coldest_c(3600.0 * within_h) == pytest.approx(
        coldest_c, nan_ok=True
    )


def test_without_a_forecast_no_cold_is_expected():
    assert isnan(outlook(None, ISSUED).coldest_c(86400.0))
