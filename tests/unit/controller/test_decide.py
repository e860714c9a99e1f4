"""What a station decides in a scan: who may write at all, and what is written then."""

import itertools
import math
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta, timezone

import pytest

from config.model import Station
from config.season import MonthDay, Season
from control_loops.climate import Climate
from control_loops.schedule import Hours, Setback
from controller.arbiter import Holder
from controller.authority import Authority
from controller.decide import is_in_season
from controller.state import Heart
from core.clock import Instant
from core.command import Acknowledge, StartSource, StopSource
from core.forecast import Expected, Forecast
from core.image import Outputs
from core.point import Quality, Tag
from core.record import AlarmEvent, AlarmRecord, ModeRecord, ScanRecord, SetpointRecord
from tests.unit.controller.conftest import Bench, link_status, sample, with_authority

NOTHING = Outputs()
START = StartSource(station="st-01", who="ann", why="drill", source="gas1")
STOP = StopSource(station="st-01", who="ann", why="drill", source="gas1")


def modes(bench: Bench, subject: str) -> list[tuple[str, str]]:
    return [
        (record.old, record.new)
        for record in bench.records
        if isinstance(record, ModeRecord) and record.subject == subject
    ]


class TestControlChangesHandsWithoutAStep:
    def test_what_stands_in_the_field_is_written_before_the_plc_hands_over(self, bench):
        bench.scan_for(60.0, CV1_U=37.4, XP1_Hz=43.26)
        written = bench.last.outputs.values
        assert bench.holds is Authority.TAKING_OVER
        assert (written["CV1_SV"], written["XP_SV"]) == (37.4, 43.3)

    @pytest.mark.parametrize(("shown_pct", "written_pct"), [(-2.0, 0.0), (101.5, 100.0)])
    def test_a_position_beyond_a_stop_is_written_as_that_stop(self, bench, shown_pct, written_pct):
        """The register takes no other, and would go on holding what stood in it long ago."""
        for _ in range(12):
            bench.scan(CV1_U=shown_pct)
        assert bench.holds is Authority.TAKING_OVER
        assert bench.last.outputs.values["CV1_SV"] == written_pct

    @pytest.mark.parametrize("supply_c", [48.0, 56.2, 64.0])
    def test_the_loops_go_on_from_where_the_plc_left_valve_and_pumps(self, bench, supply_c):
        bench.take_over()
        bench.scan_for(10.0, FALLBACK=1.0)
        bench.scan_for(60.0, T2g=supply_c, CV1_U=52.0, XP1_Hz=38.0)
        written = bench.scan(FALLBACK=0.0).outputs.values
        assert bench.holds is Authority.HEATD
        assert written["CV1_SV"] == pytest.approx(52.0, abs=0.6)  # the deadband
        assert written["XP_SV"] == pytest.approx(38.0, abs=0.11)

    def test_pumps_that_the_plc_stopped_are_taken_over_at_their_lowest_speed(self, bench):
        bench.scan_for(60.0, XP1_run=0.0, XP1_Hz=0.0)
        assert bench.last.outputs.values["XP_SV"] == 25.0

    def test_a_speed_above_the_pumps_highest_is_not_written(self, bench):
        bench.scan_for(60.0, XP1_Hz=50.6)
        assert bench.last.outputs.values["XP_SV"] == 50.0

    def test_a_pump_that_runs_at_a_speed_that_nobody_knows_is_not_taken_over(self, bench):
        bench.spoil("XP1_Hz", "XP2_Hz")
        bench.scan_for(120.0)
        assert bench.holds is Authority.LOST
        bench.mend("XP1_Hz", "XP2_Hz")
        bench.take_over()
        bench.spoil("XP1_Hz", "XP2_Hz")
        bench.scan_for(60.0)
        assert bench.holds is Authority.HEATD

    def test_the_boiler_keeps_its_order_while_control_is_taken_over(self, ours):
        ours.scan(START)
        ours.scan_for(90.0, B_power=2000.0, B_firing=1.0)
        assert ours.last.source.name == "BACKUP"
        ours.scan_for(65.0, FALLBACK=1.0)
        assert ours.holds is Authority.TAKING_OVER
        assert ours.last.outputs.values["B_enable"] == 1.0

    def test_every_change_of_hands_is_recorded(self, ours):
        assert modes(ours, "authority") == [
            ("lost", "tracking"),
            ("tracking", "taking over"),
            ("taking over", "heatd"),
        ]


