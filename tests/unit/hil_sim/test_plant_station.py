"""The whole station against reference operation at eight outdoor temperatures, and in motion."""

import random
from dataclasses import replace

import pytest

from hil_sim.bench.stations import reference_plant
from hil_sim.plant.instruments import InstrumentParameters
from hil_sim.plant.primary import Primary, PrimaryParameters, plan_c
from hil_sim.plant.sensor import SensorFault
from hil_sim.plant.station import StationParameters, StationPlant, metered_m3h, water_kg_per_m3
from hil_sim.plant.weather import ScriptedWeather, SteadyWeather

QUIET = StationParameters(primary=PrimaryParameters(noise_k=0.0, pressure_noise_kpa=0.0))

# Computed independently: outdoor, supply, return, primary supply, primary return, kg/s, valve %.
REFERENCE = [
    (-19.6, 73.7, 49.4, 114.0, 54.0, 20.0, 95.0),
    (-16.8, 70.4, 47.9, 110.0, 52.0, 19.0, 93.0),
    (-10.0, 62.4, 44.2, 101.0, 47.0, 16.4, 87.0),
    (-5.0, 56.2, 41.3, 95.0, 43.0, 14.2, 82.0),
    (0.0, 49.8, 38.2, 88.0, 39.0, 11.8, 76.0),
    (5.0, 43.1, 34.7, 82.0, 35.0, 9.0, 68.0),
    (8.0, 38.9, 32.4, 78.0, 33.0, 7.1, 62.0),
]


def quiet_plant(outdoor_c: float) -> StationPlant:
    plant = StationPlant(QUIET, random.Random(1), weather=SteadyWeather(outdoor_c))
    plant.settle(supply_c=plant.balanced_supply_c(outdoor_c))
    return plant


@pytest.mark.parametrize("row", REFERENCE, ids=lambda row: f"{row[0]} °C")
def test_steady_operation_agrees_with_the_reference(row: tuple[float, ...]) -> None:
    outdoor_c, supply_c, return_c, t1g_c, t1h_c, primary_kg_s, valve_pct = row
    # given a station at rest with 21 °C in the rooms, when three hours pass
    plant = quiet_plant(outdoor_c)
    before = plant.truth()
    plant.step(3 * 3600.0)
    after = plant.truth()
    # then it is still at rest
    assert after.room_mean_c == pytest.approx(21.0, abs=0.01)
    assert after.supply_c == pytest.approx(before.supply_c, abs=0.05)
    # and stands where the reference says
    assert after.supply_c == pytest.approx(supply_c, abs=1.0)
    assert after.return_c == pytest.approx(return_c, abs=1.0)
    assert after.primary_supply_c == pytest.approx(t1g_c, abs=1.0)
    assert after.primary_return_c == pytest.approx(t1h_c, abs=1.0)
    assert after.primary_kg_s == pytest.approx(primary_kg_s, rel=0.02)
    assert after.valve_pct == pytest.approx(valve_pct, rel=0.02)


def test_in_the_worst_cold_the_valve_is_fully_open_and_the_rooms_cool() -> None:
    # given -28.4 °C, where the reference wants 102 % of valve
    plant = quiet_plant(-28.4)
    plant.step(24 * 3600.0)
    truth = plant.truth()
    # then the open valve gives nearly what is wanted, and the rooms lose a little
    assert truth.valve_pct == 100.0
    assert truth.primary_supply_c == pytest.approx(125.0)
    assert truth.supply_c == pytest.approx(83.6, abs=1.0)
    assert 19.5 < truth.room_mean_c < 20.9


@pytest.mark.parametrize(
    ("outdoor_c", "low_k", "high_k"), [(-16.8, 40.0, 50.0), (-5.0, 40.0, 50.0), (5.0, 28.0, 35.0)]
)
def test_a_valve_step_moves_the_supply_as_measured(
    outdoor_c: float, low_k: float, high_k: float
) -> None:
    # given a station at rest, when the valve opens by 5 %
    plant = quiet_plant(outdoor_c)
    start = plant.instruments["T2g"].value
    stem = plant.valve.stem_pct
    plant.valve.command_pct += 5.0
    rise = []
    for _ in range(150):
        plant.step(1.0)
        rise.append(plant.instruments["T2g"].value - start)
    # then the fast gain and the time constant are those of the field
    gain_k = rise[-1] / (plant.valve.stem_pct - stem) * 100.0
    at_63 = next(s for s, k in enumerate(rise) if k >= 0.632 * rise[-1])
    at_28 = next(s for s, k in enumerate(rise) if k >= 0.283 * rise[-1])
    assert low_k <= gain_k <= high_k
    assert 15.0 <= 1.5 * (at_63 - at_28) <= 28.0


