"""What the doctor finds out about a PLC that nobody knows, in virtual time."""

import asyncio
import struct
from collections.abc import Mapping
from typing import Any

import pytest

from core.point import Point, Tag, Unit
from drivers.doctor import Diagnosis, examine, votes, winner
from drivers.line import LineError
from drivers.settings import AddressRange, ModbusTcp, Register
from hil_sim.modbus_plc import Quirks, serve_modbus
from hil_sim.virtual_loop import VirtualLoop

HOST, PORT = "10.0.0.1", 502


def point(tag: str, address: int, kind: Any = "f32", **more: Any) -> Register:
    low, high = more.pop("limits", (0.0, 150.0))
    return Register(
        point=Point(tag=Tag(tag), unit=Unit.CELSIUS, low=low, high=high),
        area=more.pop("area", "holding"),
        address=address,
        kind=kind,
        **more,
    )


class Plc:
    """A PLC that holds the same value in each point, and counts what is written."""

    def __init__(self, registers: list[Register]) -> None:
        self.values = {str(one.point.tag): 45.5 for one in registers}
        self.writes = 0

    @property
    def registers(self) -> Mapping[str, float]:
        return self.values

    @property
    def generation(self) -> int:
        return 1

    def write(self, tag: str, value: float) -> bool:
        self.writes += 1
        self.values[tag] = value
        return True


# 50 floats side by side, a hole of 10, and 4 more; a status word and an input far away.
REGISTERS = [
    *(point(f"T{i}", 2 * i) for i in range(50)),
    *(point(f"P{i}", 110 + 2 * i) for i in range(4)),
    point("RUN", 118, "bool", bit=3),
    point("Q", 0, "f32", area="input"),
]


def found_in(
    registers: list[Register], forbidden: tuple[AddressRange, ...] = (), **server: Any
) -> Diagnosis:
    """Return what the doctor finds of a PLC that has other settings than it is told."""
    settings = ModbusTcp(host=HOST, port=PORT, forbidden=forbidden)

    async def run() -> Diagnosis:
        plc = Plc(REGISTERS)
        handle = await serve_modbus(plc, REGISTERS, HOST, PORT, unit=1, **server)
        said: list[str] = []
        found = await examine(settings, registers, said.append)
        await handle.stop()
        assert plc.writes == 0
        assert said
        return found

    with asyncio.Runner(loop_factory=lambda: VirtualLoop(7)) as runner:
        return runner.run(run())


def test_an_odd_plc_is_found_out() -> None:
    found = found_in(REGISTERS, word_order="CDAB", gap=2, quirks=Quirks(block_max=60, rest_s=0.02))

    assert dict(found.settings()) == {
        "word_order": "CDAB",
        "max_block": "60",
        "min_gap": "0.03 s",
        "forbidden": "[holding 100..109]",
    }
    assert (found.refused, found.silent) == ({}, {})


def test_a_plain_plc_needs_nothing() -> None:
    found = found_in(REGISTERS, word_order="ABCD", gap=16)

    assert found.word_order == "ABCD"
    assert dict(found.settings()) == {"word_order": "ABCD"}
    assert found.min_gap_s == 0.0
    # The map has no longer stretch: that is no limit of the device.
    assert (found.max_block, found.is_block_limited) == (119, False)


@pytest.mark.parametrize("order", ["ABCD", "CDAB", "BADC", "DCBA"])
def test_the_byte_order_is_the_one_in_which_values_make_sense(order: str) -> None:
    assert found_in(REGISTERS[:8], word_order=order, gap=2).word_order == order


def test_a_point_that_the_device_does_not_have_is_named() -> None:
    found = found_in([*REGISTERS, point("T9", 500)], gap=2)

    assert found.refused == {"T9": 2}
    assert found.holes == [AddressRange("holding", 100, 109)]


def test_a_refused_point_between_two_others_is_named_and_is_no_forbidden_range() -> None:
    found = found_in([*REGISTERS, point("T9", 104)], gap=2)

    assert found.refused == {"T9": 2}
    assert found.settings()["forbidden"] == "[holding 100..103, holding 106..109]"
    assert not found.is_block_limited


def test_what_is_forbidden_already_is_not_asked_for_and_stays_among_the_keys() -> None:
    known = (AddressRange("holding", 100, 103), AddressRange("coil", 7, 7))
    # This PLC would give them, and nothing speaks for a hole then.
    found = found_in(REGISTERS, known, gap=16)

    assert found.settings()["forbidden"] == "[coil 7..7, holding 100..103]"
    assert found.max_block == 100


def test_a_device_that_is_not_there_is_told() -> None:
    async def run() -> None:
        await examine(ModbusTcp(host=HOST, port=PORT), REGISTERS, print)

    with (
        asyncio.Runner(loop_factory=lambda: VirtualLoop(7)) as runner,
        pytest.raises(LineError, match="no connection"),
    ):
        runner.run(run())


def test_zeros_speak_for_no_order() -> None:
    raw = [(point(f"T{i}", 2 * i), bytes(4)) for i in range(9)]

    assert winner(votes(raw)) is None


def test_orders_with_equally_many_voices_are_undecided() -> None:
    same = struct.pack(">HH", 0x4236, 0x4236)

    assert winner(votes([(point(f"T{i}", 2 * i), same) for i in range(9)])) is None
