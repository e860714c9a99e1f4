"""The source machine, from the first doubt to the boiler's heat."""

from dataclasses import replace
from itertools import product
from math import nan

import pytest

from control_loops.source import (
    GasBoiler,
    NetworkSource,
    SourceFacts,
    SourceState,
    calm_move,
    is_well,
    lost_permissives,
    missing_permissives,
    source_step,
)

NETWORK = NetworkSource(T1_plan={-16.8: 110.0, 10.0: 75.0}, F1_design_m3h=72.0)
BOILER = GasBoiler(capacity_kw=3000.0)
SOUND = SourceFacts(
    t1g_c=95.0,
    t2g_c=56.0,
    t2h_c=41.0,
    t2g_setpoint_c=56.0,
    p1g_mpa=0.80,
    p1h_mpa=0.65,
    f1_m3h=54.0,
    valve_pct=82.0,
    is_tripped=False,
    b_power_kw=0.0,
    b_flow_m3h=170.0,
    b_tsup_c=56.0,
    b_tret_c=56.0,
    is_b_flow_ok=True,
    is_b_locked=False,
    is_b_faulted=False,
    is_b_firing=False,
)
COLD = SOUND._replace(t1g_c=40.0)
TRIPPED = SOUND._replace(is_tripped=True)
STARVED = SOUND._replace(f1_m3h=5.0)
LOST = SOUND._replace(t1g_c=nan, t2h_c=nan, p1g_mpa=nan, p1h_mpa=nan, f1_m3h=nan, is_tripped=None)
HEATING = {"b_power_kw": 900.0, "is_b_firing": True}


class Machine:
    """The machine with its state, run through facts."""

    def __init__(self, boiler=BOILER, state=None):
        self.boiler = boiler
        self.state = state or SourceState()
        self.move = None
        self.seen = []

    def run(self, facts, seconds, dt_s=5.0, **changes):
        """Run for some seconds and return the last move."""
        facts = facts._replace(**changes)
        for _ in range(round(seconds / dt_s)):
            self.move, self.state = source_step(NETWORK, self.boiler, self.state, facts, dt_s=dt_s)
            self.seen += self.move.transitions
        return self.move

    @property
    def path(self):
        """The states passed through."""
        return [change.new for change in self.seen]


def test_a_sound_network_stays_normal_with_the_boiler_kept_warm():
    machine = Machine()
    move = machine.run(SOUND, 7200.0)
    assert machine.seen == []
    assert move.name == "NORMAL"
    assert (move.boiler_enable, move.boiler_setpoint_c, move.valve) == (False, 45.0, "regulate")
    assert (move.why, move.is_primary_cold, move.is_waiting) == ("", False, False)


@pytest.mark.parametrize(
    ("facts", "word"),
    [(COLD, "T1g 40.0 °C"), (TRIPPED, "SRC_trip"), (STARVED, "F1 5.0 m³/h is below 20 %")],
)
@pytest.mark.parametrize("dt_s", [1.0, 5.0, 30.0])
def test_a_hard_cause_is_suspected_at_30_s_and_answered_at_90_s(facts, word, dt_s):
    machine = Machine()
    assert machine.run(facts, 30.0 - dt_s, dt_s) is None or machine.move.name == "NORMAL"
    move = machine.run(facts, dt_s, dt_s)
    assert move.name == "SUSPECT"
    assert word in move.why
    assert machine.run(facts, 60.0 - dt_s, dt_s).name == "SUSPECT"
    move = machine.run(facts, dt_s, dt_s)
    assert move.name == "START"
    assert machine.state.decision_s == 90.0
    assert move.boiler_enable
    assert move.boiler_setpoint_c == 59.0
    assert word in machine.seen[-1].why


@pytest.mark.parametrize(
    "facts",
    [
        STARVED._replace(valve_pct=70.0),
        STARVED._replace(valve_pct=nan),
        STARVED._replace(f1_m3h=nan),
        STARVED._replace(f1_m3h=11.0),
        COLD._replace(valve_pct=2.0),
        COLD._replace(t2h_c=nan),
        COLD._replace(t1g_c=44.1),
        LOST,
    ],
)
def test_no_cause_is_seen_where_a_signal_abstains_or_is_sound(facts):
    machine = Machine()
    assert machine.run(facts, 3600.0).name == "NORMAL"
    assert machine.seen == []


