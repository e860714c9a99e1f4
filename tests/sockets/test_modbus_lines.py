"""The Modbus driver over every other kind of line, on real sockets and a pseudo-terminal."""

import asyncio
import os
import random
import ssl
import struct
import tty
import warnings
from contextlib import asynccontextmanager, contextmanager

import pytest

from core.image import Outputs
from core.point import Point, Tag
from drivers.base import DriverError, Garbled, Unreachable
from drivers.dial import channel_to
from drivers.link import Link
from drivers.modbus import modbus_tcp
from drivers.rtu import checksum
from drivers.settings import ModbusRtu, ModbusRtuTcp, ModbusTcp, ModbusTls, Register
from tests.certificates import Authority

REGISTERS = [
    Register(point=Point(tag=Tag("T2g")), area="holding", address=0, kind="f32"),
    Register(
        point=Point(tag=Tag("CV1_SV"), low=0, high=100, is_writable=True),
        area="holding",
        address=2,
        kind="f32",
    ),
]
TIMEOUT_S = 0.3


def test_the_checksum_is_that_of_the_specification():
    # MODBUS over Serial Line V1.02, 6.2.2: device 2, function 7.
    assert checksum(bytes([0x02, 0x07])) == bytes([0x41, 0x12])


class Plc:
    """Registers of one or more units, asked with function code and body."""

    def __init__(self, units=(1,)):
        self.words = {unit: [0] * 10 for unit in units}
        for unit in units:
            self.words[unit][:2] = struct.unpack(">HH", struct.pack(">f", 40.0 + unit))
        self.writes = 0

    def answer(self, unit, pdu):
        code, address, count = struct.unpack(">BHH", pdu[:5])
        words = self.words[unit]
        if code == 16:
            self.writes += 1
            words[address : address + count] = struct.unpack(f">{count}H", pdu[6:])
            return pdu[:5]
        return bytes([code, 2 * count]) + struct.pack(f">{count}H", *words[address:][:count])


def framed(message):
    return message + checksum(message)


class Converter:
    """A serial line behind a converter to TCP: what it hears it answers, or not, or late."""

    def __init__(self, plc):
        self.plc = plc
        self.late_s = {}
        self.distort = lambda frame: frame
        self.connections = 0
        self.asked = []
        self.writer = None

    async def serve(self, reader, writer):
        self.connections += 1
        self.writer = writer
        try:
            while request := await reader.read(300):
                self.hear(request)
        except ConnectionError:
            pass
        finally:
            writer.transport.abort()

    def hear(self, request):
        unit, pdu = request[0], request[1:-2]
        assert framed(request[:-2]) == request
        self.asked.append(unit)
        reply = self.distort(framed(bytes([unit]) + self.plc.answer(unit, pdu)))
        # As a converter does, it hands a late answer to whoever is connected by then.
        asyncio.get_running_loop().call_later(self.late_s.get(unit, 0.0), self.say, reply)

    def say(self, reply):
        if self.writer is not None and not self.writer.is_closing():
            self.writer.write(reply)


@asynccontextmanager
async def converter(units=(1,)):
    made = Converter(Plc(units))
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    try:
        yield (
            made,
            lambda unit=1: ModbusRtuTcp(
                host="127.0.0.1", port=port, unit=unit, timeout_s=TIMEOUT_S
            ),
        )
    finally:
        server.close()
        await asyncio.sleep(0.02)


def values(reading):
    return [value for block in reading.blocks for value in block.values]


def test_rtu_over_tcp_reads_and_writes():
    async def scene():
        async with converter() as (line, settings):
            driver = modbus_tcp("plc", settings(), REGISTERS)()
            await driver.write({"CV1_SV": 41.5})
            assert values(await driver.read(slow=False)) == [41.0, 41.5]
            assert line.plc.writes == 1
            await driver.close()

    asyncio.run(scene())


@pytest.mark.parametrize(
    "distort",
    [
        lambda f: f[:-1] + bytes([f[-1] ^ 1]),
        lambda f: f[:5] + bytes([f[5] ^ 0x10]) + f[6:],
        lambda f: framed(b"\x02" + f[1:-2]),
        lambda f: framed(f[:1] + b"\x04" + f[2:-2]),
        lambda f: framed(f[:2] + b"\x02" + f[3:5]),
        lambda f: f + f,
        lambda f: f[:-3],
        lambda _: bytes(600),
        lambda f: framed(f[:1] + b"\x2b" + f[2:-2]),
    ],
)
def test_a_wrong_rtu_reply_is_never_data_and_the_line_is_opened_anew(distort):
    async def scene():
        async with converter() as (line, settings):
            driver = modbus_tcp("plc", settings(), REGISTERS)()
            line.distort = distort
            with pytest.raises(Garbled):
                await driver.read(slow=False)
            line.distort = lambda frame: frame
            assert values(await driver.read(slow=False)) == [41.0, 0.0]
            await driver.close()

    asyncio.run(scene())


