"""What an OPC UA server says of a value becomes a quality and an age."""

from datetime import UTC, datetime, timedelta

import pytest
from asyncua import ua

from core.point import Quality
from drivers.opcua_quality import SourceTimes, quality_of

GOOD, SUBSTITUTED, STALE, BAD = (
    Quality.GOOD,
    Quality.SUBSTITUTED,
    Quality.STALE,
    Quality.BAD,
)
EPOCH = datetime(2026, 1, 15, tzinfo=UTC)
HOUR_S = 3600.0


@pytest.mark.parametrize(
    ("name", "quality"),
    [
        ("Good", GOOD),
        ("GoodClamped", GOOD),
        ("GoodLocalOverride", SUBSTITUTED),
        ("Uncertain", SUBSTITUTED),
        ("UncertainSubstituteValue", SUBSTITUTED),
        ("UncertainSubNormal", SUBSTITUTED),
        ("UncertainSimulatedValue", SUBSTITUTED),
        ("UncertainLastUsableValue", STALE),
        ("UncertainNoCommunicationLastUsableValue", STALE),
        ("UncertainSensorNotAccurate", STALE),
        ("UncertainEngineeringUnitsExceeded", STALE),
        ("UncertainInitialValue", BAD),
        ("Bad", BAD),
        ("BadSensorFailure", BAD),
        ("BadOutOfService", BAD),
        ("BadDeviceFailure", BAD),
        ("BadNodeIdUnknown", BAD),
        ("BadWaitingForInitialData", None),
        ("BadNoCommunication", None),
        ("BadNotConnected", None),
    ],
)
@pytest.mark.parametrize("info_bits", [0, 0x0480])
def test_a_status_is_a_quality_whatever_its_info_bits_say(name, quality, info_bits):
    code = getattr(ua.StatusCodes, name) | info_bits

    assert quality_of(ua.StatusCode(code)) is quality


def test_no_status_stands_for_good():
    assert quality_of(None) is GOOD


def ages(times, at_s, *stamps_s, clock_s=None):
    """Return the ages of values with these source times, in s after the epoch, asked at `at_s`."""
    results = [
        ua.DataValue(SourceTimestamp=None if s is None else EPOCH + timedelta(seconds=s))
        for s in stamps_s
    ]
    clock = None if clock_s is None else EPOCH + timedelta(seconds=clock_s)
    return times.ages_s(results, clock, at_s)


@pytest.mark.parametrize("ahead_s", [0.0, HOUR_S, -8 * HOUR_S, 1e9])
def test_a_wrong_clock_of_the_plc_makes_no_value_old_or_fresh(ahead_s):
    times = SourceTimes("per_value", 2, ())

    first = ages(times, 100.0, ahead_s, ahead_s - 20.0, clock_s=ahead_s)
    later = ages(times, 105.0, ahead_s + 5.0, ahead_s - 20.0, clock_s=ahead_s + 5.0)

    assert first == pytest.approx((0.0, 20.0))
    assert later == pytest.approx((0.0, 25.0))


def test_a_clock_that_is_set_makes_no_value_old():
    times = SourceTimes("per_value", 1, ())
    ages(times, 100.0, 0.0, clock_s=0.0)

    at_step = ages(times, 105.0, 4.0, clock_s=HOUR_S)
    after = ages(times, 110.0, HOUR_S + 4.0, clock_s=HOUR_S + 5.0)

    assert at_step == (0.0,)
    assert after == pytest.approx((1.0,))


def test_a_time_in_the_future_that_stands_still_ages_all_the_same():
    times = SourceTimes("per_value", 1, ())

    assert [
        ages(times, at_s, 1e6, clock_s=at_s)[0] for at_s in (100.0, 105.0, 110.0)
    ] == pytest.approx([0.0, 5.0, 10.0])


def test_a_server_without_a_clock_ages_what_stands_still():
    times = SourceTimes("per_value", 2, ())
    ages(times, 100.0, 0.0, 0.0)

    assert ages(times, 130.0, 30.0, 0.0) == (0.0, 30.0)


def test_a_value_without_a_time_and_what_was_written_are_as_new_as_the_poll():
    times = SourceTimes("per_value", 3, {1})
    ages(times, 100.0, None, 0.0, 0.0, clock_s=0.0)

    assert ages(times, 130.0, None, 0.0, 0.0, clock_s=30.0) == (0.0, 0.0, 30.0)


def test_where_only_changes_are_stamped_the_newest_speaks_for_all():
    times = SourceTimes("newest", 2, ())

    assert ages(times, 100.0, -HOUR_S, -20.0, clock_s=0.0) == (0.0, 0.0)
    assert ages(times, 105.0, -HOUR_S, 5.0, clock_s=5.0) == (0.0, 0.0)
    assert ages(times, 140.0, -HOUR_S, 5.0, clock_s=40.0) == (35.0, 35.0)


def test_how_long_nothing_has_moved_is_known_after_a_new_connection_too():
    times = SourceTimes("per_value", 2, ())
    assert times.still_s(0.0) == 0.0
    ages(times, 100.0, -50.0, -10.0, clock_s=0.0)

    assert times.still_s(100.0) == pytest.approx(10.0)
    assert times.still_s(200.0) == pytest.approx(110.0)
