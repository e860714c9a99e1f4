"""Every scenario, played in virtual time with the real daemon, its drivers and its PLC.

A case that fails prints the command that repeats it. Long scenarios are played in a shorter form
from `drills/` where that loses nothing; the cold snap and the lost source are played in full.
"""

import json
import os
import subprocess
import sys
from dataclasses import dataclass, replace
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import pytest

from core.point import Quality
from hil_sim.plant.lines import interpolate
from hil_sim.play import Result, Row, play
from hil_sim.scenario import load_scenario, names
from tests.playing import ROOT, played_rows

DRILLS = Path(__file__).parent / "drills"
SHORT = {name: f"{name}-short" for name in ("steady", "sun-on-sensor", "sensor-open", "pump-trip")}
SHELF: list[pytest.TempPathFactory] = []
HOUR_S = 3600.0
SCAN_S = 5.0
RATE_PCT_PER_S = 1.2
LATENCY_S = 2.0


@dataclass(frozen=True)
class Played:
    """A scenario that was played: its result, a row for each scan, and how to see it again."""

    result: Result
    rows: tuple[Row, ...]
    again: str

    def between(self, begin_s: float, end_s: float) -> list[Row]:
        return [row for row in self.rows if begin_s <= row.at_s < end_s]

    def first(self, begin_s: float, **values: object) -> Row:
        """Return the first row from `begin_s` on that has these values."""
        for row in self.rows:
            if row.at_s >= begin_s and all(getattr(row, n) == v for n, v in values.items()):
                return row
        raise AssertionError(f"no scan with {values}; {self.again}")


def asked(name: str) -> str:
    """Return a scenario as the command line takes it: its name, or the file of a drill."""
    drill = DRILLS / f"{name}.yaml"
    return str(drill.relative_to(ROOT)) if drill.exists() else name


@pytest.fixture(scope="session", autouse=True)
def shelf(tmp_path_factory):
    """Put the plays where all workers of the test run find them."""
    SHELF.append(tmp_path_factory)


@cache
def played(name: str, seed: int = 1) -> Played:
    """Play a scenario; the first test that asks, in any worker, waits for it."""
    where = asked(name)
    result, rows = played_rows(SHELF[-1], where, seed)
    return Played(result, tuple(rows), f"again: ./run heatd-sim run {where} --seed {seed}")


def valve_steps(rows: list[Row]) -> list[float]:
    """Return by how much the valve's setpoint in the PLC moved, from scan to scan, in %."""
    written = [row.registers["CV1_SV"] for row in rows]
    return [abs(two - one) for one, two in pairwise(written)]


@pytest.mark.parametrize("name", [SHORT.get(name, name) for name in names()])
def test_a_scenario_keeps_all_laws_and_does_what_it_expects(name):
    run = played(name)
    assert run.result.broken_invariants == [], run.again
    assert run.result.verdict == "pass", f"{run.result.figures}\n{run.again}"


def test_each_scenario_is_played_as_it_is_or_in_a_shorter_form_of_it():
    for name, short in SHORT.items():
        long, brief = load_scenario(name), load_scenario(str(DRILLS / f"{short}.yaml"))
        assert [fault.do for fault in brief.faults] == [fault.do for fault in long.faults]
        assert brief.expect == long.expect


class TestColdSnap:
    def test_the_supply_follows_the_curve_while_the_valve_has_room(self):
        run = played("cold-snap")
        assert run.result.figures["within_1k_pct"] >= 95.0, run.again
        # At -25 °C curve and rooms together ask for all that the valve has, and for no more.
        full_open = [row for row in run.rows if row.valve_pct >= 98.0]
        assert all(row.outdoor_c < -24.0 for row in full_open), run.again
        assert run.result.figures["saturated_pct"] <= 10.0, run.again

    def test_the_flats_stay_warm(self):
        run = played("cold-snap")
        assert run.result.figures["room_min_c"] >= 19.0, run.again
        assert run.result.figures["degree_hours_below_19"] == 0.0, run.again

    def test_it_really_gets_cold_and_nobody_is_called(self):
        run = played("cold-snap")
        assert min(row.outdoor_c for row in run.rows) == pytest.approx(-25.0), run.again
        assert run.result.figures["alarms_raised"] == 0, run.again

    def test_the_setpoint_keeps_its_ramp(self):
        run = played("cold-snap")
        setpoints = [row.setpoint_c for row in run.rows]
        steps = [abs(two - one) for one, two in pairwise(setpoints)]
        assert max(steps) <= 10.0 * (SCAN_S + 1.0) / HOUR_S, run.again