class TestWithoutAuthorityNothingIsWritten:
    """Not even the heartbeat: the PLC must see that nobody is in command."""

    @pytest.mark.parametrize(
        ("trouble", "holds"),
        [
            ({"ESTOP": 1.0}, Authority.LOCAL),
            ({"LOC_REM": 0.0}, Authority.LOCAL),
            ({"FALLBACK": 1.0}, Authority.TRACKING),
        ],
    )
    def test_while_somebody_else_commands(self, ours, trouble, holds):
        decision = ours.scan(**trouble)
        assert (ours.holds, decision.outputs) == (holds, NOTHING)

    @pytest.mark.parametrize("quality", [Quality.BAD, Quality.STALE])
    @pytest.mark.parametrize(
        ("tag", "holds"),
        [
            ("CV1_U", Authority.LOST),
            ("PLC_ID", Authority.LOST),
            ("ESTOP", Authority.LOCAL),
            ("LOC_REM", Authority.LOCAL),
        ],
    )
    def test_while_what_control_needs_cannot_be_trusted(self, ours, tag, holds, quality):
        ours.spoil(tag, quality=quality)
        decision = ours.scan()
        assert (ours.holds, decision.outputs) == (holds, NOTHING)

    def test_after_three_misses_of_the_plcs_heartbeat(self, ours):
        ours.beats = False
        holds = [ours.scan(dt_s=dt_s).state.authority.holds for dt_s in (4.9, 5.0, 5.3)]
        assert holds == [Authority.HEATD, Authority.HEATD, Authority.LOST]
        assert ours.last.outputs == NOTHING

    def test_read_only(self, ours):
        ours.see(is_read_only=True)
        assert ours.scan().outputs == NOTHING
        assert ours.holds is Authority.WATCH

    def test_where_the_configuration_only_watches(self, station):
        bench = Bench(with_authority(station, write="none"))
        bench.scan_for(120.0)
        bench.scan_for(60.0, FALLBACK=0.0)
        assert all(decision.outputs == NOTHING for decision in bench.decisions)

    @pytest.mark.parametrize("identity", [65000.0, 65001.0, 65535.0])
    def test_to_a_simulated_plc_of_a_real_site(self, station, identity):
        bench = Bench(station, is_simulation=False)
        bench.values["PLC_ID"] = identity
        bench.scan_for(120.0)
        bench.scan_for(60.0, FALLBACK=0.0)
        assert all(decision.outputs == NOTHING for decision in bench.decisions)

    @pytest.mark.parametrize("identity", [1703.0, 64999.0])
    def test_but_a_real_plc_of_a_real_site_is_controlled(self, station, identity):
        bench = Bench(station, is_simulation=False)
        bench.values["PLC_ID"] = identity
        bench.take_over()
        assert bench.last.outputs != NOTHING

    def test_nobody_holds_an_output_without_saying_why(self, ours):
        decision = ours.scan(LOC_REM=0.0)
        assert {claim.holder for claim in decision.held.values()} == {Holder.LOCAL}
        assert all(claim.why and claim.value is None for claim in decision.held.values())


