"""The interlocks: what fires, what abstains, and when each lets go."""

from math import nan

import pytest

from control_loops.interlock import InterlockState, Protection, StationFacts, interlock_step

LIMITS = Protection()
SOUND = {
    "t2g_c": 60.0,
    "p2h_mpa": 0.40,
    "tank_m": 1.4,
    "stop_mpa": 0.30,
    "relief_mpa": 0.46,
    "tank_stop_m": 0.3,
    "tank_start_m": 0.6,
    "is_pump_proven": True,
    "is_power_ok": True,
    "is_stopped": False,
    "is_remote": True,
    "is_boiler_flow_ok": True,
    "is_boiler_pressure_ok": True,
    "is_gas": False,
}
ALL = {("valve", "none"), ("pumps", "none"), ("makeup", "none"), ("boiler", "none")}


def after(state, seconds, dt_s=1.0, **changes):
    """Return what rules after some seconds, as (interlock, group, action), and the state."""
    trips = ()
    for _ in range(round(seconds / dt_s)):
        trips, state = interlock_step(
            LIMITS, state, StationFacts(**{**SOUND, **changes}), dt_s=dt_s
        )
    return trips, state


def ruling(trips):
    return {(trip.interlock, trip.group, trip.action) for trip in trips}


def start(seconds=1.0, **changes):
    return after(InterlockState(), seconds, **changes)


def test_a_sound_station_is_ruled_by_nothing():
    assert start(3600.0)[0] == ()


@pytest.mark.parametrize(
    ("changes", "seconds", "expected"),
    [
        ({"is_pump_proven": False}, 1, {("I1", "valve", "hold")}),
        ({"is_pump_proven": False}, 14, {("I1", "valve", "hold")}),
        (
            {"is_pump_proven": False},
            15,
            {("I1", "valve", "hold"), ("I2", "valve", "close")},
        ),
        (
            {"is_pump_proven": False, "are_pumps_failed": True},
            1,
            {("I1", "valve", "hold"), ("I2", "valve", "close")},
        ),
        ({"t2g_c": 90.0}, 29, set()),
        ({"t2g_c": 90.0}, 30, {("I2", "valve", "close")}),
        ({"p2h_mpa": 0.29}, 4, set()),
        ({"p2h_mpa": 0.29}, 5, {("I3", "pumps", "stop"), ("I3", "valve", "close")}),
        ({"tank_m": 0.3}, 1, {("I4", "makeup", "stop")}),
        ({"p2h_mpa": 0.46}, 1, {("I5", "makeup", "stop")}),
        (
            {"is_power_ok": False},
            1,
            {("I7", "pumps", "hold"), ("I7", "makeup", "hold"), ("I7", "valve", "slow")},
        ),
        ({"is_linked": False}, 1, {("I8", group, action) for group, action in ALL}),
        ({"is_stopped": True}, 1, {("I9", group, action) for group, action in ALL}),
        ({"is_remote": False}, 1, {("I9", group, action) for group, action in ALL}),
        ({"is_boiler_flow_ok": False}, 1, {("I10", "boiler", "stop")}),
        ({"is_boiler_pressure_ok": False}, 1, {("I10", "boiler", "stop")}),
        ({"is_gas": True}, 1, {("I10", "boiler", "stop")}),
        ({"is_primary_cold": True}, 1, {("cold_primary", "valve", "close")}),
    ],
)
def test_an_interlock_rules_its_outputs(changes, seconds, expected):
    trips, _ = start(seconds, **changes)
    assert ruling(trips) == expected
    assert all(trip.why for trip in trips)


def test_unusable_values_fire_nothing():
    unknown = {
        key: None if isinstance(value, bool) else nan
        for key, value in SOUND.items()
        if key not in {"stop_mpa", "relief_mpa", "tank_stop_m", "tank_start_m"}
    }
    assert start(7200.0, **unknown)[0] == ()


def test_without_a_proven_pump_the_valve_may_not_open_beyond_five_percent():
    trips, _ = start(is_pump_proven=False)
    assert trips[0].limit == 5.0


def test_a_lost_run_bit_stops_the_count_of_a_missing_pump():
    _, state = start(10.0, is_pump_proven=False)
    trips, state = after(state, 600.0, is_pump_proven=None)
    assert trips == ()
    trips, _ = after(state, 5.0, is_pump_proven=False)
    assert ("I2", "valve", "close") in ruling(trips)


