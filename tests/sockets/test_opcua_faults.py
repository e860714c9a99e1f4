"""OPC UA data flows again after every fault of the server, on real sockets and in real time.

`HEATD_ROUNDS=20 ./run test tests/sockets/test_opcua_faults.py` plays each fault twenty times.
"""

import asyncio
import os
import random
import signal
import socket
import subprocess
import sys
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from core.clock import SystemClock
from core.image import Outputs
from core.point import Quality, Tag
from drivers.link import Link
from drivers.opcua import opc_ua
from drivers.settings import OpcUa
from tests.opcua_child import NAMESPACE, NODES, endpoint
from tests.running import environment

ROUNDS = int(os.environ.get("HEATD_ROUNDS", "1"))
PERIOD_S = 1.0
HUNG_S = 4.0
BACK_S_MAX = 10.0
T2G, P1G, BEAT, SV = Tag("T2g"), Tag("P1g"), Tag("HB_PLC"), Tag("SV")


def port_of_nobody():
    """Return a free port that no outgoing connection takes while the server is away."""
    for port in range(20000 + os.getpid() % 9000, 32000):
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise AssertionError("no port is free")


class Child:
    """The server's process, started again and again on the same port."""

    def __init__(self):
        self.port = port_of_nobody()
        self.starts = 0
        self.running = None

    def start(self):
        """Start it and wait until it listens; for a thread of its own."""
        self.starts += 1
        self.running = subprocess.Popen(
            [sys.executable, "-m", "tests.opcua_child", str(self.port), str(self.starts)],
            stdout=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
            env=environment(),
        )
        assert self.running.stdout.readline() == b"serving\n"

    def end(self):
        self.running.kill()
        self.running.wait()
        self.running.stdout.close()


class Scene:
    """A link that is polled all the time, and what can happen to its server."""

    def __init__(self, child, link):
        self.child = child
        self.link = link
        self.worst_s = 0.0

    def quality(self, tag=T2G):
        columns = self.link.columns(asyncio.get_running_loop().time())
        return columns.qualities[self.link.table.index[tag]]

    def value(self, tag):
        columns = self.link.columns(asyncio.get_running_loop().time())
        return columns.values[self.link.table.index[tag]]

    async def poll(self):
        await self.link.poll()
        await self.link.write(Outputs({SV: 33.0}), asyncio.get_running_loop().time())

    async def poll_for(self, seconds):
        loop = asyncio.get_running_loop()
        end_s = loop.time() + seconds
        while loop.time() < end_s:
            began_s = loop.time()
            await self.poll()
            await asyncio.sleep(max(0.0, began_s + PERIOD_S - loop.time()))

    async def back(self):
        """Poll until the PLC's heartbeat is seen to move; the law allows ten seconds."""
        loop = asyncio.get_running_loop()
        began_s, before = loop.time(), self.value(BEAT)
        while not (self.quality() == Quality.GOOD and self.value(BEAT) != before):
            assert loop.time() - began_s < BACK_S_MAX, self.link.status
            await self.poll_for(0.1)
        self.worst_s = max(self.worst_s, loop.time() - began_s)

    async def hang(self):
        self.child.running.send_signal(signal.SIGSTOP)
        await self.poll_for(HUNG_S)
        assert not self.link.status.is_up
        self.child.running.send_signal(signal.SIGCONT)
        await self.back()

    async def forget(self):
        self.child.running.send_signal(signal.SIGUSR1)
        await self.back()

    async def kill(self):
        self.child.end()
        await self.poll_for(3 * PERIOD_S)
        assert not self.link.status.is_up
        starting = asyncio.create_task(asyncio.to_thread(self.child.start))
        while not starting.done():
            await self.poll_for(0.1)
        await starting
        await self.back()


@asynccontextmanager
async def scene():
    child = Child()
    settings = OpcUa(endpoint=endpoint(child.port), namespace=NAMESPACE)
    make = opc_ua("plc", settings, NODES, SystemClock())
    link = Link("plc", make, period_s=PERIOD_S, rng=random.Random(1))
    try:
        await asyncio.to_thread(child.start)
        playing = Scene(child, link)
        await playing.back()
        yield playing
        await link.close()
    finally:
        child.end()


def open_things():
    return len(list(Path("/proc/self/fd").iterdir())), len(asyncio.all_tasks())


@pytest.mark.timeout(120 * ROUNDS)
def test_data_flows_again_after_every_hang_lost_session_and_kill_of_the_server():
    async def play():
        async with scene() as playing:
            before = open_things()
            for _ in range(ROUNDS):
                for happens in ("hang", "forget", "hang", "forget", "kill", "hang", "forget"):
                    await getattr(playing, happens)()
            assert open_things() == before
            # The restart gave the namespace another index and took one node away.
            assert playing.quality(P1G) == Quality.BAD
            assert "P1g BadNodeIdUnknown" in playing.link.status.last_error
            assert playing.value(SV) == 33.0
            sys.stdout.write(f"worst recovery {playing.worst_s:.1f} s\n")

    with capture_logs() as lines:
        asyncio.run(play())

    outages = [line["event"] for line in lines if line["event"].startswith("link_")]
    assert outages == ["link_lost", "link_back"] * (4 * ROUNDS)
