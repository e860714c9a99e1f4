"""The benchmark: weeks and plants from files, equal comfort, the bound, and a short run whole."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from config.problem import ConfigErrors
from hil_sim.bench.clairvoyant import clairvoyant
from hil_sim.bench.comfort import degree_hours_below_floor, shift_to_comfort
from hil_sim.bench.control import BoundBeaten, Settings, bench_control
from hil_sim.bench.controllers import ANCHOR, SHIPPED, bench_stations, station_for
from hil_sim.bench.lane import Lane, exact_curve, run_lane
from hil_sim.bench.primary_step import least_peaks, primary_step
from hil_sim.bench.rig import Collectors
from hil_sim.bench.season import play_season
from hil_sim.bench.stations import read_plants, reference_plant
from hil_sim.bench.tally import Outcome, Trace
from hil_sim.bench.weeks import BadWeatherFile, Week, usual_weeks, week_of_file
from hil_sim.cli import app
from hil_sim.plant.weather import SteadyWeather
from tests.shared_data import shared_data

SHEET = """
old-house:
  area_m2: 50000
  emitter: radiator
  building: {H_w_m2k: 1.4, C_total_kj_m2k: 400, C_air_kj_m2k: 60}
  exchanger: {UA_kw_k: 170, C1_kw_k: 48, C2_kw_k: 103}
  valve: {kvs: 63, stroke_s: 60, backlash_pct: 1.5}
  network_dp_kpa: 160
  loop_water_m3: 55
new-house:
  area_m2: 90000
  emitter: floor
  building: {H_w_m2k: 0.95, C_total_kj_m2k: 420, C_air_kj_m2k: 60}
  exchanger: {UA_kw_k: 150, C1_kw_k: 42, C2_kw_k: 275}
  valve: {kvs: 80}
  network_dp_kpa: 180
  loop_water_m3: 140