def test_a_cold_primary_is_closed_off_after_30_s_in_every_state():
    machine = Machine()
    assert machine.run(COLD, 25.0).valve == "regulate"
    move = machine.run(COLD, 5.0)
    assert (move.valve, move.valve_pct, move.is_primary_cold) == ("close", 0.0, True)
    by_hand = Machine()
    by_hand.run(SOUND, 5.0, is_start_asked=True)
    by_hand.run(SOUND, 600.0)
    move = by_hand.run(COLD, 30.0)
    assert (move.name, move.valve, move.is_primary_cold) == ("START", "close", True)


def test_lost_signals_freeze_a_cause_instead_of_clearing_it():
    machine = Machine()
    machine.run(STARVED, 60.0)
    assert machine.run(LOST, 3600.0).name == "SUSPECT"
    assert machine.run(STARVED, 30.0).name == "START"


def test_a_short_flicker_does_not_restart_the_count():
    machine = Machine()
    machine.run(STARVED, 80.0)
    machine.run(SOUND, 5.0)
    assert machine.run(STARVED, 10.0).name == "START"
    assert machine.state.decision_s == 95.0


def test_a_recovery_restarts_the_count():
    machine = Machine()
    machine.run(STARVED, 80.0)
    machine.run(SOUND, 10.0)
    assert machine.run(STARVED, 85.0).name == "SUSPECT"
    assert machine.run(STARVED, 5.0).name == "START"
    assert machine.state.decision_s == 90.0


def test_a_suspicion_ends_after_five_clear_minutes():
    machine = Machine()
    machine.run(STARVED, 60.0)
    assert machine.run(SOUND, 295.0).name == "SUSPECT"
    move = machine.run(SOUND, 5.0)
    assert (move.name, move.why) == ("NORMAL", "")
    assert machine.state.since_cause_s == 0.0


def test_a_glitch_of_the_sensor_gives_the_valve_back_to_its_loop():
    machine = Machine()
    machine.run(COLD, 40.0)
    assert machine.run(SOUND, 25.0, valve_pct=0.0, f1_m3h=0.0).valve == "close"
    assert machine.run(SOUND, 5.0, valve_pct=0.0, f1_m3h=0.0).valve == "regulate"
    assert machine.run(SOUND, 300.0).name == "NORMAL"


def test_without_a_backup_the_station_says_so_and_probes_for_the_network():
    machine = Machine(boiler=None)
    move = machine.run(COLD, 300.0)
    assert (move.name, move.boiler_enable, move.boiler_setpoint_c) == ("SUSPECT", False, 0.0)
    assert "no backup" in move.why
    assert not move.is_waiting
    closed = COLD._replace(valve_pct=0.0, f1_m3h=0.0)
    assert machine.run(closed, 600.0).valve == "probe"
    warm = SOUND._replace(valve_pct=10.0, f1_m3h=2.2)
    assert machine.run(warm, 30.0).valve == "regulate"
    assert machine.run(SOUND, 300.0).name == "NORMAL"


def test_a_start_to_confirm_waits_for_a_person():
    machine = Machine(replace(BOILER, start="confirm"))
    move = machine.run(STARVED, 600.0)
    assert (move.name, move.is_waiting, move.boiler_enable) == ("SUSPECT", True, False)
    assert "waits for a person" in move.why
    move = machine.run(STARVED, 5.0, is_start_asked=True)
    assert (move.name, move.boiler_enable) == ("START", True)
    assert machine.state.decision_s == 605.0