class TestOutOfSeason:
    def test_heatd_only_watches(self, ours):
        ours.at = Instant(ours.at.monotonic_s, datetime(2026, 4, 15, 15, 59, 50, tzinfo=UTC))
        assert ours.scan().outputs != NOTHING  # 23:59:55 in China, the last evening
        assert ours.scan().outputs == NOTHING
        assert ours.holds is Authority.WATCH

    def test_the_cold_pipes_of_summer_are_no_lost_source(self, bench):
        bench.at = Instant(1000.0, datetime(2026, 7, 1, tzinfo=UTC))
        bench.scan_for(1800.0, T1g=25.0, T2h=24.0, T_out=28.0)
        assert bench.last.source.name == "NORMAL"
        assert bench.last.computed["source.base_lost"] == 0.0

    def test_a_boiler_that_we_started_is_switched_off_first(self, ours):
        ours.scan(START)
        ours.scan_for(90.0, B_power=2000.0, B_firing=1.0)
        assert ours.last.outputs.values["B_enable"] == 1.0
        ours.at = Instant(ours.at.monotonic_s, datetime(2026, 4, 16, 2, 0, tzinfo=UTC))
        assert ours.scan().outputs.values["B_enable"] == 0.0
        assert ours.scan().outputs == NOTHING

    @pytest.mark.parametrize(
        ("day", "is_due"),
        [
            (date(2026, 10, 1), True),
            (date(2026, 9, 30), False),
            (date(2026, 12, 31), True),
            (date(2027, 1, 1), True),
            (date(2027, 4, 15), True),
            (date(2027, 4, 16), False),
        ],
    )
    def test_a_season_goes_over_the_end_of_the_year(self, day, is_due):
        season = Season(start=MonthDay(10, 1), end=MonthDay(4, 15))
        assert is_in_season(season, day) is is_due

    def test_a_season_may_lie_within_a_year(self):
        season = Season(start=MonthDay(3, 1), end=MonthDay(5, 1))
        assert is_in_season(season, date(2026, 4, 1))
        assert not is_in_season(season, date(2026, 12, 1))


class TestSchedule:
    NIGHT = Setback(between=Hours.from_text("23:00-05:00"), lower_k=6.0)

    def at_local(self, station, hour, day=14):
        """Return the station's bench at an hour of the place, eight hours before Greenwich."""
        circuits = {"main": replace(station.circuits["main"], schedule={"night": self.NIGHT})}
        made = Bench(replace(station, circuits=circuits)).take_over()
        local = datetime(2026, 1, day, hour, 30, tzinfo=timezone(timedelta(hours=8)))
        made.at = Instant(made.at.monotonic_s, local.astimezone(UTC))
        return made

    @pytest.mark.parametrize(("hour", "shift_k"), [(22, 0.0), (23, -6.0), (4, -6.0), (5, 0.0)])
    def test_it_goes_by_the_clock_of_the_place(self, station, hour, shift_k):
        decision = self.at_local(station, hour).scan()
        assert decision.circuits[0].chain.schedule.shift_k == shift_k

    def test_what_it_takes_from_the_rooms_their_correction_does_not_give_back(self, station):
        chain = self.at_local(station, 2).scan_for(60.0).circuits[0].chain
        assert chain.rooms.frozen == "schedule"
        assert chain.wanted_c == pytest.approx(chain.curve_c - 6.0 + chain.rooms.shift_k)

    def test_the_setpoint_gets_there_by_its_ramp(self, station):
        made = self.at_local(station, 23)
        before_c = made.last.circuits[0].chain.setpoint_c
        after_c = made.scan_for(60.0).circuits[0].chain.setpoint_c
        assert 0.0 < before_c - after_c <= 10.0 * 61.0 / 3600.0


