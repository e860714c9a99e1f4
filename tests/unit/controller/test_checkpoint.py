"""What a station keeps over a restart, through JSON, and what it does not believe."""

import json
import math
from dataclasses import replace
from typing import Any

import pytest
from structlog.testing import capture_logs

from config.model import Station
from control_loops.heating_curve import CurvePoints
from controller.checkpoint import RECENT_S, keep, restore
from controller.state import first_state
from core.command import LoopMode, SetMode, SetOffset, SetOutput, SetSetpoint, StartSource
from core.record import AlarmEvent, AlarmRecord, ModeRecord, SetpointRecord
from tests.unit.controller.conftest import Bench

TOLD = {"station": "st-01", "who": "ann", "why": "test"}


def kept_by(bench: Bench) -> Any:
    """The checkpoint of a station as it comes back from the disk."""
    return json.loads(json.dumps(keep(bench.plan, bench.state), allow_nan=False))


def restarted(bench: Bench, *, config: Station | None = None, away_s: float = 0.0) -> Bench:
    """The station after a restart, with the field as it was."""
    other = Bench(config or bench.config)
    other.values, other.at = dict(bench.values), bench.at
    other.state = restore(other.plan, other.state, kept_by(bench), away_s=away_s)
    return other


class TestWhatPeopleSet:
    def test_is_held_again_with_who_and_why_and_the_rest_of_its_lease(self, ours):
        ours.scan(
            SetOutput(**TOLD, loop="T2g", value=44.0, lease_s=3600.0),
            SetOffset(**TOLD, circuit="main", offset_k=2.0, lease_s=7200.0),
            SetSetpoint(**TOLD, circuit="main", setpoint_c=52.0, lease_s=5400.0),
        )
        ours.scan_for(600.0)
        operator = restarted(ours).state.operator
        assert operator == ours.state.operator
        assert operator.manual["T2g"].left_s == 3000.0
        assert operator.setpoints["main"].left_s == 4800.0

    def test_is_nothing_where_an_older_version_kept_it(self, ours):
        kept = kept_by(ours)
        del kept["setpoints"]
        assert restore(ours.plan, first_state(ours.plan), kept).operator.setpoints == {}

    def test_ends_on_the_record_if_its_lease_ran_out_meanwhile(self, ours):
        ours.scan(SetOutput(**TOLD, loop="T2g", value=44.0, lease_s=3600.0))
        again = restarted(ours, away_s=3700.0)
        again.scan()
        assert not again.state.operator.manual
        assert [r.why for r in again.records if isinstance(r, ModeRecord) and r.subject == "T2g"]

    def test_is_dropped_where_the_loop_is_no_more(self, ours):
        ours.scan(SetMode(**TOLD, loop="T2g", mode=LoopMode.MAN))
        kept = kept_by(ours)
        kept["manual"]["high.T2g"] = kept["manual"].pop("T2g")
        kept["offsets"]["high"] = {"offset_k": 1.0, "who": "ann", "why": "x", "left_s": 9.0}
        operator = restore(ours.plan, first_state(ours.plan), kept).operator
        assert (operator.manual, operator.offsets) == ({}, {})

    def test_is_dropped_where_the_point_may_not_take_it_any_more(self, ours):
        ours.scan(SetOutput(**TOLD, loop="T2g", value=44.0))
        kept = kept_by(ours)
        kept["manual"]["T2g"]["value"] = 101.0
        assert restore(ours.plan, first_state(ours.plan), kept).operator.manual == {}


class TestAlarms:
    def test_one_that_stood_goes_on_and_clears_once(self, ours):
        ours.scan_for(30.0, FLOOD=1.0)
        again = restarted(ours)
        again.scan_for(30.0)
        again.scan_for(900.0, FLOOD=0.0)
        events = [
            r.event
            for r in (*ours.records, *again.records)
            if isinstance(r, AlarmRecord) and r.alarm == "flood"
        ]
        assert events == [AlarmEvent.RAISED, AlarmEvent.CLEARED]

    def test_a_delay_goes_on_where_it_stopped(self, ours):
        ours.scan_for(60.0, T1g=131.0)  # T1g_H comes after two minutes
        again = restarted(ours)
        again.scan_for(65.0)
        assert "T1g_H" in again.last.active_alarms


class TestSources:
    def test_the_machine_goes_on_where_it_stood(self, ours):
        ours.scan(StartSource(**TOLD, source="gas1"))
        ours.scan_for(90.0, B_power=2000.0, B_firing=1.0)
        again = restarted(ours)
        assert again.state.source == ours.state.source
        again.scan_for(10.0)
        assert again.last.outputs.values["B_enable"] == 1.0


