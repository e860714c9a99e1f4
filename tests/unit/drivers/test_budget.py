"""The budget of writes: counted over restarts, thrifty before it is gone, never in the way."""

import math

import pytest

from core.point import Tag
from drivers.base import Target
from drivers.budget import DAY_S, EEPROM_WRITES, Budget, Wear, is_worth_it

SV, FREE = Tag("T2g_SP"), Tag("HB_SCADA")
TARGET = Target(low=0.0, high=100.0, per_day=200)


@pytest.fixture
def budget():
    return Budget({SV: TARGET, FREE: Target(low=0.0, high=1.0)})


def spend(budget, count, now_s=0.0):
    for _ in range(count):
        budget.spend(SV, now_s)


@pytest.mark.parametrize(
    ("left", "change", "is_worth"),
    [
        (200.0, 0.01, True),  # plenty
        (100.0, 0.01, True),  # half of the day's
        (50.0, 0.9, False),  # 1 % of the range is due now
        (50.0, 1.0, True),
        (1.0, 1.9, False),
        (1.0, 2.0, True),
        (1.0, math.nan, True),  # nobody knows what stands there
        (0.9, 100.0, False),
    ],
)
def test_the_less_is_left_the_larger_a_change_must_be(left, change, is_worth):
    assert is_worth_it(TARGET, Wear(left), change) is is_worth


def test_a_spent_budget_refills_with_time_and_never_beyond_a_day(budget):
    spend(budget, 200)
    assert not budget.allows(SV, 50.0, 0.0)
    assert not budget.allows(SV, 50.0, DAY_S / 200 - 1.0)
    assert budget.allows(SV, 50.0, DAY_S / 200 + 1.0)
    spend(budget, 1, 10 * DAY_S)
    assert budget.wear[SV].left == 199.0


def test_it_is_out_once_until_a_twentieth_is_there_again(budget):
    spend(budget, 200)
    assert budget.out(0.0) == ()  # nobody has wanted more
    budget.allows(SV, 50.0, 0.0)
    assert budget.out(0.0) == (SV,)
    assert budget.out(0.049 * DAY_S) == (SV,)
    assert budget.out(0.051 * DAY_S) == ()


def test_protective_writes_are_taken_on_credit(budget):
    spend(budget, 210)
    assert budget.wear[SV].left == -10.0


def test_what_is_not_counted_is_always_allowed(budget):
    for _ in range(1000):
        budget.spend(FREE, 0.0)
    assert budget.allows(FREE, 1.0, 0.0)


def test_a_budget_goes_on_after_a_restart_and_may_have_been_cut(budget):
    spend(budget, 150)
    other = Budget({SV: Target(low=0.0, high=100.0, per_day=40)})
    other.remember({**budget.wear, Tag("gone"): Wear(1.0)})
    assert other.wear == {SV: Wear(40.0, 150, 0.0)}
    again = Budget({SV: TARGET})
    again.remember(budget.wear)
    assert again.wear[SV].left == 50.0


def test_what_was_given_out_stays_as_it_was(budget):
    before = budget.wear
    spend(budget, 1)
    assert before[SV].total == 0


@pytest.mark.parametrize(
    ("total", "over_s", "years"),
    [
        (0, 0.0, math.inf),
        (200, 60.0, 1.37),  # the first day counts as a whole one
        (20_000, 100 * DAY_S, 1.10),
        (EEPROM_WRITES + 1, 100 * DAY_S, 0.0),
    ],
)
def test_the_life_of_an_eeprom_is_forecast_from_its_mean_rate(total, over_s, years):
    assert Wear(0.0, total, over_s).life_years() == pytest.approx(years, abs=0.01)