@pytest.mark.parametrize("late_s", [0.35, 0.45, 0.55])
def test_the_late_answer_of_another_device_on_the_line_is_never_data(late_s):
    async def scene():
        async with converter((1, 2)) as (line, settings):
            channel = channel_to(settings())
            first, second = (
                modbus_tcp(f"plc{unit}", settings(unit), REGISTERS, channel)() for unit in (1, 2)
            )
            await second.read(slow=False)
            line.late_s = {1: late_s}
            with pytest.raises(Unreachable):
                await first.read(slow=False)
            line.late_s = {}
            assert values(await second.read(slow=False)) == [42.0, 0.0]
            assert line.connections == 2
            assert not second.is_broken
            await first.close()
            await second.close()

    asyncio.run(scene())


def test_one_dead_device_on_a_shared_line_leaves_the_others_nine_tenths_of_their_polls():
    async def scene():
        async with converter(range(1, 9)) as (line, settings):
            line.late_s = {3: 99.0}
            channel = channel_to(settings())
            links = [
                Link(
                    f"plc{unit}",
                    modbus_tcp(f"plc{unit}", settings(unit), REGISTERS, channel),
                    period_s=1.0,
                    rng=random.Random(unit),
                )
                for unit in range(1, 9)
            ]
            loop = asyncio.get_running_loop()

            async def scan(link, phase_s):
                await asyncio.sleep(phase_s)
                due_s = loop.time()
                for _ in range(8):
                    await link.poll()
                    due_s += 0.5
                    await asyncio.sleep(due_s - loop.time())

            await asyncio.gather(*(scan(link, i / 16) for i, link in enumerate(links)))
            for unit, link in enumerate(links, start=1):
                good = link.status.polls - link.status.poll_errors
                assert link.status.is_up == (unit != 3)
                assert good >= 0.9 * 8 - 0.5 or unit == 3
                await link.close()

    asyncio.run(scene())


# --- a serial port


@contextmanager
def pseudo_terminal():
    master, slave = os.openpty()
    tty.setraw(master)
    try:
        yield master, os.ttyname(slave)
    finally:
        os.close(slave)
        os.close(master)


def test_a_serial_port_reads_writes_and_survives_a_silence():
    async def scene():
        plc = Plc()
        loop = asyncio.get_running_loop()
        with pseudo_terminal() as (master, path):

            def hear():
                request = os.read(master, 300)
                if framed(request[:-2]) == request:
                    os.write(master, framed(request[:1] + plc.answer(1, request[1:-2])))

            loop.add_reader(master, hear)
            settings = ModbusRtu(serial_port=path, timeout_s=TIMEOUT_S)
            link = Link(
                "plc",
                modbus_tcp("plc", settings, REGISTERS),
                period_s=1.0,
                rng=random.Random(1),
            )
            await link.poll()
            await link.write(Outputs({Tag("CV1_SV"): 33.5}), loop.time())
            await link.poll()
            assert link.columns(loop.time()).values == (41.0, 33.5)
            assert link.status.writes_verified == 1
            loop.remove_reader(master)
            await link.poll()
            await link.poll()
            assert not link.status.is_up
            loop.add_reader(master, hear)
            async with asyncio.timeout(5):
                while not link.status.is_up:
                    await asyncio.sleep(0.1)
                    await link.poll()
            loop.remove_reader(master)
            await link.close()

    asyncio.run(scene())


def test_a_serial_port_that_is_not_there_or_is_no_port_is_unreachable(tmp_path):
    (tmp_path / "file").touch()

    async def scene():
        for name in ("nothing", "file"):
            settings = ModbusRtu(serial_port=str(tmp_path / name))
            driver = modbus_tcp("plc", settings, REGISTERS)()
            with pytest.raises(Unreachable, match=name):
                await driver.read(slow=False)
            await driver.close()

    asyncio.run(scene())


# --- Modbus/TCP Security


