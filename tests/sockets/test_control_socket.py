"""The control socket as its peers meet it: a real Unix socket, in real time."""

import asyncio
import json
import os
import pwd
import re
import socket
import tempfile
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from api.client import Client, UnreachableError
from api.messages import SetRequest
from controller.commands import CommandDesk
from controller.socket import STOP_S_MAX, STREAMS_MAX, ControlSocket
from tests.face import HOT, Door, SmallDaemon, served, serving, snapshot

OFFSET = {
    "kind": "set",
    "station": "st-01",
    "point": "offset",
    "value": 2.0,
    "why": "cold night",
    "as_name": "wang",
}

OFFSET_START = '"kind": "set", "station": "st-01", "point": "offset"'


def ask(path):
    """Return an HTTP client of the socket."""
    transport = httpx.AsyncHTTPTransport(uds=str(path))
    return httpx.AsyncClient(transport=transport, base_url="http://heatd", timeout=10.0)


def with_client(tmp_path, scenario, **doors):
    """Run `scenario(client, daemon)` against a served daemon and return what it returns."""
    daemon = SmallDaemon(**doors)

    async def run():
        async with serving(daemon, tmp_path) as path, ask(path) as client:
            return await scenario(client, daemon)

    return asyncio.run(run())


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    """A peer of one served daemon, for the tests that leave no trace in it."""
    daemon = SmallDaemon(st_01=Door(), st_02=Door(snapshot=None))
    with (
        served(daemon, tmp_path_factory.mktemp("run")) as path,
        httpx.Client(transport=httpx.HTTPTransport(uds=str(path)), base_url="http://heatd") as made,
    ):
        made.folder = path.parent
        yield made


needs_root = pytest.mark.skipif(os.getuid() != 0, reason="only root may claim a name")


@contextmanager
def open_house():
    """Serve a daemon in a folder that everybody may enter."""
    with tempfile.TemporaryDirectory() as folder, served(SmallDaemon(), Path(folder)) as path:
        path.parent.chmod(0o755)
        yield path


@contextmanager
def as_nobody():
    """Act with the rights of the account `nobody`."""
    nobody, groups = pwd.getpwnam("nobody"), os.getgroups()
    os.setgroups([])
    os.setegid(nobody.pw_gid)
    os.seteuid(nobody.pw_uid)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)
        os.setgroups(groups)


class TestWhatIsShown:
    @pytest.mark.parametrize(
        ("path", "code", "key", "value"),
        [
            ("/v1/status", 200, "is_simulation", True),
            ("/v1/stations/st-01", 200, "rooms_p10_c", None),
            ("/v1/stations/st-99", 404, "next_step", "There are: st-01, st-02."),
            ("/v1/stations/st-02", 503, "cause", "unavailable"),
            ("/v1/stations/st-01/loops/T2g/explain", 200, "station", "st-01"),
            ("/v1/stations/st-01/loops/T9/explain", 404, "sentence", "st-01 has no loop T9."),
            ("/v1/stations/st-99/loops/T2g/explain", 404, "cause", "unknown"),
            ("/v1/alarms", 200, "history", []),
            ("/v1/nothing", 404, "sentence", "Not Found"),
            ("/docs", 404, "sentence", "Not Found"),
            ("/openapi.json", 404, "sentence", "Not Found"),
        ],
    )
    def test_is_json_with_the_right_code(self, client, path, code, key, value):
        answer = client.get(path)
        assert answer.status_code == code
        assert answer.json()[key] == value

    def test_includes_the_past_of_the_alarms_where_asked_for(self, client):
        shown = client.get("/v1/alarms?history=true").json()
        assert [alarm["name"] for alarm in shown["active"]] == ["T2G_HIGH", "DOOR_OPEN"]
        assert (shown["history"][0]["event"], shown["history"][0]["value"]) == ("raised", None)

    def test_is_open_to_no_other_site(self, client):
        headers = client.get("/v1/status", headers={"origin": "https://example.org"}).headers
        assert not [name for name in headers if name.startswith("access-control")]
        assert "server" not in headers