class TestPrimaryLost:
    LOST_S = 3 * HOUR_S
    BACK_S = 6 * HOUR_S

    @pytest.mark.parametrize(
        ("name", "seed"), [("primary-lost", 1), *(("primary-lost-brief", n) for n in (2, 3, 4, 5))]
    )
    def test_it_is_decided_in_two_minutes_and_heat_flows_in_fifteen(self, name, seed):
        run = played(name, seed)
        assert run.result.figures["failover_decision_s"] <= 120.0, run.again
        assert run.result.figures["failover_heat_s"] <= 900.0, run.again
        assert run.result.broken_invariants == [], run.again

    def test_one_cause_is_one_alarm(self):
        run = played("primary-lost")
        assert run.result.figures["alarms_raised"] == 1, run.again
        assert {alarm for row in run.rows for alarm in row.alarms} == {"source_lost"}, run.again

    def test_the_boiler_carries_the_station_alone(self):
        run = played("primary-lost")
        carried = run.between(self.LOST_S + 1.5 * HOUR_S, self.BACK_S)
        assert {row.source for row in carried} == {"BACKUP"}, run.again
        assert max(abs(row.supply_c - row.setpoint_c) for row in carried) <= 1.0, run.again
        # A dead network is not heated: its valve is shut but for probing.
        assert max(row.valve_pct for row in carried) <= 10.0, run.again

    def test_the_way_back_is_bumpless(self):
        """The valve takes over at its own rate, and the flats feel nothing: measured 3.97 K."""
        run = played("primary-lost")
        begin = run.first(self.BACK_S, source="RETURN")
        end = run.first(begin.at_s, source="NORMAL")
        back = run.between(begin.at_s - SCAN_S, end.at_s + 0.5 * HOUR_S)
        off_k = max(abs(row.supply_c - row.setpoint_c) for row in back)
        assert off_k <= 4.0, f"{off_k:.2f} K; {run.again}"
        assert max(valve_steps(back)) <= RATE_PCT_PER_S * SCAN_S + 0.1, run.again
        assert end.registers["B_enable"] == 0.0, run.again

    def test_the_network_is_believed_after_half_an_hour(self):
        run = played("primary-lost")
        waited_s = run.first(self.BACK_S, source="RETURN").at_s - self.BACK_S
        assert 1800.0 <= waited_s <= 3000.0, run.again

    def test_the_rooms_notice_nothing(self):
        run = played("primary-lost")
        assert run.result.figures["room_min_c"] >= 19.0, run.again


class Cut(NamedTuple):
    begin_s: float
    end_s: float


CUTS = {
    "plc-cut": Cut(2 * HOUR_S, 2 * HOUR_S + 1200.0),
    "plc-cut-in-a-thaw": Cut(HOUR_S, 2 * HOUR_S),
}