def hours_until(plant: StationPlant, room_c: float) -> float:
    while plant.truth().room_mean_c > room_c:
        plant.step(300.0)
    return plant.elapsed_s / 3600.0


@pytest.mark.parametrize(
    ("outdoor_c", "room_c", "low_h", "high_h"), [(-25.0, 19.0, 1.6, 2.4), (-16.8, 18.0, 3.7, 5.0)]
)
def test_without_heat_the_rooms_cool_as_flats_do(
    outdoor_c: float, room_c: float, low_h: float, high_h: float
) -> None:
    plant = quiet_plant(outdoor_c)
    plant.primary.is_lost = True
    assert low_h <= hours_until(plant, room_c) <= high_h


def test_overnight_flats_lose_between_015_and_028_kelvin_an_hour() -> None:
    # given 20 K to the outdoor air and no heat from the evening on
    plant = quiet_plant(1.0)
    plant.primary.is_lost = True
    plant.step(2 * 3600.0)
    late_evening = plant.truth().room_mean_c
    plant.step(6 * 3600.0)
    # then the apparent rate of the night is the measured one
    assert 0.15 <= (late_evening - plant.truth().room_mean_c) / 6.0 <= 0.28


def test_what_the_network_gives_the_rooms_and_the_pipes_get() -> None:
    # given twelve hours at rest
    plant = quiet_plant(-10.0)
    plant.step(12 * 3600.0)
    # then the heat meter and the rooms differ by the 3 % lost on the way
    given_kw = plant.truth().heat_network_mwh / 12.0 * 1000.0
    assert given_kw == pytest.approx(1.03 * plant.truth().heat_to_rooms_kw, rel=2e-3)


def test_steps_of_any_length_are_the_same_seconds() -> None:
    coarse, fine = quiet_plant(-5.0), quiet_plant(-5.0)
    for plant, dt_s in ((coarse, 5.0), (fine, 0.1)):
        plant.valve.command_pct = 60.0
        for _ in range(round(600.0 / dt_s)):
            plant.step(dt_s)
    assert coarse.truth() == fine.truth()


def test_the_same_seed_gives_the_same_day_and_another_seed_another() -> None:
    days = []
    for seed in (4, 4, 5):
        plant = StationPlant(StationParameters(), random.Random(seed))
        plant.settle(supply_c=56.2)
        plant.step(6 * 3600.0)
        days.append(plant.truth())
    assert days[0] == days[1]
    assert days[0] != days[2]


@pytest.mark.parametrize(
    ("outdoor_c", "expected"), [(10.0, 75.0), (-16.8, 110.0), (20.0, 75.0), (-40.0, 125.0)]
)
def test_the_network_follows_its_plan_within_its_limits(outdoor_c: float, expected: float) -> None:
    assert plan_c(PrimaryParameters(), outdoor_c) == pytest.approx(expected, abs=0.01)


def test_the_networks_unrest_has_its_standard_deviation() -> None:
    primary = Primary(PrimaryParameters(), random.Random(2))
    primary.settle(-5.0)
    seen_c, seen_kpa = [], []
    for _ in range(200_000):
        primary.step(5.0, -5.0)
        seen_c.append(primary.supply_c)
        seen_kpa.append(primary.pressure_kpa)
    mean_c = sum(seen_c) / len(seen_c)
    spread_c = (sum((c - mean_c) ** 2 for c in seen_c) / len(seen_c)) ** 0.5
    assert mean_c == pytest.approx(94.6, abs=0.5)
    assert spread_c == pytest.approx(1.5, abs=0.4)
    assert sum(seen_kpa) / len(seen_kpa) == pytest.approx(150.0, abs=2.0)


def test_a_lost_network_gives_no_flow_and_its_branch_cools() -> None:
    plant = quiet_plant(-10.0)
    plant.primary.is_lost = True
    plant.step(300.0)
    assert plant.truth().primary_kg_s < 0.2
    plant.step(3 * 3600.0)
    assert plant.truth().primary_supply_c < plant.truth().return_c + 3.0


def test_a_tripped_heat_plant_cools_while_its_pumps_run_on() -> None:
    plant = quiet_plant(-10.0)
    plant.primary.is_tripped = True
    plant.step(3600.0)
    assert plant.primary.pressure_kpa == pytest.approx(150.0, abs=1.0)
    assert plant.truth().primary_supply_c < 70.0


