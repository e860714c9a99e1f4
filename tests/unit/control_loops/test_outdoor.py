"""Outdoor temperature: the chain of sources with vote and climate, and no step whatever happens."""

from datetime import datetime, timedelta, timezone
from itertools import pairwise
from math import exp, isnan, nan

import pytest

from control_loops.climate import Climate, normal_c
from control_loops.outdoor import Outdoor, OutdoorState, choose_outdoor, stages
from core.point import NO_SAMPLE, Quality, Sample

CHAIN = Outdoor(order=("T_out", "st-016.T_out", "T_out_fc", "last_good"))
CHINA = timezone(timedelta(hours=8))
HARBIN = Climate(monthly={10: 6.3, 11: -4.9, 12: -14.9, 1: -17.6, 2: -12.2, 3: -2.0, 4: 8.3})


def good(value):
    return Sample(value, Quality.GOOD, 3.0)


def follow(outdoor, samples, state, seconds, dt_s=5.0):
    """Return the choice after some time and the largest move in one scan."""
    largest, choice = 0.0, None
    for _ in range(round(seconds / dt_s)):
        before = state.value_c
        choice, state = choose_outdoor(outdoor, samples, state, dt_s=dt_s)
        largest = max(largest, abs(choice.value_c - before))
    return choice, state, largest


@pytest.mark.parametrize(
    ("samples", "source", "quality", "value"),
    [
        ({"T_out": good(-5.0), "st-016.T_out": good(-6.0)}, "T_out", Quality.GOOD, -5.0),
        ({"st-016.T_out": good(-6.0)}, "st-016.T_out", Quality.SUBSTITUTED, -6.0),
        (
            {"T_out": Sample(-5.0, Quality.STALE, 90.0), "T_out_fc": good(-7.0)},
            "T_out_fc", Quality.SUBSTITUTED, -7.0,
        ),
        (
            {"T_out": Sample(-5.0, Quality.SUBSTITUTED, 1.0)},
            "T_out", Quality.SUBSTITUTED, -5.0,
        ),
    ],
)  # fmt: skip
def test_the_best_usable_source_is_taken(samples, source, quality, value):
    choice, state = choose_outdoor(CHAIN, samples, None, dt_s=5.0)
    assert (choice.source, choice.quality, choice.value_c) == (source, quality, value)
    assert choice.damped_c == value
    assert state is not None


def test_without_any_source_ever_there_is_no_value():
    choice, state = choose_outdoor(CHAIN, {"T_out": NO_SAMPLE}, None, dt_s=5.0)
    assert choice.quality is Quality.BAD
    assert isnan(choice.value_c)
    assert isnan(choice.damped_c)
    assert state is None


def test_the_last_good_reading_is_held_and_then_the_damped_one_takes_over():
    outdoor = Outdoor(order=("T_out", "last_good"), last_good_s=7200.0)
    state = OutdoorState(-10.0, -4.0, -10.0, 0.0)
    choice, state, _ = follow(outdoor, {}, state, 7200.0)
    assert (choice.source, choice.value_c, choice.age_s) == ("last_good", -10.0, 7200.0)
    choice, state, largest = follow(outdoor, {}, state, 6 * 3600.0)
    assert (choice.source, choice.quality) == ("damped", Quality.SUBSTITUTED)
    assert choice.value_c == pytest.approx(state.damped_c, abs=1e-6)
    assert -8.5 < choice.value_c < -4.0
    assert largest <= 1.0 / 12.0 + 1e-12
    choice, _, _ = follow(outdoor, {"T_out": good(-12.0)}, state, 900.0)
    assert (choice.source, choice.value_c) == ("T_out", -12.0)


def test_a_chain_without_last_good_goes_to_the_damped_value_at_once():
    state = OutdoorState(-10.0, -4.0, -10.0, 0.0)
    choice, _ = choose_outdoor(Outdoor(order=("T_out",)), {}, state, dt_s=5.0)
    assert choice.source == "damped"
    assert choice.age_s == 5.0


def test_a_change_of_source_decays_at_a_kelvin_per_minute():
    _, state = choose_outdoor(CHAIN, {"T_out": good(-5.0)}, None, dt_s=5.0)
    choice, state, largest = follow(CHAIN, {"st-016.T_out": good(-8.0)}, state, 150.0)
    assert choice.value_c == pytest.approx(-7.5)
    assert largest <= 1.0 / 12.0 + 1e-12
    choice, _, _ = follow(CHAIN, {"st-016.T_out": good(-8.0)}, state, 60.0)
    assert choice.value_c == -8.0


