"""The plant's components against evidence that is not ours: textbooks, analytic tables, makers.

The rows are those of the validation table of the design; each says where its number comes from.
"""

import math
import random
from dataclasses import replace

import pytest

from hil_sim.plant.boiler import efficiency
from hil_sim.plant.building import BuildingParameters, TwoNodes
from hil_sim.plant.exchanger import ExchangerParameters, effectiveness, heat_per_kelvin
from hil_sim.plant.floor import FloorEmitters
from hil_sim.plant.hydraulics import PumpParameters
from hil_sim.plant.network import (
    WATER_KJ_PER_M3K,
    CircuitParameters,
    EmitterParameters,
    Pipe,
    PipeParameters,
    radiator_kw,
)
from hil_sim.plant.primary import PrimaryParameters
from hil_sim.plant.station import StationParameters, StationPlant
from hil_sim.plant.valve import relative_flow_coefficient
from hil_sim.plant.weather import SteadyWeather

SET_A = StationParameters(primary=PrimaryParameters(noise_k=0.0, pressure_noise_kpa=0.0))


# Exchanger: cases of the documentation of PyPI `ht`, and its version 1.2.0 for sets A and B.


def test_the_textbook_streams_leave_as_in_the_book_and_need_less_in_counterflow() -> None:
    # given hot 5.2 kg/s of 1860 J/kgK at 130 °C, cold 1.45 kg/s of 1900 J/kgK from 15 to 85 °C
    hot, cold = 5.2 * 1.860, 1.45 * 1.900
    share = 70.0 / 115.0
    hot_out_c = 130.0 - cold * 70.0 / hot
    assert hot_out_c == pytest.approx(110.061, abs=1e-3)
    # when the number of transfer units is sought that gives the cold stream its share
    low, high = 0.0, 10.0
    for _ in range(60):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if effectiveness(middle, cold / hot) < share else (low, middle)
    # then it is that of the mean temperature difference in counterflow
    warm_k, cold_k = 130.0 - 85.0, hot_out_c - 15.0
    mean_k = (cold_k - warm_k) / math.log(cold_k / warm_k)
    assert low == pytest.approx(70.0 / mean_k, abs=1e-9)
    # and a little less than the book's own 1.10408 (3041.75 W/K), which is for crossflow with the
    # hot stream mixed: eps = (1 - exp(-Cr (1 - exp(-NTU)))) / Cr
    crossed = -math.log(1.0 + math.log(1.0 - share * cold / hot) * hot / cold)
    assert crossed == pytest.approx(1.10408, abs=1e-5)
    assert crossed * cold * 1000.0 == pytest.approx(3041.75, abs=0.01)
    assert 0.9 * crossed < low < crossed


@pytest.mark.parametrize(
    ("ntu", "ratio", "expected", "digits"),
    [(5.0, 0.7, 0.920670, 1e-6), (3.568, 0.455, 0.9167, 1e-4), (2.992, 0.143, 0.9333, 1e-4)],
)
def test_effectiveness_in_counterflow(
    ntu: float, ratio: float, expected: float, digits: float
) -> None:
    assert effectiveness(ntu, ratio) == pytest.approx(expected, abs=digits)


@pytest.mark.parametrize(
    ("ua", "c1", "c2", "ntu", "ratio"),
    [(324.0, 90.9, 200.0, 3.568, 0.455), (214.0, 71.5, 500.0, 2.992, 0.143)],
)
def test_the_exchangers_of_both_sets(
    ua: float, c1: float, c2: float, ntu: float, ratio: float
) -> None:
    # 110/50 against 75/50 in set A, 110/40 against 45/35 in set B, 5 MW both
    exchanger = ExchangerParameters(ua_kw_per_k=ua, c1_kw_per_k=c1, c2_kw_per_k=c2)
    assert ua / c1 == pytest.approx(ntu, abs=4e-3)
    assert c1 / c2 == pytest.approx(ratio, abs=1e-3)
    assert heat_per_kelvin(exchanger, c1, c2) == pytest.approx(
        c1 * effectiveness(ntu, ratio), rel=1e-3
    )


# Pipe: the analytic table of pandapipes.


