"""What has to be written, and whether the device shows it."""

import math

import pytest

from core.point import Tag
from drivers.base import Target
from drivers.readback import ReadBack

VALVE, CURVE, PULSE = Tag("CV1_SV"), Tag("FB_x1"), Tag("XP1_start")
TARGETS = {
    VALVE: Target(low=0.0, high=100.0, relative=1e-7),
    CURVE: Target(low=-50.0, high=50.0, is_slow=True),
    PULSE: Target(low=0.0, high=1.0, is_pulse=True),
}


COLUMNS = {VALVE: 0, CURVE: 1}


def poll(read_back, values):
    """Compare with a poll that brought only the tags of `values`."""
    columns = [values.get(tag, math.nan) for tag in COLUMNS]
    asked_s = [10.0 if tag in values else 0.0 for tag in COLUMNS]
    read_back.compare(columns, asked_s, at_s=10.0)


@pytest.fixture
def read_back():
    return ReadBack(TARGETS, COLUMNS)


@pytest.mark.parametrize(
    ("now_s", "value", "is_due"),
    [(1.0, 40.0, False), (1.0, 40.1, True), (59.9, 40.0, False), (60.0, 40.0, True)],
)
def test_a_value_is_due_when_it_changes_or_when_its_refresh_comes(read_back, now_s, value, is_due):
    read_back.sent({VALVE: 40.0}, 0.0, due={VALVE: 40.0})

    due, standing, _ = read_back.due({VALVE: value}, now_s)

    assert due == ({VALVE: value} if is_due else {})
    assert standing == ({} if is_due else {VALVE: value})


@pytest.mark.parametrize("value", [math.nan, math.inf, -0.1, 100.1])
def test_a_value_outside_its_range_is_never_due(read_back, value):
    assert read_back.due({VALVE: value}, 0.0) == ({}, {}, [VALVE])


def test_a_pulse_among_the_values_is_impossible_and_a_strange_tag_is_passed_over(read_back):
    assert read_back.due({PULSE: 1.0, Tag("elsewhere"): 1.0}, 0.0) == ({}, {}, [PULSE])


def test_a_value_counts_once_when_a_poll_shows_it(read_back):
    read_back.sent({VALVE: 40.0}, 0.0, due={VALVE: 40.0})
    for _ in range(3):
        poll(read_back, {VALVE: 40.0})

    assert read_back.verified == 1
    assert read_back.unverified() == ()


def test_two_polls_without_the_value_make_it_unverified_and_one_with_it_ends_that(read_back):
    read_back.sent({VALVE: 40.0}, 0.0, due={VALVE: 40.0})

    poll(read_back, {VALVE: 39.0})
    assert read_back.unverified() == ()
    poll(read_back, {VALVE: 39.0})
    assert read_back.unverified() == (VALVE,)
    poll(read_back, {VALVE: 40.0})
    assert read_back.unverified() == ()


def test_a_slow_point_has_one_poll_and_polls_without_it_do_not_count(read_back):
    read_back.sent({CURVE: -10.0}, 0.0, due={CURVE: -10.0})

    poll(read_back, {})
    assert read_back.unverified() == ()
    poll(read_back, {CURVE: 0.0})
    assert read_back.unverified() == (CURVE,)


def test_a_value_that_changes_every_scan_cannot_hide_a_device_that_ignores_it(read_back):
    for scan in range(2):
        read_back.sent({VALVE: 40.0 + scan}, float(scan), due={VALVE: 40.0 + scan})
        poll(read_back, {VALVE: 0.0})

    assert read_back.unverified() == (VALVE,)


def test_a_failed_write_is_due_again_and_counts_as_missed(read_back):
    read_back.failed((VALVE,), 0.0)

    assert read_back.due({VALVE: 40.0}, 1.0)[0] == {VALVE: 40.0}
    for _ in range(2):
        poll(read_back, {VALVE: 0.0})
    assert read_back.unverified() == (VALVE,)


def test_after_a_broken_link_all_is_due(read_back):
    read_back.sent({VALVE: 40.0}, 0.0, due={VALVE: 40.0})
    read_back.forget()

    assert read_back.due({VALVE: 40.0}, 1.0)[0] == {VALVE: 40.0}
    assert read_back.unverified() == ()


SLOW_VALVE = Target(low=0.0, high=100.0, relative=1e-7, rate_per_s=2.0)
WORN = Target(low=0.0, high=100.0, per_day=3, is_eeprom=True, refresh_s=86400.0)


def driven(target, wanted, urgent=frozenset(), found=math.nan):
    """Return what is sent in scans of 5 s for what is wanted in each of them."""
    read_back = ReadBack({VALVE: target}, {VALVE: 0})
    read_back.compare([found], [0.0], 0.0)
    sent = []
    for scan, value in enumerate(wanted):
        due, _, _ = read_back.due({VALVE: value}, 5.0 * scan, urgent)
        read_back.sent(due, 5.0 * scan, due=due)
        sent.append(due.get(VALVE))
    return sent, read_back


def test_a_value_moves_no_faster_than_its_rate():
    sent, read_back = driven(SLOW_VALVE, [20.0, 45.0, 45.0, 45.0, 45.0])
    assert sent == [20.0, 30.0, 40.0, 45.0, None]
    assert read_back.held == {}