def test_the_sun_on_the_sensor_does_not_jump_the_result():
    _, state = choose_outdoor(CHAIN, {"T_out": good(-5.0)}, None, dt_s=5.0)
    choice, state, largest = follow(CHAIN, {"T_out": good(1.0)}, state, 60.0)
    assert choice.value_c == pytest.approx(-4.0)
    assert largest <= 1.0 / 12.0 + 1e-12
    assert choice.damped_c == pytest.approx(-5.0, abs=0.01)


@pytest.mark.parametrize("state", [None, OutdoorState(-10.0, -4.0, -10.0, 7200.0)])
def test_a_substitute_that_is_given_is_taken_when_no_source_is_left_and_says_so(state):
    outdoor = Outdoor(order=("T_out", "last_good"), last_good_s=7200.0, substitute_c=-15.0)
    choice, after = choose_outdoor(outdoor, {}, state, dt_s=5.0)
    assert (choice.source, choice.quality) == ("substitute", Quality.SUBSTITUTED)
    choice, after, largest = follow(outdoor, {}, after, 3600.0)
    assert (choice.source, choice.value_c) == ("substitute", -15.0)
    assert largest <= 1.0 / 12.0 + 1e-12
    choice, _, _ = follow(outdoor, {"T_out": good(-12.0)}, after, 900.0)
    assert (choice.source, choice.value_c, choice.quality) == ("T_out", -12.0, Quality.GOOD)


def test_a_substitute_never_becomes_the_last_good_reading():
    outdoor = Outdoor(order=("T_out", "last_good"), substitute_c=-15.0)
    _, state = choose_outdoor(outdoor, {}, None, dt_s=5.0)
    choice, _ = choose_outdoor(outdoor, {}, state, dt_s=5.0)
    assert choice.source == "substitute"


class TestTheVote:
    def test_of_three_the_one_that_the_others_contradict_is_left_out(self):
        samples = {"T_out": good(4.0), "st-016.T_out": good(-5.0), "T_out_fc": good(-6.0)}
        choice, _ = choose_outdoor(CHAIN, samples, None, dt_s=5.0)
        assert (choice.source, choice.quality) == ("st-016.T_out", Quality.SUBSTITUTED)

    @pytest.mark.parametrize(
        ("own_c", "source"), [(2.0, "st-016.T_out"), (-12.0, "T_out"), (0.0, "T_out")]
    )
    def test_of_two_the_colder_is_believed_where_they_contradict_each_other(self, own_c, source):
        samples = {"T_out": good(own_c), "st-016.T_out": good(-5.0)}
        assert choose_outdoor(CHAIN, samples, None, dt_s=5.0)[0].source == source

    def test_a_jump_is_left_out_for_half_an_hour_and_then_followed_at_its_rate(self):
        alone = Outdoor(order=("T_out", "last_good"))
        _, state = choose_outdoor(alone, {"T_out": good(-5.0)}, None, dt_s=5.0)
        soon, state, largest = follow(alone, {"T_out": good(35.0)}, state, 1700.0)
        assert (soon.source, soon.value_c, largest) == ("last_good", -5.0, 0.0)
        later, state, largest = follow(alone, {"T_out": good(35.0)}, state, 600.0)
        assert later.source == "T_out"
        assert largest <= 1.0 * 5.0 / 60.0 + 1e-9

    def test_a_jump_that_is_over_is_forgotten(self):
        _, state = choose_outdoor(CHAIN, {"T_out": good(-5.0)}, None, dt_s=5.0)
        _, state, _ = follow(CHAIN, {"T_out": good(35.0)}, state, 600.0)
        choice, state, _ = follow(CHAIN, {"T_out": good(-5.0)}, state, 10.0)
        assert (choice.source, choice.quality, state.jumped_s) == ("T_out", Quality.GOOD, 0.0)

    def test_only_the_best_that_is_left_is_believed_after_a_jump(self):
        _, state = choose_outdoor(CHAIN, {"T_out": good(-5.0)}, None, dt_s=5.0)
        other = {"T_out": good(-5.0), "st-016.T_out": good(12.0)}
        _, state, _ = follow(CHAIN, other, state, 7200.0)
        both = {"T_out": good(35.0), "st-016.T_out": good(12.0)}
        choice, _, largest = follow(CHAIN, both, state, 600.0)
        assert (choice.source, choice.value_c, largest) == ("last_good", -5.0, 0.0)


