"""The hostile Modbus device: what it puts on the wire, what it lies about, and what it counts."""

import asyncio
import random
import struct

import pytest

from core.point import Point, Tag
from drivers.settings import Register
from hil_sim.hostile import FAULTS, HostileServer
from hil_sim.hostile_bank import Bank
from hil_sim.hostile_frames import MANNERS, Cut, Exchange, Framing, Request, crc16, requests
from hil_sim.virtual_loop import VirtualLoop
from hil_sim.write_ledger import WriteLedger

READ = bytes.fromhex("03 0000 0002")
REPLY = bytes.fromhex("03 04 42360000")
WRITE = bytes.fromhex("10 0002 0002 04 41a00000")
HEAD = bytes.fromhex("0007 0000 0007 05")
EXCHANGE = Exchange(request=Request(7, 5, READ), reply=REPLY, framing=Framing.TCP)
ECHO = Exchange(request=Request(7, 5, WRITE), reply=WRITE[:5], framing=Framing.TCP)


class Plc:
    """A PLC of two measured values, one output and one command."""

    def __init__(self):
        self.registers = {"T2g": 45.5, "CV1_SV": 20.0, "HB": 7.0}
        self.generation = 0

    def write(self, tag, value):
        self.registers[tag] = value
        self.generation += 1
        return value <= 100.0


MAP = [
    Register(point=Point(tag=Tag("T2g")), area="holding", address=0, kind="f32"),
    Register(
        point=Point(tag=Tag("CV1_SV"), is_writable=True), area="holding", address=2, kind="f32"
    ),
    Register(point=Point(tag=Tag("HB")), area="holding", address=4, kind="u16"),
    Register(point=Point(tag=Tag("XP1_start"), is_pulse=True), area="coil", address=0, kind="bool"),
]


def wire(name, exchange=EXCHANGE, amount=None):
    manner, usual = MANNERS[name]
    return list(manner(exchange, usual if amount is None else amount))


@pytest.mark.parametrize(
    ("name", "sent"),
    [
        ("wrong-transaction", "0008 0000 0007 05 03 04 42360000"),
        ("zero-transaction", "0000 0000 0007 05 03 04 42360000"),
        ("wrong-unit", "0007 0000 0007 06 03 04 42360000"),
        ("wrong-function", "0007 0000 0007 05 04 04 42360000"),
        ("short", "0007 0000 0005 05 03 02 4236"),
        ("long", "0007 0000 000b 05 03 08 42360000 00000000"),
        ("truncated", "0007 0000 0007 05 03 04 42"),
        ("bad-length", "0007 0000 ffff 05 03 04 42360000"),
        ("zero-length", "0007 0000 0000 05 03 04 42360000"),
        ("exception", "0007 0000 0003 05 83 04"),
    ],
)
def test_a_manner_sends_just_these_bytes(name, sent):
    assert wire(name) == [(0.0, bytes.fromhex(sent))]


def test_some_manners_are_about_time_or_the_connection():
    right = EXCHANGE.wire()
    assert wire("silent") == []
    assert (wire("rst"), wire("fin")) == ([(0.0, Cut.RST)], [(0.0, Cut.FIN)])
    assert wire("late", amount=3.0) == [(3.0, right)]
    assert wire("drip") == [(0.5, right[i : i + 1]) for i in range(len(right))]
    assert wire("duplicate") == [(0.0, right), (0.01, right)]
    assert wire("hung", amount=2.0) == [(2.0, HEAD[:5] + b"\x03\x05\x83\x0b")]
    assert len(wire("junk")[0][1]) == 65536


def test_only_the_echo_of_a_write_is_wrong_where_that_is_the_fault():
    assert wire("wrong-echo") == [(0.0, EXCHANGE.wire())]
    assert wire("wrong-echo", ECHO) == [(0.0, bytes.fromhex("0007 0000 0006 05 10 0003 0002"))]


def test_a_serial_frame_ends_with_its_checksum():
    # The example of the serial line specification, and a request of the textbook.
    assert crc16(bytes.fromhex("02 07")) == 0x1241
    serial = Exchange(request=Request(0, 5, READ), reply=REPLY, framing=Framing.RTU)
    frame = serial.wire()
    assert frame[:-2] == b"\x05" + REPLY
    assert crc16(frame) == 0
    assert crc16(serial.wire(length=0)) != 0


