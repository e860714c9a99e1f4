"""What people ask of a station, and that every value they set has an end."""

from dataclasses import replace
from itertools import pairwise
from math import isnan

import pytest

from controller.arbiter import Holder
from controller.checkpoint import keep, restore
from controller.leases import MANUAL_LEASE_S, OFFSET_LEASE_S, SETPOINT_LEASE_S
from controller.setpoint import SetpointChain
from core.command import (
    Acknowledge,
    Command,
    EndSetpoint,
    LoopMode,
    SetMode,
    SetOffset,
    SetOutput,
    SetSetpoint,
    StartSource,
    StopSource,
)
from core.point import Quality, Tag
from core.record import AlarmEvent, AlarmRecord, ModeRecord, OperatorAction, SetpointRecord
from tests.unit.controller.conftest import Bench

TOLD = {"station": "st-01", "who": "ann", "why": "a leak"}


def man(loop: str = "T2g", lease_s: float = 0.0) -> SetMode:
    return SetMode(**TOLD, loop=loop, mode=LoopMode.MAN, lease_s=lease_s)


def auto(loop: str = "T2g") -> SetMode:
    return SetMode(**TOLD, loop=loop, mode=LoopMode.AUTO)


def offset(kelvin: float, lease_s: float = 0.0) -> SetOffset:
    return SetOffset(**TOLD, circuit="main", offset_k=kelvin, lease_s=lease_s)


def setpoint(celsius: float, lease_s: float = 0.0) -> SetSetpoint:
    return SetSetpoint(**TOLD, circuit="main", setpoint_c=celsius, lease_s=lease_s)


BY_CURVE = EndSetpoint(**TOLD, circuit="main")


def chain(bench: Bench) -> SetpointChain:
    return bench.last.circuits[0].chain


def modes(bench: Bench, subject: str = "T2g") -> list[tuple[str, str, str]]:
    return [
        (record.old, record.new, record.why)
        for record in bench.records
        if isinstance(record, ModeRecord) and record.subject == subject
    ]


class TestManual:
    def test_it_is_recorded_with_who_and_why_both_ways(self, ours):
        ours.scan(man())
        ours.scan(auto())
        assert modes(ours) == [("auto", "man", "ann: a leak"), ("man", "auto", "ann: a leak")]

    def test_without_a_lease_it_gets_the_usual_one(self, ours):
        ours.scan(man())
        assert ours.state.operator.manual["T2g"].left_s == MANUAL_LEASE_S

    @pytest.mark.parametrize(("seconds", "is_held"), [(55.0, True), (60.0, False)])
    def test_it_ends_with_its_lease(self, ours, seconds, is_held):
        ours.scan(man(lease_s=60.0))
        ours.scan_for(seconds)
        assert ("T2g" in ours.state.operator.manual) is is_held
        assert (modes(ours)[-1][2] == "the lease ended") is not is_held

    def test_the_lease_runs_on_while_nobody_scans(self, ours):
        ours.scan(man(lease_s=60.0))
        ours.see(missed_s=3600.0)
        ours.scan()
        assert not ours.state.operator.manual

    def test_it_is_renewed_without_a_second_record(self, ours):
        ours.scan(man(lease_s=60.0))
        ours.scan_for(30.0)
        ours.scan(man(lease_s=60.0))
        assert ours.state.operator.manual["T2g"].left_s == 60.0
        assert len(modes(ours)) == 1

    def test_a_value_puts_a_loop_into_manual_and_a_second_one_changes_it(self, ours):
        ours.scan(SetOutput(**TOLD, loop="T2g", value=45.0))
        ours.scan(SetOutput(**TOLD, loop="T2g", value=44.0))
        assert ours.state.operator.manual["T2g"].value == 44.0
        assert len(modes(ours)) == 1

    def test_automatic_of_a_loop_that_is_in_automatic_changes_nothing(self, ours):
        ours.scan(auto())
        assert modes(ours) == []

    @pytest.mark.parametrize(("loop", "held"), [("P2D", 43.0), ("P2h", 25.0), ("T2g", 40.0)])
    def test_every_loop_stays_where_it_is(self, ours, loop, held):
        ours.scan(man(loop))
        assert ours.state.operator.manual[loop].value == pytest.approx(held, abs=0.6)

    def test_an_output_that_nobody_can_see_is_refused_on_the_record(self, bench):
        bench.spoil("CV1_U")
        bench.scan(man())
        assert not bench.state.operator.manual
        refusals = [r for r in bench.records if isinstance(r, OperatorAction)]
        assert [(r.who, r.outcome.partition(":")[0]) for r in refusals] == [("ann", "refused")]

    def test_what_is_set_while_the_plc_commands_holds_once_control_is_ours(self, bench):
        bench.scan(SetOutput(**TOLD, loop="T2g", value=43.0))
        assert bench.last.held[Tag("CV1_SV")].holder is Holder.LOCAL
        bench.take_over()
        assert bench.last.held[Tag("CV1_SV")].value == 43.0