def test_what_is_held_back_by_its_rate_says_so():
    _, read_back = driven(SLOW_VALVE, [20.0, 45.0])
    assert read_back.held == {VALVE: "held by its rate"}


def test_the_rate_counts_from_where_the_device_stands():
    sent, _ = driven(SLOW_VALVE, [60.0, 60.0, 60.0], found=45.0)
    assert sent == [45.0, 55.0, 60.0]


def test_what_protects_the_station_is_neither_slow_nor_thrifty():
    urgent = frozenset({VALVE})
    assert driven(SLOW_VALVE, [80.0, 0.0], urgent)[0] == [80.0, 0.0]
    assert driven(WORN, [80.0, 60.0, 40.0, 20.0, 0.0], urgent)[0] == [80.0, 60.0, 40.0, 20.0, 0.0]


def test_a_register_that_has_had_its_writes_holds_and_says_so():
    sent, read_back = driven(WORN, [80.0, 60.0, 40.0, 20.0, 20.0])
    assert sent == [80.0, 60.0, 40.0, None, None]
    assert read_back.held == {VALVE: "held by its budget of writes"}
    assert read_back.budget.out(20.0) == (VALVE,)


HOUR_S, DAY_S = 3600.0, 86_400.0
HUNTED = Target(low=0.0, high=100.0, per_day=5000, refresh_s=60.0)


def hunting(days, swing):
    """Return when a valve is written that hunts by `swing` in every scan, and when it is held."""
    read_back = ReadBack({VALVE: HUNTED}, {VALVE: 0})
    sent_s, held_s = [], []
    for scan in range(round(days * DAY_S / 5.0)):
        now_s = 5.0 * scan
        value = 40.0 + swing * (scan % 2)
        due, _, _ = read_back.due({VALVE: value}, now_s)
        read_back.sent(due, now_s, due=due)
        read_back.compare([due.get(VALVE, math.nan)], [now_s], now_s)
        sent_s += [now_s] if due else []
        held_s += [now_s] if read_back.budget.out(now_s) else []
    return sent_s, held_s


def most_in_a_day(times_s):
    """Return the most of some times that lie within 24 h, wherever these begin."""
    first = most = 0
    for last, at_s in enumerate(times_s):
        while times_s[first] <= at_s - DAY_S:
            first += 1
        most = max(most, last - first + 1)
    return most


def test_a_valve_that_hunts_is_held_to_its_budget_and_told_as_long_as_it_does():
    sent_s, held_s = hunting(4.0, 20.0)
    # The budget of a day that nobody has used, and what refills in the 24 h after it.
    assert 9_000 < most_in_a_day(sent_s) <= 2 * HUNTED.per_day
    later_s = [at_s for at_s in sent_s if at_s >= DAY_S]
    assert 4_900 < most_in_a_day(later_s) <= HUNTED.per_day + 1
    # Told within ten hours, and without a break until it stops.
    assert held_s[0] < 10 * HOUR_S
    assert held_s == [held_s[0] + 5.0 * i for i in range(len(held_s))]
    assert held_s[-1] >= 4 * DAY_S - 5.0


def test_a_valve_that_trembles_is_written_less_than_a_day_s_budget_and_is_no_alarm():
    sent_s, held_s = hunting(2.0, 0.3)
    assert most_in_a_day([at_s for at_s in sent_s if at_s >= DAY_S]) <= HUNTED.per_day + 1
    assert held_s == []


def test_what_wears_out_is_never_sent_only_to_join_two_requests():
    read_back = ReadBack({VALVE: WORN}, {VALVE: 0})
    read_back.sent({VALVE: 40.0}, 0.0, due={VALVE: 40.0})
    assert read_back.due({VALVE: 40.0}, 5.0) == ({}, {}, [])


@pytest.mark.parametrize(("target", "cost"), [(WORN, 1), (HUNTED, 0)])
def test_a_refused_value_costs_only_what_wears_out(target, cost):
    """An exception is no proof that an EEPROM was not written: 5 says that it will be."""
    read_back = ReadBack({VALVE: target}, {VALVE: 0})
    read_back.refused((VALVE,), 0.0)
    assert read_back.budget.wear[VALVE].total == cost
    assert read_back.due({VALVE: 40.0}, 5.0)[0] == {VALVE: 40.0}


@pytest.mark.parametrize("target", [WORN, HUNTED])
def test_a_value_of_which_nothing_is_known_may_have_been_written_and_costs(target):
    read_back = ReadBack({VALVE: target}, {VALVE: 0})
    for scan in range(2 * target.per_day):
        due, _, _ = read_back.due({VALVE: 40.0}, float(scan))
        read_back.failed(due, float(scan))
    assert read_back.budget.wear[VALVE].total <= 1.5 * target.per_day


def test_what_goes_along_with_a_neighbour_is_refreshed_and_costs_nothing():
    read_back = ReadBack({VALVE: HUNTED}, {VALVE: 0})
    read_back.sent({VALVE: 40.0}, 0.0, due={VALVE: 40.0})
    read_back.sent({VALVE: 40.0}, 50.0, due={})
    assert read_back.budget.wear[VALVE].total == 1
    assert read_back.due({VALVE: 40.0}, 100.0)[0] == {}
