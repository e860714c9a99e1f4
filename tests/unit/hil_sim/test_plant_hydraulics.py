"""Pumps by the affinity laws, and the pressure that water, gas and leaks make."""

import pytest

from hil_sim.plant.hydraulics import (
    MakeUpParameters,
    PressureHolding,
    Pump,
    PumpParameters,
    circulation_m3h,
    pump_power_kw,
)

PUMP = PumpParameters()
RESISTANCE = 240.0 / 175.0**2


def test_the_design_point_is_45_hz_for_175_cubic_metres() -> None:
    assert circulation_m3h(PUMP, [45.0], RESISTANCE) == pytest.approx(175.0, rel=1e-3)


def test_flow_is_proportional_to_speed() -> None:
    full = circulation_m3h(PUMP, [50.0], RESISTANCE)
    assert circulation_m3h(PUMP, [25.0], RESISTANCE) == pytest.approx(full / 2.0)


def test_two_pumps_give_more_than_one_but_less_than_twice() -> None:
    one = circulation_m3h(PUMP, [45.0], RESISTANCE)
    two = circulation_m3h(PUMP, [45.0, 45.0], RESISTANCE)
    assert one < two < 2.0 * one


def test_a_slow_pump_beside_a_fast_one_gives_nothing() -> None:
    one = circulation_m3h(PUMP, [45.0], RESISTANCE)
    assert circulation_m3h(PUMP, [45.0, 10.0], RESISTANCE) == pytest.approx(one, rel=1e-6)


def test_the_design_point_takes_17_kilowatts() -> None:
    assert pump_power_kw(175.0, 235.0) == pytest.approx(17.2, abs=0.3)


def test_a_pump_ramps_up_and_coasts_down() -> None:
    # given a pump told to run at 50 Hz
    pump = Pump(PumpParameters(ramp_s=30.0, coast_s=8.0))
    pump.wanted_hz = 50.0
    pump.start()
    for _ in range(15):
        pump.step(1.0)
    assert pump.hz == pytest.approx(25.0)
    for _ in range(15):
        pump.step(1.0)
    assert pump.hz == pytest.approx(50.0)
    # when it trips
    pump.is_tripped = True
    for _ in range(8):
        pump.step(1.0)
    # then it stands within its coast-down, and draws nothing
    assert pump.hz == pytest.approx(0.0, abs=1e-9)
    assert pump.current_a == 0.0


def holding(**changes: float) -> PressureHolding:
    made = PressureHolding(MakeUpParameters(**{"seepage_m3h": 0.0, **changes}), water_m3=120.0)
    made.settle(0.40)
    return made


def run(plant: PressureHolding, seconds: float, **inputs: float) -> None:
    given = {"warming_k_per_s": 0.0, "makeup_hz": 0.0, "supply_mpa": 0.58, **inputs}
    for _ in range(int(seconds / 5.0)):
        plant.step(5.0, **given)


def test_a_tight_circuit_keeps_its_pressure() -> None:
    plant = holding()
    run(plant, 3600.0)
    assert plant.static_mpa == pytest.approx(0.40)


def test_one_kelvin_of_warming_gives_ten_kilopascals() -> None:
    plant = holding()
    run(plant, 600.0, warming_k_per_s=1.0 / 600.0)
    assert plant.static_mpa - 0.40 == pytest.approx(0.010, rel=0.1)


def test_a_leak_lowers_the_pressure_until_make_up_holds_it() -> None:
    # given a leak of 2 m³/h
    plant = holding()
    plant.leak_m3h_at_04 = 2.0
    run(plant, 120.0)
    fallen = plant.static_mpa
    assert fallen < 0.39
    # when a make-up pump runs, then the pressure rises again and the tank is used
    run(plant, 120.0, makeup_hz=48.0)
    assert plant.static_mpa > fallen
    assert plant.makeup_m3 > 0.1


def test_a_slow_make_up_pump_cannot_lift_its_check_valve() -> None:
    plant = holding()
    run(plant, 60.0, makeup_hz=25.0)
    assert plant.makeup_m3 == 0.0


def test_an_empty_tank_gives_no_make_up() -> None:
    plant = holding(city_m3h=0.0)
    plant.tank_m = 0.01
    run(plant, 600.0, makeup_hz=50.0)
    assert plant.tank_m == 0.0
    assert plant.makeup_m3 == pytest.approx(0.04, abs=0.02)


def test_the_safety_valve_relieves_a_supply_beyond_its_setting() -> None:
    plant = holding()
    run(plant, 60.0, supply_mpa=0.80)
    assert plant.static_mpa < 0.40