class TestAPeer:
    def test_is_known_by_the_uid_that_the_kernel_tells(self, tmp_path):
        """Root without a name is refused, anybody else is taken by the account's name."""

        async def scenario(client, _daemon):
            return await client.post("/v1/select", json={**OFFSET, "as_name": ""})

        answer = with_client(tmp_path, scenario)
        if os.getuid() == 0:
            assert answer.status_code == 403
            assert answer.json()["next_step"].startswith("Say who you are with --as NAME")
        else:
            assert answer.json()["who"] not in {"", "root"}

    @needs_root
    def test_who_is_root_is_recorded_as_unverified(self, tmp_path):
        async def scenario(client, daemon):
            token = (await client.post("/v1/select", json=OFFSET)).json()["token"]
            body = {"token": token, "as_name": "wang"}
            done = await client.post("/v1/operate", json=body)
            return done.json(), daemon.stations["st-01"].told, daemon.journal.kept

        done, told, kept = with_client(tmp_path, scenario)
        assert done["outcome"] == "done"
        assert [command.who for command in told] == ["wang (unverified, uid 0)"]
        assert {action.who for action in kept} == {"wang (unverified, uid 0)"}

    @needs_root
    def test_is_answered_after_the_scan_that_carried_the_command_out(self, tmp_path):
        async def scenario(client, daemon):
            before = daemon.stations["st-01"].snapshot.scans
            token = (await client.post("/v1/select", json=OFFSET)).json()["token"]
            await client.post("/v1/operate", json={"token": token, "as_name": "wang"})
            return daemon.stations["st-01"].snapshot.scans - before

        assert with_client(tmp_path, scenario) == 1

    @needs_root
    def test_is_answered_after_the_next_scan_where_one_writes_already(self, tmp_path):
        async def scenario(client, daemon):
            door = daemon.stations["st-01"]
            before, door.is_writing = door.snapshot.scans, True
            first = door.on_submit

            def submitted():
                first()
                asyncio.get_running_loop().call_later(0.2, daemon.scan)

            door.on_submit = submitted
            token = (await client.post("/v1/select", json=OFFSET)).json()["token"]
            await client.post("/v1/operate", json={"token": token, "as_name": "wang"})
            return door.snapshot.scans - before

        assert with_client(tmp_path, scenario) == 2

    @needs_root
    def test_is_answered_also_where_no_scan_comes(self, tmp_path, monkeypatch):
        monkeypatch.setattr("controller.socket.SCAN_S_MAX", 0.2)

        async def scenario(client, daemon):
            daemon.stations["st-01"].on_submit = list
            token = (await client.post("/v1/select", json=OFFSET)).json()["token"]
            body = {"token": token, "as_name": "wang"}
            return (await client.post("/v1/operate", json=body)).json()["outcome"]

        assert with_client(tmp_path, scenario) == "done"

    @needs_root
    def test_who_has_an_account_is_called_by_its_name(self):
        request = SetRequest(station="st-01", point="offset", value=2.0, why="cold night")
        with open_house() as path:
            path.chmod(0o666)
            with as_nobody(), Client(path) as peer:
                assert peer.select(request).who == "nobody"

    @needs_root
    def test_who_is_not_in_the_group_is_kept_out(self):
        with open_house() as path, as_nobody(), pytest.raises(UnreachableError) as error:
            Client(path).__enter__()
        assert str(error.value).startswith(f"You may not open {path}.")

    @needs_root
    def test_who_is_somebody_else_cannot_use_the_token(self, tmp_path):
        async def scenario(client, _daemon):
            token = (await client.post("/v1/select", json=OFFSET)).json()["token"]
            body = {"token": token, "as_name": "li"}
            return await client.post("/v1/operate", json=body)

        answer = with_client(tmp_path, scenario)
        assert answer.status_code == 403
        assert answer.json()["sentence"] == ("This selection belongs to wang (unverified, uid 0).")

    @needs_root
    def test_acknowledges_an_alarm(self, tmp_path):
        async def scenario(client, daemon):
            body = {"station": "st-01", "alarm": "T2G_HIGH", "why": "seen", "as_name": "wang"}
            answer = await client.post("/v1/acknowledge", json=body)
            return answer.json()["outcome"], daemon.stations["st-01"].told

        outcome, (command,) = with_client(tmp_path, scenario)
        assert (outcome, command.alarm) == ("done", "T2G_HIGH")

    @needs_root
    @pytest.mark.parametrize(
        ("body", "code"),
        [
            ({**OFFSET, "value": 11.0}, 422),
            ({**OFFSET, "station": "st-99"}, 404),
            ({**OFFSET, "point": "CV1_SV"}, 409),
            (
                {
                    "kind": "source",
                    "station": "st-01",
                    "action": "stop",
                    "why": "cold",
                    "as_name": "w",
                },
                409,
            ),
        ],
    )
    def test_is_told_why_not_with_the_right_code(self, client, body, code):
        answer = client.post("/v1/select", json=body)
        assert answer.status_code == code
        assert answer.json()["sentence"]
        assert answer.json()["next_step"]


