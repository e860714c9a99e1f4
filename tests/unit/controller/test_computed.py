"""The facts that heatd computes, and that alarms may name."""

import math

import pytest

from config.model import computed_facts
from core.point import Tag
from tests.unit.controller.conftest import Bench, link_status


@pytest.mark.parametrize("name", ["station", "two_zone_station"])
def test_every_fact_that_the_configuration_lets_alarms_name_is_computed(name, request):
    config = request.getfixturevalue(name)
    bench = Bench(config)
    bench.scan()
    assert set(bench.last.computed) == set(
        computed_facts(config.devices, config.circuits, config.checks)
    )


@pytest.mark.parametrize(
    ("changes", "fact", "value"),
    [
        ({}, "T1g_plan", 94.6),
        ({"T_out": -16.8}, "T1g_plan", 110.0),
        ({}, "source.state", 0.0),
        ({"XP1_run": 0.0, "XP1_Hz": 0.0}, "pumps.none_running", 1.0),
        ({}, "pumps.none_running", 0.0),
        ({"XP2_fault": 1.0}, "pumps.duty_failed", 1.0),
        ({}, "T2g_SP", 56.2),
        ({}, "outdoor.substituted", 0.0),
        ({}, "heartbeat.stuck", 0.0),
        ({}, "device.plc.lost", 0.0),
    ],
)
def test_a_fact_follows_the_field(bench, changes, fact, value):
    assert bench.scan(**changes).computed[fact] == pytest.approx(value)


@pytest.mark.parametrize(
    ("spoilt", "fact"),
    [
        (("XP1_run", "XP1_Hz"), "pumps.none_running"),
        (("FB_y8",), "plc.fallback_differs"),
        (("T_out",), "T2g_SP"),
        (("T_out",), "T1g_plan"),
    ],
)
def test_a_fact_that_is_not_known_is_no_number(bench, spoilt, fact):
    bench.spoil(*spoilt)
    assert math.isnan(bench.scan().computed[fact])


@pytest.mark.parametrize(
    ("difference_c", "differs"), [(0.0, 0.0), (0.04, 0.0), (0.1, 1.0), (-0.1, 1.0)]
)
def test_curves_that_an_engineer_cannot_tell_apart_are_the_same(ours, difference_c, differs):
    ours.values["FB_y5"] += difference_c
    assert ours.scan().computed["plc.fallback_differs"] == differs


HEAT = {"T1g": 95.0, "T1h": 55.0, "F1": 50.0, "T2h": 45.0, "F2": 160.0}


def test_a_supply_that_the_heat_does_not_bear_out_is_one_alarm(ours):
    assert ours.scan_for(1800.0, **HEAT, T2g=57.5).computed["heat.T2g_off"] == pytest.approx(
        0.0, abs=0.01
    )
    assert ours.last.active_alarms == ()
    assert ours.scan_for(3600.0, T2g=60.5).computed["heat.T2g_off"] == pytest.approx(3.0, abs=0.1)
    assert "T2g_drift" in ours.last.active_alarms
    # Without the meter nobody knows, and the alarm stays as it is.
    ours.spoil("F2")
    assert math.isnan(ours.scan_for(60.0).computed["heat.T2g_off"])
    assert "T2g_drift" in ours.last.active_alarms


def test_while_the_boiler_heats_the_balance_is_not_known(ours):
    ours.scan_for(60.0, **HEAT, T2g=57.5)
    ours.scan_for(60.0, SRC_trip=1.0)
    assert math.isnan(ours.last.computed["heat.T2g_off"])


def test_with_several_circuits_the_balance_is_not_known(two_zone_station):
    bench = Bench(two_zone_station)
    assert math.isnan(bench.scan(**HEAT, **{"low.T2g": 57.5}).computed["heat.T2g_off"])


def test_make_up_that_runs_on_is_a_fact(ours):
    ours.scan_for(1700.0, P2h=0.36, BP1_run=1.0, BP1_Hz=45.0)
    assert ours.last.computed["makeup.run_on"] == 0.0
    ours.scan_for(200.0)
    assert ours.last.computed["makeup.run_on"] == 1.0


@pytest.mark.parametrize(
    ("seconds", "state", "is_lost"), [(20.0, 0.0, 0.0), (60.0, 1.0, 1.0), (120.0, 2.0, 1.0)]
)
def test_the_state_of_the_source_is_a_number(ours, seconds, state, is_lost):
    ours.scan_for(seconds, SRC_trip=1.0)
    computed = ours.last.computed
    assert (computed["source.state"], computed["source.base_lost"]) == (state, is_lost)


def test_devices_have_facts_of_their_own(ours):
    status = link_status("plc", is_up=False, unverified=(Tag("CV1_SV"),))
    ours.see(devices={"plc": status})
    computed = ours.scan().computed
    assert (computed["device.plc.lost"], computed["device.plc.unverified"]) == (1.0, 1.0)
