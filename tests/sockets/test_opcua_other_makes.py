"""The OPC UA driver against a server of another make: node-opcua under Node.js."""

import asyncio
import os
import random
import shutil
import subprocess
from pathlib import Path

import pytest

from core.clock import SystemClock
from core.image import Outputs
from core.point import Point, Quality, Tag
from drivers.credentials import Login
from drivers.link import Link
from drivers.opcua import opc_ua
from drivers.settings import Node, OpcUa, OpcUaSecurity
from tests.pki import identity
from tests.running import free_port

SERVER = Path(__file__).parent.parent / "third_party" / "node-opcua" / "server.js"
T2G, BEAT, SV = Tag("T2g"), Tag("HB_PLC"), Tag("SV")
NODES = (
    Node(point=Point(tag=T2G, low=0, high=100), node="/Objects/Station/T2g", kind="f32"),
    Node(point=Point(tag=BEAT), node="HB_PLC", kind="u16"),
    Node(point=Point(tag=SV, low=0, high=100, is_writable=True), node="SV", kind="f32"),
)


class Foreign:
    """A running server, and what it takes to be let in."""

    def __init__(self, folder):
        self.folder = folder
        self.port = free_port()
        self.ours = identity(folder, "ours", uri="urn:heatd:client")
        self.password = folder / "password"
        self.password.write_text("s3cret", encoding="utf-8")
        self.password.chmod(0o640)

    def settings(self, **changes):
        return OpcUa(
            endpoint=f"opc.tcp://127.0.0.1:{self.port}/heat/",
            namespace="urn:heatd:test:plc",
            **changes,
        )

    def secured(self, policy, *, trust="pki/own/certs"):
        return self.settings(
            security=OpcUaSecurity(
                policy=policy,
                certificate=str(self.ours.der),
                key=str(self.ours.pem),
                trust=str(self.folder / trust),
            ),
            user=Login(name="heatd", password_file=str(self.password)),
        )


@pytest.fixture(scope="module")
def foreign(tmp_path_factory):
    """Return a server in a process of its own; it takes seconds to start, so all share it."""
    node = shutil.which("node")
    if node is None or not (SERVER.parent / "node_modules").is_dir():
        missing = f"node-opcua is not installed (npm ci in {SERVER.parent.name})"
        if os.environ.get("CI") == "true":
            pytest.fail(missing, pytrace=False)
        pytest.skip(missing)
    made = Foreign(tmp_path_factory.mktemp("foreign"))
    running = subprocess.Popen(
        [node, SERVER, str(made.port), made.folder],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    try:
        said = []
        # On a slow machine it warns of this and that before it serves.
        while b"serving\n" not in said:
            said.append(running.stdout.readline())
            assert said[-1], b"".join(said).decode()
        yield made
    finally:
        running.kill()
        running.wait()
        running.stdout.close()


def link_to(settings):
    return Link(
        "plc",
        opc_ua("plc", settings, NODES, SystemClock()),
        period_s=5.0,
        rng=random.Random(1),
    )


def seen(link, tag):
    columns = link.columns(asyncio.get_running_loop().time())
    i = link.table.index[tag]
    return columns.values[i], columns.qualities[i]


def test_values_writes_and_their_read_back_pass(foreign):
    async def scene():
        link = link_to(foreign.settings(source_time="newest"))
        await link.poll()
        found = [seen(link, tag) for tag in (T2G, SV)]
        await link.write(Outputs({SV: 33.25}), asyncio.get_running_loop().time())
        await link.poll()
        found.append(seen(link, SV))
        status = link.status
        await link.close()
        return found, status

    found, status = asyncio.run(scene())

    assert found[0] == (45.5, Quality.GOOD)
    assert found[2] == (33.25, Quality.GOOD)
    assert status.writes_verified == 1
    assert status.poll_errors == 0


@pytest.mark.parametrize("policy", ["Basic256Sha256", "Aes256_Sha256_RsaPss"])
def test_values_come_by_a_secure_channel_with_user_and_password(foreign, policy):
    async def scene():
        link = link_to(foreign.secured(policy))
        await link.poll()
        found = seen(link, T2G), link.status
        await link.close()
        return found

    found, status = asyncio.run(scene())

    assert found == (45.5, Quality.GOOD), status


def test_a_server_whose_certificate_we_do_not_know_is_rejected(foreign):
    async def scene():
        link = link_to(foreign.secured("Basic256Sha256", trust="users/trusted"))
        await link.poll()
        return link.status

    (foreign.folder / "users" / "trusted").mkdir(parents=True, exist_ok=True)

    assert asyncio.run(scene()).is_untrusted