class TestABadRequest:
    @pytest.mark.parametrize(
        ("content", "code"),
        [
            ('{"kind": "set", "value": NaN, "why": "tell-tale"}', 422),
            (f'{{{OFFSET_START}, "value": NaN, "why": "tell-tale"}}', 422),
            (f'{{{OFFSET_START}, "value": -Infinity, "why": "tell-tale"}}', 422),
            (f'{{{OFFSET_START}, "value": "tell-tale", "why": "cold"}}', 422),
            (f'{{{OFFSET_START}, "value": true, "why": "tell-tale"}}', 422),
            ('{"kind": "tell-tale"}', 422),
            ('{"tell-tale', 422),
            ("[" * 60000, 400),
            ("", 422),
        ],
    )
    def test_is_refused_without_being_repeated(self, client, content, code):
        headers = {"content-type": "application/json"}
        answer = client.post("/v1/select", content=content, headers=headers)
        assert answer.status_code == code
        assert "tell-tale" not in answer.text
        assert answer.json()["sentence"]

    def test_names_the_field_that_is_wrong(self, client):
        fields = client.post("/v1/select", json={**OFFSET, "extra": 1}).json()["fields"]
        assert fields == [{"where": "body.set.extra", "message": "Extra inputs are not permitted"}]

    @pytest.mark.parametrize("size", [100 * 1024, 100 * 1024 * 1024])
    def test_that_is_large_is_not_read(self, client, size):
        assert client.post("/v1/select", content=b"x" * size).status_code == 413
        assert client.get("/v1/status").status_code == 200

    def test_with_too_many_headers_is_refused(self, client):
        headers = {f"x-{i}": "y" * 1000 for i in range(2000)}
        assert client.get("/v1/status", headers=headers).status_code == 400
        assert client.get("/v1/status").status_code == 200

    def test_that_is_no_http_does_no_harm(self, client):
        with socket.socket(socket.AF_UNIX) as peer:
            peer.connect(str(client.folder / "control.sock"))
            peer.sendall(b"\x16\x03\x01junk\r\n\r\n")
            assert b"400" in peer.recv(1000)
        assert client.get("/v1/status").status_code == 200


async def next_event(lines):
    """Return the name and the content of the next event of a stream."""
    name = ""
    async for line in lines:
        if line.startswith("event: "):
            name = line.removeprefix("event: ")
        if line.startswith("data: "):
            return name, json.loads(line.removeprefix("data: "))
    return "end", None


class TestTheStream:
    def test_shows_everything_and_then_each_scan(self, tmp_path):
        async def scenario(client, daemon):
            async with client.stream("GET", "/v1/stream") as response:
                lines = response.aiter_lines()
                first = await next_event(lines)
                daemon.scan(outdoor_c=-9.0)
                return response.headers["content-type"], first, await next_event(lines)

        kind, first, second = with_client(tmp_path, scenario)
        assert kind.startswith("text/event-stream")
        assert (first[0], first[1]["stations"][0]["scans"]) == ("status", 1)
        assert (second[0], second[1]["scans"], second[1]["outdoor_c"]) == ("station", 2, -9.0)

    def test_skips_to_the_newest_for_a_reader_that_is_slow(self, tmp_path):
        """The reader takes nothing while the station scans; what it then gets is the newest."""
        long = snapshot(alarms=tuple(HOT for _ in range(4000)))  # a megabyte: no buffer holds it

        async def scenario(client, daemon):
            loop, taken = asyncio.get_running_loop(), b""
            with socket.socket(socket.AF_UNIX) as peer:
                peer.settimeout(0.0)
                await loop.sock_connect(peer, str(tmp_path / "control.sock"))
                await loop.sock_sendall(peer, b"GET /v1/stream HTTP/1.1\r\nhost: x\r\n\r\n")
                while b"event: status" not in taken:
                    taken += await loop.sock_recv(peer, 100)
                for _ in range(100):
                    daemon.scan()
                    await client.get("/v1/stations/none")  # the daemon goes on meanwhile
                while b'"scans":101' not in taken:
                    taken += await loop.sock_recv(peer, 65536)
            return [int(scans) for scans in re.findall(rb'"scans":(\d+)', taken)]

        seen = with_client(tmp_path, scenario, st_01=Door(snapshot=long))
        assert seen == [1, 101]

    def test_is_given_to_so_many_readers_only_and_freed_when_one_leaves(self, tmp_path):
        async def scenario(client, _daemon):
            path = tmp_path / "control.sock"
            peers = []
            for _ in range(STREAMS_MAX):
                reader, writer = await asyncio.open_unix_connection(path)
                writer.write(b"GET /v1/stream HTTP/1.1\r\nhost: heatd\r\n\r\n")
                await reader.readuntil(b"event: status")
                peers.append(writer)
            refused = await client.get("/v1/stream")
            peers[0].close()
            async with asyncio.timeout(5.0):
                while await open_stream(client) != 200:  # noqa: ASYNC110 - the server notices soon
                    await asyncio.sleep(0.01)
            for writer in peers:
                writer.close()
                await writer.wait_closed()
            return refused

        refused = with_client(tmp_path, scenario)
        assert refused.status_code == 429
        assert refused.json()["sentence"] == "8 streams are open."

    def test_ends_well_when_the_daemon_stops(self, tmp_path):
        async def run():
            started = asyncio.Event()
            async with serving(SmallDaemon(), tmp_path) as path:
                reading = asyncio.create_task(read_to_the_end(path, started))
                await started.wait()
            return await reading

        assert asyncio.run(run()) == "end"


