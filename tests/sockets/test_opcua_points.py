"""What heatd makes of the values, times and nodes of an OPC UA server, on real sockets."""

import asyncio
import math
import random

import pytest
from asyncua import ua
from asyncua.ua.uaerrors import BadTooManySessions
from structlog.testing import capture_logs

from core.clock import SystemClock
from core.point import Point, Quality, Tag
from drivers.link import Link
from drivers.opcua import opc_ua
from drivers.opcua_connection import Connection, plainly_cancelled
from drivers.settings import Node, OpcUa
from tests.opcua_child import NAMESPACE, NODES, Plc, endpoint, served
from tests.running import free_port

T2G, P1G, BEAT, SV = (Tag(name) for name in ("T2g", "P1g", "HB_PLC", "SV"))
GOOD, SUBSTITUTED, STALE, BAD = Quality.GOOD, Quality.SUBSTITUTED, Quality.STALE, Quality.BAD
PERIOD_S = 1.0


class Station:
    """A server with its PLC, and links to it."""

    def __init__(self):
        self.port = free_port()
        self.plc = Plc()
        self.server = served(self.port, self.plc)

    def settings(self, **changes):
        return OpcUa(endpoint=endpoint(self.port), namespace=NAMESPACE, **changes)

    def link(self, nodes=NODES, **changes):
        make = opc_ua("plc", self.settings(**changes), nodes, SystemClock())
        return Link("plc", make, period_s=PERIOD_S, rng=random.Random(1))


@pytest.fixture(scope="module")
def runner():
    with asyncio.Runner() as runner:
        yield runner


@pytest.fixture(scope="module")
def shared(runner):
    """Return a server for all scenes: to start one takes a second."""
    made = Station()
    runner.run(made.server.start())
    yield made
    runner.run(made.server.stop())


@pytest.fixture
def station(shared):
    """Return the server as new."""
    shared.server.disturb(statuses={}, is_frozen=False, clock_ahead_s=0.0, stamps_all=True)
    shared.plc.registers.update(Plc().registers)
    shared.plc.scan()
    return shared


def seen(link, tag, *, after_s=0.0):
    """Return value, quality and age of a point, `after_s` from now."""
    columns = link.columns(asyncio.get_running_loop().time() + after_s)
    i = link.table.index[tag]
    return columns.values[i], columns.qualities[i], columns.ages_s[i]


def test_points_are_found_by_path_identifier_and_the_namespace_s_uri(runner, station):
    async def scene():
        link = station.link()
        await link.poll()
        found = {tag: seen(link, tag)[:2] for tag in link.table}
        await link.close()
        return found

    assert runner.run(scene()) == {
        T2G: (45.5, GOOD),
        P1G: (pytest.approx(0.85), GOOD),
        BEAT: (station.plc.registers["HB_PLC"], GOOD),
        SV: (20.0, GOOD),
    }


@pytest.mark.parametrize(
    ("node", "said"),
    [
        ("/Objects/Station/T9", "there is no /Objects/Station/T9"),
        ("/Objects/Nowhere/T2g", "there is no /Objects/Nowhere"),
        ("ns=urn:nobody;s=T2g", "no namespace urn:nobody"),
        ("i=99", "BadNodeIdUnknown"),
    ],
)
def test_a_node_that_is_not_there_is_bad_and_named_and_the_others_hold(runner, station, node, said):
    async def scene():
        lacking = Node(point=Point(tag=Tag("T9")), node=node, kind="f32")
        link = station.link(nodes=[*NODES, lacking])
        await link.poll()
        found = seen(link, Tag("T9"))[1], seen(link, T2G)[1], link.status
        await link.close()
        return found

    lacking, present, status = runner.run(scene())

    assert (lacking, present) == (BAD, GOOD)
    assert said in status.last_error


@pytest.mark.parametrize(
    ("name", "quality"),
    [
        ("Good", GOOD),
        ("UncertainSubstituteValue", SUBSTITUTED),
        ("UncertainLastUsableValue", STALE),
        ("BadSensorFailure", BAD),
    ],
)
def test_a_status_becomes_a_quality(runner, station, name, quality):
    async def scene():
        station.server.disturb(statuses={T2G: getattr(ua.StatusCodes, name)})
        link = station.link()
        await link.poll()
        found = seen(link, T2G), seen(link, P1G)
        await link.close()
        return found

    (value, found, _), other = runner.run(scene())

    assert found == quality
    assert math.isnan(value) if quality == BAD else value == 45.5
    assert other[1] == GOOD


