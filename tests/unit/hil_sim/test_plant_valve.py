"""The valve's body against its closed form, and its motor's habits."""

import pytest

from hil_sim.plant.valve import (
    Actuator,
    ValveParameters,
    relative_flow_coefficient,
    resistance_kpa_per_kg2s2,
)


def coefficient(opening: float) -> float:
    return relative_flow_coefficient(opening, rangeability=50.0, leakage=1e-4)


@pytest.mark.parametrize("opening", [0.02, 0.1, 0.3, 0.59, 0.82, 0.93, 1.0])
def test_the_body_is_equal_percentage(opening: float) -> None:
    assert coefficient(opening) == pytest.approx(50.0 ** (opening - 1.0), rel=1e-12)


def test_a_shut_valve_leaks_its_leakage() -> None:
    assert coefficient(0.0) == pytest.approx(1e-4)


def test_the_blend_is_smooth_and_rises() -> None:
    step = 1e-6
    openings = [i * 1e-4 for i in range(300)]
    values = [coefficient(opening) for opening in openings]
    assert values == sorted(values)
    for knot in (0.005, 0.015):
        below = (coefficient(knot) - coefficient(knot - step)) / step
        above = (coefficient(knot + step) - coefficient(knot)) / step
        assert below == pytest.approx(above, rel=5e-3)


def test_the_resistance_follows_the_definition_of_kv() -> None:
    # Kvs 100 fully open: 100 m³/h of water of 1000 kg/m³ at 1 bar.
    water = ValveParameters(density_kg_per_m3=1000.0)
    assert resistance_kpa_per_kg2s2(water, 1.0) * (100.0 / 3.6) ** 2 == pytest.approx(100.0)


def test_a_full_stroke_takes_the_stroke_time() -> None:
    # given a shut valve told to open
    actuator = Actuator(ValveParameters(stroke_s=90.0))
    actuator.command_pct = 100.0
    # when 89 and 90 seconds pass
    for _ in range(89):
        actuator.step(1.0)
    nearly = actuator.motor_pct
    actuator.step(1.0)
    # then it is open only after the last
    assert nearly < 99.0
    assert actuator.motor_pct == pytest.approx(100.0)
    assert actuator.stem_pct == pytest.approx(100.0)
    assert actuator.starts == 1
    assert actuator.travel_pct == pytest.approx(100.0)


def test_commands_within_the_dead_band_do_not_start_the_motor() -> None:
    actuator = Actuator(ValveParameters(), position_pct=50.0)
    actuator.command_pct = 50.5
    actuator.step(1.0)
    assert actuator.motor_pct == 50.0
    assert actuator.starts == 0


def test_a_reversal_moves_the_motor_through_the_backlash_first() -> None:
    # given a stem that was pushed open
    actuator = Actuator(ValveParameters(backlash_pct=1.0), position_pct=50.0)
    actuator.command_pct = 60.0
    for _ in range(20):
        actuator.step(1.0)
    assert actuator.stem_pct == pytest.approx(59.5)
    # when the motor turns back by less than the backlash
    actuator.command_pct = 59.2
    for _ in range(5):
        actuator.step(1.0)
    # then the stem has not moved, but the feedback has
    assert actuator.stem_pct == pytest.approx(59.5)
    assert actuator.motor_pct == pytest.approx(59.2)
    assert actuator.reversals == 1


def test_a_shut_command_shuts_whatever_the_backlash() -> None:
    actuator = Actuator(ValveParameters(), position_pct=30.0)
    actuator.command_pct = 0.0
    for _ in range(40):
        actuator.step(1.0)
    assert actuator.stem_pct == 0.0


def test_a_stuck_valve_stays() -> None:
    actuator = Actuator(ValveParameters(), position_pct=30.0)
    actuator.is_stuck = True
    actuator.command_pct = 80.0
    for _ in range(60):
        actuator.step(1.0)
    assert actuator.motor_pct == 30.0
