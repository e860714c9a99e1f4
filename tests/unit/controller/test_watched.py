"""How the loops fare, watched in passing: who is judged, and what survives a restart."""

import pytest

from controller.checkpoint import keep, restore
from controller.state import first_state
from core.command import LoopMode, SetMode, SetOutput
from core.point import Quality
from core.record import AlarmEvent, AlarmRecord
from tests.unit.controller.conftest import Bench

MAN = SetMode(station="st-01", who="ann", why="test", loop="T2g", mode=LoopMode.MAN)


def swing(bench: Bench, seconds: float, *, period_s: float = 40.0, size_k: float = 6.0) -> None:
    """Let the supply swing around what stands in the field, so that the loop follows it."""
    for i in range(round(seconds / bench.period_s)):
        is_high = (i * bench.period_s) % period_s < period_s / 2.0
        bench.scan(T2g=56.2 + (size_k if is_high else -size_k))


def test_a_loop_at_rest_has_no_starts_and_the_error_of_its_supply(ours):
    ours.scan_for(600.0, T2g=56.0)
    valve = ours.state.circuits[0].watch.valve
    assert (valve.starts, valve.travel_pct) == (0.0, 0.0)
    assert valve.error_s / valve.time_s == pytest.approx(0.2, abs=0.01)
    assert valve.time_s == pytest.approx(600.0, abs=20.0)


def test_all_loops_of_a_circuit_are_watched(ours):
    ours.scan_for(600.0, P2D=170.0, P2h=0.39)
    watch = ours.state.circuits[0].watch
    assert watch.circulation.error_s / watch.circulation.time_s == pytest.approx(10.0, abs=0.5)
    assert watch.makeup.error_s / watch.makeup.time_s == pytest.approx(0.01, abs=0.001)
    assert watch.circulation.travel_pct > 0.0


def test_a_valve_at_its_end_is_saturated(ours):
    ours.scan_for(1200.0, T2g=45.0)
    before = ours.state.circuits[0].watch.valve
    ours.scan_for(600.0)
    after = ours.state.circuits[0].watch.valve
    assert after.saturated_s - before.saturated_s == pytest.approx(600.0, abs=20.0)


def test_what_a_person_does_is_not_the_loops_doing(ours):
    ours.scan_for(60.0)
    before = ours.state.circuits[0].watch.valve
    ours.scan(MAN)
    ours.scan(SetOutput(station="st-01", who="ann", why="test", loop="T2g", value=60.0))
    ours.scan_for(120.0)
    after = ours.state.circuits[0].watch.valve
    assert (after.time_s, after.travel_pct) == (before.time_s, before.travel_pct)


def test_an_error_that_cannot_be_seen_is_not_counted(ours):
    ours.scan_for(60.0)
    before = ours.state.circuits[0].watch.valve.time_s
    ours.spoil("T2g", quality=Quality.STALE)
    ours.scan_for(120.0)
    assert ours.state.circuits[0].watch.valve.time_s == before


def test_a_valve_that_goes_to_and_fro_is_alarmed_and_a_quiet_one_is_not(ours):
    ours.scan_for(1200.0)
    assert "valve_hunts" not in ours.last.active_alarms
    swing(ours, 1200.0)
    assert ours.last.computed["valve.reversals"] > 6.0
    assert "valve_hunts" in ours.last.active_alarms
    ours.scan_for(3600.0, T2g=56.2)
    events = [
        r.event for r in ours.records if isinstance(r, AlarmRecord) and r.alarm == "valve_hunts"
    ]
    assert events == [AlarmEvent.RAISED, AlarmEvent.CLEARED]


def test_the_figures_survive_a_restart(ours):
    swing(ours, 600.0)
    before = ours.state.circuits[0].watch
    watch = (
        restore(ours.plan, first_state(ours.plan), keep(ours.plan, ours.state)).circuits[0].watch
    )
    assert before.valve.starts > 5.0
    assert watch.valve[:6] == before.valve[:6]
    assert watch.circulation[:6] == before.circulation[:6]


def test_a_checkpoint_without_figures_begins_anew(ours):
    swing(ours, 60.0)
    kept = keep(ours.plan, ours.state)
    for circuit in kept["circuits"].values():
        del circuit["watch"]
    watch = restore(ours.plan, first_state(ours.plan), kept).circuits[0].watch
    assert watch.valve.time_s == 0.0
