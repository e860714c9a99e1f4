"""Frost protection: when it starts, what it may open, and when it ends."""

from math import nan

import pytest

from control_loops.frost import FrostFacts, FrostLimits, FrostState, frost_step

LIMITS = FrostLimits()
CALM = FrostFacts(t2h_c=40.0, room_c=21.0, outdoor_c=-15.0, is_pump_proven=True)


def facts(**changes):
    values = {"t2h_c": 40.0, "room_c": 21.0, "outdoor_c": -15.0, "is_pump_proven": True}
    return FrostFacts(**{**values, **changes})


def after(state, seen, seconds):
    move = None
    for _ in range(round(seconds / 5.0)):
        move, state = frost_step(LIMITS, state, seen, dt_s=5.0)
    return move, state


@pytest.mark.parametrize(
    ("seen", "seconds", "is_active", "word"),
    [
        (CALM, 3600.0, False, ""),
        (facts(t2h_c=7.9), 5.0, True, "T2h 7.9 °C"),
        (facts(room_c=11.9), 5.0, True, "a room at 11.9 °C"),
        (facts(is_pump_proven=False), 595.0, False, ""),
        (facts(is_pump_proven=False), 600.0, True, "no pump has run for 10 min"),
        (facts(is_pump_proven=False, outdoor_c=3.0), 7200.0, False, ""),
        (facts(is_pump_proven=None), 7200.0, False, ""),
        (facts(t2h_c=nan, room_c=nan, outdoor_c=nan, is_pump_proven=False), 7200.0, False, ""),
    ],
)
def test_frost_starts_on_a_proven_cause_alone(seen, seconds, is_active, word):
    move, _ = after(FrostState(), seen, seconds)
    assert move.is_active is is_active
    assert move.wants_pump is is_active
    assert word in move.why


@pytest.mark.parametrize(("proven", "valve_pct"), [(True, 20.0), (False, 0.0), (None, 0.0)])
def test_frost_opens_the_valve_only_with_a_proven_pump(proven, valve_pct):
    move, _ = after(FrostState(), facts(t2h_c=5.0, is_pump_proven=proven), 5.0)
    assert move.valve_min_pct == valve_pct


def test_frost_ends_after_half_an_hour_of_warm_return():
    _, state = after(FrostState(), facts(t2h_c=5.0), 5.0)
    move, state = after(state, facts(t2h_c=16.0), 1795.0)
    assert move.is_active
    assert "goes on" in move.why
    move, _ = after(state, facts(t2h_c=16.0), 5.0)
    assert not move.is_active


def test_frost_does_not_end_on_an_unusable_return():
    _, state = after(FrostState(), facts(t2h_c=5.0), 5.0)
    move, _ = after(state, facts(t2h_c=nan), 7200.0)
    assert move.is_active