def test_a_hot_supply_lets_go_five_kelvin_lower():
    _, state = start(30.0, t2g_c=91.0)
    assert after(state, 60.0, t2g_c=86.0)[0]
    assert after(state, 1.0, t2g_c=84.9)[0] == ()


def test_a_hot_supply_whose_sensor_is_lost_lets_go():
    _, state = start(30.0, t2g_c=91.0)
    assert after(state, 1.0, t2g_c=nan)[0] == ()


def test_circulation_starts_again_after_a_minute_above_the_restart_pressure():
    _, state = start(5.0, p2h_mpa=0.2)
    trips, state = after(state, 600.0, p2h_mpa=0.35)
    assert ("I3", "pumps", "stop") in ruling(trips)
    trips, state = after(state, 59.0, p2h_mpa=0.36)
    assert trips
    trips, _ = after(state, 1.0, p2h_mpa=0.36)
    assert trips == ()


def test_a_dip_or_a_lost_pressure_does_not_help_the_restart():
    _, state = start(5.0, p2h_mpa=0.2)
    _, state = after(state, 50.0, p2h_mpa=0.36)
    _, state = after(state, 1.0, p2h_mpa=0.34)
    trips, state = after(state, 59.0, p2h_mpa=0.36)
    assert trips
    _, state = start(5.0, p2h_mpa=0.2)
    trips, _ = after(state, 3600.0, p2h_mpa=nan)
    assert ("I3", "pumps", "stop") in ruling(trips)


@pytest.mark.parametrize(
    ("fires", "holds", "clears", "interlock"),
    [
        ({"tank_m": 0.2}, {"tank_m": 0.6}, {"tank_m": 0.61}, "I4"),
        ({"tank_m": 0.2}, {"tank_m": nan}, {"tank_m": 0.61}, "I4"),
        ({"p2h_mpa": 0.47}, {"p2h_mpa": 0.44}, {"p2h_mpa": 0.42}, "I5"),
    ],
)
def test_tank_and_relief_have_a_band(fires, holds, clears, interlock):
    _, state = start(**fires)
    trips, state = after(state, 60.0, **holds)
    assert [trip.interlock for trip in trips] == [interlock]
    assert after(state, 1.0, **clears)[0] == ()


def test_after_the_mains_return_pumps_wait_and_the_valve_opens_slowly():
    _, state = start(30.0, is_power_ok=False)
    trips, state = after(state, 59.0)
    assert ("I7", "pumps", "hold") in ruling(trips)
    trips, state = after(state, 1.0)
    assert ruling(trips) == {("I7", "valve", "slow")}
    assert trips[0].limit == pytest.approx(5.0 / 60.0)
    trips, _ = after(state, 1140.0)
    assert trips == ()


def test_a_lost_mains_bit_changes_nothing():
    _, state = start(30.0, is_power_ok=False)
    trips, state = after(state, 600.0, is_power_ok=None)
    assert ("I7", "pumps", "hold") in ruling(trips)
    assert start(600.0, is_power_ok=None)[0] == ()


FOUND = {
    "t2g_c": (nan, 89.9, 90.0, 95.0),
    "p2h_mpa": (nan, 0.0, 0.29, 0.30, 0.31, 0.459, 0.46, 0.5),
    "tank_m": (nan, 0.0, 0.3, 0.31),
    "is_pump_proven": (None, False),
    "are_pumps_failed": (True,),
    "is_primary_cold": (True,),
    "is_power_ok": (None, False),
    "is_linked": (False,),
    "is_stopped": (None, True),
    "is_remote": (None, False),
    "is_boiler_flow_ok": (None, False),
    "is_boiler_pressure_ok": (None, False),
    "is_gas": (None, True),
}
CHANGES = [{}, *({name: value} for name, values in FOUND.items() for value in values)]


@pytest.mark.parametrize("changes", CHANGES, ids=str)
@pytest.mark.parametrize("ramp_s", [0.0, 30.0, 60.0, 1200.0])
def test_interlocks_at_rest_find_what_they_find_when_looked_at_one_by_one(changes, ramp_s):
    limits, facts = Protection(power_ramp_s=ramp_s), StationFacts(**{**SOUND, **changes})
    at_rest = InterlockState(powered_s=ramp_s)
    # The same state for all that comes of it, but not at rest to the last bit.
    looked_at = InterlockState(powered_s=ramp_s + 1.0)
    step = interlock_step(limits, at_rest, facts, dt_s=1.0)
    assert step == interlock_step(limits, looked_at, facts, dt_s=1.0)
