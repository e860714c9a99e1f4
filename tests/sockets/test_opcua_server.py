"""The OPC UA driver against asyncua's server, on real sockets."""

import asyncio
import math
import random
import socket
from dataclasses import replace

import pytest
from asyncua import Server, ua
from structlog.testing import capture_logs

from core.clock import SystemClock
from core.image import Outputs
from core.point import Point, Quality, Tag
from drivers.base import DriverError, Refused, Unreachable
from drivers.link import Link
from drivers.opcua import opc_ua
from drivers.settings import Node, OpcUa

URI = "urn:heatd:test:plc"
GOOD, STALE, BAD = Quality.GOOD, Quality.STALE, Quality.BAD

TYPES = {
    "bool": ua.VariantType.Boolean,
    "u16": ua.VariantType.UInt16,
    "i32": ua.VariantType.Int32,
    "f32": ua.VariantType.Float,
    "f64": ua.VariantType.Double,
}


def node(tag, kind="f32", *, is_slow=False, **more):
    point = Point(tag=Tag(tag), low=more.pop("low", -1e9), high=more.pop("high", 1e9), **more)
    return Node(point=point, node=f"station.{tag}", kind=kind, is_slow=is_slow)


NODES = [
    node("T2g", low=0, high=100),
    node("Q1_tot", "f64", is_slow=True),
    node("XP1_run", "bool"),
    node("F1", "i32"),
    node("CV1_SV", low=0, high=100, is_writable=True),
    node("HB_SCADA", "u16", is_writable=True),
    node("XP1_start", "bool", is_pulse=True),
]


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


async def serve(port):
    """Start a server whose namespace has not the index that one would guess."""
    server = Server()
    await server.init()
    server.set_endpoint(f"opc.tcp://127.0.0.1:{port}/heat/")
    server.set_security_policy([ua.SecurityPolicyType.NoSecurity])
    await server.register_namespace("urn:somebody:else")
    index = await server.register_namespace(URI)
    variables = {}
    for item in NODES:
        initial = False if item.kind == "bool" else 0
        variables[item.point.tag] = await server.nodes.objects.add_variable(
            ua.NodeId(item.node, index), item.point.tag, initial, TYPES[item.kind]
        )
        if item.point.is_writable or item.point.is_pulse:
            await variables[item.point.tag].set_writable()
    await server.start()
    return server, variables


@pytest.fixture(scope="module")
def runner():
    """Return what plays scenes, all in the one loop that the server lives in."""
    with asyncio.Runner() as runner:
        yield runner


@pytest.fixture(scope="module")
def station(runner):
    """Return the port and the variables of a server; it takes seconds to start, so all share it."""
    port = free_port()
    server, variables = runner.run(serve(port))
    yield port, variables
    runner.run(server.stop())


def settings(port, **changes):
    # Nobody renews the times of these variables, and all tests share them.
    changes.setdefault("stuck_after_s", 600.0)
    return OpcUa(endpoint=f"opc.tcp://127.0.0.1:{port}/heat/", namespace=URI, **changes)


def read(driver, reading):
    (block,) = reading.blocks
    tags = driver.table.tags[: len(block.values)]
    return dict(zip(tags, zip(block.values, block.qualities, strict=True), strict=True))


def test_values_writes_and_pulses_pass_with_their_types(runner, station):
    async def scene():
        port, variables = station
        driver = opc_ua("plc", settings(port), NODES, SystemClock())()
        await variables["T2g"].write_value(ua.Variant(45.5, ua.VariantType.Float))
        await variables["XP1_run"].write_value(
            ua.Variant(Value=True, VariantType=ua.VariantType.Boolean)
        )
        await variables["F1"].write_value(ua.Variant(-7, ua.VariantType.Int32))
        await driver.write({"CV1_SV": 41.25, "HB_SCADA": 7.0})
        await driver.pulse(Tag("XP1_start"))
        fast = read(driver, await driver.read(slow=False))
        slow = read(driver, await driver.read(slow=True))
        written = await variables["CV1_SV"].read_data_value()
        pulse = await variables["XP1_start"].read_value()
        await driver.close()
        return fast, slow, written, pulse

    fast, slow, written, pulse = runner.run(scene())

    assert fast == {
        "T2g": (45.5, GOOD),
        "XP1_run": (1.0, GOOD),
        "F1": (-7.0, GOOD),
        "CV1_SV": (41.25, GOOD),
        "HB_SCADA": (7.0, GOOD),
    }
    assert slow == {**fast, "Q1_tot": (0.0, GOOD)}
    assert written.Value.VariantType is ua.VariantType.Float
    assert pulse is True


