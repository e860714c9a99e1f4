"""Rooms and radiators against closed forms and against what flats were measured to do."""

import math
import random

import pytest

from hil_sim.plant.building import BuildingParameters, Rooms, TwoNodes, groups
from hil_sim.plant.flats import Flats, FlatsParameters, percentile
from hil_sim.plant.network import EmitterParameters, Emitters, Pipe, radiator_kw

STOCK = BuildingParameters()


def some_groups() -> Rooms:
    made = groups(
        STOCK, design_outdoor_c=-16.8, design_room_c=21.0, water_excess_k=38.2, exponent=1.3
    )
    return Rooms(STOCK, made)


def test_the_building_has_the_two_modes_of_its_closed_form() -> None:
    # given the matrix written out by hand
    g = 15.0
    h_vent = 1.29 * 0.35
    h_mass = 1.0 / (1.0 / (1.29 * 0.65) - 1.0 / 15.0)
    a11, a22 = -(g + h_vent) / 60e3, -(g + h_mass) / 300e3
    product = g * g / (60e3 * 300e3)
    root = math.sqrt((a11 - a22) ** 2 / 4.0 + product)
    # then the eigenvalues are its own
    fast, slow = TwoNodes(STOCK).modes_per_s()
    assert fast == pytest.approx((a11 + a22) / 2.0 - root, rel=1e-6)
    assert slow == pytest.approx((a11 + a22) / 2.0 + root, rel=1e-6)
    assert -1.0 / slow / 3600.0 == pytest.approx(77.0, abs=3.0)


def test_a_step_is_exact_whatever_its_length() -> None:
    # given a step of the outdoor temperature and of the heat
    nodes = TwoNodes(STOCK)
    inputs = {"air_w": 40.0, "mass_w": 5.0, "outdoor_c": -20.0}
    # when it is stepped in one go, in minutes, and by a fine Euler scheme
    once = nodes.step(6 * 3600.0, 21.0, 19.5, **inputs)
    air, mass = 21.0, 19.5
    for _ in range(360):
        air, mass = nodes.step(60.0, air, mass, **inputs)
    # then all agree
    assert (air, mass) == pytest.approx(once, abs=1e-6)
    euler_air, euler_mass = 21.0, 19.5
    for _ in range(216_000):
        d_air = (40.0 + 15.0 * (euler_mass - euler_air) + nodes.h_vent * (-20.0 - euler_air)) / 60e3
        d_mass = (5.0 + 15.0 * (euler_air - euler_mass) + nodes.h_mass * (-20.0 - euler_mass)) / 3e5
        euler_air, euler_mass = euler_air + 0.1 * d_air, euler_mass + 0.1 * d_mass
    assert once == pytest.approx((euler_air, euler_mass), abs=1e-4)


def test_after_very_long_the_steady_state_is_reached() -> None:
    nodes = TwoNodes(STOCK)
    inputs = {"air_w": 48.76, "mass_w": 0.0, "outdoor_c": -16.8}
    steady = nodes.steady(**inputs)
    assert steady[0] == pytest.approx(21.0, abs=0.01)
    assert nodes.step(1e8, 5.0, 5.0, **inputs) == pytest.approx(steady, abs=1e-6)


def test_the_mean_of_the_groups_is_the_mean_room_and_edges_are_cold() -> None:
    rooms = some_groups()
    offsets = [group.design_offset_k for group in rooms.groups]
    assert sum(g.share * g.design_offset_k for g in rooms.groups) == pytest.approx(0.0)
    assert offsets[0] == -2.0
    assert offsets[2] == 1.5


def test_open_windows_keep_a_flat_from_overheating() -> None:
    # given far too much heat for the weather, for four days
    rooms = some_groups()
    rooms.settle([21.0, 21.0, 21.0], outdoor_c=5.0)
    shut = Rooms(BuildingParameters(window_extra_loss=0.0), rooms.groups)
    shut.settle([21.0, 21.0, 21.0], outdoor_c=5.0)
    for _ in range(4 * 1440):
        for house in (rooms, shut):
            house.step(60.0, [30.0] * 3, outdoor_c=5.0, sun_w_per_m2=0.0, hour=12.0)
    # then flats with windows that open are much cooler
    assert rooms.mean_c < shut.mean_c - 2.0
    assert rooms.mean_c > 24.0


def test_people_and_sun_warm_the_rooms() -> None:
    quiet, evening, sunny = some_groups(), some_groups(), some_groups()
    for rooms, hour, sun in ((quiet, 12.0, 0.0), (evening, 20.0, 0.0), (sunny, 12.0, 600.0)):
        rooms.settle([21.0] * 3, outdoor_c=0.0)
        for _ in range(120):
            rooms.step(60.0, [23.3] * 3, outdoor_c=0.0, sun_w_per_m2=sun, hour=hour)
    assert evening.mean_c > quiet.mean_c + 0.03
    assert sunny.mean_c > quiet.mean_c + 0.03


