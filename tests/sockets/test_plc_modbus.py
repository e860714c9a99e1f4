"""The simulated Modbus PLC on real sockets, in real time and on the demo's faster clock."""

import asyncio
import time

import pytest
from pyModbusTCP.client import ModbusClient

from core.point import Point, Tag
from drivers.modbus import modbus_tcp
from drivers.settings import ModbusTcp, Register
from hil_sim.modbus_plc import serve_modbus
from hil_sim.scaled_loop import ScaledLoop

HOST = "127.0.0.1"


class Plc:
    """A PLC of one measured value, one output and one command."""

    def __init__(self):
        self.registers = {"T2g": 45.5, "CV1_SV": 20.0}
        self.generation = 0
        self.pulses = 0

    def write(self, tag, value):
        if tag == "XP1_start":
            self.pulses += 1
            return True
        if value > 100.0:
            return False
        self.registers[tag] = value
        self.generation += 1
        return True

    def map(self):
        point = Point(tag=Tag("XP1_start"), is_pulse=True)
        return [
            Register(point=Point(tag=Tag("T2g")), area="holding", address=0, kind="f32"),
            Register(
                point=Point(tag=Tag("CV1_SV"), is_writable=True),
                area="holding",
                address=2,
                kind="f32",
            ),
            Register(point=point, area="coil", address=0, kind="bool"),
        ]


def test_another_vendors_client_understands_the_server():
    async def main():
        plc = Plc()
        server = await serve_modbus(plc, plc.map(), HOST, 0)

        def use():
            client = ModbusClient(host=HOST, port=server.port, unit_id=1, timeout=5.0)
            answers = [
                client.read_holding_registers(0, 4),
                client.write_multiple_registers(2, [0x425C, 0]),
                client.read_holding_registers(2, 2),
                client.write_single_coil(0, bit_value=True),
                client.write_multiple_registers(2, [0x43FA, 0]),
                client.last_except,
                client.read_holding_registers(100, 1),
                client.last_except,
            ]
            client.close()
            return answers

        answers = await asyncio.to_thread(use)
        await server.stop()
        return answers, plc.registers["CV1_SV"], plc.pulses

    answers, written, pulses = asyncio.run(main())

    assert answers == [
        [0x4236, 0, 0x41A0, 0],
        True,
        [0x425C, 0],
        True,
        False,
        3,
        None,
        2,
    ]
    assert (written, pulses) == (55.0, 1)


def test_a_stopped_server_gives_its_port_back_and_takes_it_again():
    async def main():
        plc = Plc()
        server = await serve_modbus(plc, plc.map(), HOST, 0)
        port = server.port
        await server.stop()
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection(HOST, port)
        await server.start()
        _, writer = await asyncio.open_connection(HOST, port)
        writer.close()
        await writer.wait_closed()
        await server.stop()
        return port, server.port

    before, after = asyncio.run(main())

    assert before == after


def test_at_30_times_the_speed_no_time_out_of_4_s_fires_without_need():
    async def main():
        plc = Plc()
        server = await serve_modbus(plc, plc.map(), HOST, 0)
        settings = ModbusTcp(host=HOST, port=server.port, timeout_s=4.0)
        driver = modbus_tcp("plc", settings, plc.map())()
        loop = asyncio.get_running_loop()
        for i in range(100):
            await driver.write({Tag("CV1_SV"): float(i)})
            await driver.read(slow=False)
            await asyncio.sleep(0.5)
        elapsed_s = loop.time()
        await driver.close()
        await server.stop()
        return elapsed_s, plc.registers["CV1_SV"]

    origin_s = time.monotonic()  # noqa: TID251 - the origin of the scaled time
    with asyncio.Runner(loop_factory=lambda: ScaledLoop(30.0, origin_s)) as runner:
        elapsed_s, last = runner.run(main())

    assert elapsed_s >= 50.0
    assert last == 99.0
