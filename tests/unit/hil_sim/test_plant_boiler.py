"""The boiler's curve, its own burner control, and how long it takes to give heat."""

import pytest

from hil_sim.plant.boiler import Boiler, BoilerParameters, BurnerState, efficiency


def a_boiler(**changes: float) -> Boiler:
    boiler = Boiler(BoilerParameters(**changes))
    boiler.surroundings.flow_m3h = 175.0
    boiler.surroundings.pressure_mpa = 0.40
    return boiler


def run(boiler: Boiler, seconds: int, *, inlet_c: float = 47.7) -> list[BurnerState]:
    states = [boiler.state]
    for _ in range(seconds):
        boiler.step(1.0, inlet_c=inlet_c, flow_kw_per_k=200.0)
        if boiler.state is not states[-1]:
            states.append(boiler.state)
    return states


@pytest.mark.parametrize(
    ("inlet_c", "expected"),
    [
        (21.0, 0.970),
        (32.0, 0.951),
        (37.5, 0.934),
        (43.0, 0.917),
        (49.0, 0.896),
        (54.5, 0.885),
        (60.0, 0.878),
        (71.0, 0.874),
        (10.0, 0.970),
        (90.0, 0.874),
    ],
)
def test_efficiency_follows_the_makers_curve(inlet_c: float, expected: float) -> None:
    assert efficiency(inlet_c) == pytest.approx(expected)


def test_a_small_fire_is_more_efficient() -> None:
    assert efficiency(49.0, 0.05) == pytest.approx(0.920)


def test_the_burner_purges_and_ignites_before_it_gives_heat() -> None:
    boiler = a_boiler()
    boiler.is_enabled, boiler.setpoint_c = True, 70.0
    assert run(boiler, 600) == [
        BurnerState.OFF,
        BurnerState.CHECK,
        BurnerState.PREPURGE,
        BurnerState.IGNITE,
        BurnerState.WARMUP,
        BurnerState.MODULATE,
    ]


def test_a_warm_boiler_gives_a_tenth_of_its_capacity_within_five_minutes() -> None:
    # given a boiler kept at 50 °C, when it is enabled
    boiler = a_boiler()
    boiler.is_enabled, boiler.setpoint_c = True, 70.0
    run(boiler, 300)
    # then heat flows well within the quarter of an hour
    assert boiler.heat_kw >= 500.0


def test_a_cold_boiler_waits_until_it_is_as_warm_as_the_circuit() -> None:
    # given a boiler at 20 °C before a circuit of 47.7 °C
    boiler = a_boiler()
    boiler.water_c = 20.0
    boiler.is_kept_warm = False
    boiler.is_enabled, boiler.setpoint_c = True, 70.0
    # then its branch stays shut while it would only cool the circuit
    run(boiler, 300)
    assert boiler.state is BurnerState.WARMUP
    assert boiler.open_share == 0.0
    # and it carries in the end
    run(boiler, 1500)
    assert boiler.heat_kw > 3000.0


def test_at_rest_the_burner_gives_what_the_setpoint_needs() -> None:
    boiler = a_boiler()
    boiler.is_enabled, boiler.setpoint_c = True, 65.0
    run(boiler, 7200)
    assert boiler.water_c == pytest.approx(65.0, abs=0.2)
    assert boiler.heat_kw == pytest.approx(200.0 * (65.0 - 47.7), rel=0.02)
    assert boiler.gas_kwh > 0.0


def test_two_failed_ignitions_lock_the_burner_out_until_a_person_resets_it() -> None:
    # given a burner that cannot ignite
    boiler = a_boiler()
    boiler.ignition_fails = True
    boiler.is_enabled, boiler.setpoint_c = True, 70.0
    states = run(boiler, 1800)
    # then it tries twice and no more
    assert states.count(BurnerState.IGNITE) == 2
    assert boiler.state is BurnerState.LOCKOUT
    # and after a reset it starts again
    boiler.ignition_fails = False
    boiler.reset()
    run(boiler, 300)
    assert boiler.fire > 0.0


@pytest.mark.parametrize("missing", ["flow", "pressure", "gas"])
def test_the_burner_burns_only_with_flow_pressure_and_gas(missing: str) -> None:
    # given a burner that burns
    boiler = a_boiler()
    boiler.is_enabled, boiler.setpoint_c = True, 70.0
    run(boiler, 600)
    assert boiler.fire > 0.0
    # when one of its conditions goes
    if missing == "flow":
        boiler.surroundings.flow_m3h = 10.0
    elif missing == "pressure":
        boiler.surroundings.pressure_mpa = 0.1
    else:
        boiler.gas_kpa = 0.0
    run(boiler, 1)
    # then it stops at once and does not come back
    assert boiler.fire == 0.0
    run(boiler, 600)
    assert boiler.state is BurnerState.OFF


def test_a_flame_that_dies_with_the_power_needs_a_person() -> None:
    boiler = a_boiler()
    boiler.is_enabled, boiler.setpoint_c = True, 70.0
    run(boiler, 600)
    boiler.surroundings.is_powered = False
    run(boiler, 10)
    boiler.surroundings.is_powered = True
    run(boiler, 600)
    assert boiler.state is BurnerState.LOCKOUT


def test_a_boiler_at_rest_keeps_itself_warm() -> None:
    boiler = a_boiler()
    for _ in range(24 * 720):
        boiler.step(5.0, inlet_c=40.0, flow_kw_per_k=200.0)
    assert boiler.water_c >= 45.0
    assert not boiler.is_busy


def test_the_big_unit_ramps_as_slowly_as_it_is_told() -> None:
    boiler = a_boiler(ramp_pct_per_min=5.0)
    boiler.is_enabled, boiler.setpoint_c = True, 70.0
    run(boiler, 300)
    fire = boiler.fire
    run(boiler, 60)
    assert boiler.fire - fire == pytest.approx(0.05, abs=0.005)
