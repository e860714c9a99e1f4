"""What may be written at all: the outputs of the station under its authority, and nothing else."""

import ast
from dataclasses import replace
from pathlib import Path

import pytest

from controller.build import only_writing
from core.point import Tag
from tests.unit.controller.conftest import with_authority

ROOT = Path(__file__).parents[3]
PRODUCT = ("alarms", "api", "config", "control_loops", "controller", "core", "drivers", "history")


def written(device):
    return {row.point.tag for row in device.registers if row.point.is_writable} | {
        row.point.tag for row in device.registers if row.point.is_pulse
    }


def test_a_device_lets_nothing_be_written_but_the_outputs(station):
    device = station.devices["plc"]
    outputs = frozenset({Tag("CV1_SV"), Tag("XP1_start")})
    assert written(only_writing(device, outputs)) == outputs
    assert written(only_writing(device, frozenset())) == set()


def test_a_point_that_is_not_written_is_still_read(station):
    device = only_writing(station.devices["plc"], frozenset())
    assert Tag("CV1_SV") in {row.point.tag for row in device.registers}


def test_a_device_whose_map_fits_is_the_same_object(station):
    device = station.devices["plc"]
    assert only_writing(device, station.outputs | {Tag("B_Tset")}) is device


@pytest.mark.parametrize(
    ("write", "is_written"), [("valve", True), ("setpoint", False), ("none", False)]
)
def test_a_map_says_under_which_authority_a_point_is_written(station, write, is_written):
    assert (Tag("CV1_SV") in with_authority(station, write=write).outputs) is is_written


def test_only_the_link_writes_to_a_driver_and_only_the_station_to_a_link():
    """Every call of a `write` or `pulse` of the field, found in the source."""
    callers = {
        f"{path.relative_to(ROOT)}: {ast.unparse(call.func)}"
        for package in PRODUCT
        for path in sorted((ROOT / package).rglob("*.py"))
        for call in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(call, ast.Call)
        and isinstance(call.func, ast.Attribute)
        and call.func.attr in {"write", "pulse"}
        and ("driver" in ast.unparse(call.func) or "link" in ast.unparse(call.func))
    }
    assert callers == {
        "controller/station.py: link.write",
        "drivers/link.py: self._driver.write",
        "drivers/link.py: self._driver.pulse",
    }


def test_no_function_of_a_driver_takes_an_address_to_write_to():
    """A driver is asked for tags of its allow-list; registers are named in no public signature."""
    takes = {
        f"{path.name}: {function.name}({argument.arg})"
        for path in sorted((ROOT / "drivers").rglob("*.py"))
        for function in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
        and not function.name.startswith("_")
        and ("write" in function.name or "pulse" in function.name)
        for argument in (*function.args.args, *function.args.kwonlyargs)
        if argument.arg in {"address", "register", "node", "node_id", "words", "function_code"}
    }
    assert takes == set()


def test_the_libraries_own_writes_are_called_by_their_drivers_alone():
    raw = {"write_register", "write_registers", "write_coil", "write_coils", "write_value"}
    raw |= {"write_values", "write_attribute", "write_attribute_value", "set_value", "set_values"}
    callers = {
        str(path.relative_to(ROOT))
        for package in PRODUCT
        for path in sorted((ROOT / package).rglob("*.py"))
        for call in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(call, ast.Call)
        and isinstance(call.func, ast.Attribute)
        and call.func.attr in raw
    }
    assert callers <= {"drivers/opcua.py"}


def test_a_station_that_only_watches_has_no_output(station):
    watching = replace(station.authority, write="none")
    assert replace(station, authority=watching).outputs == frozenset()