@pytest.mark.parametrize(
    ("value", "status", "expected"),
    [
        (45.5, ua.StatusCodes.Good, (45.5, GOOD)),
        (45.5, ua.StatusCodes.UncertainLastUsableValue, (45.5, STALE)),
        (45.5, ua.StatusCodes.BadSensorFailure, (None, BAD)),
        (300.0, ua.StatusCodes.Good, (None, BAD)),
        (math.nan, ua.StatusCodes.Good, (None, BAD)),
    ],
)
def test_a_status_becomes_a_quality(runner, station, value, status, expected):
    async def scene():
        port, variables = station
        variant = ua.Variant(value, None if value is None else ua.VariantType.Float)
        await variables["T2g"].write_value(ua.DataValue(variant, ua.StatusCode(status)))
        driver = opc_ua("plc", settings(port), NODES, SystemClock())()
        found = read(driver, await driver.read(slow=False))["T2g"]
        await driver.close()
        return found

    value, quality = runner.run(scene())

    assert quality == expected[1]
    assert math.isnan(value) if expected[0] is None else value == expected[0]


def test_a_node_that_the_server_lacks_is_bad_and_said(runner, station):
    async def scene():
        port, _ = station
        driver = opc_ua("plc", settings(port), [*NODES, node("P2g")], SystemClock())()
        reading = await driver.read(slow=False)
        await driver.close()
        return read(driver, reading), reading.refused

    values, refused = runner.run(scene())

    assert values["P2g"][1] == BAD
    assert values["F1"][1] == GOOD
    assert "P2g BadNodeIdUnknown" in refused


def test_a_value_that_the_server_refuses_is_named_and_the_others_are_taken(runner, station):
    async def scene():
        port, variables = station
        await variables["CV1_SV"].set_read_only()
        driver = opc_ua("plc", settings(port), NODES, SystemClock())()
        with pytest.raises(Refused, match="CV1_SV Bad") as caught:
            await driver.write({"CV1_SV": 41.25, "HB_SCADA": 8.0})
        beat = await variables["HB_SCADA"].read_value()
        await variables["CV1_SV"].set_writable()
        await driver.close()
        return caught.value.tags, beat

    assert runner.run(scene()) == (("CV1_SV",), 8)


def test_the_channel_is_renewed_between_two_polls(runner, station):
    async def scene():
        port, _ = station
        driver = opc_ua("plc", settings(port), NODES, SystemClock())()
        await driver.read(slow=False)
        before_s = driver._connection._renew_at_s
        driver._connection._renew_at_s = 0.0
        for _ in range(2):
            await driver.read(slow=False)
        await driver.close()
        return before_s, driver._connection._renew_at_s

    before_s, after_s = runner.run(scene())

    assert after_s > before_s


def test_a_namespace_that_the_server_lacks_is_refused(runner, station):
    async def scene():
        port, _ = station
        given = OpcUa(endpoint=settings(port).endpoint, namespace="urn:not:there")
        driver = opc_ua("plc", given, NODES, SystemClock())()
        with pytest.raises(Refused, match="no namespace urn:not:there"):
            await driver.read(slow=False)

    runner.run(scene())