@pytest.mark.parametrize("name", CUTS)
class TestPlcCut:
    def test_values_age_to_stale_and_then_to_bad(self, name):
        run, cut = played(name), CUTS[name]
        seen = [
            (row.at_s - cut.begin_s, row.quality) for row in run.between(cut.begin_s, cut.end_s)
        ]
        stale_s = next(at_s for at_s, quality in seen if quality == Quality.STALE)
        bad_s = next(at_s for at_s, quality in seen if quality == Quality.BAD)
        assert {quality for at_s, quality in seen if at_s < stale_s} == {Quality.GOOD}, run.again
        assert 3 * SCAN_S - SCAN_S <= stale_s <= 3 * SCAN_S + SCAN_S, run.again
        assert 60.0 - SCAN_S <= bad_s <= 60.0 + SCAN_S, run.again
        assert {quality for at_s, quality in seen if at_s > bad_s} == {Quality.BAD}, run.again

    def test_nothing_arrives_and_the_outputs_hold(self, name):
        run, cut = played(name), CUTS[name]
        gone = run.between(cut.begin_s + LATENCY_S, cut.end_s)
        for tag in ("CV1_SV", "XP_SV", "T2g_SP", "HB_SCADA"):
            assert len({row.registers[tag] for row in gone}) == 1, f"{tag}; {run.again}"
        lost = [row for row in gone if row.at_s > cut.begin_s + 4 * SCAN_S]
        assert {row.authority for row in lost} == {"lost"}, run.again

    def test_the_plcs_own_curve_carries_the_station(self, name):
        run, cut = played(name), CUTS[name]
        alone = run.first(cut.begin_s, authority="lost").at_s
        own = [row for row in run.between(alone, cut.end_s) if row.registers["FALLBACK"] == 1.0]
        assert own[0].at_s - cut.begin_s <= 60.0 + 2 * SCAN_S, run.again
        settled = own[int(300.0 / SCAN_S) :]
        off_k = max(abs(row.supply_c - curve_of_the_plc(row)) for row in settled)
        assert off_k <= 2.0, f"{off_k:.2f} K; {run.again}"

    def test_data_are_true_within_two_polls_of_the_links_return(self, name):
        run, cut = played(name), CUTS[name]
        true = run.first(cut.end_s, quality=int(Quality.GOOD))
        assert true.at_s - cut.end_s <= 2 * SCAN_S, run.again
        assert true.measured_c == pytest.approx(true.supply_c, abs=1.0), run.again

    def test_control_is_handed_back_after_a_minute_of_good_data(self, name):
        run, cut = played(name), CUTS[name]
        true = run.first(cut.end_s, quality=int(Quality.GOOD))
        taking = run.first(cut.end_s, authority="taking over")
        ours = run.first(cut.end_s, authority="heatd")
        assert 59.9 <= taking.at_s - true.at_s <= 60.0 + 2 * SCAN_S, run.again
        assert 0.0 < ours.at_s - taking.at_s <= 6 * SCAN_S, run.again
        assert ours.registers["FALLBACK"] == 0.0, run.again

    def test_the_valve_makes_no_step(self, name):
        run, cut = played(name), CUTS[name]
        ours = run.first(cut.end_s, authority="heatd")
        registers = run.first(cut.end_s, authority="taking over").registers
        assert abs(registers["CV1_SV"] - registers["CV1_U"]) <= 0.5, run.again
        assert abs(ours.registers["CV1_SV"] - ours.registers["CV1_U"]) <= 2.0, run.again
        around = run.between(ours.at_s - 6 * SCAN_S, ours.at_s + 60.0)
        moved = [abs(two.valve_pct - one.valve_pct) for one, two in pairwise(around)]
        assert max(moved) <= 2.0, run.again

    def test_one_cause_is_one_alarm(self, name):
        run = played(name)
        assert {alarm for row in run.rows for alarm in row.alarms} == {"comms_lost"}, run.again


def test_a_plc_that_is_off_when_the_daemon_starts_is_one_alarm_and_no_broken_sensor():
    run = played("plc-off-at-start")
    assert run.rows[0].quality == Quality.BAD
    assert run.result.figures["alarms_raised"] == 1, run.again
    assert run.result.broken_invariants == [], run.again
    assert run.result.verdict == "pass", run.again


def test_a_cut_in_a_thaw_leaves_heatds_last_setpoint_far_behind():
    """Else the hand-over of that drill would prove no more than the one in calm weather."""
    run = played("plc-cut-in-a-thaw")
    row = run.between(2 * HOUR_S - 2 * SCAN_S, 2 * HOUR_S)[0]
    assert abs(row.registers["CV1_SV"] - row.valve_pct) >= 10.0, run.again


