"""Row 25 of the fault catalogue: nobody tells addresses to names any more."""

import asyncio
import random
import socket

from core.point import Point, Tag
from drivers.link import Link
from drivers.modbus import modbus_tcp
from drivers.settings import ModbusTcp, Register
from hil_sim.hostile import HostileServer
from hil_sim.hostile_bank import Bank

POINTS = [Register(point=Point(tag=Tag("T2g")), area="holding", address=0, kind="f32")]
PERIOD_S = 0.3


class Plc:
    """A PLC of one value."""

    def __init__(self):
        self.registers = {"T2g": 45.5}
        self.generation = 0

    def write(self, *_):
        return False


class Loop(asyncio.SelectorEventLoop):
    """A loop whose names can be taken away; `asked` counts who wanted one."""

    is_nameless = False
    asked = 0

    async def getaddrinfo(self, _host, port, **more):
        self.asked += 1
        if self.is_nameless:
            raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
        return await super().getaddrinfo("127.0.0.1", port, **more)


def test_without_names_whoever_is_connected_goes_on():
    async def scene():
        loop = asyncio.get_running_loop()
        servers = [HostileServer({1: Bank(Plc(), POINTS)}) for _ in range(3)]
        for server in servers:
            await server.start()
        hosts = ["plc-1.station", "plc-2.station", "127.0.0.1"]
        named, cut, numbered = links = [
            Link(
                host,
                modbus_tcp(host, ModbusTcp(host=host, port=server.port, timeout_s=0.2), POINTS),
                period_s=PERIOD_S,
                rng=random.Random(host),
            )
            for host, server in zip(hosts, servers, strict=True)
        ]

        async def until(claim, seconds):
            began_s = loop.time()
            async with asyncio.timeout(seconds):
                while not claim():
                    await asyncio.gather(*(link.poll() for link in links))
                    await asyncio.sleep(PERIOD_S)
            return loop.time() - began_s

        await until(lambda: all(link.status.is_up for link in links), 5.0)
        loop.is_nameless = True
        # The second loses its connection and the third too, which needs no name.
        for server in servers[1:]:
            server.stop()
            await server.start()
        await until(lambda: not cut.status.is_up, 5.0)
        await until(lambda: numbered.status.is_up, 5.0)
        polls = named.status.polls
        await until(lambda: named.status.polls >= polls + 5, 5.0)
        found = named.status.poll_errors, "name resolution" in cut.status.last_error
        loop.is_nameless = False
        took_s = await until(lambda: cut.status.is_up, 10.0)
        for link in links:
            await link.close()
        for server in servers:
            server.stop()
        return found, took_s, loop.asked

    with asyncio.Runner(loop_factory=Loop) as runner:
        found, took_s, asked = runner.run(scene())

    assert found == (0, True)
    assert took_s <= 5.0
    assert asked > 2