def test_a_cooling_pipe_reaches_its_analytic_outlet() -> None:
    # given 1000 m of 0.075 m with 5 W/m²K to 293 K, and 1 kg/s that enters at 330 K
    per_second_m3 = 4.182 / WATER_KJ_PER_M3K
    cooling = PipeParameters(loss_kw_per_k=5e-3 * math.pi * 0.075 * 1000.0, ground_c=293.0 - 273.15)
    volume_m3 = math.pi / 4.0 * 0.075**2 * 1000.0
    pipe = Pipe(volume_m3, cells=500, start_c=330.0 - 273.15, parameters=cooling)
    # when it has run for four times the pipe's own time
    for _ in range(4 * 4418):
        pipe.cool(1.0)
        out_c = pipe.push(per_second_m3, 330.0 - 273.15)
    # then what comes out is the table's
    assert out_c + 273.15 == pytest.approx(320.916, abs=0.02)


def test_a_pipe_stores_and_loses_exactly_what_it_does_not_give() -> None:
    lossy = PipeParameters(wall_share=0.28, mixed_share=0.16, loss_kw_per_k=0.5, ground_c=5.0)
    pipe = Pipe(8.0, cells=40, start_c=40.0, parameters=lossy)
    before_kj, given_kj, lost_kj = pipe.stored_kj, 0.0, 0.0
    for i in range(2000):
        stored_kj = pipe.stored_kj
        pipe.cool(5.0)
        lost_kj += stored_kj - pipe.stored_kj
        inlet_c = 40.0 + i % 17
        given_kj += 0.2 * WATER_KJ_PER_M3K * (inlet_c - pipe.push(0.2, inlet_c))
    assert lost_kj > 0.0
    assert pipe.stored_kj - before_kj == pytest.approx(given_kj - lost_kj, rel=1e-6)


# Radiators: EN 442.


@pytest.mark.parametrize("share", [0.1, 0.5, 1.0, 1.4])
def test_radiators_follow_en_442(share: float) -> None:
    emitter = EmitterParameters(nominal_kw=5000.0)
    assert radiator_kw(emitter, share * 41.5) == pytest.approx(5000.0 * share**1.3, rel=1e-12)


# Building: linear algebra.


@pytest.mark.parametrize(
    ("before", "after"),
    [((48.76, 0.0, -16.8), (48.76, 0.0, -6.8)), ((30.0, 5.0, 0.0), (45.0, 5.0, 0.0))],
    ids=["outdoor temperature", "heat"],
)
def test_a_step_of_the_building_is_its_closed_form(
    before: tuple[float, float, float], after: tuple[float, float, float]
) -> None:
    # given the building at rest, and its matrix written out by hand
    stock = BuildingParameters()
    inner, vent = 15.0, 1.29 * 0.35
    outer = 1.0 / (1.0 / (1.29 * 0.65) - 1.0 / inner)
    nodes = TwoNodes(stock)

    def rest(air_w: float, mass_w: float, outdoor_c: float) -> tuple[float, float]:
        det = (inner + vent) * (inner + outer) - inner * inner
        u, v = air_w + vent * outdoor_c, mass_w + outer * outdoor_c
        return (
            ((inner + outer) * u + inner * v) / det,
            (inner * u + (inner + vent) * v) / det,
        )

    air, mass = rest(*before)
    end_air, end_mass = rest(*after)
    # when the inputs step and ten hours pass in steps of a minute
    air_w, mass_w, outdoor_c = after
    stepped = (air, mass)
    for _ in range(600):
        stepped = nodes.step(60.0, *stepped, air_w=air_w, mass_w=mass_w, outdoor_c=outdoor_c)
    # then both nodes stand where the two exponentials put them
    a11, a12 = -(inner + vent) / 60e3, inner / 60e3
    a21, a22 = inner / 300e3, -(inner + outer) / 300e3
    root = math.sqrt((a11 - a22) ** 2 / 4.0 + a12 * a21)
    fast, slow = (a11 + a22) / 2.0 - root, (a11 + a22) / 2.0 + root
    # x - rest = p e^(fast t) (1, kf) + q e^(slow t) (1, ks), k = (eigenvalue - a11) / a12
    kf, ks = (fast - a11) / a12, (slow - a11) / a12
    dx, dy = air - end_air, mass - end_mass
    q = (dy - kf * dx) / (ks - kf)
    p = dx - q
    t = 36_000.0
    ef, es = p * math.exp(fast * t), q * math.exp(slow * t)
    assert stepped == pytest.approx((end_air + ef + es, end_mass + kf * ef + ks * es), abs=1e-6)
    assert nodes.steady(air_w=air_w, mass_w=mass_w, outdoor_c=outdoor_c) == pytest.approx(
        (end_air, end_mass), abs=1e-6
    )
    assert nodes.modes_per_s() == pytest.approx((fast, slow), rel=1e-6)


# Valve: closed form, R 50, leakage 1e-4.