def curve_of_the_plc(row: Row) -> float:
    """Return the supply that the PLC's own curve asks for, from its registers, in degC."""
    points = {row.registers[f"FB_x{n}"]: row.registers[f"FB_y{n}"] for n in range(1, 9)}
    return interpolate(sorted(points.items()), row.outdoor_c)


class TestSensorOpen:
    BROKEN_S = 40 * 60.0
    MENDED_S = 80 * 60.0

    def test_the_value_is_bad_at_once_and_the_valve_holds(self):
        run = played("sensor-open-short")
        blind = run.between(self.BROKEN_S + SCAN_S, self.MENDED_S)
        assert {row.quality for row in blind} == {Quality.BAD}, run.again
        assert max(valve_steps(blind)) == 0.0, run.again

    def test_the_sensor_is_named_once(self):
        run = played("sensor-open-short")
        assert {alarm for row in run.rows for alarm in row.alarms} == {"T2g_bad"}, run.again

    def test_it_goes_on_without_a_step_when_the_sensor_is_mended(self):
        run = played("sensor-open-short")
        mended = run.between(self.MENDED_S - 3 * SCAN_S, self.MENDED_S + 300.0)
        assert max(valve_steps(mended)) <= 2.0, run.again


def test_when_the_duty_pump_trips_the_standby_carries_on():
    run = played("pump-trip-short")
    after = run.between(HOUR_S + 60.0, 2 * HOUR_S)
    assert min(row.registers["XP2_Hz"] for row in after) >= 25.0, run.again
    assert max(row.registers["XP1_Hz"] for row in after) == 0.0, run.again
    assert {alarm for row in run.rows for alarm in row.alarms} == {"XP1_fault"}, run.again
    # Without flow the exchanger overheats for some seconds; five minutes later it is forgotten.
    assert max(abs(row.supply_c - row.setpoint_c) for row in after[48:]) <= 2.0, run.again


def test_six_kelvin_of_sun_are_damped_to_three_of_supply():
    run = played("sun-on-sensor-short")
    sunny = run.between(2 * HOUR_S, 8 * HOUR_S)
    shaded = [curve_of_the_plc(row) for row in sunny if row.at_s < 5 * HOUR_S]
    assert max(abs(row.supply_c - row.setpoint_c) for row in sunny) <= 1.5, run.again
    assert min(row.setpoint_c for row in sunny) >= min(shaded) - 3.0, run.again


class TestDigest:
    """The same run has the same digest, and nothing else has."""

    @staticmethod
    @cache
    def of(seed: int, hash_seed: int) -> str:
        """Return the digest of a process of its own."""
        command = ["run", asked("an-hour"), "--seed", str(seed), "-o", "json"]
        answer = subprocess.run(
            [sys.executable, "-c", "from hil_sim.cli import main; main()", *command],
            cwd=ROOT,
            env=os.environ | {"PYTHONHASHSEED": str(hash_seed), "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=False,
            timeout=120.0,
        )
        assert answer.returncode == 0, answer.stderr
        return str(json.loads(answer.stdout)["digest"])

    def test_it_does_not_depend_on_the_process(self):
        assert self.of(seed=1, hash_seed=1) == self.of(seed=1, hash_seed=2)

    def test_another_seed_is_another_run(self):
        assert self.of(seed=2, hash_seed=1) != self.of(seed=1, hash_seed=1)

    def test_a_gain_that_is_one_percent_higher_shows(self):
        assert self.with_gain(1.0) == self.of(seed=1, hash_seed=1)
        assert self.with_gain(1.01) != self.of(seed=1, hash_seed=1)

    @staticmethod
    def with_gain(factor: float) -> str:
        def change(station):
            main = station.circuits["main"]
            pid = replace(main.pid, gain_pct_per_k=factor * main.pid.gain_pct_per_k)
            return replace(station, circuits={"main": replace(main, pid=pid)})

        scenario = load_scenario(str(ROOT / asked("an-hour")))
        return play(scenario, seed=1, change=change).digest