class TestWhatIsUsual:
    @pytest.mark.parametrize(
        ("local", "usual_c"),
        [
            (datetime(2026, 1, 16, 4, 0, tzinfo=CHINA), -17.6 + 4.5 * -0.951),
            (datetime(2026, 1, 16, 6, 0, tzinfo=CHINA), -17.6 - 4.5),
            (datetime(2026, 1, 16, 14, 0, tzinfo=CHINA), -17.6 + 4.5),
            (datetime(2026, 1, 16, 10, 0, tzinfo=CHINA), -17.6),
            (datetime(2026, 1, 16, 22, 0, tzinfo=CHINA), -17.6),
            (datetime(2026, 2, 1, 10, 0, tzinfo=CHINA), -14.9),
            (datetime(2026, 1, 1, 10, 0, tzinfo=CHINA), -16.2),
        ],
    )
    def test_months_and_hours(self, local, usual_c):
        assert normal_c(HARBIN, local) == pytest.approx(usual_c, abs=0.15)

    def test_one_month_alone_is_the_whole_year(self):
        for month in range(1, 13):
            local = datetime(2026, month, 28, 10, 0, tzinfo=CHINA)
            assert normal_c(Climate(monthly={1: -5.0}), local) == pytest.approx(-5.0)

    def test_it_never_steps(self):
        hours = [
            datetime(2026, m, d, h, tzinfo=CHINA)
            for m in (12, 1)
            for d in range(1, 32)
            for h in range(24)
        ]
        usual = [normal_c(HARBIN, local) for local in hours[:744]]
        assert max(abs(b - a) for a, b in pairwise(usual)) < 2.0


class TestTheClimate:
    chain = Outdoor(order=("T_out", "last_good", "climate"), climate=HARBIN)

    def follow(self, state, seconds, usual_c, samples=None, dt_s=60.0):
        choice, largest = None, 0.0
        for _ in range(round(seconds / dt_s)):
            before = state.value_c
            choice, state = choose_outdoor(
                self.chain, samples or {}, state, normal_c=usual_c, dt_s=dt_s
            )
            largest = max(largest, abs(choice.value_c - before) * 60.0 / dt_s)
        return choice, state, largest

    def test_the_last_readings_distance_from_what_is_usual_fades(self):
        _, state = choose_outdoor(
            self.chain, {"T_out": good(-10.0)}, None, normal_c=-10.0, dt_s=60.0
        )
        _, state, _ = self.follow(state, 600.0, -10.0, {"T_out": good(-16.0)})
        choice, state, _ = self.follow(state, 7140.0, -12.0)
        assert (choice.source, choice.value_c) == ("last_good", -16.0)
        choice, state, largest = self.follow(state, 86400.0 - 7140.0, -12.0)
        assert choice.source == "climate"
        assert choice.value_c == pytest.approx(-12.0 - 6.0 * exp(-0.5), abs=0.05)
        assert largest <= 1.0
        assert choice.is_poor

    def test_after_three_days_it_gives_way(self):
        _, state = choose_outdoor(
            self.chain, {"T_out": good(-10.0)}, None, normal_c=-10.0, dt_s=60.0
        )
        choice, _, largest = self.follow(state, 4 * 86400.0, -14.0)
        assert choice.source == "damped"
        assert largest <= 1.0

    def test_where_nothing_was_ever_read_the_usual_one_serves(self):
        choice, _ = choose_outdoor(self.chain, {}, None, normal_c=-14.0, dt_s=60.0)
        assert (choice.source, choice.value_c) == ("climate", -14.0)