@pytest.mark.parametrize("opening", [0.015, 0.05, 0.25, 0.5, 0.75, 1.0])
def test_the_valve_is_equal_percentage(opening: float) -> None:
    found = relative_flow_coefficient(opening, rangeability=50.0, leakage=1e-4)
    assert found == pytest.approx(50.0 ** (opening - 1.0), rel=1e-12)


def test_the_shut_valve_leaks_a_ten_thousandth() -> None:
    assert relative_flow_coefficient(0.0, rangeability=50.0, leakage=1e-4) == 1e-4


# Boiler: the maker's curve, on the higher heating value at full fire.

CURVE = [
    (21.0, 0.970),
    (32.0, 0.951),
    (43.0, 0.917),
    (49.0, 0.896),
    (54.5, 0.885),
    (60.0, 0.878),
    (71.0, 0.874),
]


@pytest.mark.parametrize(("inlet_c", "expected"), CURVE)
def test_the_boilers_efficiency_is_the_makers(inlet_c: float, expected: float) -> None:
    assert efficiency(inlet_c) == pytest.approx(expected, rel=1e-12)


def test_between_the_makers_points_the_efficiency_is_interpolated_and_at_small_fire_better() -> (
    None
):
    assert efficiency(26.5) == pytest.approx((0.970 + 0.951) / 2.0, rel=1e-12)
    assert efficiency(49.0, 0.05) == pytest.approx(0.920, rel=1e-12)


# Whole station: computed independently at eight outdoor temperatures, room 21 °C, sets A and B.
# Outdoor, heat MW, supply, return, primary supply, primary return, kg/s, valve %.

A_ROWS = [
    (-28.4, 6.18, 83.6, 53.6, 125.0, None, 22.7, None),
    (-19.6, 5.01, 73.7, 49.4, 114.0, 54.0, 20.0, 95.0),
    (-16.8, 4.63, 70.4, 47.9, 110.0, 52.0, 19.0, 93.0),
    (-10.0, 3.73, 62.4, 44.2, 101.0, 47.0, 16.4, 87.0),
    (-5.0, 3.07, 56.2, 41.3, 95.0, 43.0, 14.2, 82.0),
    (0.0, 2.40, 49.8, 38.2, 88.0, 39.0, 11.8, 76.0),
    (5.0, 1.74, 43.1, 34.7, 82.0, 35.0, 9.0, 68.0),
    (8.0, 1.34, 38.9, 32.4, 78.0, 33.0, 7.1, 62.0),
]


@pytest.mark.parametrize("row", A_ROWS, ids=lambda row: f"{row[0]} °C")
def test_set_a_stands_where_it_was_computed_to_stand(row: tuple[float, ...]) -> None:
    outdoor_c, heat_mw, supply_c, return_c, t1g_c, t1h_c, flow_kg_s, valve_pct = row
    plant = StationPlant(SET_A, random.Random(1), weather=SteadyWeather(outdoor_c))
    plant.settle(supply_c=plant.balanced_supply_c(outdoor_c))
    truth = plant.truth()
    assert truth.supply_c == pytest.approx(supply_c, abs=1.0)
    assert truth.return_c == pytest.approx(return_c, abs=1.0)
    assert truth.primary_supply_c == pytest.approx(t1g_c, abs=1.0)
    if valve_pct is None:
        # The table wants 102 % of valve here, so the fully open one is a little short of its flow.
        assert truth.valve_pct == 100.0
        assert truth.primary_kg_s == pytest.approx(flow_kg_s, rel=0.05)
        return
    assert truth.primary_kg_s == pytest.approx(flow_kg_s, rel=0.02)
    # The table's heat is what the exchanger gives: 3 % of it are lost on the way.
    given_kw = plant.circuit.flow_kw_per_k * (truth.supply_c - truth.return_c)
    assert given_kw == pytest.approx(1000.0 * heat_mw, rel=0.02)
    assert truth.primary_return_c == pytest.approx(t1h_c, abs=1.0)
    assert truth.valve_pct == pytest.approx(valve_pct, rel=0.02)


# Set B: heated floors 45/35, sized for a room of 20 °C, and a primary of 110/40.
# Outdoor, supply, return, kg/s, valve %.

SET_B = StationParameters(
    exchanger=ExchangerParameters(ua_kw_per_k=214.0, c1_kw_per_k=71.5, c2_kw_per_k=500.0),
    primary=PrimaryParameters(noise_k=0.0, pressure_noise_kpa=0.0, nominal_kg_s=71.5 / 4.19),
    circuit=CircuitParameters(water_m3=190.0, pipe_m3=22.0, nominal_m3h=438.0),
    pump=PumpParameters(curve_kpa_per_m3h2=1.156e-3 * (175.0 / 438.0) ** 2),
    emitter=EmitterParameters(
        nominal_supply_c=45.0,
        nominal_return_c=35.0,
        nominal_room_c=20.0,
        exponent=1.1,
        metal_kj_per_k=0.0,
        slab_kj_per_m2k=150.0,
    ),
)