class TestOffset:
    def test_it_shifts_the_curve_at_the_ramp_of_the_setpoint(self, ours):
        before_c = ours.last.circuits[0].chain.setpoint_c
        ours.scan(offset(2.0))
        ours.scan_for(360.0)
        chain = ours.last.circuits[0].chain
        assert chain.offset_k == 2.0
        assert chain.wanted_c == pytest.approx(before_c + 2.0)
        assert chain.setpoint_c == pytest.approx(before_c + 1.0, abs=0.05)  # 10 K/h for 6 min
        assert "offset +2.0 K" in chain.why

    @pytest.mark.parametrize(("seconds", "is_set"), [(55.0, True), (60.0, False)])
    def test_it_ends_with_its_lease(self, ours, seconds, is_set):
        ours.scan(offset(2.0, lease_s=60.0))
        ours.scan_for(seconds)
        assert ("main" in ours.state.operator.offsets) is is_set
        assert bool(modes(ours, "main offset")) is not is_set

    def test_without_a_lease_it_gets_the_usual_one(self, ours):
        ours.scan(offset(2.0))
        assert ours.state.operator.offsets["main"].left_s == OFFSET_LEASE_S

    def test_zero_takes_it_away(self, ours):
        ours.scan(offset(2.0))
        ours.scan(offset(0.0))
        assert ours.state.operator.offsets == {}