async def read_to_the_end(path, started):
    async with ask(path) as client, client.stream("GET", "/v1/stream") as response:
        lines = response.aiter_lines()
        await next_event(lines)
        started.set()
        name, _ = await next_event(lines)
        return name


async def open_stream(client):
    async with client.stream("GET", "/v1/stream") as response:
        return response.status_code


class TestTheEnd:
    @pytest.mark.parametrize("peer", ["none", "idle", "asking slowly", "not reading"])
    def test_comes_within_two_seconds_whoever_hangs_on_the_socket(self, tmp_path, peer):
        first = {
            "none": b"",
            "idle": b"",
            "asking slowly": b"POST /v1/select HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\nx",
            "not reading": b"GET /v1/stream HTTP/1.1\r\nhost: x\r\n\r\n",
        }[peer]
        long = snapshot(alarms=tuple(HOT for _ in range(4000)))

        async def run():
            loop, daemon = asyncio.get_running_loop(), SmallDaemon(st_01=Door(snapshot=long))
            with socket.socket(socket.AF_UNIX) as client:
                async with serving(daemon, tmp_path) as path, ask(path) as other:
                    if peer != "none":
                        client.connect(str(path))
                        client.sendall(first)
                    await other.get("/v1/status")
                    began_s = loop.time()
                return loop.time() - began_s, path.exists()

        took_s, is_left = asyncio.run(run())
        assert took_s < STOP_S_MAX + 0.2
        assert not is_left

    def test_leaves_a_socket_that_the_next_daemon_can_take(self, tmp_path):
        async def run():
            for _ in range(2):
                async with serving(SmallDaemon(), tmp_path) as path, ask(path) as client:
                    assert (await client.get("/v1/status")).status_code == 200

        asyncio.run(run())


class TestAFailure:
    def test_of_one_answer_is_told_without_its_inside_and_the_next_is_given(self, tmp_path):
        async def scenario(client, daemon):
            async def fail(_rows):
                raise OSError("tell-tale")

            daemon.history = fail
            broken = await client.get("/v1/alarms?history=true")
            return broken, (await client.get("/v1/alarms")).status_code

        broken, after = with_client(tmp_path, scenario)
        assert (broken.status_code, after) == (500, 200)
        assert "tell-tale" not in broken.text
        assert broken.json()["sentence"] == "heatd failed to answer; its log says why."

    def test_of_the_daemon_behind_it_ends_the_socket_with_that_failure(self, tmp_path):
        class Broken(SmallDaemon):
            async def wait_scan(self):
                raise RuntimeError("no more scans")

        async def run():
            daemon, path = Broken(), tmp_path / "control.sock"
            await ControlSocket(daemon, CommandDesk(daemon), path, daemon).run()

        with pytest.raises(RuntimeError, match="no more scans"):
            asyncio.run(run())
        assert not (tmp_path / "control.sock").exists()