@pytest.mark.parametrize("greeting", [b"", b"HTTP/1.1 400 Bad Request\r\n\r\n", bytes(64)])
def test_a_server_that_is_none_is_an_error_in_time(greeting):
    async def greet(reader, writer):
        await reader.read(100)
        writer.write(greeting)
        await reader.read()
        writer.close()

    async def scene():
        server = await asyncio.start_server(greet, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        driver = opc_ua("plc", settings(port, timeout_s=0.5), NODES, SystemClock())()
        began_s = asyncio.get_running_loop().time()
        with pytest.raises(DriverError):
            await driver.read(slow=False)
        assert asyncio.get_running_loop().time() - began_s < 1.0
        server.close()
        await asyncio.sleep(0.05)

    asyncio.run(scene())


def test_nobody_there_is_unreachable():
    async def scene():
        driver = opc_ua("plc", settings(free_port()), NODES, SystemClock())()
        with pytest.raises(Unreachable):
            await driver.read(slow=False)

    asyncio.run(scene())


def test_a_link_verifies_writes_and_outlives_a_restart_of_the_server():
    async def poll_until(link, is_up):
        async with asyncio.timeout(10):
            while link.status.is_up != is_up:
                await link.poll()
                await asyncio.sleep(0.1)

    async def scene():
        port = free_port()
        server, variables = await serve(port)
        link = Link(
            "plc",
            opc_ua("plc", settings(port), NODES, SystemClock()),
            period_s=1.0,
            rng=random.Random(1),
        )
        now_s = asyncio.get_running_loop().time
        await link.poll()
        await link.write(Outputs({Tag("CV1_SV"): 33.3}, frozenset({Tag("XP1_start")})), now_s())
        await link.poll()
        assert link.status.writes_verified == 1
        assert await variables["XP1_start"].read_value() is True
        await server.stop()
        await poll_until(link, is_up=False)
        server, _ = await serve(port)
        await poll_until(link, is_up=True)
        assert link.columns(now_s()).qualities[link.table.index[Tag("T2g")]] == GOOD
        await link.close()
        await server.stop()

    with capture_logs() as lines:
        asyncio.run(scene())

    assert [line["event"] for line in lines] == ["link_lost", "link_back"]


def test_what_a_correction_adds_when_read_is_taken_off_when_written(runner, station):
    async def scene():
        port, variables = station
        nodes = [replace(one, correction=-0.5) if one.kind != "bool" else one for one in NODES]
        driver = opc_ua("plc", settings(port), nodes, SystemClock())()
        await driver.write({"CV1_SV": 41.25, "HB_SCADA": 7.5})
        held = [await variables[tag].read_value() for tag in ("CV1_SV", "HB_SCADA")]
        seen = read(driver, await driver.read(slow=False))
        await driver.close()
        return held, seen["CV1_SV"], seen["HB_SCADA"], driver.targets["HB_SCADA"]

    held, valve, beat, target = runner.run(scene())

    assert held == [41.75, 8]
    assert (valve, beat) == ((41.25, GOOD), (7.5, GOOD))
    assert (target.low, target.high) == (-0.5, 65534.5)


def test_what_the_type_cannot_hold_is_refused_alone_and_the_connection_stays(runner, station):
    async def scene():
        port, variables = station
        driver = opc_ua("plc", settings(port), NODES, SystemClock())()
        with pytest.raises(Refused, match=r"HB_SCADA 70000\.0 does not fit u16") as caught:
            await driver.write({"CV1_SV": 12.5, "HB_SCADA": 70000.0})
        held = await variables["CV1_SV"].read_value()
        is_broken = driver.is_broken
        await driver.close()
        return caught.value.tags, held, is_broken

    assert runner.run(scene()) == (("HB_SCADA",), 12.5, False)


def test_what_is_read_once_comes_with_the_first_read_of_each_connection(runner, station):
    async def scene():
        port, variables = station
        await variables["F1"].write_value(ua.Variant(17, ua.VariantType.Int32))
        nodes = [replace(one, is_once=one.point.tag == "F1") for one in NODES]
        make = opc_ua("plc", settings(port), nodes, SystemClock())
        came = []
        for _ in range(2):
            driver = make()
            came += [read(driver, await driver.read(slow=slow)) for slow in (False, False, True)]
            await driver.close()
        return came, driver.table.tags, driver.once, driver.slow

    came, tags, once, slow = runner.run(scene())

    assert [tags[i] for i in once] == ["F1"]
    assert [tags[i] for i in slow] == ["Q1_tot"]
    assert ["F1" in values for values in came] == [True, False, False] * 2
    assert ["Q1_tot" in values for values in came] == [True, False, True] * 2
    assert came[0]["F1"] == (17.0, GOOD)


def test_what_is_read_once_does_not_age_though_its_source_time_stands(runner, station):
    async def scene():
        port, variables = station
        await variables["F1"].write_value(ua.Variant(17, ua.VariantType.Int32))
        nodes = [replace(one, is_once=one.point.tag == "F1") for one in NODES]
        make = opc_ua("plc", settings(port), nodes, SystemClock())
        link = Link("plc", make, period_s=1.0, rng=random.Random(1))
        await link.poll()
        later_s = asyncio.get_running_loop().time() + 7200.0
        columns = link.columns(later_s)
        await link.close()
        index = link.table.index
        return [columns.qualities[index[Tag(tag)]] for tag in ("F1", "T2g")]

    assert runner.run(scene()) == [GOOD, BAD]
