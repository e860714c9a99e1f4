"""The Modbus driver against servers of other makes: uModbus, and modbus-serial under Node.js.

Each holds 400 registers and coils; its input registers hold their own addresses, and every second
discrete input is set.
"""

import asyncio
import os
import random
import socket
import socketserver
import subprocess
import threading
from contextlib import contextmanager
from pathlib import Path

import pytest
from umodbus import conf
from umodbus.server.tcp import RequestHandler, get_server

from core.image import Outputs
from core.point import Point, Quality, Tag
from drivers.base import Refused
from drivers.link import Link
from drivers.modbus import modbus_tcp
from drivers.settings import ModbusTcp, Register
from tests.running import free_port

HOST = "127.0.0.1"
SIZE = 400
NODE_SERVER = Path(__file__).parent.parent / "third_party" / "modbus-serial" / "server.js"
START_S = 20.0


class _Threads(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, *settings):
        super().__init__(*settings)
        self.open = set()

    def process_request(self, request, client_address):
        self.open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request):
        self.open.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request, client_address):
        """A client that resets its connection is no fault of the server's."""

    def hang_up(self):
        for request in tuple(self.open):
            request.shutdown(socket.SHUT_RDWR)


@contextmanager
def umodbus(port, _require_program):
    conf.SIGNED_VALUES = False
    holding, coils = [0] * SIZE, [0] * SIZE
    server = get_server(_Threads, (HOST, port), RequestHandler)
    addresses = list(range(SIZE))

    @server.route(slave_ids=[1], function_codes=[3, 4], addresses=addresses)
    def read_word(slave_id, function_code, address):
        return holding[address] if function_code == 3 else address

    @server.route(slave_ids=[1], function_codes=[1, 2], addresses=addresses)
    def read_bit(slave_id, function_code, address):
        return coils[address] if function_code == 1 else address % 2

    @server.route(slave_ids=[1], function_codes=[6, 16], addresses=addresses)
    def write_word(slave_id, function_code, address, value):
        holding[address] = value

    @server.route(slave_ids=[1], function_codes=[5, 15], addresses=addresses)
    def write_bit(slave_id, function_code, address, value):
        coils[address] = int(value != 0)

    thread = threading.Thread(target=server.serve_forever, args=(0.05,), name="uModbus")
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.hang_up()
        server.server_close()


@contextmanager
def modbus_serial(port, require_program):
    node = require_program("node")
    if not (NODE_SERVER.parent / "node_modules" / "modbus-serial").is_dir():
        missing = f"modbus-serial is not installed (npm ci in {NODE_SERVER.parent.name})"
        if os.environ.get("CI") == "true":
            pytest.fail(missing, pytrace=False)
        pytest.skip(missing)
    running = subprocess.Popen([node, NODE_SERVER, str(port)], stdout=subprocess.PIPE, text=True)
    try:
        assert running.stdout.readline() == "listening\n"
        yield
    finally:
        running.kill()
        running.wait()
        running.stdout.close()


MAKES = [umodbus, modbus_serial]


@pytest.fixture(params=MAKES, ids=lambda make: make.__name__)
def serving(request, require_program):
    """Return what serves a device of another make on a port, again and again."""
    return lambda port: request.param(port, require_program)


def point(tag, **more):
    return Point(tag=Tag(tag), low=-1e12, high=1e12, **more)


POINTS = [
    Register(point=point("ID"), area="input", address=7, kind="u16"),
    Register(point=point("LONG"), area="input", address=9, kind="u32"),
    Register(point=point("DOOR"), area="discrete", address=5, kind="bool"),
    Register(point=point("LIGHT", is_writable=True), area="coil", address=20, kind="bool"),
    Register(point=point("XP1_start", is_pulse=True), area="coil", address=21, kind="bool"),
    Register(point=point("STARTED"), area="coil", address=21, kind="bool"),
    Register(point=point("CV1_SV", is_writable=True), area="holding", address=70, kind="f32"),
    Register(
        point=point("HB", is_writable=True), area="holding", address=72, kind="i16", scale=0.1
    ),
    Register(
        point=point("TOTAL", is_writable=True),
        area="holding",
        address=80,
        kind="f64",
        word_order="CDAB",
    ),
]


def test_every_area_is_read_and_what_is_written_stands_there(serving):
    async def scene(port):
        driver = modbus_tcp("plc", ModbusTcp(host=HOST, port=port), POINTS)()
        await driver.write({"CV1_SV": 41.25, "HB": -12.3, "LIGHT": 1.0, "TOTAL": 98765.4321})
        await driver.pulse(Tag("XP1_start"))
        reading = await driver.read(slow=True)
        await driver.close()
        return dict(
            zip(driver.table.tags, (v for b in reading.blocks for v in b.values), strict=True)
        )

    with serving(port := free_port()):
        assert asyncio.run(scene(port)) == {
            "ID": 7.0,
            "LONG": 9.0 * 65536 + 10,
            "DOOR": 1.0,
            "LIGHT": 1.0,
            "STARTED": 1.0,
            "CV1_SV": 41.25,
            "HB": pytest.approx(-12.3),
            "TOTAL": 98765.4321,
        }


def test_an_address_that_the_device_lacks_is_refused_and_the_others_hold(serving):
    lacking = Register(point=point("T9"), area="holding", address=SIZE + 5, kind="u16")

    async def scene(port):
        settings = ModbusTcp(host=HOST, port=port, gap=0)
        driver = modbus_tcp("plc", settings, [*POINTS, lacking])()
        reading = await driver.read(slow=True)
        await driver.close()
        alone = modbus_tcp("plc", settings, [lacking])()
        with pytest.raises(Refused, match="no such address"):
            await alone.read(slow=True)
        await alone.close()
        return reading

    with serving(port := free_port()):
        reading = asyncio.run(scene(port))

    assert "holding 405" in reading.refused
    assert sum(len(block.values) for block in reading.blocks) == len(POINTS) - 1


def test_a_link_verifies_its_writes_and_finds_a_device_again_that_was_away(serving):
    async def scene(port):
        settings = ModbusTcp(host=HOST, port=port, timeout_s=0.5)
        link = Link("plc", modbus_tcp("plc", settings, POINTS), period_s=0.5, rng=random.Random(1))
        loop = asyncio.get_running_loop()

        async def until_up(*, is_up):
            async with asyncio.timeout(START_S):
                while link.status.is_up is not is_up:
                    await asyncio.sleep(0.1)
                    await link.poll()

        for _ in range(2):
            with serving(port):
                await until_up(is_up=True)
                await link.write(Outputs({Tag("CV1_SV"): 33.3, Tag("HB"): 1.0}), loop.time())
                await link.poll()
                assert link.status.unverified == ()
                assert set(link.columns(loop.time()).qualities) == {Quality.GOOD}
            await until_up(is_up=False)
        verified = link.status.writes_verified
        await link.close()
        return verified

    assert asyncio.run(scene(free_port())) == 4
