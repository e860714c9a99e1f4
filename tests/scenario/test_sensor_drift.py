"""A supply sensor that drifts: the loop follows it, and the heat balance tells."""

import pytest

from core.point import Quality
from hil_sim.play import Row
from tests.playing import played_rows

HOUR_S = 3600.0
BEGINS_S = HOUR_S
MENDED_S = 7.5 * HOUR_S


@pytest.fixture(scope="module")
def rows(tmp_path_factory) -> list[Row]:
    result, rows = played_rows(tmp_path_factory, "sensor-drift", 1)
    assert (result.verdict, result.broken_invariants) == ("pass", []), result.figures
    return rows


def test_a_drift_of_half_a_kelvin_an_hour_is_told_within_six_hours(rows):
    told = [row for row in rows if "T2g_drift" in row.alarms]
    assert 4 * HOUR_S <= told[0].at_s - BEGINS_S <= 6 * HOUR_S
    assert told[-1].at_s - MENDED_S <= 1.5 * HOUR_S
    assert {alarm for row in rows for alarm in row.alarms} == {"T2g_drift"}


def test_no_reading_of_it_was_ever_doubted_and_the_water_was_really_colder(rows):
    taken_over = [row for row in rows if row.at_s >= BEGINS_S]
    assert {row.quality for row in taken_over} == {Quality.GOOD}
    last = [row for row in rows if MENDED_S - HOUR_S <= row.at_s < MENDED_S]
    assert max(row.supply_c - row.setpoint_c for row in last) < -1.5