def test_wind_cools_the_rooms_by_its_share_of_the_air_exchange() -> None:
    # given rooms of 21 °C at -10 °C, and a wind that doubles the air exchange
    calm, windy = some_groups(), some_groups()
    for rooms, draught in ((calm, 0.0), (windy, 1.0)):
        rooms.settle([21.0] * 3, outdoor_c=-10.0)
        rooms.step(60.0, [30.0] * 3, outdoor_c=-10.0, sun_w_per_m2=0.0, hour=12.0, draught=draught)
    # then a minute costs 0.35 · 1.29 W/m²K · 31 K of 60 kJ/m²K
    expected_k = 0.35 * 1.29 * 31.0 * 60.0 / 60e3
    assert calm.mean_c - windy.mean_c == pytest.approx(expected_k, rel=0.03)


@pytest.mark.parametrize("excess_k", [10.0, 20.75, 41.5, 60.0])
def test_radiators_follow_en_442(excess_k: float) -> None:
    expected = 5000.0 * (excess_k / 41.5) ** 1.3
    assert radiator_kw(EmitterParameters(), excess_k) == pytest.approx(expected)


def test_each_radiator_segment_follows_the_same_exponent() -> None:
    # given water so fast that all segments are at the inlet's temperature
    emitters = Emitters(EmitterParameters(), water_m3=100.0, shares=[1.0])
    emitters.settle(inlet_c=41.0, flow_kw_per_k=1e9, air_c=[21.0])
    at_20 = emitters.heat_kw[0]
    emitters.settle(inlet_c=61.0, flow_kw_per_k=1e9, air_c=[21.0])
    assert emitters.heat_kw[0] / at_20 == pytest.approx(2.0**1.3)


def test_radiators_emit_their_nominal_heat_at_nominal_temperatures() -> None:
    emitters = Emitters(EmitterParameters(loss_share=0.0), water_m3=100.0, shares=[1.0])
    return_c = emitters.settle(inlet_c=75.0, flow_kw_per_k=200.0, air_c=[21.0])
    assert emitters.heat_kw[0] == pytest.approx(5000.0, rel=1e-6)
    assert return_c == pytest.approx(50.0, abs=1e-5)


def test_stepping_the_radiators_leads_to_where_settling_puts_them() -> None:
    stepped = Emitters(EmitterParameters(), water_m3=100.0, shares=[1.0])
    settled = Emitters(EmitterParameters(), water_m3=100.0, shares=[1.0])
    settled.settle(inlet_c=60.0, flow_kw_per_k=200.0, air_c=[21.0])
    for _ in range(10_000):
        stepped.step(5.0, inlet_c=60.0, flow_kw_per_k=200.0, air_c=[21.0])
    assert stepped.water_c == pytest.approx(settled.water_c, abs=1e-6)


def test_a_front_leaves_the_pipe_after_exactly_its_delay() -> None:
    # given a pipe that takes 180 s at the nominal flow, and a front that enters
    pipe = Pipe(8.75, cells=36, start_c=40.0)
    step_m3 = 175.0 * 5.0 / 3600.0
    outlets = [pipe.push(step_m3, 60.0) for _ in range(40)]
    # then the old water comes for 180 s, and the new water at once after
    assert outlets[:36] == pytest.approx([40.0] * 36)
    assert outlets[36:] == pytest.approx([60.0] * 4)


@pytest.mark.parametrize("flow_m3h", [37.0, 175.0, 193.7, 2000.0])
def test_a_pipe_neither_makes_nor_loses_heat(flow_m3h: float) -> None:
    pipe = Pipe(8.75, cells=36, start_c=40.0)
    step_m3 = flow_m3h * 5.0 / 3600.0
    entered = left = 0.0
    for i in range(500):
        inlet_c = 40.0 + (i % 17)
        entered += step_m3 * inlet_c
        left += step_m3 * pipe.push(step_m3, inlet_c)
    assert entered - left == pytest.approx(8.75 * (pipe.mean_c - 40.0), abs=1e-6)


def test_standing_water_in_a_pipe_stays_where_it_is() -> None:
    pipe = Pipe(8.75, cells=36, start_c=40.0)
    pipe.push(1.0, 60.0)
    mean_c = pipe.mean_c
    assert pipe.push(0.0, 90.0) == 40.0
    assert pipe.mean_c == mean_c


@pytest.mark.parametrize(("share", "expected"), [(0.0, 1.0), (0.1, 1.9), (0.5, 5.5), (1.0, 10.0)])
def test_percentiles_lie_between_ranks(share: float, expected: float) -> None:
    assert percentile([float(i) for i in range(10, 0, -1)], share) == pytest.approx(expected)


def test_collectors_report_rounded_and_in_turn() -> None:
    flats = Flats(FlatsParameters(count=60, report_s=1800.0), [0.1, 0.6, 0.3], random.Random(3))
    flats.settle([19.0, 21.0, 22.0])
    before = list(flats.reported_c)
    # when five minutes pass in warmer rooms, then a sixth of the flats have reported
    for _ in range(5):
        flats.step(60.0, [23.0, 25.0, 26.0])
    changed = [i for i in range(60) if flats.reported_c[i] != before[i]]
    assert changed == list(range(10))
    assert all(abs(c * 10.0 - round(c * 10.0)) < 1e-6 for c in flats.reported_c)