class MbapServer(asyncio.Protocol):
    """Answers Modbus TCP requests, each reply in as many parts as wanted."""

    plc = Plc()
    parts = 1

    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.replying = asyncio.ensure_future(self.reply(data))

    async def reply(self, data):
        pdu = self.plc.answer(data[6], data[7:])
        whole = data[:4] + struct.pack(">HB", len(pdu) + 1, data[6]) + pdu
        size = -(-len(whole) // self.parts)
        for at in range(0, len(whole), size):
            self.transport.write(whole[at : at + size])
            await asyncio.sleep(0.01)


@pytest.fixture(scope="module")
def authorities(tmp_path_factory):
    return tuple(Authority(tmp_path_factory.mktemp(name)) for name in ("ours", "theirs"))


@asynccontextmanager
async def secure_server(authority, *, newest=ssl.TLSVersion.TLSv1_3, name="plc"):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.maximum_version = newest
    if newest < ssl.TLSVersion.TLSv1_2:
        context.minimum_version = newest
        context.set_ciphers("ALL:@SECLEVEL=0")
    certificate, key = authority.issue(name)
    context.load_cert_chain(certificate, key)
    context.load_verify_locations(authority.file)
    context.verify_mode = ssl.CERT_REQUIRED
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda *_: None)
    server = await loop.create_server(MbapServer, "127.0.0.1", 0, ssl=context)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await asyncio.sleep(0.02)


def secure(port, believed, shown, name="heatd", **more):
    certificate, key = shown.issue(name)
    return ModbusTls(
        host="127.0.0.1",
        port=port,
        ca_file=str(believed.file),
        certificate_file=str(certificate),
        key_file=str(key),
        **more,
    )


@pytest.mark.parametrize("parts", [1, 2, 20])
@pytest.mark.parametrize("newest", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_both_sides_prove_who_they_are_and_a_reply_may_come_in_many_records(
    authorities, parts, newest, monkeypatch
):
    ours, _ = authorities
    monkeypatch.setattr(MbapServer, "parts", parts)

    async def scene():
        async with secure_server(ours, newest=newest) as port:
            driver = modbus_tcp("plc", secure(port, ours, ours), REGISTERS)()
            await driver.write({"CV1_SV": 41.5})
            assert values(await driver.read(slow=False)) == [41.0, 41.5]
            await driver.close()

    asyncio.run(scene())


@pytest.mark.parametrize(
    "case", ["device not trusted", "device does not trust us", "another name", "old TLS"]
)
def test_without_trust_on_both_sides_nothing_is_read(authorities, case):
    ours, theirs = authorities

    async def scene():
        newest = ssl.TLSVersion.TLSv1_1 if case == "old TLS" else ssl.TLSVersion.TLSv1_3
        server = theirs if case == "device not trusted" else ours
        shown = theirs if case == "device does not trust us" else ours
        name = "plc-07" if case == "another name" else ""
        async with secure_server(server, newest=newest) as port:
            settings = secure(port, ours, shown, server_name=name)
            driver = modbus_tcp("plc", settings, REGISTERS)()
            with pytest.raises(Unreachable):
                await driver.read(slow=False)
            await driver.close()

    with warnings.catch_warnings():
        # That TLS 1.1 is out of use is what is tested.
        warnings.simplefilter("ignore", DeprecationWarning)
        asyncio.run(scene())


def test_a_missing_key_file_is_named(authorities, tmp_path):
    ours, _ = authorities

    async def scene():
        certificate, _ = ours.issue("heatd")
        settings = ModbusTls(
            host="127.0.0.1",
            port=1,
            ca_file=str(ours.file),
            certificate_file=str(certificate),
            key_file=str(tmp_path / "gone.key"),
        )
        driver = modbus_tcp("plc", settings, REGISTERS)()
        with pytest.raises(DriverError, match="No such file"):
            await driver.read(slow=False)
        await driver.close()

    asyncio.run(scene())


def test_a_device_that_always_answers_with_transaction_zero_is_read_where_that_is_said():
    async def serve(reader, writer):
        plc = Plc()
        while request := await reader.read(300):
            pdu = plc.answer(request[6], request[7:])
            writer.write(b"\0\0\0\0" + struct.pack(">HB", len(pdu) + 1, request[6]) + pdu)
        writer.transport.abort()

    async def scene():
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        for is_said in (True, False):
            settings = ModbusTcp(host="127.0.0.1", port=port, tid_zero=is_said)
            driver = modbus_tcp("plc", settings, REGISTERS)()
            if is_said:
                assert values(await driver.read(slow=False)) == [41.0, 0.0]
            else:
                with pytest.raises(Garbled, match="tid_zero: true"):
                    await driver.read(slow=False)
            await driver.close()
        server.close()
        await asyncio.sleep(0.02)

    asyncio.run(scene())
