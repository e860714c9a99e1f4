"""Who may speak to whom by OPC UA, and what happens to the others; on real sockets."""

import asyncio
import random
import re
import shutil
import subprocess
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from core.clock import LoopClock, SystemClock
from core.point import Quality, Tag
from drivers.credentials import KeyPair, Login
from drivers.link import Link
from drivers.opcua import opc_ua
from drivers.settings import OpcUa, OpcUaSecurity
from hil_sim.opcua_manners import OpcUaDoor
from tests.opcua_child import NAMESPACE, NODES, Plc, endpoint, served
from tests.pki import identity
from tests.running import free_port

GUIDE = Path(__file__).parents[2] / "docs" / "drivers" / "opcua.md"
SERVER_URI = "urn:heatd:test:server"
POLICIES = (
    "Basic256Sha256_Sign",
    "Basic256Sha256_SignAndEncrypt",
    "Aes256Sha256RsaPss_SignAndEncrypt",
)
VARIABLE = "HEATD_TEST_PASSWORD"


class Guarded:
    """A server that trusts us, its identities, and settings with which it lets us in."""

    def __init__(self, folder):
        self.folder = folder
        self.port = free_port()
        clients, trusted, authorities = (folder / n for n in ("clients", "trusted", "authorities"))
        for path in (clients, trusted, authorities, folder / "empty"):
            path.mkdir()
        authority = identity(authorities, "authority")
        server = identity(folder, "server", uri=SERVER_URI, host="127.0.0.1", signer=authority)
        shutil.copy(server.der, trusted)
        self.ours = identity(folder, "ours", uri="urn:heatd:client")
        self.person = identity(folder, "person", uri="urn:person")
        identity(folder, "stranger", uri="urn:heatd:client")
        shutil.copy(self.ours.der, clients)
        password = folder / "password"
        password.write_text("s3cret\n", encoding="utf-8")
        password.chmod(0o640)
        self.door = OpcUaDoor(
            certificate=server.der,
            key=server.pem,
            trust=clients,
            uri=SERVER_URI,
            policies=POLICIES,
            passwords={"heatd": "s3cret"},
            user_certificates=frozenset({self.person.der.read_bytes()}),
        )
        self.security = OpcUaSecurity(
            policy="Basic256Sha256",
            certificate=str(self.ours.der),
            key=str(self.ours.pem),
            trust=str(trusted),
        )
        self.settings = OpcUa(
            endpoint=endpoint(self.port),
            namespace=NAMESPACE,
            security=self.security,
            user=Login(name="heatd", password_file=str(password)),
        )

    def secured(self, **changes):
        return replace(self.settings, security=replace(self.security, **changes))


@pytest.fixture(scope="module")
def runner():
    with asyncio.Runner() as runner:
        yield runner


@pytest.fixture(scope="module")
def guarded(runner, tmp_path_factory):
    """Return a server that is shared by all scenes: to start one takes seconds."""
    made = Guarded(tmp_path_factory.mktemp("pki"))
    server = served(made.port, Plc(), door=made.door)
    runner.run(server.start())
    made.server = server
    yield made
    runner.run(server.stop())


def link_to(settings, clock=None):
    make = opc_ua("plc", settings, NODES, clock or SystemClock())
    return Link("plc", make, period_s=5.0, rng=random.Random(1))


async def supply(link):
    """Return the quality of the supply temperature after one poll."""
    await link.poll()
    columns = link.columns(asyncio.get_running_loop().time())
    await link.close()
    return columns.qualities[link.table.index[Tag("T2g")]]


@pytest.mark.parametrize(
    ("policy", "mode"),
    [
        ("Basic256Sha256", "Sign"),
        ("Basic256Sha256", "SignAndEncrypt"),
        ("Aes256_Sha256_RsaPss", "SignAndEncrypt"),
    ],
)
def test_values_come_through_each_policy_with_user_and_password(runner, guarded, policy, mode):
    link = link_to(guarded.secured(policy=policy, mode=mode))

    assert runner.run(supply(link)) == Quality.GOOD, link.status


def test_a_server_is_trusted_by_the_authority_that_signed_it(runner, guarded):
    link = link_to(guarded.secured(trust=str(guarded.folder / "authorities")))

    assert runner.run(supply(link)) == Quality.GOOD, link.status


def test_a_pinned_server_may_be_reached_by_any_name(runner, guarded):
    settings = replace(
        guarded.settings, endpoint=guarded.settings.endpoint.replace("127.0.0.1", "localhost")
    )
    link = link_to(settings)

    assert runner.run(supply(link)) == Quality.GOOD, link.status