@pytest.mark.parametrize("framing", Framing)
def test_requests_are_found_however_the_bytes_come(framing):
    asked = [Request(0, 1, READ), Request(0, 2, WRITE), Request(0, 1, READ)]
    stream = b"".join(Exchange(request=one, reply=one.pdu, framing=framing).wire() for one in asked)
    rng = random.Random(1)
    for _ in range(50):
        buffer, found, rest = bytearray(), [], stream
        while rest:
            size = rng.randint(1, 12)
            buffer += rest[:size]
            rest = rest[size:]
            found += requests(buffer, framing)
        assert (found, bytes(buffer)) == (asked, b"")


class TestABank:
    def answer(self, text, *lies):
        self.plc = Plc()
        bank = Bank(self.plc, MAP)
        for lie in lies:
            bank.lie(*lie)
        return bank.answer(bytes.fromhex(text)).hex(" ", 2)

    @pytest.mark.parametrize(
        ("asked", "answer"),
        [
            ("03 0000 0005", "03 0a 4236 0000 41a0 0000 0007"),
            ("01 0000 0001", "01 01 00"),
            ("03 0000 0000", "83 03"),
            ("03 0000 0020", "83 02"),
            ("03 0000", "83 03"),
            ("2b 0e 01 00", "ab 01"),
            ("10 0002 0002 04 42480000", "10 0002 0002"),
            ("10 0002 0002 04 43480000", "90 03"),
            ("10 0000 0002 04 42480000", "90 02"),
            ("10 0002 0002 02 4248", "90 03"),
            ("05 0000 ff00", "05 0000 ff00"),
            ("05 0000 1234", "85 03"),
            ("0f 0000 0001 01 01", "0f 0000 0001"),
        ],
    )
    def test_answers_as_a_device_does(self, asked, answer):
        assert self.answer(asked).replace(" ", "") == answer.replace(" ", "")

    @pytest.mark.parametrize(
        ("lie", "answer"),
        [
            (("shifted", 1.0), "030a 0000 41a0 0000 0007 0000"),
            (("swapped", 0.0), "030a 0000 4236 0000 41a0 0007"),
            (("nan", 0.0, "T2g"), "030a 7fc0 0000 41a0 0000 0007"),
            (("inf", 0.0, "T2g"), "030a 7f80 0000 41a0 0000 0007"),
            (("raw", 0x8000, "HB"), "030a 4236 0000 41a0 0000 8000"),
            (("forbidden", 2.0, "HB"), "8302"),
        ],
    )
    def test_lies_about_what_it_holds(self, lie, answer):
        assert self.answer("03 0000 0005", lie) == answer
        assert self.plc.registers["T2g"] == 45.5

    def test_knows_what_cannot_be_said(self):
        bank = Bank(Plc(), MAP)
        with pytest.raises(ValueError, match="u16, which cannot be nan"):
            bank.lie("nan", 0.0, "HB")
        with pytest.raises(ValueError, match="no point is called 'T9'"):
            bank.lie("raw", 0.0, "T9")


class TestALedger:
    """The rows: time, connection, whether it was confirmed, the word; then the duplicates."""

    @pytest.mark.parametrize(
        ("writes", "duplicates"),
        [
            ([(0, 1, True, 5), (1, 1, True, 6), (2, 1, True, 5)], 0),
            ([(0, 1, True, 5), (1, 1, True, 5)], 1),
            ([(0, 1, True, 5), (60, 1, True, 5)], 0),
            ([(0, 1, True, 5), (1, 2, True, 5)], 0),
            ([(0, 1, False, 5), (1, 1, True, 5)], 1),
        ],
        ids=["changed", "twice", "refreshed", "reconnected", "repeated unasked"],
    )
    def test_finds_the_writes_that_had_no_cause(self, writes, duplicates):
        ledger = WriteLedger()
        for at_s, connection, is_confirmed, word in writes:
            pdu = struct.pack(">BHH", 6, 70, word)
            ledger.note(pdu, unit=1, connection=connection, at_s=at_s, is_confirmed=is_confirmed)
        assert (ledger.count, len(ledger.duplicates)) == (len(writes), duplicates)

    def test_allows_a_second_try_after_a_look_at_the_device(self):
        ledger = WriteLedger()
        for at_s in (0.0, 1.0):
            ledger.note(WRITE, unit=1, connection=1, at_s=at_s, is_confirmed=False)
            ledger.seen(1)
        assert ledger.duplicates == []

    def test_never_allows_a_second_pulse(self):
        ledger = WriteLedger()
        for connection in (1, 2):
            pdu = bytes.fromhex("05 0000 ff00")
            ledger.note(pdu, unit=1, connection=connection, at_s=1.0, is_confirmed=True)
        assert len(ledger.duplicates) == 1


