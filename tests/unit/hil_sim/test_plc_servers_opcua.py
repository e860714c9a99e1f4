import asyncio
import math
import time
from datetime import UTC, datetime, timedelta

import pytest
from asyncua import Client, ua
from asyncua.ua.uaerrors import BadOutOfRange, BadTypeMismatch, BadUserAccessDenied

from core.clock import LoopClock
from core.point import Point, Tag
from drivers.settings import Node
from hil_sim.opcua_plc import serve_opcua
from hil_sim.virtual_loop import VirtualLoop

HOST, PORT = "10.0.0.2", 4840
ENDPOINT = f"opc.tcp://{HOST}:{PORT}/heat/"
NAMESPACE = "urn:example:plc"
EPOCH = datetime(2026, 1, 15, tzinfo=UTC)
KINDS = {
    "T2g": "f32",
    "Q1_tot": "f64",
    "HB": "u16",
    "XP1_run": "bool",
    "SV": "f32",
    "start": "bool",
}


class Plc:
    """A PLC of four measured values, a setpoint up to 100, and a command."""

    def __init__(self):
        self.registers = {"T2g": 45.5, "Q1_tot": 12.0, "HB": 0.0, "XP1_run": 1.0, "SV": 20.0}
        self.generation = 0
        self.writes = []

    def scan(self):
        self.generation += 1
        self.registers["HB"] += 1.0

    def write(self, tag, value):
        self.writes.append((tag, value))
        if not 0.0 <= value <= 100.0:
            return False
        if tag == "SV":
            self.registers[tag] = value
        self.generation += 1
        return True

    def nodes(self):
        return [
            Node(
                point=Point(tag=Tag(tag), is_writable=tag == "SV", is_pulse=tag == "start"),
                node=f"st-01.{tag}",
                kind=kind,
            )
            for tag, kind in KINDS.items()
        ]


class Session:
    """A client and the nodes of the PLC by tag."""

    def __init__(self, client, nodes):
        self.client = client
        self.nodes = nodes

    async def value(self, tag):
        return await self.nodes[tag].read_value()

    async def write(self, tag, value, kind):
        await self.nodes[tag].write_value(ua.DataValue(ua.Variant(value, kind)))


async def connected():
    client = Client(ENDPOINT, timeout=4, watchdog_intervall=60.0)
    await client.connect()
    index = await client.get_namespace_index(NAMESPACE)
    nodes = {tag: client.get_node(ua.NodeId(f"st-01.{tag}", index)) for tag in KINDS}
    return Session(client, nodes)