def test_heat_flows_after_a_minute_of_proven_power():
    machine = Machine()
    machine.run(COLD, 90.0)
    machine.run(COLD, 120.0)
    move = machine.run(COLD, 55.0, **HEATING)
    assert (move.name, move.is_heat_flowing) == ("START", False)
    move = machine.run(COLD, 5.0, **HEATING)
    assert (move.name, move.is_heat_flowing) == ("BACKUP", True)
    assert machine.state.heat_s == 270.0
    assert machine.path == ["SUSPECT", "START", "BACKUP"]
    machine.run(COLD, 600.0, **HEATING)
    assert machine.state.heat_s == 270.0


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"b_power_kw": 300.0}, "BACKUP"),
        ({"b_power_kw": 299.0}, "START"),
        ({"b_power_kw": 900.0, "is_b_flow_ok": False}, "START"),
        ({"b_power_kw": 900.0, "is_b_flow_ok": None}, "BACKUP"),
        ({"b_power_kw": 900.0, "is_b_flow_ok": None, "b_flow_m3h": 0.0}, "START"),
        ({"b_power_kw": 900.0, "is_b_flow_ok": None, "b_flow_m3h": nan}, "START"),
        ({"b_power_kw": nan, "b_tsup_c": 60.0}, "BACKUP"),
        ({"b_power_kw": nan, "b_tsup_c": 57.0}, "START"),
        ({"b_power_kw": nan, "b_tsup_c": nan, "is_b_firing": True}, "BACKUP"),
        ({"b_power_kw": nan, "b_tsup_c": nan, "is_b_firing": None}, "START"),
    ],
)
def test_heat_is_proven_by_power_then_by_temperatures_then_by_the_flame(changes, name):
    machine = Machine()
    machine.run(COLD, 90.0)
    assert machine.run(COLD, 120.0, **changes).name == name


def test_a_boiler_that_was_not_enabled_gives_no_heat_whatever_is_measured():
    machine = Machine()
    assert not machine.run(SOUND, 3600.0, **HEATING).is_heat_flowing


def test_permissives_are_proven_before_the_boiler_is_enabled():
    machine = Machine()
    move = machine.run(COLD, 300.0, missing=("B_gasP_ok", "not GAS"))
    assert (move.name, move.boiler_enable, move.is_failed) == ("START", False, False)
    assert "waits for B_gasP_ok, not GAS" in move.why
    assert machine.run(COLD, 5.0).boiler_enable
    assert machine.run(COLD, 5.0, missing=("B_gasP_ok",)).boiler_enable
    assert not machine.run(COLD, 5.0, missing=("not GAS",), lost=("not GAS",)).boiler_enable


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"is_b_locked": True}, "locked out: reset it at the boiler"),
        ({"is_b_faulted": True}, "reports a fault"),
        ({"lost": ("not GAS",), "missing": ("not GAS",)}, "lacks not GAS"),
    ],
)
def test_a_boiler_that_fails_stays_in_start_and_says_so(changes, word):
    machine = Machine()
    machine.run(COLD, 90.0)
    move = machine.run(COLD, 600.0, **changes)
    assert (move.name, move.boiler_enable, move.is_failed) == ("START", False, True)
    assert word in move.why
    assert machine.run(COLD, 50.0).boiler_enable is False
    assert machine.run(COLD, 10.0).boiler_enable is True


def test_a_failure_of_the_running_boiler_goes_back_to_start():
    machine = Machine()
    machine.run(COLD, 90.0)
    machine.run(COLD, 60.0, **HEATING)
    move = machine.run(COLD, 5.0, is_b_locked=True)
    assert (move.name, move.boiler_enable, move.is_failed) == ("START", False, True)
    assert "FAILED: the burner is locked out" in machine.seen[-1].why
    machine.run(COLD, 65.0)
    assert machine.run(COLD, 60.0, **HEATING).name == "BACKUP"


def test_no_heat_within_fifteen_minutes_is_a_failed_start():
    machine = Machine()
    machine.run(COLD, 90.0)
    assert not machine.run(COLD, 895.0).is_failed
    move = machine.run(COLD, 5.0)
    assert move.is_failed
    assert "gives no heat" in move.why
    assert move.boiler_enable


def test_a_failed_boiler_lets_the_network_be_probed_soon():
    machine = Machine()
    machine.run(COLD, 90.0)
    machine.run(COLD, 60.0, is_b_locked=True)
    assert machine.move.valve == "probe"


def test_a_network_that_is_back_before_the_boiler_cancels_the_start():
    machine = Machine()
    machine.run(STARVED, 90.0)
    assert machine.run(SOUND, 295.0).boiler_enable
    move = machine.run(SOUND, 5.0)
    assert (move.name, move.boiler_enable) == ("NORMAL", False)
    assert "came back before the boiler" in machine.seen[-1].why