class TestHeartbeat:
    def test_it_counts_every_scan_in_which_heatd_may_write(self, ours):
        beats = [ours.scan().outputs.values["HB_SCADA"] for _ in range(3)]
        assert [b - beats[0] for b in beats] == [0.0, 1.0, 2.0]

    def test_quick_scans_count_on_every_other_second(self, ours):
        beats = [ours.scan(dt_s=1.0).outputs.values["HB_SCADA"] for _ in range(20)]
        assert beats[-1] - beats[0] in {9.0, 10.0}

    def test_it_fits_a_register(self, ours):
        ours.state = ours.state._replace(heartbeat=Heart(65535, 5.0))
        assert ours.scan().outputs.values["HB_SCADA"] == 0.0

    @pytest.mark.parametrize(("is_up", "stuck"), [(True, 1.0), (False, math.nan)])
    def test_the_plcs_silence_is_its_own_only_while_the_link_is_up(self, ours, is_up, stuck):
        ours.beats = False
        ours.see(devices={"plc": link_status("plc", is_up=is_up)})
        fact = ours.scan().computed["heartbeat.stuck"]
        assert fact == pytest.approx(stuck, nan_ok=True)


class TestTheCurveOfThePlc:
    """heatd writes it once, reads it back, and does not fight a change at the panel."""

    def test_is_written_until_the_plc_shows_it(self, bench):
        bench.scan_for(60.0)
        curve = {tag: v for tag, v in bench.last.outputs.values.items() if tag.startswith("FB_")}
        assert len(curve) == 16
        assert curve["FB_x1"], curve["FB_y1"] == (-28.4, 83.6)
        bench.scan()
        assert "FB_x1" not in bench.last.outputs.values
        assert bench.last.computed["plc.fallback_differs"] == 0.0

    def test_is_written_on_while_the_plc_cannot_be_read(self, bench):
        bench.spoil("FB_y3")
        bench.take_over()
        assert bench.scan().outputs.values["FB_y3"] == 70.4
        assert math.isnan(bench.last.computed["plc.fallback_differs"])

    def test_a_change_at_the_panel_is_told_and_not_fought(self, ours):
        decision = ours.scan(FB_y1=90.0)
        assert decision.computed["plc.fallback_differs"] == 1.0
        assert "FB_y1" not in decision.outputs.values

    def test_a_plc_that_holds_it_already_is_not_written_to(self, bench):
        bench.values.update(bench.plan.circuits[0].fallback)
        bench.take_over()
        assert not any(tag.startswith("FB_") for d in bench.decisions for tag in d.outputs.values)


class TestSetpointAuthority:
    """The PLC's own loops move valve and pumps; heatd gives them the setpoint."""

    @pytest.fixture
    def cascade(self, station: Station) -> Bench:
        return Bench(with_authority(station, write="setpoint")).take_over()

    def test_setpoint_and_heartbeat_are_all_that_is_written(self, cascade):
        decision = cascade.scan()
        assert set(decision.outputs.values) == {"T2g_SP", "HB_SCADA"}
        assert decision.outputs.values["T2g_SP"] == 56.2
        assert decision.outputs.pulses == frozenset()

    def test_the_plcs_own_curve_is_written_until_it_shows_it(self, cascade):
        first = cascade.decisions[-2].outputs.values
        assert {tag[:3] for tag in first} == {"T2g", "HB_", "FB_"}

    def test_pumps_are_left_alone_even_if_all_of_them_stand(self, cascade):
        cascade.scan_for(60.0, XP1_run=0.0, XP1_Hz=0.0, P2h=0.33)
        assert all(not decision.outputs.pulses for decision in cascade.decisions)
        assert cascade.last.computed["pumps.none_running"] == 1.0

    def test_the_setpoint_keeps_its_ramp_when_control_changes_hands(self, cascade):
        written = [
            d.outputs.values["T2g_SP"] for d in cascade.decisions if "T2g_SP" in d.outputs.values
        ]
        assert len(set(written)) == 1

    def test_who_holds_the_outputs_is_said(self, cascade):
        claim = cascade.scan().held[Tag("CV1_SV")]
        assert (claim.holder, claim.value) == (Holder.LOCAL, None)
        assert "PLC" in claim.why

    def test_a_boiler_is_not_started_behind_a_valve_that_is_not_ours(self, cascade):
        cascade.scan(START)
        cascade.scan_for(600.0, SRC_trip=1.0)
        assert cascade.last.source.name == "SUSPECT"
        assert cascade.last.source.is_waiting
        assert not any("B_enable" in decision.outputs.values for decision in cascade.decisions)