class TestTheRestartMakesNoStep:
    def test_of_the_valve(self, ours):
        ours.scan_for(300.0, T2g=52.0)
        before_pct = ours.last.outputs.values["CV1_SV"]
        again = restarted(ours)
        again.scan_for(15.0)
        assert again.last.outputs.values["CV1_SV"] == pytest.approx(before_pct, abs=0.8)

    def test_of_the_outdoor_temperature_and_of_the_setpoint(self, ours):
        ours.scan_for(1500.0, T_out=-25.0)
        again = restarted(ours, away_s=RECENT_S)
        before, after = ours.last.circuits[0].chain, again.scan().circuits[0].chain
        assert after.outdoor.damped_c == pytest.approx(before.outdoor.damped_c, abs=0.02)
        assert after.setpoint_c == pytest.approx(before.setpoint_c, abs=0.02)

    def test_but_after_a_long_stop_the_weather_is_another(self, ours):
        ours.scan_for(1500.0, T_out=-25.0)
        chain = restarted(ours, away_s=RECENT_S + 1.0).scan().circuits[0].chain
        assert chain.outdoor.damped_c == -25.0
        assert chain.setpoint_c == pytest.approx(79.76, abs=0.1)

    def test_a_setpoint_above_a_limit_that_was_lowered_meanwhile_is_not_kept(self, ours):
        circuit = ours.config.circuits["main"]
        limits = replace(circuit.limits, T2g_c=(35.0, 50.0))
        config = replace(ours.config, circuits={"main": replace(circuit, limits=limits)})
        assert restarted(ours, config=config).state.circuits[0].setpoint_c == 50.0

    def test_of_the_records_of_the_setpoint(self, ours):
        ours.scan_for(600.0, T_out=-15.0)
        again = restarted(ours)
        again.scan_for(900.0)
        records = (*ours.records, *again.records)
        changes = [r for r in records if isinstance(r, SetpointRecord)]
        assert [r.old for r in changes[1:]] == [r.new for r in changes[:-1]]

    def test_of_the_duty_pump_and_its_hours(self, ours):
        ours.scan_for(10.0, XP1_run=0.0, XP1_Hz=0.0, XP2_run=1.0, XP2_Hz=40.0, XP1_fault=1.0)
        again = restarted(ours)
        kept, was = again.state.circuits[0].pumps.pumps, ours.state.circuits[0].pumps.pumps
        assert (kept.duty, kept.run_s) == (was.duty, was.run_s) == (1, was.run_s)


class TestTheCurveOfThePlc:
    def test_one_that_was_changed_at_the_panel_is_not_fought_after_a_restart(self, ours):
        ours.scan(FB_y1=90.0)
        again = restarted(ours)
        again.scan_for(30.0)
        assert not any("FB_y1" in d.outputs.values for d in again.decisions)

    def test_one_that_was_changed_in_the_configuration_is_written_anew(self, ours):
        circuit = ours.config.circuits["main"]
        curve = CurvePoints(points={-20.0: 75.0, 10.0: 40.0})
        config = replace(ours.config, circuits={"main": replace(circuit, curve=curve)})
        again = restarted(ours, config=config)
        again.scan_for(10.0)
        assert again.last.outputs.values["FB_y1"] == 75.0


class TestWhatIsNotBelieved:
    def test_nothing_kept_is_a_new_station(self, bench):
        assert restore(bench.plan, bench.state, None) is bench.state

    @pytest.mark.parametrize(
        "spoil",
        [
            lambda _: {},
            lambda _: {"version": 2},
            lambda _: [],
            lambda _: "garbage",
            lambda kept: kept | {"source": {"name": "FIRE"}},
            lambda kept: kept | {"source": {"cause_s": "long"}},
            lambda kept: kept | {"source": None},
            lambda kept: kept | {"manual": {"T2g": {"value": "half"}}},
            lambda kept: kept | {"manual": [1]},
            lambda kept: kept | {"alarms": {"flood": {"phase": "burning"}}},
            lambda kept: kept | {"outdoor": {"value_c": math.nan}},
            lambda kept: kept | {"circuits": {"main": {}}},
        ],
    )
    def test_garbage_is_left_aside_with_one_warning(self, ours, spoil):
        with capture_logs() as logs:
            state = restore(ours.plan, first_state(ours.plan), spoil(kept_by(ours)))
        assert state == first_state(ours.plan)
        assert [(log["event"], log["log_level"]) for log in logs] == [
            ("checkpoint_not_used", "warning")
        ]

    def test_a_circuit_that_is_new_starts_as_new(self, ours):
        kept = kept_by(ours)
        kept["circuits"] = {}
        state = restore(ours.plan, first_state(ours.plan), kept)
        assert state.circuits == first_state(ours.plan).circuits
        assert state.source == ours.state.source