def test_the_boiler_rests_before_its_next_start_and_says_how_long():
    machine = Machine()
    machine.run(STARVED, 90.0)
    machine.run(SOUND, 300.0)
    move = machine.run(STARVED, 90.0)
    assert (move.name, move.boiler_enable) == ("START", False)
    assert "rests for 28 min more" in move.why
    assert machine.state.decision_s == 90.0
    assert machine.run(STARVED, 1715.0).boiler_enable


def test_a_person_can_start_the_boiler_and_take_the_start_back():
    machine = Machine()
    move = machine.run(SOUND, 5.0, is_start_asked=True)
    assert (move.name, move.boiler_enable) == ("START", True)
    assert machine.run(SOUND, 600.0).name == "START"
    assert machine.run(SOUND, 5.0, is_stop_asked=True).name == "NORMAL"


def test_a_start_that_the_network_needs_is_not_taken_back_by_hand():
    machine = Machine()
    machine.run(STARVED, 90.0)
    assert machine.run(STARVED, 5.0, is_stop_asked=True).name == "START"
    machine.run(SOUND, 10.0)
    assert machine.state.name == "NORMAL"


def test_outside_the_season_the_boiler_is_let_go_and_nothing_is_suspected():
    machine = Machine()
    machine.run(COLD, 90.0)
    move = machine.run(COLD, 5.0, is_heat_wanted=False)
    assert (move.name, move.boiler_enable) == ("NORMAL", False)
    assert machine.run(COLD, 3600.0, is_heat_wanted=False).name == "NORMAL"
    assert machine.path == ["SUSPECT", "START", "NORMAL"]


def test_an_unusable_setpoint_leaves_the_boilers_where_it_is():
    machine = Machine()
    machine.run(COLD, 95.0)
    assert machine.run(COLD, 60.0, t2g_setpoint_c=nan).boiler_setpoint_c == 59.0


def test_a_boiler_that_left_the_configuration_ends_in_suspicion():
    machine = Machine()
    machine.run(COLD, 90.0)
    machine.boiler = None
    move = machine.run(COLD, 5.0)
    assert (move.name, move.boiler_enable) == ("SUSPECT", False)


@pytest.mark.parametrize(
    ("bits", "missing", "lost"),
    [
        ({"B_remote": True, "GAS": False, "B_lock": False}, (), ()),
        ({"B_remote": None, "GAS": False, "B_lock": False}, ("B_remote",), ()),
        ({"B_remote": True, "GAS": None, "B_lock": False}, ("not GAS",), ()),
        (
            {"B_remote": False, "GAS": True, "B_lock": None},
            ("B_remote", "not GAS", "not B_lock"),
            ("B_remote", "not GAS"),
        ),
    ],
)
def test_permissives_are_true_false_or_unknown(bits, missing, lost):
    names = ("B_remote", "not GAS", "not B_lock")
    assert missing_permissives(names, bits.get) == missing
    assert lost_permissives(names, bits.get) == lost


@pytest.mark.parametrize("boiler", [BOILER, None])
@pytest.mark.parametrize("t1g_c", [nan, 30.0, 43.9, 44.0, 95.0])
def test_a_scan_that_is_taken_for_calm_is_one(t1g_c, boiler):
    seen = product((nan, 41.0), (nan, 2.0, 70.0, 71.0), (nan, 0.0, 60.0), (None, False, True))
    calm = 0
    for t2h_c, valve_pct, f1_m3h, is_tripped in seen:
        network = {"t2h_c": t2h_c, "valve_pct": valve_pct, "is_tripped": is_tripped}
        facts = SOUND._replace(t1g_c=t1g_c, f1_m3h=f1_m3h, **network)
        if is_well(t1g_c=t1g_c, **network):
            calm += 1
            at_rest = SourceState()
            expected = calm_move(boiler, at_rest), at_rest
            assert source_step(NETWORK, boiler, at_rest, facts, dt_s=5.0) == expected
    assert calm == (18 if t1g_c >= 44.0 else 0)


@pytest.mark.parametrize(
    "under_way",
    [
        {"name": "SUSPECT"},
        {"valve": "probe"},
        {"cause_s": 5.0},
        {"cold_s": 5.0},
        {"rest_left_s": 5.0},
    ],
    ids=str,
)
def test_a_machine_under_way_is_not_calm(under_way):
    assert calm_move(BOILER, SourceState(**under_way)) is None