class TestTwoCircuits:
    @pytest.fixture
    def zones(self, two_zone_station: Station) -> Bench:
        return Bench(two_zone_station, is_simulation=False).take_over()

    def test_both_valves_are_held_each_by_its_own_loop(self, zones):
        written = zones.scan().outputs.values
        assert written["low.CV1_SV"] == pytest.approx(40.0, abs=0.6)
        assert written["high.CV1_SV"] == pytest.approx(25.0, abs=0.6)
        assert (written["low.T2g_SP"], written["high.T2g_SP"]) == (56.2, 36.6)

    def test_only_the_circuits_own_tags_are_written(self, zones):
        points = zones.config.points
        assert all(tag in points for d in zones.decisions for tag in d.outputs.values)

    def test_a_standby_pump_is_started_by_its_full_name(self, zones):
        pulses = zones.scan(**{"low.XP1_run": 0.0, "low.XP1_Hz": 0.0}).outputs.pulses
        assert pulses == {"low.XP2_start"}

    def test_a_lost_sensor_holds_its_own_circuit_only(self, zones):
        zones.spoil("high.T2g")
        held = zones.scan().held
        assert held[Tag("high.CV1_SV")].holder is Holder.HOLD
        assert held[Tag("low.CV1_SV")].holder is Holder.LOOP

    def test_each_circuit_has_its_own_limits(self, zones):
        zones.scan_for(35.0, **{"high.T2g": 56.0, "low.T2g": 56.0})
        held = zones.last.held
        assert (held[Tag("high.CV1_SV")].holder, held[Tag("high.CV1_SV")].value) == (
            Holder.TRIP,
            0.0,
        )
        assert held[Tag("low.CV1_SV")].holder is Holder.LOOP

    def test_the_network_is_judged_by_the_warmest_return(self, zones):
        zones.scan_for(40.0, T1g=46.0)  # warm for the floors, cold for the radiators
        claims = [zones.last.held[Tag(f"{zone}.CV1_SV")] for zone in ("low", "high")]
        assert {(claim.holder, claim.value) for claim in claims} == {(Holder.TRIP, 0.0)}

    def test_and_by_the_valve_that_stands_widest_open(self, zones):
        zones.scan_for(60.0, **{"high.CV1_U": 90.0, "high.T2g": 20.0, "F1": 1.0})
        assert zones.last.source.name == "SUSPECT"

    def test_each_circuit_has_its_own_facts(self, zones):
        zones.scan(**{"high.XP1_fault": 1.0, "low.FB_y1": 12.0})
        computed = zones.last.computed
        assert (computed["low.pumps.duty_failed"], computed["high.pumps.duty_failed"]) == (0.0, 1.0)
        assert computed["low.plc.fallback_differs"] == 1.0


