"""A play: the same seed gives the same run, every scan leaves a row, and what breaks is judged."""

from dataclasses import fields, replace
from datetime import date
from functools import cache

import pytest

from alarms.condition import Text
from core.point import Quality
from hil_sim.play import Result, Row, play
from hil_sim.scenario import Bound, Fault, Scenario, WeatherPoint
from hil_sim.trace import write_csv

MINUTE_S = 60.0


def drill(*faults: Fault, minutes: float = 4.0, **expect: Bound) -> Scenario:
    return Scenario(
        scenario="drill",
        about=Text(zh="演习", en="a drill"),
        station="st-01",
        start=date(2026, 1, 12),
        duration_s=minutes * MINUTE_S,
        settle_s=2 * MINUTE_S,
        weather=(WeatherPoint(at_s=0.0, outdoor_c=-10.0),),
        faults=faults,
        expect=expect,
    )


@cache
def calm(seed: int = 1) -> tuple[Result, tuple[Row, ...]]:
    rows: list[Row] = []
    return play(drill(), seed=seed, rows=rows), tuple(rows)


def test_every_scan_leaves_a_row():
    result, rows = calm()
    assert len(rows) == 48
    assert (result.virtual_s, result.seed, result.verdict) == (240.0, 1, "pass")
    assert {row.quality for row in rows} == {Quality.GOOD}
    assert rows[-1].authority == "heatd"
    assert rows[-1].measured_c == pytest.approx(rows[-1].supply_c, abs=1.0)
    assert rows[-1].registers["CV1_SV"] == pytest.approx(rows[-1].command_pct, abs=0.01)


def test_the_plc_is_taken_over_after_a_minute_of_good_data():
    _, rows = calm()
    first = next(row for row in rows if row.authority == "taking over")
    assert 60.0 <= first.at_s <= 70.0
    assert abs(first.registers["CV1_SV"] - first.registers["CV1_U"]) <= 0.1


def test_the_same_seed_is_the_same_run_and_another_is_not():
    again = play(drill(), seed=1)
    assert (again.digest, again.figures) == (calm()[0].digest, calm()[0].figures)
    assert play(drill(), seed=2).digest != again.digest


def test_an_expectation_that_is_missed_fails_the_run():
    result = play(drill(room_min_c=Bound(at_least=25.0)), seed=1)
    assert (result.verdict, result.broken_invariants) == ("fail", [])


def test_a_fault_begins_and_ends_when_the_scenario_says_so():
    rows: list[Row] = []
    broken = Fault(at_s=60.0, do="sensor-open", tag="T2g", for_s=60.0)
    play(drill(broken), seed=1, rows=rows)
    bad = [row.at_s for row in rows if row.quality == Quality.BAD]
    assert (bad[0] - 60.0, 120.0 - bad[-1]) == (pytest.approx(5, abs=5), pytest.approx(5, abs=5))


def test_a_cut_link_is_healed_at_its_end():
    rows: list[Row] = []
    play(drill(Fault(at_s=60.0, do="plc-cut", for_s=60.0)), seed=1, rows=rows)
    assert Quality.STALE in {row.quality for row in rows if 75.0 < row.at_s < 120.0}
    assert {row.quality for row in rows if row.at_s > 130.0} == {Quality.GOOD}


def test_another_configuration_is_another_run():
    def sluggish(station):
        main = station.circuits["main"]
        pid = replace(main.pid, gain_pct_per_k=1.01 * main.pid.gain_pct_per_k)
        return replace(station, circuits={"main": replace(main, pid=pid)})

    # The loop has to move for its gain to show.
    pushed = drill(Fault(at_s=90.0, do="primary-lost"))
    assert play(pushed, seed=1, change=sluggish).digest != play(pushed, seed=1).digest


def test_progress_runs_to_its_end():
    told: list[float] = []
    play(drill(minutes=40.0), seed=1, progress=told.append)
    assert told == sorted(told)
    assert told[-1] == pytest.approx(1.0, abs=1e-3)


def test_a_trace_is_a_table_of_the_rows(tmp_path):
    path = tmp_path / "trace.csv"
    write_csv(path, calm()[1])
    heading, *lines = path.read_text(encoding="utf-8").splitlines()
    plain = {field.name for field in fields(Row)} - {"registers"}
    assert set(heading.split(",")) == plain
    assert [float(line.split(",")[0]) for line in lines] == [row.at_s for row in calm()[1]]