@pytest.mark.parametrize(
    ("fault", "amount", "expected"),
    [
        (SensorFault.OPEN, 0.0, 850.0),
        (SensorFault.OPEN, -50.0, -50.0),
        (SensorFault.OFFSET, 5.0, 61.2),
        (SensorFault.DRIFT, 24.0, 57.2),
        (SensorFault.STUCK, 0.0, 56.2),
    ],
)
def test_a_faulty_sensor_shows_what_such_a_sensor_shows(
    fault: SensorFault, amount: float, expected: float
) -> None:
    # given a sensor that fails, when an hour passes
    plant = quiet_plant(-5.0)
    plant.instruments.fail("T2g", fault, amount)
    plant.step(3600.0)
    # then it shows its fault, and mended the truth
    assert plant.instruments["T2g"].read() == pytest.approx(expected, abs=0.3)
    plant.instruments.fail("T2g", SensorFault.NONE)
    assert plant.instruments["T2g"].read() == pytest.approx(56.2, abs=0.3)


def test_the_sun_on_the_outdoor_sensor_warms_it_by_six_kelvin() -> None:
    plant = quiet_plant(-10.0)
    plant.is_sun_on_sensor = True
    plant.step(3600.0)
    assert plant.instruments["T_out"].value == pytest.approx(-4.0, abs=0.1)


@pytest.mark.parametrize(
    ("water_c", "table"), [(20, 998.2), (50, 988.0), (80, 971.8), (95, 961.9), (120, 943.1)]
)
def test_density_agrees_with_the_water_tables(water_c: float, table: float) -> None:
    assert water_kg_per_m3(water_c) == pytest.approx(table, rel=0.0016)


def test_the_meter_shows_72_cubic_metres_at_design() -> None:
    assert metered_m3h(19.0, 110.0) == pytest.approx(72.0, abs=0.2)


def test_a_plant_in_coarse_steps_is_the_same_plant() -> None:
    # given the fine plant and the one of a season's run, and a valve that moves
    fine, coarse = (
        StationPlant(QUIET, random.Random(1), weather=SteadyWeather(-5.0), fast_s=fast_s)
        for fast_s in (1.0, 10.0)
    )
    for plant in (fine, coarse):
        plant.settle(supply_c=56.0)
        plant.valve.command_pct -= 10.0
        plant.step(600.0)
        plant.valve.command_pct += 15.0
        plant.step(1200.0)
    # then supply, sensor, heat and rooms agree
    assert coarse.supply_c == pytest.approx(fine.supply_c, abs=0.1)
    assert coarse.instruments["T2g"].value == pytest.approx(fine.instruments["T2g"].value, abs=0.1)
    assert coarse.heat_network_kj == pytest.approx(fine.heat_network_kj, rel=5e-3)
    assert coarse.truth().room_mean_c == pytest.approx(fine.truth().room_mean_c, abs=5e-3)


def test_a_sensor_in_the_sun_reads_as_much_more_as_the_sun_shines() -> None:
    instruments = InstrumentParameters(in_sun_k=4.0, temperature_noise_k=0.0)
    plant = StationPlant(
        StationParameters(instruments=instruments),
        random.Random(1),
        weather=ScriptedWeather([(0.0, -5.0)], clear_sun_w_per_m2=650.0, start_hour=12.5),
    )
    plant.settle(supply_c=56.0)
    plant.step(3600.0)
    assert plant.instruments["T_out"].read() == pytest.approx(-1.0, abs=0.3)


def primary_return_c(outdoor_c: float, flow_share: float) -> float:
    """Return T1h of the benchmark's plant at rest at 20.3 °C, with less circulation."""
    p = reference_plant()
    plant = StationPlant(
        replace(p, dp_kpa=p.circuit.network_kpa * flow_share**2),
        random.Random(1),
        weather=SteadyWeather(outdoor_c),
    )
    plant.circuit.settle_pumps(plant.parameters.dp_kpa, p.static_mpa)
    plant.settle(supply_c=plant.balanced_supply_c(outdoor_c, 20.3), room_c=20.3)
    return plant.truth().primary_return_c


def test_less_circulation_cools_the_primary_return_in_mild_weather_and_hardly_in_the_cold() -> None:
    shares = (1.0, 0.85, 0.75, 0.65, 0.55)
    cold, mild = ([primary_return_c(c, share) for share in shares] for c in (-25.0, 3.0))
    # A colder return comes in, but less flow also makes the exchanger's film thicker.
    assert cold[0] - 0.5 < min(cold) < cold[0] - 0.2
    assert cold[-1] > cold[0]
    assert mild[-1] < mild[0] - 1.0