class TestASetpointByAPerson:
    def test_stands_for_the_curve_and_all_its_corrections_and_is_reached_by_the_ramp(self, ours):
        ours.scan(offset(2.0), setpoint(52.0))
        ours.scan_for(360.0)
        assert chain(ours).setpoint_c == pytest.approx(56.2 - 1.0, abs=0.05)  # 10 K/h for 6 min
        ours.scan_for(3600.0, T_out=-15.0)
        told = chain(ours)
        assert (told.wanted_c, told.setpoint_c, told.rules) == (52.0, 52.0, "operator")
        assert (told.ruling, told.offset_k) == ("", 2.0)
        assert ours.values["T2g_SP"] == 52.0

    def test_is_recorded_with_who_and_why_both_ways(self, ours):
        ours.scan(setpoint(52.0))
        ours.scan_for(120.0)
        ours.scan(BY_CURVE)
        assert modes(ours, "main setpoint") == [
            ("curve", "operator", "ann: a leak"),
            ("operator", "curve", "ann: a leak"),
        ]
        moved = [r for r in ours.records if isinstance(r, SetpointRecord) and r.loop == "T2g"]
        assert moved[-1].why == "set to 52.0 °C by ann: a leak"
        assert moved[-1].new < moved[0].new

    def test_is_renewed_and_changed_without_a_second_record(self, ours):
        ours.scan(setpoint(52.0))
        assert ours.state.operator.setpoints["main"].left_s == SETPOINT_LEASE_S
        ours.scan_for(30.0)
        ours.scan(setpoint(53.0, lease_s=600.0))
        held = ours.state.operator.setpoints["main"]
        assert (held.setpoint_c, held.left_s) == (53.0, 600.0)
        assert len(modes(ours, "main setpoint")) == 1

    @pytest.mark.parametrize("end", [BY_CURVE, None])
    def test_ends_without_a_step_when_withdrawn_or_with_its_lease(self, ours, end):
        ours.scan(setpoint(52.0, lease_s=1800.0))
        ours.scan_for(1790.0)
        before = len(ours.decisions)
        ours.scan(*([end] if end else []))
        ours.scan_for(1800.0)
        setpoints = [d.circuits[0].chain.setpoint_c for d in ours.decisions[before - 1 :]]
        assert max(abs(b - a) for a, b in pairwise(setpoints)) <= 10.0 * 5.0 / 3600.0 + 1e-9
        assert setpoints[0] == 52.0
        assert setpoints[-1] == pytest.approx(56.2, abs=0.05)
        assert chain(ours).rules == ""
        assert modes(ours, "main setpoint")[-1][2] == ("ann: a leak" if end else "the lease ended")

    def test_is_not_what_the_rooms_answer_for(self, ours):
        ours.scan_for(3600.0, T_room_avg=19.0)
        shift_k = chain(ours).rooms.shift_k
        ours.scan(setpoint(52.0))
        ours.scan_for(7200.0)
        assert (chain(ours).rooms.frozen, chain(ours).rooms.shift_k) == ("operator", shift_k)
        ours.scan(BY_CURVE)
        # Nothing wound up meanwhile: it goes on from where it stood.
        assert chain(ours).rooms.shift_k == pytest.approx(shift_k, abs=0.01)

    @pytest.mark.parametrize(
        ("seen", "ruling"), [({"T1h": 80.0}, "T1h_max"), ({"F1": 90.0}, "F1_max")]
    )
    def test_bows_to_the_limits_which_then_rule(self, station, seen, ruling):
        circuit = station.circuits["main"]
        limited = replace(circuit, limits=replace(circuit.limits, F1_max_m3h=60.0))
        bench = Bench(replace(station, circuits={"main": limited})).take_over()
        bench.scan(setpoint(60.0))
        bench.scan_for(3600.0, **seen)
        assert chain(bench).rules == ruling
        assert chain(bench).setpoint_c < 59.0
        assert f"limited by {ruling}" in chain(bench).why

    def test_outside_of_limits_that_were_changed_since_is_what_they_make_of_it(self, ours):
        ours.scan(setpoint(83.0))
        circuit = ours.config.circuits["main"]
        lower = replace(circuit, limits=replace(circuit.limits, T2g_c=(35.0, 57.0)))
        again = Bench(replace(ours.config, circuits={"main": lower})).take_over()
        again.state = restore(again.plan, again.state, keep(ours.plan, ours.state))
        again.scan()
        assert (chain(again).wanted_c, chain(again).rules) == (57.0, "T2g_high")

    def test_needs_no_outdoor_temperature(self, bench):
        bench.spoil("T_out")
        bench.scan(setpoint(52.0))
        assert isnan(chain(bench).curve_c)
        bench.scan_for(1800.0)
        assert chain(bench).setpoint_c == 52.0

    @pytest.mark.parametrize(
        ("lost", "begins_c"),
        [((), 50.0), (("T2g",), 56.2), (("T2g", "T_out"), None)],
        ids=["from the supply", "from the curve", "not before one of them is known"],
    )
    def test_is_reached_by_the_ramp_after_a_long_stop_too(self, ours, lost, begins_c):
        ours.scan(setpoint(83.0, lease_s=86400.0))
        ours.scan_for(60.0, T2g=50.0)
        again = Bench(ours.config)
        kept = keep(ours.plan, ours.state)
        again.state = restore(again.plan, again.state, kept, away_s=1801.0)
        again.spoil(*lost)
        again.scan(T2g=50.0)
        again.mend(*lost)
        again.take_over()
        setpoints_c = [d.circuits[0].chain.setpoint_c for d in again.decisions]
        assert isnan(setpoints_c[0]) is (begins_c is None)
        setpoints_c = setpoints_c[begins_c is None :]
        assert setpoints_c[0] == pytest.approx(begins_c or 50.0, abs=0.02)
        assert max(b - a for a, b in pairwise(setpoints_c)) <= 10.0 * 5.0 / 3600.0 + 1e-9
        assert again.values["T2g_SP"] == pytest.approx(setpoints_c[-1], abs=0.06)
        assert abs(again.last.held["CV1_SV"].value - 40.0) < 5.0

    @pytest.mark.parametrize(("supply_c", "begins_c"), [(20.0, 35.0), (90.0, 83.0)])
    def test_begins_within_the_limits(self, bench, supply_c, begins_c):
        bench.scan(setpoint(60.0), T2g=supply_c)
        assert chain(bench).setpoint_c == pytest.approx(begins_c, abs=0.02)

    def test_that_ends_onto_sensors_that_cannot_be_trusted_holds(self, station):
        bench = Bench(replace(station, outdoor=replace(station.outdoor, order=("T_out",))))
        bench.spoil("T_out")
        bench.scan(setpoint(52.0, lease_s=60.0), T2g=52.0)
        bench.take_over()
        bench.spoil("T2g")
        bench.scan_for(120.0)
        assert bench.state.operator.setpoints == {}
        assert (chain(bench).setpoint_c, chain(bench).rules) == (52.0, "")
        assert bench.last.held["CV1_SV"].holder is Holder.HOLD

    def test_leaves_frost_and_trips_where_they_are(self, ours):
        ours.scan(setpoint(40.0))
        # Far above it the loop would close the valve; frost keeps that open, a trip shuts it.
        assert ours.scan_for(60.0, T2h=6.0, T2g=75.0).held["CV1_SV"].holder is Holder.FROST
        assert ours.scan_for(60.0, T2h=44.0, T2g=92.0).held["CV1_SV"].holder is Holder.TRIP


