"""The Modbus driver against a server of another make (pyModbusTCP), on real sockets."""

import asyncio
import random
import socket
import struct
from dataclasses import replace

import pytest
from pyModbusTCP.server import DataBank, ModbusServer

from core.image import Outputs
from core.point import Point, Quality, Tag
from drivers.base import Refused
from drivers.link import Link
from drivers.modbus import modbus_tcp
from drivers.settings import ModbusTcp, Register


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


@pytest.fixture
def bank():
    return DataBank(coils_size=100, d_inputs_size=100, h_regs_size=400, i_regs_size=100)


@pytest.fixture
def port(bank):
    server = ModbusServer("127.0.0.1", free_port(), no_block=True, data_bank=bank)
    server.start()
    yield server.port
    server.stop()


def point(tag, **more):
    return Point(tag=Tag(tag), low=more.pop("low", -1e9), high=more.pop("high", 1e9), **more)


def station(word_order=None):
    order = {"word_order": word_order}
    return [
        Register(point=point("T2g"), area="holding", address=0, kind="f32", **order),
        Register(point=point("F1"), area="holding", address=2, kind="i16", scale=0.1),
        Register(point=point("XP1_run"), area="holding", address=3, kind="bool", bit=9),
        Register(point=point("Q1"), area="input", address=7, kind="u32", **order),
        Register(point=point("Q1_tot"), area="input", address=9, kind="f64", is_slow=True, **order),
        Register(point=point("DOOR"), area="discrete", address=5, kind="bool"),
        Register(point=point("LIGHT", is_writable=True), area="coil", address=20, kind="bool"),
        Register(point=point("XP1_start", is_pulse=True), area="coil", address=21, kind="bool"),
        Register(
            point=point("CV1_SV", is_writable=True, low=0, high=100),
            area="holding",
            address=70,
            kind="f32",
            **order,
        ),
        Register(point=point("HB_SCADA", is_writable=True), area="holding", address=72, kind="u16"),
    ]


ORDERED = {
    "ABCD": lambda data: data,
    "CDAB": lambda data: b"".join(data[i : i + 2] for i in range(len(data) - 2, -1, -2)),
    "BADC": lambda data: b"".join(data[i : i + 2][::-1] for i in range(0, len(data), 2)),
    "DCBA": lambda data: data[::-1],
}


def words(data):
    return list(struct.unpack(f">{len(data) // 2}H", data))


@pytest.mark.parametrize("order", ORDERED)
def test_every_area_kind_and_word_order_is_read_and_written(bank, port, order):
    sent = ORDERED[order]
    bank.set_holding_registers(0, words(sent(struct.pack(">f", 45.5))))
    bank.set_holding_registers(2, [0x10000 - 123, 1 << 9])
    bank.set_input_registers(7, words(sent(struct.pack(">I", 123456789))))
    bank.set_input_registers(9, words(sent(struct.pack(">d", 98765.4321))))
    bank.set_discrete_inputs(5, [True])

    async def scene():
        settings = ModbusTcp(host="127.0.0.1", port=port)
        driver = modbus_tcp("plc", settings, station(order))()
        await driver.write({"CV1_SV": 41.25, "HB_SCADA": 7.0, "LIGHT": 1.0})
        await driver.pulse(Tag("XP1_start"))
        reading = await driver.read(slow=True)
        await driver.close()
        return driver.table, [v for block in reading.blocks for v in block.values]

    table, values = asyncio.run(scene())

    assert dict(zip(table.tags, values, strict=True)) == {
        "T2g": 45.5,
        "F1": pytest.approx(-12.3),
        "XP1_run": 1.0,
        "Q1": 123456789.0,
        "Q1_tot": 98765.4321,
        "DOOR": 1.0,
        "LIGHT": 1.0,
        "CV1_SV": 41.25,
        "HB_SCADA": 7.0,
    }
    assert bank.get_holding_registers(70, 3) == [*words(sent(struct.pack(">f", 41.25))), 7]
    assert bank.get_coils(20, 2) == [True, True]


def test_what_a_correction_adds_when_read_is_taken_off_when_written(bank, port):
    corrected = [
        replace(one, correction=-0.5) if one.point.tag in {"CV1_SV", "HB_SCADA"} else one
        for one in station()
    ]

    async def scene():
        driver = modbus_tcp("plc", ModbusTcp(host="127.0.0.1", port=port), corrected)()
        await driver.write({"CV1_SV": 41.25, "HB_SCADA": 7.5})
        reading = await driver.read(slow=True)
        await driver.close()
        values = [v for block in reading.blocks for v in block.values]
        return dict(zip(driver.table.tags, values, strict=True)), driver.targets["HB_SCADA"]

    values, target = asyncio.run(scene())

    assert bank.get_holding_registers(70, 3) == [*words(struct.pack(">f", 41.75)), 8]
    assert (values["CV1_SV"], values["HB_SCADA"]) == (41.25, 7.5)
    assert (target.low, target.high) == (-0.5, 65534.5)


def test_an_address_that_the_server_lacks_is_refused(port):
    register = Register(point=point("T2g"), area="holding", address=500, kind="u16")

    async def scene():
        driver = modbus_tcp("plc", ModbusTcp(host="127.0.0.1", port=port), [register])()
        with pytest.raises(Refused, match="no such address"):
            await driver.read(slow=False)
        await driver.close()

    asyncio.run(scene())


def test_a_link_verifies_what_it_wrote_and_notices_when_it_is_gone(bank, port):
    async def scene():
        link = Link(
            "plc",
            modbus_tcp("plc", ModbusTcp(host="127.0.0.1", port=port), station()),
            period_s=1.0,
            rng=random.Random(1),
        )
        now_s = asyncio.get_running_loop().time
        await link.poll()
        await link.write(Outputs({Tag("CV1_SV"): 33.3, Tag("HB_SCADA"): 1.0}), now_s())
        await link.poll()
        assert link.status.writes_verified == 2
        assert set(link.columns(now_s()).qualities) == {Quality.GOOD}
        bank.set_holding_registers(70, [0, 0])
        await link.poll()
        await link.poll()
        assert link.status.unverified == ("CV1_SV",)
        await link.close()

    asyncio.run(scene())


def test_a_restarted_server_is_found_again(bank, port):
    async def scene():
        settings = ModbusTcp(host="127.0.0.1", port=free_port())
        link = Link(
            "plc", modbus_tcp("plc", settings, station()), period_s=0.2, rng=random.Random(1)
        )
        await link.poll()
        server = ModbusServer("127.0.0.1", settings.port, no_block=True, data_bank=bank)
        for _ in range(2):
            server.start()
            async with asyncio.timeout(8):
                while not link.status.is_up:
                    await asyncio.sleep(0.2)
                    await link.poll()
            await asyncio.to_thread(server.stop)
            async with asyncio.timeout(8):
                while link.status.is_up:
                    await asyncio.sleep(0.2)
                    await link.poll()
        await link.close()

    asyncio.run(scene())
