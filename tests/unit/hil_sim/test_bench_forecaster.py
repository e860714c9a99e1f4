"""The bench's forecasts: when they are issued, and how wrong they are."""

import statistics
from datetime import UTC, datetime, timedelta

import pytest

from hil_sim.bench.forecaster import Forecaster
from hil_sim.plant.weather import SteadyWeather

START = datetime(2024, 12, 2, tzinfo=UTC)
WEATHER = SteadyWeather(-5.0)


def at(hours):
    return START + timedelta(hours=hours)


def test_a_new_one_comes_every_six_hours():
    made = Forecaster(WEATHER, "1", START)
    first = made.newest(START)
    assert made.newest(at(5.9)) is first
    second = made.newest(at(6.0))
    assert (second.issued_at, second.hours[0].outdoor_c) == (at(6.0), -5.0)
    assert second.at(at(54.0), at(6.0)).outdoor_c == second.hours[-1].outdoor_c


def test_the_same_seed_makes_the_same_mistakes():
    one, two, other = (Forecaster(WEATHER, seed, START) for seed in ("1", "1", "2"))
    assert one.newest(at(30.0)) == two.newest(at(30.0))
    assert one.newest(at(30.0)) != other.newest(at(30.0))


@pytest.mark.parametrize(("ahead_h", "off_k"), [(0.0, 0.0), (6.0, 0.75), (24.0, 1.5)])
def test_it_is_off_by_more_the_further_it_looks(ahead_h, off_k):
    made = Forecaster(WEATHER, "1", START)
    issued = [at(6.0 * number) for number in range(800)]
    errors = [
        made.newest(now).at(now + timedelta(hours=ahead_h), now).outdoor_c + 5.0 for now in issued
    ]
    assert statistics.pstdev(errors) == pytest.approx(off_k, rel=0.1, abs=1e-12)
