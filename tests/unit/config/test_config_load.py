import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from alarms.condition import BadQuality, Bit, Deviation, DeviceLost, Limit
from config.devices import ModbusDevice, OpcUaDevice
from config.load import load
from config.model import Station, circuit_tag
from config.problem import ConfigErrors
from config.season import MonthDay
from control_loops.heating_curve import CurvePoints
from control_loops.source import GasBoiler
from core.point import Point, Tag, Unit

ROOT = Path(__file__).parents[3]
EXAMPLES = ROOT / "config" / "examples"
TWO_ZONES = ROOT / "config" / "examples-two-zone"

Edit = Callable[[str, str, str], str]


@pytest.fixture(scope="module")
def stations() -> dict[str, Station]:
    return {station.station: station for station in load(EXAMPLES).stations}


@pytest.fixture(scope="module")
def two_zones() -> Station:
    return load(TWO_ZONES).stations[0]


@pytest.fixture
def edited(tmp_path: Path) -> Edit:
    """Edit a file of the two-zone example and return what is said about it then."""
    shutil.copytree(TWO_ZONES, tmp_path, dirs_exist_ok=True)

    def edit(file: str, old: str, new: str) -> str:
        path = tmp_path / file
        text = path.read_text("utf-8")
        assert text.count(old) == 1
        path.write_text(text.replace(old, new), "utf-8")
        try:
            load(tmp_path)
        except ConfigErrors as errors:
            return str(errors)
        return ""

    return edit


def test_the_examples_load() -> None:
    site = load(EXAMPLES)

    assert site.simulation
    assert site.history.sample_flush_s == 10.0
    assert [station.station for station in site.stations] == ["st-01", "st-02"]


def test_every_kind_of_line_loads_with_what_its_map_forbids() -> None:
    first, second = load(ROOT / "config" / "examples-lines").stations

    drivers = [d.driver for station in (first, second) for d in station.devices.values()]
    assert drivers == ["modbus_tls", "modbus_rtu_tcp", "modbus_tcp", "modbus_rtu"]
    plc = second.devices["plc"]
    assert isinstance(plc, ModbusDevice)
    assert [str(one) for one in plc.settings.forbidden] == [
        "holding 90..99",
        "coil 8..8",
        "holding 60..69",
    ]


@pytest.mark.parametrize("file", sorted(ROOT.glob("config/examples*/stations/*.yaml")))
def test_a_station_stays_under_sixty_lines(file: Path) -> None:
    assert len(file.read_text("utf-8").splitlines()) < 60


def test_a_station_is_what_it_says_over_its_template(stations: dict[str, Station]) -> None:
    station = stations["st-01"]
    main = station.circuits["main"]

    assert station.name.zh == "康城一号换热站"
    assert (station.season.start, station.season.end) == (MonthDay(10, 1), MonthDay(4, 15))
    assert station.authority.heartbeat.plc_timeout_s == 60.0
    assert main.area_m2 == 100000.0
    assert isinstance(main.curve, CurvePoints)
    assert main.curve.points[-28.4] == 83.6
    assert main.limits.T2g_c == (35.0, 83.0)
    assert main.pumps.duty == ("XP1", "XP2")
    assert main.makeup.P2h_mpa == 0.4
    boiler = station.sources["gas1"]
    assert isinstance(boiler, GasBoiler)
    assert boiler.capacity_kw == 5000.0


def test_the_device_has_its_settings_and_its_map(stations: dict[str, Station]) -> None:
    modbus, opcua = stations["st-01"].devices["plc"], stations["st-02"].devices["plc"]

    assert isinstance(modbus, ModbusDevice)
    assert (modbus.settings.port, modbus.settings.word_order, modbus.scan_s) == (15021, "ABCD", 5.0)
    gas = next(row for row in modbus.registers if row.point.tag == "GAS")
    assert (gas.area, gas.address, gas.bit, gas.kind) == ("holding", 63, 15, "bool")
    assert isinstance(opcua, OpcUaDevice)
    assert opcua.settings.namespace == "urn:heatd:station-plc"
    assert {row.node for row in opcua.registers} == {row.point.tag for row in modbus.registers}


def test_both_protocols_carry_the_same_points(stations: dict[str, Station]) -> None:
    assert stations["st-01"].points == stations["st-02"].points
    assert stations["st-01"].points[Tag("P2h")] == Point(
        tag=Tag("P2h"), unit=Unit.MEGAPASCAL, low=0.0, high=1.0
    )