class TestOtherCommands:
    def test_an_alarm_is_acknowledged_with_who_and_why(self, ours):
        ours.scan_for(15.0, FLOOD=1.0)
        ours.scan(Acknowledge(**TOLD, alarm="flood"))
        record = next(
            r
            for r in ours.records
            if isinstance(r, AlarmRecord) and r.event is AlarmEvent.ACKNOWLEDGED
        )
        assert (record.alarm, record.who, record.why) == ("flood", "ann", "a leak")

    def test_of_start_and_stop_in_one_scan_the_later_counts(self, ours):
        start, stop = StartSource(**TOLD, source="gas1"), StopSource(**TOLD, source="gas1")
        assert ours.scan(start, stop).source.name == "NORMAL"
        assert ours.scan(stop, start).source.name == "START"

    def test_commands_of_one_scan_are_taken_in_order(self, ours):
        ours.scan(man(), SetOutput(**TOLD, loop="T2g", value=43.0), offset(1.0))
        assert ours.state.operator.manual["T2g"].value == 43.0
        assert ours.state.operator.offsets["main"].offset_k == 1.0

    def test_a_command_that_no_station_knows_is_a_bug_and_says_so(self, ours):
        with pytest.raises(TypeError, match="no station takes Command"):
            ours.scan(Command(**TOLD))


class TestTheEndOfALease:
    def alarms(self, bench: Bench, name: str) -> list[AlarmEvent]:
        return [r.event for r in bench.records if isinstance(r, AlarmRecord) and r.alarm == name]

    @pytest.mark.parametrize(
        ("command", "again", "alarm"),
        [
            (man("T2g", 1200.0), man("T2g", 1200.0), "lease_T2g"),
            (man("P2D", 1200.0), man("P2D", 1200.0), "lease_P2D"),
            (man("P2h", 1200.0), man("P2h", 1200.0), "lease_P2h"),
            (offset(2.0, 1200.0), offset(2.0, 1200.0), "lease_offset"),
            (setpoint(52.0, 1200.0), setpoint(52.0, 1200.0), "lease_setpoint"),
        ],
    )
    def test_is_told_once_ten_minutes_before_and_a_renewal_clears_it(
        self, ours, command, again, alarm
    ):
        ours.scan(command)
        ours.scan_for(590.0)
        assert self.alarms(ours, alarm) == []
        ours.scan_for(200.0)
        assert self.alarms(ours, alarm) == [AlarmEvent.RAISED]
        ours.scan(again)
        assert self.alarms(ours, alarm) == [AlarmEvent.RAISED, AlarmEvent.CLEARED]

    def test_clears_its_alarm_too(self, ours):
        ours.scan(man("T2g", 700.0))
        ours.scan_for(800.0)
        assert self.alarms(ours, "lease_T2g") == [AlarmEvent.RAISED, AlarmEvent.CLEARED]

    @pytest.mark.parametrize("quality", [Quality.BAD, Quality.STALE])
    def test_onto_a_sensor_that_cannot_be_trusted_holds_the_output(self, ours, quality):
        ours.scan(man("T2g", 60.0))
        ours.scan(SetOutput(**TOLD, loop="T2g", value=55.0, lease_s=60.0))
        ours.scan_for(30.0)
        held = ours.last.outputs.values["CV1_SV"]
        ours.spoil("T2g", quality=quality)
        ours.scan_for(60.0)
        assert "T2g" not in ours.state.operator.manual
        assert ours.values["CV1_SV"] == held == 55.0
        assert ours.last.held["CV1_SV"].value in {None, held}
