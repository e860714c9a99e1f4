"""How a value ages when no newer one comes."""

import math

import pytest

from core.point import Quality
from drivers.ageing import Ageing
from drivers.base import Block

BAD, STALE, GOOD = Quality.BAD, Quality.STALE, Quality.GOOD


@pytest.mark.parametrize(
    ("now_s", "fast", "slow"),
    [
        (100.0, GOOD, GOOD),
        (114.9, GOOD, GOOD),
        (115.0, STALE, GOOD),
        (159.9, STALE, GOOD),
        (160.0, BAD, GOOD),
        (280.0, BAD, STALE),
        (820.0, BAD, BAD),
    ],
)
def test_a_value_is_stale_after_three_periods_and_bad_in_the_end(now_s, fast, slow):
    ageing = Ageing([5.0, 60.0])
    ageing.keep([Block(0, (45.0, 7.0), bytes([GOOD, GOOD]))], at_s=100.0)

    columns = ageing.columns(now_s)

    assert columns.qualities == bytes([fast, slow])
    assert columns.ages_s == pytest.approx((now_s - 100.0,) * 2)
    assert [math.isnan(v) for v in columns.values] == [fast == BAD, slow == BAD]


def test_what_never_came_is_bad_and_older_than_anything():
    columns = Ageing([5.0]).columns(0.0)

    assert columns.qualities == bytes([BAD])
    assert math.isnan(columns.values[0])
    assert columns.ages_s == (math.inf,)


@pytest.mark.parametrize(
    ("waits_s", "fast_s", "slow_s", "once_s"),
    [
        (0.0, math.inf, math.inf, math.inf),
        (59.9, math.inf, math.inf, math.inf),
        (60.0, 60.0, math.inf, 60.0),
        (719.9, 719.9, math.inf, 719.9),
        (720.0, 720.0, 720.0, 720.0),
    ],
)
def test_what_never_came_is_missed_when_silence_alone_would_make_it_bad(
    waits_s, fast_s, slow_s, once_s
):
    ageing = Ageing([5.0, 60.0, math.inf])
    ageing.columns(1000.0)

    columns = ageing.columns(1000.0 + waits_s)

    assert columns.ages_s == pytest.approx((fast_s, slow_s, once_s))
    assert columns.qualities == bytes([BAD] * 3)
    assert all(math.isnan(value) for value in columns.values)


def test_what_was_forgotten_is_waited_for_anew_but_only_once():
    ageing = Ageing([5.0])
    ageing.columns(0.0)
    ageing.keep([Block(0, (45.0,), bytes([GOOD]))], at_s=0.0)
    for now_s in (100.0, 130.0):
        ageing.forget()
        assert ageing.columns(now_s).ages_s == (math.inf,)

    assert ageing.columns(159.0).ages_s == (math.inf,)
    assert ageing.columns(160.0).ages_s == (60.0,)


def test_a_bad_value_stays_bad_while_it_ages():
    ageing = Ageing([5.0])
    ageing.keep([Block(0, (math.nan,), bytes([BAD]))], at_s=0.0)

    assert ageing.columns(20.0).qualities == bytes([BAD])


def test_each_block_has_an_age_of_its_own():
    ageing = Ageing([5.0, 5.0])
    ageing.keep([Block(0, (1.0,), bytes([GOOD])), Block(1, (2.0,), bytes([GOOD]))], at_s=0.0)
    ageing.keep([Block(1, (3.0,), bytes([GOOD]))], at_s=5.0)

    columns = ageing.columns(6.0)

    assert columns.values == (1.0, 3.0)
    assert columns.ages_s == (6.0, 1.0)


def test_blocks_that_are_cut_anew_age_as_before():
    ageing = Ageing([5.0, 60.0, 5.0])
    ageing.keep([Block(0, (1.0, 2.0, 3.0), bytes([GOOD] * 3))], at_s=0.0)
    ageing.keep([Block(0, (4.0,), bytes([GOOD])), Block(2, (5.0,), bytes([GOOD]))], at_s=16.0)

    columns = ageing.columns(16.0)

    assert columns.values == (4.0, 2.0, 5.0)
    assert columns.ages_s == (0.0, 16.0, 0.0)
    assert columns.qualities == bytes([GOOD] * 3)
    assert ageing.columns(31.0).qualities == bytes([STALE, GOOD, STALE])

    ageing.keep([Block(0, (6.0, 7.0, 8.0), bytes([GOOD] * 3))], at_s=32.0)
    ageing.keep([Block(0, (6.0, 7.0, 8.0), bytes([GOOD] * 3))], at_s=37.0)

    assert ageing.columns(38.0).ages_s == (1.0, 1.0, 1.0)
    assert ageing.columns(52.0).qualities == bytes([STALE, GOOD, STALE])


def test_one_block_that_stays_away_is_stale_alone():
    ageing = Ageing([5.0, 5.0])
    ageing.keep([Block(0, (1.0,), bytes([GOOD])), Block(1, (2.0,), bytes([GOOD]))], at_s=0.0)
    for at_s in (5.0, 10.0, 15.0):
        ageing.keep([Block(0, (1.0,), bytes([GOOD]))], at_s=at_s)

    assert ageing.columns(15.0).qualities == bytes([GOOD, STALE])


def test_a_value_that_was_old_at_its_source_is_so_much_older():
    ageing = Ageing([5.0, 5.0])

    ageing.keep([Block(0, (45.0, 7.0), bytes([GOOD, GOOD]), ages_s=(0.0, 14.0))], at_s=100.0)

    assert ageing.columns(100.0).ages_s == (0.0, 14.0)
    assert ageing.columns(101.0).qualities == bytes([GOOD, STALE])
    assert ageing.at_s == [100.0, 100.0]