class TestSources:
    def test_a_person_starts_the_boiler_and_asks_for_the_network_back(self, ours):
        decision = ours.scan(START)
        assert decision.source.name == "START"
        assert decision.outputs.values["B_enable"] == 1.0
        assert decision.outputs.values["B_Tset"] == pytest.approx(59.2)  # 3 K above the setpoint
        ours.scan_for(90.0, B_power=2000.0, B_firing=1.0)
        assert ours.last.source.name == "BACKUP"
        ours.scan(STOP)
        ours.scan_for(2400.0, B_power=2000.0)
        assert ("backup", "return") in modes(ours, "source")

    def test_a_drill_does_not_say_that_the_network_is_lost(self, ours):
        ours.scan(START)
        assert ours.last.computed["source.base_lost"] == 0.0
        ours.scan_for(40.0, SRC_trip=1.0)
        assert ours.last.computed["source.base_lost"] == 1.0

    def test_a_permissive_that_is_missing_keeps_the_boiler_off_and_is_named(self, ours):
        ours.values["B_remote"] = 0.0
        decision = ours.scan(START)
        assert decision.outputs.values["B_enable"] == 0.0
        assert "B_remote" in decision.source.why

    @pytest.mark.parametrize(
        ("trouble", "why"), [({"GAS": 1.0}, "gas"), ({"B_P_ok": 0.0}, "pressure")]
    )
    def test_an_interlock_of_the_boiler_goes_before_the_source_machine(self, station, trouble, why):
        boiler = replace(station.sources["gas1"], permissives=())
        bench = Bench(replace(station, sources={**station.sources, "gas1": boiler})).take_over()
        bench.scan(START)
        decision = bench.scan(**trouble)
        claim = decision.held[Tag("B_enable")]
        assert (claim.holder, claim.value) == (Holder.TRIP, 0.0)
        assert why in claim.why

    def test_a_hard_cause_starts_the_boiler_within_two_minutes(self, ours):
        ours.scan_for(120.0, SRC_trip=1.0)
        assert ours.last.outputs.values["B_enable"] == 1.0
        assert modes(ours, "source") == [("normal", "suspect"), ("suspect", "start")]

    def test_the_valve_is_unloaded_from_where_it_was_told_to_go_at_the_loops_rate(self, ours):
        ours.scan_for(60.0, T2g=40.0, F1=60.0)
        before_pct = ours.last.outputs.values["CV1_SV"]
        ours.scan(START)
        written = ours.scan(CV1_U=before_pct - 12.0).outputs.values["CV1_SV"]
        assert ours.last.held[Tag("CV1_SV")].holder is Holder.SOURCE
        assert abs(written - before_pct) <= 1.2 * 5.0 + 0.01

    def test_a_cold_primary_closes_the_valve(self, ours):
        decision = ours.scan_for(40.0, T1g=45.0, T2h=44.0)
        claim = decision.held[Tag("CV1_SV")]
        assert (claim.holder, claim.value) == (Holder.TRIP, 0.0)

    def test_a_station_without_a_boiler_writes_nothing_to_one(self, station):
        network_only = {name: s for name, s in station.sources.items() if s.kind == "network"}
        bench = Bench(replace(station, sources=network_only)).take_over()
        assert "B_enable" not in bench.scan().outputs.values