class TestTheForecast:
    chain = Outdoor(order=("T_out", "st-016.T_out", "forecast", "last_good"))

    def test_it_rules_where_no_sensor_is_left(self):
        state = OutdoorState(-5.0, -5.0, -5.0, 0.0)
        choice, state, largest = follow(self.chain, {"forecast": good(-9.0)}, state, 600.0)
        assert (choice.source, choice.value_c) == ("forecast", -9.0)
        assert largest <= 1.0 / 12.0 + 1e-12
        assert choice.is_poor
        choice, _, _ = follow(self.chain, {}, state, 60.0)
        assert (choice.source, choice.value_c) == ("last_good", -9.0)

    def test_a_lone_sensor_that_is_too_warm_for_half_an_hour_gives_way(self):
        sunlit = {"T_out": good(2.0), "forecast": good(-5.0)}
        state = OutdoorState(2.0, 2.0, 2.0, 0.0)
        soon, state, _ = follow(self.chain, sunlit, state, 1795.0)
        later, state, largest = follow(self.chain, sunlit, state, 3600.0)
        assert (soon.source, later.source, later.value_c) == ("T_out", "forecast", -5.0)
        assert largest <= 1.0 / 12.0 + 1e-12
        assert stages(later)[0].note == "+7.0 K off the forecast"
        shade = {"T_out": good(-4.0), "forecast": good(-5.0)}
        assert follow(self.chain, shade, state, 5.0)[0].source == "T_out"

    @pytest.mark.parametrize(
        "samples",
        [
            {"T_out": good(-12.0)},
            {"T_out": good(1.0)},
            {"T_out": good(2.0), "st-016.T_out": good(1.0)},
        ],
        ids=["colder", "not too warm", "two that agree"],
    )
    def test_whoever_is_colder_or_agreed_with_is_believed(self, samples):
        first_c = samples["T_out"].value
        state = OutdoorState(first_c, first_c, first_c, 0.0)
        seen = {**samples, "forecast": good(-5.0)}
        assert follow(self.chain, seen, state, 7200.0)[0].source == "T_out"

    def test_it_never_counts_as_a_sensor_that_jumped(self):
        state = OutdoorState(-5.0, -5.0, -5.0, 0.0)
        _, state, _ = follow(self.chain, {"forecast": good(8.0)}, state, 5.0)
        assert state.jumped_s == 0.0

    def test_one_that_is_too_old_is_shown_and_does_not_rule(self):
        old = {"forecast": Sample(nan, Quality.BAD, 90000.0)}
        choice, _, _ = follow(self.chain, old, OutdoorState(-5.0, -5.0, -5.0, 0.0), 5.0)
        assert choice.source == "last_good"
        assert stages(choice)[2].note == "says nothing of now"


class TestTheStages:
    def test_each_member_is_shown_with_what_is_made_of_it(self):
        outdoor = Outdoor(
            order=("T_out", "T_B", "st-016.T_out", "T_fc", "last_good"), substitute_c=-15.0
        )
        state = OutdoorState(-5.0, -4.0, -5.0, 0.0)
        samples = {
            "T_out": good(35.0),
            "T_B": Sample(nan, Quality.BAD, 90.0),
            "st-016.T_out": good(3.0),
            "T_fc": good(-6.0),
        }
        choice, _ = choose_outdoor(outdoor, samples, state, dt_s=5.0)
        assert [(stage.name, stage.note) for stage in stages(choice)] == [
            ("T_out", "jumped by +40.0 K"),
            ("T_B", "bad"),
            ("st-016.T_out", "outvoted, +9.0 K off"),
            ("T_fc", "rules"),
            ("last_good", ""),
            ("substitute", ""),
        ]
        assert choice.is_poor

    @pytest.mark.parametrize(
        ("samples", "is_poor"),
        [
            ({"T_out": good(-5.0)}, False),
            ({"st-016.T_out": good(-5.0)}, False),
            ({"T_out_fc": good(-5.0)}, True),
            ({}, True),
        ],
    )
    def test_below_the_first_two_a_station_is_poor(self, samples, is_poor):
        assert choose_outdoor(CHAIN, samples, None, dt_s=5.0)[0].is_poor is is_poor

    def test_what_is_too_old_says_so(self):
        state = OutdoorState(-10.0, -4.0, -10.0, 7200.0)
        choice, _ = choose_outdoor(CHAIN, {}, state, dt_s=5.0)
        told = {stage.name: stage.note for stage in stages(choice)}
        assert (told["last_good"], told["damped"], told["T_out"]) == ("too old", "rules", "no data")


@pytest.mark.parametrize("jumped_s", [0.0, 600.0, 1800.0])
@pytest.mark.parametrize("quality", [Quality.GOOD, Quality.SUBSTITUTED, Quality.STALE])
@pytest.mark.parametrize("value_c", [-5.0, 5.0, 5.1, -15.0, -15.1])
def test_a_lone_sensor_is_heard_like_one_beside_another_that_says_nothing(
    value_c, quality, jumped_s
):
    state = OutdoorState(-5.0, -5.0, -5.0, 60.0, jumped_s=jumped_s)
    lone = {"T_out": Sample(value_c, quality, 3.0)}
    choice, after = choose_outdoor(CHAIN, lone, state, dt_s=5.0)
    beside = {**lone, "st-016.T_out": NO_SAMPLE}
    other, other_after = choose_outdoor(CHAIN, beside, state, dt_s=5.0)
    assert after == other_after
    assert choice[:-1] == other[:-1]
    assert choice.chain.left_out == other.chain.left_out
