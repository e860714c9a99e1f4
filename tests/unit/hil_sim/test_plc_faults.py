"""What breaks in a station, and how it looks from the bus."""

import random

import pytest

from hil_sim.plant.station import StationParameters, StationPlant
from hil_sim.plant.weather import SteadyWeather
from hil_sim.plc import SimPlc

CURVE = ((-25.0, 80.5), (-15.0, 68.7), (-5.0, 56.2), (5.0, 42.9), (10.0, 35.5))


def a_plc(outdoor_c: float = -10.0) -> SimPlc:
    rng = random.Random(1)
    plant = StationPlant(StationParameters(), rng, weather=SteadyWeather(outdoor_c))
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


def test_a_warm_boiler_gives_heat_within_a_quarter_of_an_hour_after_the_network_is_lost() -> None:
    # given a lost network
    plc = a_plc(-25.0)
    remote = in_remote(plc)
    plc.inject("primary-lost")
    remote.hold(120.0)
    assert plc.registers["F1"] < 0.2 * 72.0
    # when the controller shuts the valve and enables the boiler
    plc.write("CV1_SV", 0.0)
    plc.write("B_Tset", 83.0)
    plc.write("B_enable", 1.0)
    remote.hold(600.0)
    # then heat flows soon, and the coldest flats stay above 19 °C
    assert plc.registers["B_power"] >= 500.0
    remote.hold(4 * 3600.0)
    assert plc.registers["B_power"] > 4500.0
    assert plc.plant.truth().room_p10_c > 19.0


def test_a_failed_ignition_ends_in_a_lockout_that_the_registers_show() -> None:
    plc = a_plc()
    remote = in_remote(plc)
    plc.inject("ignition-failure")
    plc.write("B_Tset", 75.0)
    plc.write("B_enable", 1.0)
    remote.hold(400.0)
    assert plc.registers["B_lock"] == plc.registers["B_fault"] == 1.0
    plc.inject("ignition-failure", active=False)
    plc.inject("boiler-lockout", active=False)
    remote.hold(200.0)
    assert plc.registers["B_firing"] == 1.0


def test_a_stuck_valve_ignores_its_command() -> None:
    plc = a_plc()
    remote = in_remote(plc)
    plc.inject("valve-stuck")
    position = plc.registers["CV1_U"]
    plc.write("CV1_SV", 20.0)
    remote.hold(200.0)
    assert plc.registers["CV1_U"] == pytest.approx(position, abs=0.3)


@pytest.mark.parametrize(
    ("fault", "options", "tag", "value"),
    [
        ("src-trip", {}, "SRC_trip", 1.0),
        ("boiler-lockout", {}, "B_lock", 1.0),
        ("gas-lost", {}, "B_gasP_ok", 0.0),
        ("pump-trip", {"tag": "BP2"}, "BP2_fault", 1.0),
        ("pump-trip", {"tag": ""}, "XP1_fault", 1.0),
        ("digital-input", {"tag": "SMOKE"}, "SMOKE", 1.0),
        ("sensor-open", {"tag": "T1g"}, "T1g", 850.0),
        ("sensor-open", {"tag": "P1g"}, "P1g", 32767.0),
        ("sensor-open", {"tag": "T_out", "reads": -50.0}, "T_out", -50.0),
    ],
)
def test_a_fault_shows_and_its_mending_too(
    fault: str, options: dict[str, float | str], tag: str, value: float
) -> None:
    plc = a_plc()
    before = plc.registers[tag]
    plc.inject(fault, **options)
    plc.scan(5.0)
    assert plc.registers[tag] == value
    plc.inject(fault, active=False, **options)
    plc.scan(5.0)
    assert plc.registers[tag] == pytest.approx(before, abs=0.5)


@pytest.mark.parametrize(
    ("fault", "options", "complaint"),
    [
        ("pump_trip", {}, "there are boiler-lockout, both-pumps-trip"),
        ("sensor-open", {"tag": "T9"}, "'T9' is not there"),
        ("sensor-open", {}, "'tag' is not there"),
        ("sensor-offset", {"tag": "T2g"}, "'by' is not there"),
        ("digital-input", {"tag": "T2g"}, "'T2g' is not there"),
    ],
)
def test_a_fault_that_cannot_be_is_refused_with_a_hint(
    fault: str, options: dict[str, float | str], complaint: str
) -> None:
    with pytest.raises(ValueError, match=complaint):
        a_plc().inject(fault, **options)