@pytest.fixture(scope="module")
def world():
    """One PLC that is served for all tests: to build an address space takes asyncua a second."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        plc = Plc()
        server = runner.run(
            serve_opcua(
                plc,
                plc.nodes(),
                ENDPOINT,
                NAMESPACE,
                clock=LoopClock(EPOCH),
                station="st-01",
            )
        )
        yield runner, plc, server
        runner.run(server.stop())


@pytest.fixture
def run(world):
    """Return what runs `scene(plc, server)` in virtual time, with the PLC as new."""
    runner, plc, server = world
    plc.registers.update(Plc().registers)
    plc.generation += 1
    plc.writes.clear()
    return lambda scene: runner.run(scene(plc, server))


def test_ten_minutes_of_polling_take_a_moment(run):
    async def scene(plc, server):
        loop = asyncio.get_running_loop()
        session = await connected()
        began_s, began_cpu_s = loop.time(), time.process_time()
        for i in range(120):
            plc.scan()
            values = await session.client.read_values(
                [session.nodes[tag] for tag in ("T2g", "HB", "SV")]
            )
            assert values == [45.5, plc.registers["HB"], plc.registers["SV"]]
            await session.write("SV", 20.0 + i % 10, ua.VariantType.Float)
            await asyncio.sleep(began_s + 5.0 * (i + 1) - loop.time())
        cpu_s = time.process_time() - began_cpu_s
        await session.client.disconnect()
        return loop.time() - began_s, cpu_s

    elapsed_s, cpu_s = run(scene)

    assert elapsed_s == pytest.approx(600.0, abs=1.0)
    assert cpu_s < 3.0


def test_every_kind_of_value_is_shown_with_its_type(run):
    async def scene(plc, server):
        session = await connected()
        shown = {tag: await node.read_data_value() for tag, node in session.nodes.items()}
        await session.client.disconnect()
        return {tag: (data.Value.Value, data.Value.VariantType.name) for tag, data in shown.items()}

    assert run(scene) == {
        "T2g": (45.5, "Float"),
        "Q1_tot": (12.0, "Double"),
        "HB": (0, "UInt16"),
        "XP1_run": (True, "Boolean"),
        "SV": (20.0, "Float"),
        "start": (False, "Boolean"),
    }


def test_the_source_time_of_a_value_is_when_it_changed(run):
    async def scene(plc, server):
        session = await connected()
        await session.value("T2g")
        began_at = LoopClock(EPOCH).now().utc
        await asyncio.sleep(100.0)
        plc.scan()
        changed_at = LoopClock(EPOCH).now().utc
        steady = await session.nodes["T2g"].read_data_value()
        changing = await session.nodes["HB"].read_data_value()
        await session.client.disconnect()
        return steady.SourceTimestamp, began_at, changing.SourceTimestamp, changed_at

    steady, began_at, changing, changed_at = run(scene)

    assert abs(changing - changed_at) < timedelta(seconds=0.1)
    assert steady < began_at


def test_a_sensor_that_says_nothing_is_bad_and_comes_back(run):
    async def scene(plc, server):
        session = await connected()
        statuses = []
        for value in (math.nan, math.nan, 46.0):
            plc.registers["T2g"] = value
            plc.scan()
            data = await session.nodes["T2g"].read_data_value(raise_on_bad_status=False)
            statuses.append((data.StatusCode.name, data.Value.Value))
        await session.client.disconnect()
        return statuses

    assert run(scene) == [("BadSensorFailure", None), ("BadSensorFailure", None), ("Good", 46.0)]


def test_a_write_reaches_the_plc_once_and_what_it_made_of_it_is_shown(run):
    async def scene(plc, server):
        session = await connected()
        await session.write("SV", 55.5, ua.VariantType.Float)
        await asyncio.sleep(10.0)
        shown = await session.value("SV")
        await session.client.disconnect()
        return plc.writes, shown

    assert run(scene) == ([("SV", 55.5)], 55.5)


def test_a_command_is_taken_each_time_and_shows_false(run):
    async def scene(plc, server):
        session = await connected()
        for _ in range(2):
            await session.write("start", value=True, kind=ua.VariantType.Boolean)
        shown = await session.value("start")
        await session.client.disconnect()
        return plc.writes, shown

    assert run(scene) == ([("start", 1.0), ("start", 1.0)], False)


def test_what_the_plc_refuses_is_answered_so_and_not_shown(run):
    async def scene(plc, server):
        session = await connected()
        with pytest.raises(BadOutOfRange):
            await session.write("SV", 200.0, ua.VariantType.Float)
        shown = await session.value("SV")
        await session.client.disconnect()
        return plc.writes, shown

    assert run(scene) == ([("SV", 200.0)], 20.0)


@pytest.mark.parametrize(
    ("tag", "kind", "refusal"),
    [
        ("T2g", ua.VariantType.Float, BadUserAccessDenied),
        ("SV", ua.VariantType.Double, BadTypeMismatch),
    ],
)
def test_the_server_itself_refuses_what_is_read_only_or_of_another_type(run, tag, kind, refusal):
    async def scene(plc, server):
        session = await connected()
        with pytest.raises(refusal):
            await session.write(tag, 50.0, kind)
        await session.client.disconnect()
        return plc.writes

    assert run(scene) == []


def test_who_subscribes_is_told_of_changes_without_a_read(run):
    async def scene(plc, server):
        session = await connected()
        told = []

        class Listener:
            def datachange_notification(self, _node, value, _data):
                told.append(value)

        subscription = await session.client.create_subscription(500, Listener())
        await subscription.subscribe_data_change(session.nodes["HB"])
        for _ in range(3):
            plc.scan()
            await asyncio.sleep(5.0)
        await subscription.delete()
        await session.client.disconnect()
        return told

    assert run(scene) == [0, 1, 2, 3]


def test_a_plc_that_went_away_and_came_back_is_found_by_a_new_client(run):
    async def scene(plc, server):
        session = await connected()
        await server.stop()
        await server.stop()
        with pytest.raises(ConnectionError):
            await session.value("HB")
        await session.client.disconnect()
        with pytest.raises(ConnectionRefusedError):
            await connected()
        plc.registers["T2g"] = 33.0
        await server.start()
        await server.start()
        session = await connected()
        value = await session.value("T2g")
        await session.client.disconnect()
        return value, server.is_serving

    assert run(scene) == (33.0, True)


def test_a_cut_costs_the_client_its_time_out(run):
    async def scene(plc, server):
        loop = asyncio.get_running_loop()
        session = await connected()
        loop.net.cut(HOST, PORT)
        asked_s = loop.time()
        with pytest.raises(TimeoutError):
            await session.value("HB")
        waited_s = loop.time() - asked_s
        await session.client.disconnect()
        loop.net.heal(HOST, PORT)
        session = await connected()
        value = await session.value("HB")
        await session.client.disconnect()
        return waited_s, value

    assert run(scene) == (pytest.approx(4.0), 0)


def test_a_node_without_a_value_in_the_plc_is_refused():
    async def main():
        plc = Plc()
        del plc.registers["T2g"]
        await serve_opcua(plc, plc.nodes(), ENDPOINT, NAMESPACE, clock=LoopClock(EPOCH))

    with asyncio.Runner(loop_factory=VirtualLoop) as runner, pytest.raises(ValueError, match="T2g"):
        runner.run(main())
