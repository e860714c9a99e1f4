"""The PLC's interlocks: pumps, valve, pressure and burner are kept safe whoever commands."""

import random

import pytest

from hil_sim.plant.primary import PrimaryParameters
from hil_sim.plant.station import StationParameters, StationPlant
from hil_sim.plant.valve import ValveParameters
from hil_sim.plant.weather import SteadyWeather
from hil_sim.plc import SimPlc

CURVE = ((-25.0, 80.5), (-15.0, 68.7), (-5.0, 56.2), (5.0, 42.9), (10.0, 35.5))


def a_plc(
    outdoor_c: float = -10.0,
    *,
    seed: int = 1,
    parameters: StationParameters | None = None,
) -> SimPlc:
    rng = random.Random(seed)
    plant = StationPlant(parameters or StationParameters(), rng, weather=SteadyWeather(outdoor_c))
    plc = SimPlc(plant, rng=rng, curve=CURVE, plc_id=17)
    plc.warm_start()
    return plc


class Remote:
    """A controller that holds the valve where it is and keeps the heartbeat alive."""

    def __init__(self, plc: SimPlc) -> None:
        self.plc = plc
        self.beats = 0

    def hold(self, seconds: float) -> None:
        for _ in range(round(seconds / 5.0)):
            self.beats += 1
            self.plc.write("HB_SCADA", float(self.beats))
            if self.plc.registers["FALLBACK"]:
                self.plc.write("CV1_SV", self.plc.registers["CV1_U"])
            self.plc.scan(5.0)


def in_remote(plc: SimPlc) -> Remote:
    remote = Remote(plc)
    remote.hold(60.0)
    assert plc.registers["FALLBACK"] == 0.0
    return remote


def test_a_tripped_duty_pump_is_replaced_within_five_seconds() -> None:
    # given a station in remote, when the duty pump trips
    plc = a_plc()
    remote = in_remote(plc)
    plc.inject("pump-trip", tag="XP1")
    plc.scan(5.0)
    # then the standby runs, and soon at the last speed
    assert plc.registers["XP1_fault"] == 1.0
    assert plc.registers["XP2_run"] == 1.0
    remote.hold(40.0)
    assert plc.registers["XP2_Hz"] == pytest.approx(45.0, abs=0.5)
    assert plc.registers["CV1_U"] > 60.0


def test_without_any_pump_the_valve_closes() -> None:
    plc = a_plc()
    plc.inject("both-pumps-trip")
    plc.scan(120.0)
    assert plc.registers["CV1_U"] == pytest.approx(0.0, abs=0.2)
    assert plc.plant.truth().supply_c < 90.0


def test_a_stopped_pump_closes_the_valve_and_keeps_it_below_five_percent() -> None:
    plc = a_plc()
    remote = in_remote(plc)
    plc.write("CV1_SV", 80.0)
    plc.write("XP1_stop", 1.0)
    remote.hold(200.0)
    assert plc.registers["CV1_U"] <= 5.0


def test_a_supply_too_hot_closes_the_valve() -> None:
    # given a controller that opens the valve fully in a network of 125 °C at low flow
    hot = StationParameters(primary=PrimaryParameters(supply_low_c=125.0, supply_high_c=125.0))
    plc = a_plc(-5.0, parameters=hot)
    remote = in_remote(plc)
    plc.write("XP_SV", 25.0)
    plc.write("CV1_SV", 100.0)
    remote.hold(600.0)
    # then the PLC closes it against the command
    assert plc.registers["CV1_U"] < 50.0


def test_a_lost_pressure_stops_the_pumps_until_it_has_recovered() -> None:
    # given a burst that make-up cannot follow
    plc = a_plc()
    plc.inject("leak", m3h=40.0)
    plc.scan(900.0)
    assert plc.registers["P2h"] < 0.30
    assert plc.registers["XP1_run"] == 0.0
    assert plc.registers["CV1_U"] == pytest.approx(0.0, abs=0.2)
    # when it is mended, then pumps wait for 0.35 MPa for a minute and run
    plc.inject("leak", active=False)
    while plc.registers["P2h"] < 0.34:
        plc.scan(10.0)
        assert plc.registers["XP1_run"] == 0.0
    plc.scan(900.0)
    assert plc.registers["XP1_run"] == 1.0