B_ROWS = [
    (-28.4, 50.8, 38.8, 18.4, 98.0),
    (-19.6, 45.5, 35.8, 16.4, 91.0),
    (-16.8, 43.8, 34.8, 15.7, 89.0),
    (-10.0, 39.7, 32.4, 13.7, 83.0),
    (-5.0, 36.6, 30.6, 12.0, 78.0),
    (0.0, 33.4, 28.8, 10.0, 73.0),
    (5.0, 30.2, 26.8, 7.8, 65.0),
    (8.0, 28.2, 25.6, 6.3, 59.0),
]


@pytest.mark.parametrize("row", B_ROWS, ids=lambda row: f"{row[0]} °C")
def test_set_b_stands_where_it_was_computed_to_stand(row: tuple[float, ...]) -> None:
    outdoor_c, supply_c, return_c, flow_kg_s, valve_pct = row
    plant = StationPlant(SET_B, random.Random(1), weather=SteadyWeather(outdoor_c))
    plant.settle(supply_c=plant.balanced_supply_c(outdoor_c))
    truth = plant.truth()
    assert truth.supply_c == pytest.approx(supply_c, abs=1.0)
    assert truth.return_c == pytest.approx(return_c, abs=1.0)
    assert truth.primary_kg_s == pytest.approx(flow_kg_s, rel=0.02)
    assert truth.valve_pct == pytest.approx(valve_pct, rel=0.02)


# Heated floor: EN 1264-2 and its own balance.


def test_a_heated_floor_emits_its_nominal_heat_by_the_law_of_its_surface() -> None:
    # given 5 MW from 100 000 m² at 45/35, and no loss on the way
    emitter = replace(SET_B.emitter, loss_share=0.0)
    floors = FloorEmitters(emitter, water_m3=146.0, shares=[1.0], area_m2=100_000.0)
    return_c = floors.settle(inlet_c=45.0, flow_kw_per_k=500.0, air_c=[20.0])
    # then the water comes back as designed, and 50 W/m² are 8.92 (T - Troom)^1.1
    assert return_c == pytest.approx(35.0, abs=1e-3)
    assert floors.heat_kw[0] == pytest.approx(5000.0, rel=1e-4)
    assert 8.92 * (floors.slab_c[0] - 20.0) ** 1.1 == pytest.approx(50.0, rel=1e-4)


def test_a_slab_follows_its_water_within_two_to_four_hours() -> None:
    # given floors at rest whose water becomes 5 K warmer
    floors = FloorEmitters(SET_B.emitter, water_m3=146.0, shares=[1.0], area_m2=100_000.0)
    floors.settle(inlet_c=35.0, flow_kw_per_k=500.0, air_c=[20.0])
    start_kw = floors.heat_kw[0]
    floors.settle(inlet_c=40.0, flow_kw_per_k=500.0, air_c=[20.0])
    end_kw = floors.heat_kw[0]
    floors.settle(inlet_c=35.0, flow_kw_per_k=500.0, air_c=[20.0])
    # when 63 % of the additional heat has come
    seconds = 0.0
    while floors.heat_kw[0] < start_kw + 0.632 * (end_kw - start_kw):
        floors.step(5.0, inlet_c=40.0, flow_kw_per_k=500.0, air_c=[20.0])
        seconds += 5.0
    assert 2.0 <= seconds / 3600.0 <= 4.0


def test_heated_floors_neither_make_nor_lose_heat() -> None:
    emitter = replace(SET_B.emitter, loss_share=0.0)
    floors = FloorEmitters(emitter, water_m3=146.0, shares=[0.3, 0.7], area_m2=100_000.0)
    floors.settle(inlet_c=35.0, flow_kw_per_k=500.0, air_c=[19.0, 21.0])
    before_kj, given_kj = floors.stored_kj, 0.0
    for i in range(2000):
        inlet_c = 35.0 + i % 7
        out_c = floors.step(5.0, inlet_c=inlet_c, flow_kw_per_k=500.0, air_c=[19.0, 21.0])
        given_kj += 5.0 * (500.0 * (inlet_c - out_c) - sum(floors.heat_kw))
    assert floors.stored_kj - before_kj == pytest.approx(given_kj, rel=1e-6)