"""


def a_day(outdoor_c: float = -5.0, *, hours: float = 12.0) -> Week:
    return Week(
        name="day", weather=SteadyWeather(outdoor_c), burn_in_s=6 * 3600.0, scored_s=hours * 3600.0
    )


def a_lane(controller: str, week: Week) -> Lane:
    return Lane(
        controller=controller,
        week=week,
        plant=reference_plant(),
        seed=1,
        scan_s=10.0,
        offset_k=0.0,
    )


def an_outcome(*rooms_c: float) -> Outcome:
    return Outcome(heat_mwh=1.0, figures={}, trace=Trace(room_mean_c=list(rooms_c)))


# Weeks


def test_the_same_seed_gives_the_same_weeks_and_each_week_its_own_wind() -> None:
    first, again, other = (usual_weeks(seed, is_short=True) for seed in (1, 1, 2))
    at = 30 * 3600.0
    assert [w.weather.at(at) for w in first] == [w.weather.at(at) for w in again]
    assert [w.weather.at(at) for w in first] != [w.weather.at(at) for w in other]
    assert len({w.weather.at(at).draught for w in first}) == len(first) == 4


def test_the_cold_snap_falls_from_ten_to_twenty_five_below_within_twelve_hours() -> None:
    snap = usual_weeks(1, is_short=False)[1]
    noons = [snap.weather.at((day * 24.0 + 9.0) * 3600.0).outdoor_c for day in range(9)]
    assert noons[0] == pytest.approx(-10.0, abs=0.1)
    assert noons[4:6] == pytest.approx([-25.0, -25.0], abs=0.1)


def test_the_network_is_twenty_kelvin_colder_for_six_hours_in_one_week() -> None:
    drops = {week.name: week.drops for week in usual_weeks(1, is_short=False)}
    assert [name for name, found in drops.items() if found] == ["source-drop"]
    week = usual_weeks(1, is_short=False)[3]
    (drop,) = week.drops
    assert week.drop_k(drop.at_s - 1.0) == 0.0
    assert week.drop_k(drop.at_s + 6 * 3600.0 - 1.0) == -20.0
    assert week.drop_k(drop.at_s + 6 * 3600.0) == 0.0


def test_a_weather_file_is_read_in_hours_or_in_dates(tmp_path: Path) -> None:
    dated, counted = tmp_path / "dated.csv", tmp_path / "counted.csv"
    dated.write_text(
        "time,outdoor,global\n2024-01-15T00:00,-12,0\n2024-01-16T00:00,-6,200\n"
        "2024-01-20T00:00,-6,0\n"
    )
    counted.write_text("h,outdoor,global\n0,-12,0\n24,-6,200\n120,-6,0\n")
    for path in (dated, counted):
        week = week_of_file(path, 1, is_short=False)
        assert week.name == path.stem
        assert week.whole_s == 120 * 3600.0
        assert week.burn_in_s == 24 * 3600.0
        sky = week.weather.at(12 * 3600.0)
        assert (sky.outdoor_c, sky.sun_w_per_m2) == (-9.0, 100.0)


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        ("0,-12,0\n30,cold,0\n", "w.csv:3"),
        ("0,-12,0\n30,-12\n", "w.csv:3"),
        ("0,-12,0\n30,nan,0\n", "w.csv:3"),
        ("5,-12,0\n4,-12,0\n", "not after"),
        ("0,-12,0\n3,-12,0\n", "at least 24"),
    ],
)
def test_a_weather_file_that_cannot_be_played_is_refused(
    tmp_path: Path, rows: str, told: str
) -> None:
    path = tmp_path / "w.csv"
    path.write_text("time,outdoor,global\n" + rows)
    with pytest.raises(BadWeatherFile, match=told):
        week_of_file(path, 1, is_short=False)


# Plants


def test_sheets_of_stations_become_plants_that_can_be_run(tmp_path: Path) -> None:
    path = tmp_path / "stations.yaml"
    path.write_text(SHEET)
    plants = read_plants(path)
    assert list(plants) == ["old-house", "new-house"]
    old, new = plants["old-house"], plants["new-house"]
    assert (old.valve.kvs_m3h, old.valve.stroke_s, old.valve.rangeability) == (63.0, 60.0, 50.0)
    assert old.building.mass_j_per_m2k == 340e3
    # radiators need far warmer water than floors
    assert 65.0 < exact_curve(old, 21.0)[-18.0] < 80.0
    assert 40.0 < exact_curve(new, 21.0)[-18.0] < 50.0


def test_the_stations_beside_the_repository_are_read_where_they_lie() -> None:
    plants = read_plants(shared_data("stations.yaml"))
    assert list(plants) == ["heavy-oversized", "light-panel", "floor-new"]
    assert plants["floor-new"].emitter.slab_kj_per_m2k == 150.0


def test_a_plant_of_our_own_form_is_read_and_the_rest_is_the_default(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("valve: {kvs: 63 m³/h}\nbuilding: {area: 50000 m²}\n")
    (plant,) = read_plants(path).values()
    assert plant.valve.kvs_m3h == 63.0
    assert plant.building.area_m2 == 50_000.0
    assert plant.valve.stroke_s == 90.0


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("kvs: 63", "kvz: 63", "kvz"),
        (
            "C_air_kj_m2k: 60}\n  exchanger: {UA_kw_k: 170",
            "C_air_kj_m2k: 900}\n  exchanger: {UA_kw_k: 170",
            "C_air",
        ),
        ("loop_water_m3: 55", "loop_water_m3: 5", "pipes alone"),
        ("emitter: radiator", "emitter: stove", "stove"),
    ],
)
def test_a_sheet_that_no_plant_can_be_made_of_is_refused_with_its_line(
    tmp_path: Path, old: str, new: str, told: str
) -> None:
    path = tmp_path / "stations.yaml"
    path.write_text(SHEET.replace(old, new))
    with pytest.raises(ConfigErrors, match=f"stations.yaml:.*{told}"):
        read_plants(path)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("valve: {kvs: 63 bar}", "mine.yaml:1:14"),
        ("circuit: {water: 10 m³}", "pipes alone"),
        ("building: {inner_resistance_m2k_per_w: 2}", "R_im"),
        ("emitter: {nominal_return: 80 °C}", "rise in this order"),
        ("design_outdoor: 19 °C", "no heat is needed"),
        ("valve:", "mine.yaml:1"),
    ],
)
def test_a_plant_that_cannot_be_made_is_refused(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(text + "\n")
    with pytest.raises(ConfigErrors, match=told):
        read_plants(path)


# Comfort and bound


def test_comfort_is_counted_in_degree_hours_of_the_mean_room_below_twenty() -> None:
    # given half an hour at 19.5 °C among warm hours
    outcome = an_outcome(*[20.4] * 50, *[19.5] * 6)
    assert degree_hours_below_floor(outcome) == pytest.approx(0.25)
    assert degree_hours_below_floor(outcome, 0.5) == 0.0


def test_equal_comfort_is_reached_by_moving_the_rooms_until_the_limit() -> None:
    outcome = an_outcome(*[21.0] * 1200)
    shift_k = shift_to_comfort({"week": outcome}, 0.5)
    # 100 hours may lie 0.005 K under 20 °C
    assert shift_k == pytest.approx(-1.005, abs=1e-3)


def test_the_bound_of_a_steady_day_is_what_the_plant_needs_at_twenty_degrees() -> None:
    week, plant = a_day(hours=48.0), reference_plant()
    bound = clairvoyant(plant, week, start_c=20.0, step_s=900.0)
    assert min(bound.room_mean_c) == pytest.approx(20.0, abs=1e-6)
    # 1.087 W/m²K · 25 K · 100 000 m², less gains of 3.8 W/m² and 2 more in 5 evening hours, and 3 %
    by_hand_mwh = 1.03 * (108.7 * 25.0 - 380.0 - 200.0 * 5.0 / 24.0) * 48.0 / 1000.0
    assert bound.heat_mwh == pytest.approx(by_hand_mwh, rel=0.01)


def test_a_controller_better_than_the_bound_means_that_the_bound_is_wrong(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # given a bound that asks for rooms of 23 °C
    def too_warm(*args: object, **kwargs: object) -> object:
        return clairvoyant(*args, **{**kwargs, "floor_c": 23.0})  # type: ignore[arg-type] # passed through

    monkeypatch.setattr("hil_sim.bench.control.clairvoyant", too_warm)
    settings = Settings(
        plant=reference_plant(),
        weeks=(a_day(hours=3.0),),
        seed=1,
        scan_s=10.0,
        controllers=(ANCHOR,),
    )
    with pytest.raises(BoundBeaten, match="the bound is wrong"):
        bench_control(settings, lambda _: None)


# Lanes


def test_the_shipped_controller_takes_over_and_holds_the_supply() -> None:
    outcome = run_lane(a_lane(SHIPPED, a_day()))
    assert outcome.figures["supply_rmse_k"] < 0.6
    assert 19.5 < outcome.figures["room_mean_c"] < 21.5
    assert outcome.figures["valve_strokes_per_day"] > 0.0


def test_the_time_with_the_valve_wide_open_is_told() -> None:
    plant = reference_plant()
    small = replace(plant, valve=replace(plant.valve, kvs_m3h=0.3 * plant.valve.kvs_m3h))
    assert run_lane(a_lane(ANCHOR, a_day())).figures["saturated_pct"] == 0.0
    starved = run_lane(replace(a_lane(ANCHOR, a_day()), plant=small)).figures
    assert starved["saturated_pct"] > 90.0


@pytest.mark.parametrize(
    ("name", "on_radiators_h", "on_a_floor_h"),
    [(SHIPPED, 6.0, 12.0), ("shipped-default", 6.0, 6.0)],
)
def test_only_the_tight_tuning_has_one_of_its_own_for_floors(
    name: str, on_radiators_h: float, on_a_floor_h: float
) -> None:
    plant = reference_plant()
    floor = replace(plant, emitter=replace(plant.emitter, slab_kj_per_m2k=150.0))
    made = [station_for(name, one, {-20.0: 45.0, 10.0: 25.0}, 21.0) for one in (plant, floor)]
    hours = [station.rooms.trim.reset_time_s / 3600.0 for station in made]
    assert hours == [on_radiators_h, on_a_floor_h]
    assert [station.circuits["main"].emitter for station in made] == ["radiator", "floor"]
    assert {station.rooms.target_c for station in made} == {21.0}


def test_only_a_station_that_is_too_small_preheats_and_has_a_forecast() -> None:
    plant = reference_plant()
    small = replace(plant, valve=replace(plant.valve, kvs_m3h=0.5 * plant.valve.kvs_m3h))
    curve = {-20.0: 80.0, 10.0: 40.0}
    found = [
        station_for(SHIPPED, one, curve, 21.0).circuits["main"].preheat for one in (plant, small)
    ]
    assert found[0] is None
    assert found[1] is not None
    assert -26.0 <= found[1].below_c <= 0.0


def test_a_neutral_zone_saves_the_motor_and_costs_accuracy() -> None:
    plain, zoned = (run_lane(a_lane(name, a_day())).figures for name in (ANCHOR, "anchor-nz3"))
    assert zoned["valve_starts_per_day"] < 0.25 * plain["valve_starts_per_day"]
    assert zoned["supply_rmse_k"] > 2.0 * plain["supply_rmse_k"]


def test_the_same_lane_gives_the_same_outcome_and_another_seed_another() -> None:
    lane = a_lane(ANCHOR, a_day(hours=6.0))
    first, again, other = (run_lane(lane_) for lane_ in (lane, lane, replace(lane, seed=2)))
    assert first == again
    assert first != other


def test_late_rooms_reach_the_controller_late_and_say_so() -> None:
    lane = replace(a_lane(SHIPPED, a_day()), collectors=Collectors(late_s=5400.0, noise_k=0.2))
    assert run_lane(lane).figures["room_mean_c"] > 19.0


def test_a_primary_step_costs_some_kelvin_for_some_minutes() -> None:
    step = primary_step(ANCHOR, reference_plant(), seed=1, scan_s=10.0)
    assert 3.0 < step.drop_peak_k < 6.0
    assert 1.0 < step.drop_beyond_1k_min < 10.0


def test_no_controller_takes_the_primary_step_better_than_a_valve_thrown_open() -> None:
    plant = reference_plant()
    drop_k, back_k = least_peaks(plant, seed=1, scan_s=10.0)
    for name in (ANCHOR, SHIPPED):
        step = primary_step(name, plant, seed=1, scan_s=10.0)
        # Noise of the sensors, which the controllers follow, and a valve that never rests.
        assert drop_k - 0.3 < step.drop_peak_k
        assert back_k - 0.3 < step.return_peak_k
    slow = replace(plant, valve=replace(plant.valve, stroke_s=4.0 * plant.valve.stroke_s))
    assert least_peaks(slow, seed=1, scan_s=10.0)[0] > drop_k + 0.5


def test_the_benchmarks_stations_are_the_shipped_template() -> None:
    stations = bench_stations()
    assert set(stations) == {"shipped", "shipped-default", "shipped-floor"}
    assert all(station.template == "one-circuit-v1" for station in stations.values())


# Command


def test_the_command_answers_with_the_result_object_and_draws_its_weeks(tmp_path: Path) -> None:
    weather = tmp_path / "frost.csv"
    weather.write_text("time,outdoor,global\n0,-8,0\n12,-12,300\n24,-8,0\n")
    options = ["--weather", str(weather), "--plots", str(tmp_path / "plots")]
    late = ["--rooms-late", "90min", "--rooms-noise", "0.2"]
    ran = CliRunner().invoke(app, ["bench", "control", "--short", "-o", "json", *options, *late])
    assert ran.exit_code == 0, ran.output
    result = json.loads(ran.stdout)
    assert set(result["weeks"]) == {"frost"}
    named = {
        *("heat_above_clairvoyant_pct", "degree_hours_below_19", "degree_hours_above_22"),
        *("valve_starts_per_day", "valve_strokes_per_day", "supply_rmse_k", "supply_p95_k"),
        "saturated_pct",
        *("primary_return_c", "room_min_c", "room_mean_c", "room_max_c"),
    }
    assert named <= set(result["weeks"]["frost"]["shipped"])
    assert named <= set(result["mean"])
    assert result["weeks"]["frost"]["clairvoyant"]["heat_above_clairvoyant_pct"] == 0.0
    picture = tmp_path / "plots" / "reference-frost.png"
    assert picture.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--plant", "SHEETS", "--station", "nowhere"], "old-house, new-house"),
        (["--plant", "missing.yaml"], "missing.yaml"),
        (["--weather", "missing.csv"], "missing.csv"),
        (["--rooms-late", "soon"], "soon"),
    ],
)
def test_wrong_use_is_answered_with_what_would_be_right(
    tmp_path: Path, options: list[str], told: str
) -> None:
    sheets = tmp_path / "stations.yaml"
    sheets.write_text(SHEET)
    options = [str(sheets) if option == "SHEETS" else option for option in options]
    ran = CliRunner().invoke(app, ["bench", "control", *options])
    assert ran.exit_code == 2
    assert told in ran.stderr


def test_half_a_day_of_the_season_has_one_digest_whatever_the_hash_seed() -> None:
    digests = set()
    for hash_seed in ("1", "2"):
        ran = subprocess.run(
            [
                *(sys.executable, "-c", "from hil_sim.cli import main; main()"),
                *("bench", "season", "--days", "0.5", "-o", "json"),
            ],
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            capture_output=True,
            check=True,
        )
        result = json.loads(ran.stdout)
        digests.add(result["digest"])
    assert len(digests) == 1
    assert result["scans"] == 4320
    assert 20.0 < result["figures"]["room_mean_c"] < 22.5


def test_another_seed_is_another_season() -> None:
    plant = reference_plant()
    first, other = (play_season(plant, seed=seed, days=0.1).digest for seed in (1, 2))
    assert first != other
