"""Setbacks by the clock: when they apply, how the cold takes them away, and what comes after."""

from dataclasses import replace
from datetime import datetime
from math import nan

import pytest

from control_loops.schedule import NO_SHIFT, Hours, Setback, Working, schedule_shift

NIGHT = Setback(
    between=Hours.from_text("23:00-05:00"), lower_k=6.0, boost_k=3.0, boost_for_s=3600.0
)
WORKING = Working(today=True, yesterday=True)
FREE = Working(today=False, yesterday=False)


def shift(schedule, at, *, working=WORKING, outdoor_c=0.0, are_rooms_cold=False, expected_c=None):
    local = datetime.fromisoformat(f"2026-01-14 {at}")
    return schedule_shift(
        schedule,
        local=local,
        working=working,
        outdoor_c=outdoor_c,
        are_rooms_cold=are_rooms_cold,
        **({} if expected_c is None else {"expected_c": expected_c}),
    )


@pytest.mark.parametrize(
    ("at", "shift_k", "why"),
    [
        ("22:59:59", 0.0, ""),
        ("23:00:00", -6.0, "night"),
        ("00:00:00", -6.0, "night"),
        ("04:59:59", -6.0, "night"),
        ("05:00:00", 3.0, "night boost"),
        ("05:59:59", 3.0, "night boost"),
        ("06:00:00", 0.0, ""),
        ("12:00:00", 0.0, ""),
    ],
)
def test_a_night_goes_over_midnight_and_is_followed_by_its_boost(at, shift_k, why):
    assert shift({"night": NIGHT}, at) == (shift_k, why)


@pytest.mark.parametrize(
    ("outdoor_c", "shift_k"),
    [(0.0, -6.0), (-5.0, -6.0), (-10.0, -3.0), (-15.0, 0.0), (-30.0, 0.0), (nan, 0.0)],
)
def test_the_setback_glides_out_as_it_gets_cold(outdoor_c, shift_k):
    assert shift({"night": NIGHT}, "02:00:00", outdoor_c=outdoor_c).shift_k == shift_k


def test_cold_rooms_are_not_set_back():
    assert shift({"night": NIGHT}, "02:00:00", are_rooms_cold=True) == NO_SHIFT


@pytest.mark.parametrize(
    ("outdoor_c", "at", "applies"),
    [
        (10.0, "04:59:00", True),
        (-1.0, "04:29:00", True),
        (-1.0, "04:31:00", False),
        (-12.0, "03:59:00", True),
        (-12.0, "04:01:00", False),
        (nan, "04:01:00", False),
    ],
)
def test_the_colder_it_is_the_earlier_the_setback_ends(outdoor_c, at, applies):
    early = Setback(
        between=Hours.from_text("23:00-05:00"),
        lower_k=6.0,
        full_above_c=-25.0,
        none_below_c=-30.0,
        start_early_s=3600.0,
    )
    expected_k = -6.0 if applies else 0.0
    assert shift({"night": early}, at, outdoor_c=outdoor_c).shift_k == expected_k


@pytest.mark.parametrize(
    ("days", "at", "working", "applies"),
    [
        ("work", "12:00:00", WORKING, True),
        ("work", "12:00:00", FREE, False),
        ("free", "12:00:00", FREE, True),
        ("free", "12:00:00", WORKING, False),
        ("every", "12:00:00", FREE, True),
    ],
)
def test_days_of_work_and_free_days_have_hours_of_their_own(days, at, working, applies):
    office = Setback(between=Hours.from_text("11:00-13:00"), days=days, lower_k=4.0)
    assert (shift({"lunch": office}, at, working=working).shift_k < 0.0) == applies


def test_a_night_belongs_to_the_day_on_which_it_begins():
    night = Setback(between=Hours.from_text("20:00-06:00"), days="free", lower_k=4.0)
    sunday_to_monday = Working(today=True, yesterday=False)
    friday_to_saturday = Working(today=False, yesterday=True)
    assert shift({"x": night}, "03:00:00", working=sunday_to_monday).shift_k == -4.0
    assert shift({"x": night}, "03:00:00", working=friday_to_saturday) == NO_SHIFT


def test_of_two_setbacks_the_deeper_rules_and_no_boost_beside_it():
    schedule = {
        "night": NIGHT,
        "deep": Setback(between=Hours.from_text("01:00-05:30"), lower_k=8.0),
    }
    assert shift(schedule, "00:30:00") == (-6.0, "night")
    assert shift(schedule, "02:00:00") == (-8.0, "deep")
    assert shift(schedule, "05:15:00") == (-8.0, "deep")
    assert shift(schedule, "05:45:00") == (3.0, "night boost")


def test_without_a_schedule_nothing_shifts():
    assert shift({}, "02:00:00") == NO_SHIFT


@pytest.mark.parametrize("text", ["23:00", "23:00-24:00", "5:00-6:00", "05:00-05:00", ""])
def test_what_is_no_stretch_of_a_day_is_refused_with_an_example(text):
    with pytest.raises(ValueError, match="; write"):
        Hours.from_text(text)


@pytest.mark.parametrize(
    ("expected_c", "at", "is_lowered"),
    [
        # 90 min at -12 °C, none at +10 °C: 0 °C ends it 40.9 min early, -12 °C at 3:30.
        (lambda _: -12.0, "03:29:00", True),
        (lambda _: -12.0, "03:31:00", False),
        (lambda _: 8.0, "04:18:00", True),
        (lambda _: 8.0, "04:20:00", False),
        (lambda _: nan, "04:18:00", True),
        (lambda _: nan, "04:20:00", False),
    ],
    ids=["cold before", "cold after", "warm before", "warm after", "none before", "none after"],
)
def test_a_colder_end_that_is_forecast_is_prepared_for(expected_c, at, is_lowered):
    early = replace(NIGHT, start_early_s=5400.0, boost_k=0.0)
    assert (shift({"night": early}, at, expected_c=expected_c).shift_k < 0.0) is is_lowered


def test_the_forecast_is_asked_for_the_end_of_the_hours():
    asked = []
    early = replace(NIGHT, start_early_s=5400.0)
    shift({"night": early}, "02:00:00", expected_c=lambda ahead_s: asked.append(ahead_s) or nan)
    assert asked == [3 * 3600.0]