def on_a_server(scene, **options):
    """Play a scene with a server and a way to ask it, in virtual time."""

    async def main():
        server = HostileServer({5: Bank(Plc(), MAP), 6: Bank(Plc(), MAP)}, **options)
        await server.start()
        await scene(server)
        server.stop()

    with asyncio.Runner(loop_factory=lambda: VirtualLoop(1)) as runner:
        runner.run(main())


async def ask(server, unit=5, patience_s=1.0):
    """Return what comes back within a while: bytes, b"" at the end of the stream, or None."""
    reader, writer = await asyncio.open_connection(server.host, server.port)
    writer.write(struct.pack(">HHHB", 7, 0, 6, unit) + READ)
    try:
        async with asyncio.timeout(patience_s):
            return await reader.read(100)
    except TimeoutError:
        return None
    except ConnectionError:
        return b""
    finally:
        writer.close()


def test_a_server_is_switched_while_it_runs():
    async def scene(server):
        right = HEAD + REPLY
        assert await ask(server) == right
        await server.put("silent")
        assert await ask(server) is None
        await server.put("fin")
        assert await ask(server) == b""
        await server.put("raw", amount=0x1234, tag="HB")
        await server.mend()
        assert await ask(server) == right
        await server.put("refuse")
        with pytest.raises(ConnectionRefusedError):
            await ask(server)
        await server.mend()
        assert await ask(server) == right

    on_a_server(scene)


def test_one_unit_behind_a_gateway_fails_and_the_line_is_busy_meanwhile():
    async def scene(server):
        await server.put("hung", amount=2.0, unit=5)
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        hung, other = await asyncio.gather(ask(server, 5, 9.0), ask(server, 6, 9.0))
        assert (hung[-2:], other[-6:]) == (b"\x83\x0b", REPLY)
        assert loop.time() - began_s == pytest.approx(2.2, abs=0.1)
        assert (await ask(server, 77))[-2:] == b"\x83\x0b"
        assert [server.requests_of(unit) for unit in (5, 6, 77)] == [1, 1, 1]

    on_a_server(scene, bus_s=0.1)


def test_a_server_counts_what_reaches_it():
    async def scene(server):
        await ask(server)
        _, writer = await asyncio.open_connection(server.host, server.port)
        writer.write(2 * (struct.pack(">HHHB", 7, 0, 11, 5) + WRITE))
        await asyncio.sleep(0.1)
        counts = server.counts
        assert (counts.requests, counts.connections, counts.is_open) == (3, 2, 1)
        assert (counts.writes, counts.duplicate_writes) == (2, 1)
        writer.close()
        await writer.wait_closed()

    on_a_server(scene)


@pytest.mark.parametrize(
    ("fault", "more", "said"),
    [
        ("nonsense", {}, "no fault is called nonsense; there are bad-length"),
        ("late", {"unit": 9}, "there is no unit 9"),
        ("nan", {"tag": "T9"}, "no point is called 'T9'"),
    ],
)
def test_what_cannot_be_put_on_is_said(fault, more, said):
    async def scene(server):
        with pytest.raises(ValueError, match=said):
            await server.put(fault, **more)

    on_a_server(scene)


def test_every_fault_can_be_put_on_and_mended():
    async def scene(server):
        for fault in FAULTS:
            await server.put(fault, tag="T2g")
            await server.mend()
        assert await ask(server) == HEAD + REPLY

    on_a_server(scene)