class TestSetpoints:
    def test_each_record_begins_where_the_one_before_it_ended(self, ours):
        ours.scan_for(1200.0, T_out=-15.0)
        changes = [r for r in ours.records if isinstance(r, SetpointRecord)]
        assert len(changes) > 2
        assert math.isnan(changes[0].old)
        assert [r.old for r in changes[1:]] == [r.new for r in changes[:-1]]
        assert all(r.why for r in changes)

    def test_what_is_recorded_last_is_what_is_written(self, ours):
        ours.scan_for(600.0, T_out=-15.0)
        last = [r for r in ours.records if isinstance(r, SetpointRecord)][-1]
        assert ours.last.outputs.values["T2g_SP"] == last.new

    def test_without_any_outdoor_temperature_there_is_no_setpoint_and_the_valve_holds(self, bench):
        bench.spoil("T_out")
        bench.take_over()
        written = bench.scan().outputs.values
        assert "T2g_SP" not in written
        assert "CV1_SV" not in written
        assert "HB_SCADA" in written

    def test_another_stations_sensor_stands_in(self, bench):
        bench.spoil("T_out")
        bench.see(outdoor={"st-02.T_out": sample(-7.0)})
        decision = bench.scan()
        assert (decision.outdoor.source, decision.outdoor.value_c) == ("st-02.T_out", -7.0)
        assert decision.computed["outdoor.substituted"] == 1.0
        assert decision.computed["outdoor.poor"] == 0.0

    def test_below_its_first_two_sources_a_station_is_poor_and_says_so_once(self, ours):
        ours.spoil("T_out")
        ours.scan_for(400.0)
        assert ours.last.outdoor.source == "last_good"
        assert ours.last.computed["outdoor.poor"] == 1.0
        assert "outdoor_poor" in ours.last.active_alarms
        assert "outdoor_substituted" not in ours.last.active_alarms

    def test_a_forecast_stands_in_where_it_is_named_and_is_a_fact_for_alarms(self, station):
        chain = ("T_out", "forecast", "last_good")
        bench = Bench(replace(station, outdoor=replace(station.outdoor, order=chain)))
        bench.see(forecast=forecast_of(bench.at.utc, -9.0))
        bench.take_over()
        assert bench.last.computed["T_out_forecast"] == pytest.approx(-9.0)
        assert bench.last.computed["forecast.lost"] == 0.0
        setpoints = []
        bench.spoil("T_out")
        for _ in range(120):
            bench.scan()
            setpoints.append(bench.last.circuits[0].chain.setpoint_c)
        assert (bench.last.outdoor.source, bench.last.outdoor.value_c) == ("forecast", -9.0)
        assert max(abs(b - a) for a, b in itertools.pairwise(setpoints)) < 1.0 / 12.0
        bench.see(forecast=None)
        assert math.isnan(bench.scan().computed["T_out_forecast"])
        assert bench.last.computed["forecast.lost"] == 1.0

    def test_a_forecast_that_nobody_named_changes_nothing(self, ours):
        ours.see(forecast=forecast_of(ours.at.utc, -25.0))
        ours.spoil("T_out")
        assert ours.scan_for(60.0).outdoor.source == "last_good"

    def test_the_climate_knows_the_clock_of_the_place(self, station):
        climate = Climate(monthly={1: -10.0}, swing_k=10.0)
        outdoor = replace(station.outdoor, order=("T_out", "climate"), climate=climate)
        bench = Bench(replace(station, outdoor=outdoor))
        bench.spoil("T_out")
        bench.at = Instant(0.0, datetime(2026, 1, 15, 6, 0, tzinfo=UTC))
        assert bench.scan().outdoor.value_c == pytest.approx(-5.0, abs=0.01)


def forecast_of(at, outdoor_c):
    """Return a forecast of one temperature for two days."""
    hours = tuple(3600.0 * hour for hour in range(48))
    expected = (Expected(outdoor_c),) * len(hours)
    return Forecast(at, at + timedelta(days=1), hours, expected)


class TestAlarms:
    def test_an_alarm_is_raised_from_computed_facts_too(self, ours):
        ours.see(devices={"plc": link_status("plc", unverified=(Tag("CV1_SV"),))})
        ours.scan_for(200.0)
        raised = [r.alarm for r in ours.records if isinstance(r, AlarmRecord)]
        assert "write_failed" in raised

    def test_a_person_acknowledges_it(self, ours):
        ours.scan_for(30.0, FLOOD=1.0)
        ours.scan(Acknowledge(station="st-01", who="ann", why="seen it", alarm="flood"))
        told = [r for r in ours.records if isinstance(r, AlarmRecord) and r.alarm == "flood"]
        assert [r.event for r in told] == [AlarmEvent.RAISED, AlarmEvent.ACKNOWLEDGED]

    def test_a_degraded_journal_is_a_fact(self, ours):
        ours.see(is_journal_degraded=True)
        assert ours.scan().computed["history.degraded"] == 1.0


class TestRecords:
    def test_a_decision_ends_with_its_scan(self, ours):
        decision = ours.scan()
        scan = decision.records[-1]
        assert isinstance(scan, ScanRecord)
        assert (scan.image.taken_at, scan.outputs) == (ours.at, decision.outputs)

    def test_a_calm_scan_leaves_nothing_but_its_samples(self, ours):
        ours.scan_for(60.0)
        assert len(ours.scan().records) == 1