def test_the_map_gives_the_byte_order_unless_the_device_does(edited: Edit, tmp_path: Path) -> None:
    def word_order() -> str:
        device = load(tmp_path).stations[0].devices["plc"]
        assert isinstance(device, ModbusDevice)
        return device.settings.word_order

    assert edited("heatd.yaml", "simulation: false", "simulation: true") == ""
    assert word_order() == "CDAB"
    assert (
        edited("stations/st-017.yaml", "    unit: 1\n", "    unit: 1\n    word_order: BADC\n") == ""
    )
    assert word_order() == "BADC"


def test_what_heatd_writes_follows_its_authority(edited: Edit, tmp_path: Path) -> None:
    def outputs() -> frozenset[Tag]:
        return load(tmp_path).stations[0].outputs

    by_valve = outputs()
    assert {"low.CV1_SV", "high.CV1_SV", "HB_SCADA", "low.XP1_start", "high.FB_y8"} <= by_valve
    assert edited("stations/st-017.yaml", "write: valve  ", "write: setpoint  ") == ""
    assert by_valve - outputs() == {"low.CV1_SV", "high.CV1_SV"}
    assert edited("stations/st-017.yaml", "write: setpoint  ", "write: none  ") == ""
    assert outputs() == frozenset()


def test_tags_of_a_circuit_are_bare_where_it_is_alone(
    stations: dict[str, Station], two_zones: Station
) -> None:
    assert circuit_tag(stations["st-01"], "main", "T2g") == "T2g"
    assert circuit_tag(two_zones, "low", "T2g") == "low.T2g"


def test_alarms_of_a_circuit_have_its_own_tags_causes_and_name(two_zones: Station) -> None:
    alarms = two_zones.alarms

    hot = alarms["high.T2g_H"]
    assert isinstance(hot, Deviation)
    assert (hot.tag, hot.reference) == ("high.T2g", "high.T2g_SP")
    assert {"high.T2g_HH", "comms_lost"} <= set(hot.suppressed_by)
    assert hot.text.en == "high: supply hotter than its setpoint"
    trip = alarms["high.T2g_HH"]
    assert isinstance(trip, Limit)
    assert trip.above == 55.0
    lost = alarms["low.T2g_bad"]
    assert isinstance(lost, BadQuality)
    assert lost.tags == ("low.T2g",)
    stopped = alarms["low.pumps_stopped"]
    assert isinstance(stopped, Bit)
    assert stopped.tag == "low.pumps.none_running"
    assert isinstance(alarms["comms_lost"], DeviceLost)


def test_an_alarm_about_a_device_may_stand_in_a_circuit(edited: Edit, tmp_path: Path) -> None:
    edited(
        "stations/st-017.yaml",
        "      T2g_HH: {above: 55 °C}\n",
        "      lost:\n        kind: device_lost\n        device: plc\n        priority: 4\n"
        "        needs: LOC_REM\n"
        "        text: {zh: 断, en: lost}\n        consequence: {zh: 无, en: none}\n"
        "        action: {zh: 无, en: none}\n",
    )

    lost = load(tmp_path).stations[0].alarms["high.lost"]

    assert isinstance(lost, DeviceLost)
    assert (lost.device, lost.needs, lost.text.zh) == ("plc", "LOC_REM", "high 断")


def test_the_alarms_of_a_single_circuit_keep_their_names(stations: dict[str, Station]) -> None:
    alarms = stations["st-01"].alarms

    assert alarms["T2g_HH"].text.en == "supply far too hot"
    assert {"boiler_lockout", "gas", "room_low", "comms_lost"} <= set(alarms)


def test_a_station_that_is_only_watched_needs_no_proof_of_anything(edited: Edit) -> None:
    edited("stations/st-017.yaml", "    identity: {tag: PLC_ID, equals: 1703}\n", "")

    assert edited("stations/st-017.yaml", "write: valve  ", "write: none  ") == ""


def test_what_a_zone_lacks_is_told_by_its_full_name(edited: Edit) -> None:
    said = edited("maps/two-zone-plc-v1.yaml", "  high.T_room_p10:", "  high.T_room_p11:")

    assert "no map of the station has `high.T_room_p10`, which guards the rooms of `high`" in said
    assert "heatd computes no such fact; did you mean `high.T_room_p11`?" in said
    assert "low.T_room" not in said


def test_a_directory_that_is_not_there_is_a_problem(tmp_path: Path) -> None:
    with pytest.raises(ConfigErrors, match=r"heatd\.yaml:1:1: the file cannot be read"):
        load(tmp_path / "nowhere")


def test_a_site_without_stations_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "heatd.yaml").write_text("simulation: false\n")

    with pytest.raises(ConfigErrors) as refused:
        load(tmp_path)

    assert str(refused.value) == ("heatd.yaml:1:1: the site has no station; add stations/NAME.yaml")