def test_a_certificate_logs_in_in_place_of_a_name(runner, guarded):
    person = KeyPair(certificate=str(guarded.person.der), key=str(guarded.person.pem))
    link = link_to(replace(guarded.settings, user=None, user_certificate=person))

    assert runner.run(supply(link)) == Quality.GOOD, link.status


def test_the_certificate_that_the_guide_makes_is_taken(runner, guarded, tmp_path, require_program):
    require_program("openssl")
    (script,) = re.findall(r"```sh\n(openssl req .*?)```", GUIDE.read_text("utf-8"), re.DOTALL)
    subprocess.run(["sh", "-ec", script], cwd=tmp_path, check=True, capture_output=True)
    trusted = tmp_path / "trusted"
    trusted.mkdir()
    shutil.copy(tmp_path / "heatd.der", trusted)
    door = replace(guarded.door, trust=trusted, policies=("Basic256Sha256_SignAndEncrypt",))
    port = free_port()
    settings = replace(
        guarded.secured(certificate=str(tmp_path / "heatd.der"), key=str(tmp_path / "heatd.pem")),
        endpoint=endpoint(port),
    )

    async def scene():
        server = served(port, Plc(), door=door)
        await server.start()
        link = link_to(settings)
        found = await supply(link)
        await server.stop()
        return found, link.status

    quality, status = runner.run(scene())

    assert quality == Quality.GOOD, status


def expired(guarded):
    return guarded.settings, LoopClock(datetime(2040, 1, 1, tzinfo=UTC))


def not_yet_valid(guarded):
    return guarded.settings, LoopClock(datetime(1970, 1, 1, tzinfo=UTC))


def untrusted(guarded):
    return guarded.secured(trust=str(guarded.folder / "empty")), None


def without_a_folder(guarded):
    return guarded.secured(trust=str(guarded.folder / "nowhere")), None


def for_another_host(guarded):
    settings = guarded.secured(trust=str(guarded.folder / "authorities"))
    return replace(settings, endpoint=settings.endpoint.replace("127.0.0.1", "localhost")), None


def without_a_common_policy(guarded):
    return guarded.secured(policy="Aes256_Sha256_RsaPss", mode="Sign"), None


def unknown_to_the_server(guarded):
    folder = guarded.folder
    files = {"certificate": str(folder / "stranger.der"), "key": str(folder / "stranger.pem")}
    return guarded.secured(**files), None


def with_a_wrong_password(guarded):
    user = Login(name="heatd", password_env=VARIABLE)
    return replace(guarded.settings, user=user), None


def as_nobody(guarded):
    return replace(guarded.settings, user=None), None


def as_a_person_unknown(guarded):
    stranger = guarded.folder / "stranger.der", guarded.folder / "stranger.pem"
    pair = KeyPair(certificate=str(stranger[0]), key=str(stranger[1]))
    return replace(guarded.settings, user=None, user_certificate=pair), None


def with_the_key_of_another(guarded):
    return guarded.secured(key=str(guarded.folder / "stranger.pem")), None


def without_any_security(guarded):
    return replace(guarded.settings, security=None, user=None), None


@pytest.mark.parametrize(
    ("visitor", "said"),
    [
        (expired, "holds from 2026-01-01"),
        (not_yet_valid, "and it is 1970-01-01"),
        (untrusted, "is not trusted"),
        (without_a_folder, "cannot be read: No such file"),
        (for_another_host, "is not for localhost"),
        (without_a_common_policy, "does not offer Aes256_Sha256_RsaPss Sign"),
        (unknown_to_the_server, ""),
        (with_a_wrong_password, "BadUserAccessDenied"),
        (as_nobody, ""),
        (as_a_person_unknown, ""),
        (with_the_key_of_another, "is not the key of"),
    ],
)
def test_who_is_not_trusted_is_one_rejection_and_no_connection(
    runner, guarded, visitor, said, monkeypatch
):
    monkeypatch.setenv(VARIABLE, "wrong-pw")

    async def scene():
        link = link_to(*visitor(guarded))
        for _ in range(3):
            await link.poll()
        return link.status

    with capture_logs() as lines:
        status = runner.run(scene())

    assert (status.is_up, status.is_untrusted) == (False, True), status
    assert "security rejected: " in status.last_error
    assert said in status.last_error
    assert "wrong-pw" not in str(lines)
    assert [line["event"] for line in lines] == ["link_lost"]
    # The second and third poll came within the minute in which nothing is tried.
    assert status.polls == 1


def test_an_open_channel_to_a_guarded_server_gives_nothing(runner, guarded):
    link = link_to(without_any_security(guarded)[0])

    assert runner.run(supply(link)) == Quality.BAD
    assert not link.status.is_up