class TestWhatNothingMayHoldBack:
    def test_in_ordinary_running_only_the_heartbeat_and_the_burner(self, ours):
        assert ours.scan().outputs.urgent == {"HB_SCADA", "B_enable"}

    def test_a_trip(self, ours):
        decision = ours.scan_for(60.0, T2g=95.0)
        assert decision.outputs.values["CV1_SV"] == 0.0
        assert "CV1_SV" in decision.outputs.urgent

    def test_what_the_plc_is_to_hand_over(self, bench):
        bench.values["FALLBACK"] = 1.0
        decision = bench.scan_for(80.0)
        assert bench.holds is Authority.TAKING_OVER
        assert decision.outputs.urgent == set(decision.outputs.values)


def test_a_program_that_nobody_confirmed_is_watched_and_not_written_to(ours):
    blocked = "PLC_FW is 8, and 7 is confirmed"
    ours.see(devices={"plc": replace(link_status("plc"), blocked=blocked)})
    decision = ours.scan()
    assert decision.outputs.values == {}
    assert ours.holds is Authority.WATCH
    assert decision.state.authority.why == f"writing is blocked: {blocked}"
    assert decision.computed["device.plc.blocked"] == 1.0


class TestThePlcsCounter:
    @pytest.mark.parametrize(
        "beats", [[65534.0, 65535.0, 0.0, 1.0], [100.0, 9000.0, 3.0, 40000.0], [7.0, 7.0, 7.0, 8.0]]
    )
    def test_any_change_within_three_scans_is_life(self, ours, beats):
        ours.beats = False
        for beat in beats:
            ours.scan(HB_PLC=beat)
        assert ours.holds is Authority.HEATD

    def test_the_third_scan_without_a_change_is_the_last(self, ours):
        ours.beats = False
        ours.scan(HB_PLC=7.0)
        assert [ours.scan().state.authority.may_write for _ in range(4)] == [
            True,
            True,
            False,
            False,
        ]

    def test_a_device_whose_values_are_all_stale_is_not_written_to(self, ours):
        ours.spoil(*ours.table, quality=Quality.STALE)
        assert ours.scan().outputs == Outputs()
        assert ours.holds is Authority.LOST


def test_a_value_that_the_device_itself_overrides_holds_the_loop(ours):
    """It is SUBSTITUTED, and the supply loop declares no chain that takes such a value."""
    ours.spoil("T2g", quality=Quality.SUBSTITUTED)
    ours.scan_for(30.0)
    assert ours.last.held["CV1_SV"].holder is Holder.HOLD


def test_an_outdoor_temperature_that_the_device_overrides_is_taken_and_told(ours):
    ours.spoil("T_out", quality=Quality.SUBSTITUTED)
    decision = ours.scan()
    assert (decision.outdoor.source, decision.outdoor.quality) == ("T_out", Quality.SUBSTITUTED)
    assert decision.computed["outdoor.substituted"] == 1.0


@pytest.mark.parametrize(
    ("alarm", "link"),
    [
        ("writes_worn_out", {"worn_out": (Tag("CV1_SV"),)}),
        ("writes_blocked", {"blocked": "PLC_FW is 8, and 7 is confirmed"}),
    ],
)
def test_what_holds_writes_back_is_one_alarm_that_clears(ours, alarm, link):
    healthy = ours.surroundings.devices
    ours.see(devices={"plc": replace(link_status("plc"), **link)})
    ours.scan_for(600.0)
    ours.see(devices=healthy)
    ours.scan_for(900.0)
    events = [r.event for r in ours.records if isinstance(r, AlarmRecord) and r.alarm == alarm]
    assert events == [AlarmEvent.RAISED, AlarmEvent.CLEARED]