def test_a_fault_of_the_transport_behind_the_server_is_no_data_and_ages(runner, station):
    async def scene():
        link = station.link()
        await link.poll()
        station.server.disturb(statuses={T2G: ua.StatusCodes.BadNoCommunication})
        await link.poll()
        found = [seen(link, T2G, after_s=s)[:2] for s in (0.0, 4.0, 70.0)]
        await link.close()
        return found

    fresh, old, gone = runner.run(scene())

    assert fresh == (45.5, GOOD)
    assert old == (45.5, STALE)
    assert gone[1] == BAD


def test_a_clock_that_is_hours_wrong_makes_nothing_old(runner, station):
    async def scene():
        found = []
        for ahead_s in (-8 * 3600.0, 8 * 3600.0):
            station.server.disturb(clock_ahead_s=ahead_s)
            link = station.link()
            await link.poll()
            found.append(seen(link, T2G)[1:])
            await link.close()
        return found

    for quality, age_s in runner.run(scene()):
        assert quality == GOOD
        assert age_s < 1.0


def test_a_value_whose_source_time_stands_still_ages_alone(runner, station):
    async def scene():
        # Only what changes is stamped: the heartbeat moves and the temperature does not.
        station.server.disturb(stamps_all=False)
        link = station.link(stuck_after_s=600.0)
        await link.poll()
        await asyncio.sleep(3.2)
        station.plc.scan()
        await link.poll()
        found = seen(link, T2G), seen(link, BEAT), seen(link, SV)
        await link.close()
        return found

    still, moving, written = runner.run(scene())

    assert (still[1], moving[1], written[1]) == (STALE, GOOD, GOOD)
    assert still[2] == pytest.approx(3.2, abs=0.5)


def test_where_only_changes_are_stamped_the_heartbeat_keeps_all_values_fresh(runner, station):
    async def scene():
        station.server.disturb(stamps_all=False)
        link = station.link(source_time="newest")
        await link.poll()
        await asyncio.sleep(3.2)
        station.plc.scan()
        await link.poll()
        found = seen(link, T2G)
        await link.close()
        return found

    assert runner.run(scene())[1] == GOOD


def test_a_program_that_stands_is_one_outage_though_its_server_answers(runner, station):
    async def poll_until(link, *, is_up):
        async with asyncio.timeout(15.0):
            while link.status.is_up != is_up:
                await link.poll()
                await asyncio.sleep(0.25)

    async def scene():
        link = station.link(stuck_after_s=5.0)
        await poll_until(link, is_up=True)
        station.server.disturb(is_frozen=True)
        await poll_until(link, is_up=False)
        said = link.status.last_error
        for _ in range(4):
            await link.poll()
            await asyncio.sleep(0.5)
        assert not link.status.is_up
        station.server.disturb(is_frozen=False)
        station.plc.scan()
        began_s = asyncio.get_running_loop().time()
        await poll_until(link, is_up=True)
        back_s = asyncio.get_running_loop().time() - began_s
        await link.close()
        return said, back_s

    with capture_logs() as lines:
        said, back_s = runner.run(scene())

    assert "it answers, but no source time has moved for 5 s" in said
    assert back_s < 10.0
    assert [line["event"] for line in lines] == ["link_lost", "link_back"]


def test_an_answer_that_comes_together_with_the_time_out_is_a_time_out():
    class OtherError(asyncio.CancelledError):
        """As wait_for2 raises it."""

    async def answered_too_late():
        try:
            await asyncio.sleep(10.0)
        except asyncio.CancelledError:
            raise OtherError from None

    async def scene():
        async with asyncio.timeout(0.0):
            with plainly_cancelled():
                await answered_too_late()

    with pytest.raises(TimeoutError):
        asyncio.run(scene())


def test_a_server_that_is_full_is_left_alone_for_a_session(station):
    error = Connection("plc", station.settings(), SystemClock()).error_of(BadTooManySessions())

    assert "BadTooManySessions" in str(error)
    assert error.wait_s >= 90.0
