"""Times for the PLC's own timers over OPC UA: written once, within their range, and never repeated.

A valve without a positioner is moved by nothing else, and a pulse too many moves it twice as far.
"""

import asyncio
import random
from contextlib import asynccontextmanager, suppress

import pytest
from structlog.testing import capture_logs

from core.clock import SystemClock
from core.image import Outputs
from core.point import Point, Tag, Unit
from drivers.link import Link
from drivers.opcua import opc_ua
from drivers.settings import Node, OpcUa
from tests.opcua_child import NAMESPACE, NODES, Plc, endpoint, served
from tests.running import free_port

RAISE, LOWER, SV = Tag("CV1_raise"), Tag("CV1_lower"), Tag("SV")
TIMERS = tuple(
    Node(
        point=Point(tag=tag, unit=Unit.SECOND, low=0.0, high=10.0, is_pulse=True),
        node=tag,
        kind="f32",
    )
    for tag in (RAISE, LOWER)
)
PERIOD_S = 1.0


class PlcWithContacts(Plc):
    """The PLC of a motor with two contacts; it notes each time that it was given."""

    def __init__(self):
        super().__init__()
        self.times = []
        self.takes_times = True

    def write(self, tag, value):
        if tag not in (RAISE, LOWER):
            return super().write(tag, value)
        self.times.append((tag, value))
        return self.takes_times


class Wire:
    """What lies between heatd and the server; it can lose all that goes one way."""

    def __init__(self, server_port):
        self.port, self._server_port = free_port(), server_port
        self.loses = ""
        self._ends = []

    @asynccontextmanager
    async def laid(self):
        server = await asyncio.start_server(self._join, "127.0.0.1", self.port)
        try:
            yield self
        finally:
            server.close()
            for end in self._ends:
                end.close()
            with suppress(ConnectionError):
                await asyncio.gather(*[end.wait_closed() for end in self._ends])

    async def _join(self, reader, writer):
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._server_port)
        self._ends += [writer, far_writer]
        await asyncio.gather(
            self._carry("requests", reader, far_writer), self._carry("replies", far_reader, writer)
        )

    async def _carry(self, name, source, sink):
        with suppress(ConnectionError):
            while data := await source.read(65536):
                if self.loses != name:
                    sink.write(data)
        sink.close()


class Scene:
    """A link to the PLC over the wire, scanned as a station does."""

    def __init__(self, plc, wire):
        self.plc, self.wire = plc, wire
        settings = OpcUa(endpoint=endpoint(wire.port), namespace=NAMESPACE)
        make = opc_ua("plc", settings, (*NODES, *TIMERS), SystemClock())
        self.link = Link("plc", make, period_s=PERIOD_S, rng=random.Random(1))

    async def scan(self, **timed):
        """Poll and write once; `timed` are the seconds for each contact."""
        loop = asyncio.get_running_loop()
        self.plc.scan()
        await self.link.poll()
        times = {Tag(tag): seconds for tag, seconds in timed.items()}
        await self.link.write(Outputs({SV: 33.0}, timed=times), loop.time())

    async def scan_until_up(self):
        async with asyncio.timeout(15.0):
            while not self.link.status.is_up or self.link.status.unverified:
                await self.scan()
                await asyncio.sleep(0.2)


@pytest.fixture(scope="module")
def runner():
    with asyncio.Runner() as runner:
        yield runner


@pytest.fixture(scope="module")
def house(runner):
    """Return a PLC that is served, and its port: to start and stop a server takes seconds."""
    plc, port = PlcWithContacts(), free_port()
    server = served(port, plc, (*NODES, *TIMERS))
    runner.run(server.start())
    yield plc, port
    runner.run(server.stop())


@pytest.fixture
def play(runner, house):
    """Return what plays a scenario on a fresh link, and returns what was logged."""

    async def scene_of(scenario):
        plc, port = house
        plc.times.clear()
        async with Wire(port).laid() as wire:
            scene = Scene(plc, wire)
            await scene.scan()
            await scenario(scene)
            await scene.link.close()

    def run(scenario):
        with capture_logs() as lines:
            runner.run(scene_of(scenario))
        return [(line["event"], line.get("tag"), line.get("why")) for line in lines]

    return run


def test_a_time_is_written_once_with_its_seconds_and_never_refreshed(play):
    async def scenario(scene):
        await scene.scan(CV1_raise=2.5)
        for _ in range(10):
            await scene.scan()
        # The same time once more is another pulse, though the variable would hold it already.
        await scene.scan(CV1_raise=2.5)
        await scene.scan(CV1_lower=0.75)
        assert scene.plc.times == [(RAISE, 2.5), (RAISE, 2.5), (LOWER, 0.75)]
        assert scene.plc.registers["SV"] == 33.0
        assert scene.link.status.unverified == ()

    assert play(scenario) == []


@pytest.mark.parametrize("seconds", [10.5, -0.5, float("nan")])
def test_a_time_outside_of_the_timers_range_is_said_and_not_sent(play, seconds):
    async def scenario(scene):
        await scene.scan(CV1_raise=seconds, CV1_lower=10.0)
        await scene.scan()
        assert scene.plc.times == [(LOWER, 10.0)]
        assert scene.link.status.is_up

    assert play(scenario) == [("pulse_failed", RAISE, f"{seconds:g} s is outside its range")]


def test_a_time_that_the_plc_refuses_is_said_and_the_link_stays_up(play):
    async def scenario(scene):
        scene.plc.takes_times = False
        await scene.scan(CV1_raise=2.5)
        scene.plc.takes_times = True
        for _ in range(3):
            await scene.scan()
        assert scene.plc.times == [(RAISE, 2.5)]
        assert (scene.link.status.is_up, scene.link.status.poll_errors) == (True, 0)
        assert "CV1_raise BadOutOfRange" in scene.link.status.last_error

    ((event, tag, why),) = play(scenario)
    assert (event, tag) == ("pulse_failed", RAISE)
    assert "CV1_raise BadOutOfRange" in why


@pytest.mark.parametrize(("loses", "times"), [("replies", [(RAISE, 2.5)]), ("requests", [])])
def test_a_time_without_an_answer_is_said_and_never_repeated(play, loses, times):
    async def scenario(scene):
        scene.plc.scan()
        await scene.link.poll()
        scene.wire.loses = loses
        now_s = asyncio.get_running_loop().time()
        await scene.link.write(Outputs(timed={RAISE: 2.5}), now_s)
        assert scene.plc.times == times
        scene.wire.loses = ""
        await scene.scan_until_up()
        for _ in range(3):
            await scene.scan()
        assert scene.plc.times == times
        await scene.scan(CV1_lower=1.5)
        assert scene.plc.times == [*times, (LOWER, 1.5)]

    (failed, *others) = play(scenario)
    assert failed[:2] == ("pulse_failed", RAISE)
    assert {event for event, _, _ in others} <= {"link_lost", "link_back"}