def test_an_empty_tank_stops_the_make_up() -> None:
    plc = a_plc()
    plc.plant.circuit.holding.tank_m = 0.25
    plc.inject("leak", m3h=30.0)
    plc.scan(60.0)
    assert plc.registers["LT301"] < 0.6
    assert plc.registers["BP1_run"] == plc.registers["BP2_run"] == 0.0


def test_the_relief_valve_opens_above_046_and_closes_below_043() -> None:
    # given a circuit pumped too full
    plc = a_plc()
    plc.plant.circuit.holding.settle(0.47)
    plc.scan(10.0)
    assert plc.registers["XSV_ON"] == 1.0
    plc.scan(600.0)
    assert plc.registers["XSV_ON"] == 0.0
    assert 0.40 < plc.registers["P2h"] < 0.435


def test_make_up_holds_the_pressure_in_a_leak_on_the_own_curve() -> None:
    plc = a_plc()
    plc.inject("leak", m3h=2.0)
    lowest = 1.0
    for _ in range(60):
        plc.scan(60.0)
        lowest = min(lowest, plc.registers["P2h"])
    assert lowest > 0.36
    assert plc.plant.truth().makeup_m3 > 1.5


def test_after_a_power_failure_the_station_restarts_slowly_on_its_own_curve() -> None:
    # given a station in remote that loses its power
    plc = a_plc()
    remote = in_remote(plc)
    plc.inject("power-loss")
    remote.hold(120.0)
    assert plc.registers["PWR_OK"] == 0.0
    assert plc.registers["XP1_Hz"] == 0.0
    assert plc.registers["CV1_U"] == pytest.approx(0.0, abs=0.2)
    # when the power returns, then pumps wait at least 30 s and start within two minutes
    plc.inject("power-loss", active=False)
    plc.scan(29.0)
    assert plc.registers["FALLBACK"] == 1.0
    assert plc.registers["XP1_run"] == 0.0
    plc.scan(95.0)
    assert plc.registers["XP1_run"] == 1.0
    # and the valve opens no faster than 5 % a minute
    before = plc.registers["CV1_U"]
    plc.scan(300.0)
    assert 15.0 < plc.registers["CV1_U"] - before < 26.0
    plc.scan(1800.0)
    assert plc.plant.truth().supply_c == pytest.approx(62.5, abs=1.5)


def test_stations_wait_differently_after_a_power_failure() -> None:
    def wait_s(seed: int) -> int:
        plc = a_plc(seed=seed)
        plc.inject("power-loss")
        plc.scan(60.0)
        plc.inject("power-loss", active=False)
        return next(s for s in range(130) if plc.scan(1.0) or plc.registers["XP1_run"])

    waits = [wait_s(seed) for seed in range(6)]
    assert all(30 <= wait <= 121 for wait in waits)
    assert len(set(waits)) > 3


def test_a_valve_without_a_spring_stays_when_the_power_goes() -> None:
    stays = StationParameters(valve=ValveParameters(closes_on_power_loss=False))
    plc = a_plc(parameters=stays)
    position = plc.registers["CV1_U"]
    plc.inject("power-loss")
    plc.scan(300.0)
    assert plc.registers["CV1_U"] == pytest.approx(position, abs=0.3)


def test_the_emergency_stop_stops_everything_until_it_is_released() -> None:
    plc = a_plc()
    remote = in_remote(plc)
    plc.write("B_enable", 1.0)
    plc.inject("estop")
    remote.hold(120.0)
    registers = plc.registers
    assert registers["ESTOP"] == 1.0
    assert registers["XP1_run"] == registers["BP1_run"] == registers["B_firing"] == 0.0
    assert registers["CV1_U"] == pytest.approx(0.0, abs=0.2)
    plc.inject("estop", active=False)
    plc.scan(300.0)
    assert registers["XP1_run"] == 1.0


def test_the_burner_stops_when_the_pumps_do() -> None:
    plc = a_plc(-20.0)
    remote = in_remote(plc)
    plc.write("B_Tset", 80.0)
    plc.write("B_enable", 1.0)
    remote.hold(300.0)
    assert plc.registers["B_firing"] == 1.0
    plc.inject("both-pumps-trip")
    remote.hold(30.0)
    assert plc.registers["B_flow_ok"] == 0.0
    assert plc.registers["B_firing"] == 0.0
