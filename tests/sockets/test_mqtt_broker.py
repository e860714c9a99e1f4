"""Room temperatures through a real Mosquitto, which is stopped, killed and guarded here."""

import asyncio
import json
import os
import random
import signal
import subprocess
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiomqtt
import pytest
from structlog.testing import capture_logs

from config.model import Site
from controller.build import build_boards, build_collectors, build_forecast
from core.clock import SystemClock
from drivers.collector import FlatBoard
from drivers.collector_settings import BrokerTls, MqttBroker, TopicReading
from drivers.credentials import KeyPair, Login
from drivers.forecast_settings import ForecastTopic
from drivers.mqtt import MqttCollector
from tests.pki import identity
from tests.running import free_port

TOPICS = {"home/{flat}/+/state": TopicReading(value="/temp", time="/ts")}
KEEPALIVE_S = 2.0
TASKS = 4  # the scene, the collector, what waits for its messages, and paho's timer
PASSWORD = "s3cret"  # noqa: S105 - of a broker that lives for one test
GUIDE = Path(__file__).parents[2] / "docs" / "drivers" / "mqtt.md"


class Broker:
    """A Mosquitto of our own on a free port."""

    def __init__(self, program, folder, *lines):
        self.port = free_port()
        self._program = program
        self._file = folder / "mosquitto.conf"
        text = "\n".join(
            (f"listener {self.port} 127.0.0.1", *lines, f"user {os.environ.get('USER') or 'root'}")
        )
        self._file.write_text(text + "\n", encoding="utf-8")
        self.running = None

    def start(self):
        self.running = subprocess.Popen(
            [self._program, "-c", self._file], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )

    async def listens(self):
        async with asyncio.timeout(10.0):
            while True:
                try:
                    _, writer = await asyncio.open_connection("127.0.0.1", self.port)
                except OSError:
                    await asyncio.sleep(0.05)
                else:
                    writer.close()
                    return

    def end(self):
        self.running.kill()
        self.running.wait()


@pytest.fixture
def broker_of(tmp_path, require_program):
    """Return what starts a broker with some lines of configuration; it is killed at the end."""
    program = require_program("mosquitto")
    made = []

    def start(*lines):
        broker = Broker(program, tmp_path, *lines)
        broker.start()
        made.append(broker)
        return broker

    yield start
    for broker in made:
        broker.end()


def settings(broker, **changes):
    return replace(
        MqttBroker(host="127.0.0.1", port=broker.port, keepalive_s=KEEPALIVE_S, topics=TOPICS),
        **changes,
    )


def said(value, age_s=0.0):
    at = datetime.now(UTC) - timedelta(seconds=age_s)  # noqa: TID251 - a device has its own clock
    return json.dumps({"temp": value, "ts": at.isoformat()})


async def publish(broker, *messages, retain=False):
    async with aiomqtt.Client("127.0.0.1", broker.port, identifier="devices") as devices:
        for flat, payload in messages:
            await devices.publish(f"home/{flat}/t1/state", payload, qos=1, retain=retain)


@asynccontextmanager
async def listening(given):
    board = FlatBoard(given.topics, ["3-502", "3-601"])
    collector = MqttCollector("rooms", given, board, clock=SystemClock(), rng=random.Random(1))
    task = asyncio.create_task(collector.run())
    try:
        yield board
    finally:
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()
        assert not board.is_up


async def until(claim, *, seconds):
    """Return how long it took until the claim was true, s."""
    began_s = asyncio.get_running_loop().time()
    async with asyncio.timeout(seconds):
        while not claim():  # noqa: ASYNC110 - what a broker does sets no event of ours
            await asyncio.sleep(0.05)
    return asyncio.get_running_loop().time() - began_s


def test_messages_become_rooms_in_whatever_order_they_come(broker_of):
    async def scene():
        broker = broker_of("allow_anonymous true")
        await broker.listens()
        async with listening(settings(broker)) as board:
            await until(lambda: board.is_up, seconds=5.0)
            await publish(
                broker,
                ("3-502", said(21.5, 30.0)),
                ("3-502", said(19.0, 90.0)),
                ("3-601", '{"temp": 20.0}'),
                ("9-999", said(5.0)),
                ("3-502", "not json"),
            )
            await until(lambda: sum(board.fates.values()) == 5, seconds=5.0)
            return board

    board = asyncio.run(scene())

    assert board.fates == {"taken": 1, "late": 1, "undated": 1, "unknown": 1, "garbled": 1}
    assert (board.room("3-502").value_c, board.room("3-502").is_live) == (21.5, True)
    assert (board.room("3-601").value_c, board.room("3-601").is_live) == (20.0, False)


def test_a_forecast_comes_by_a_topic_of_its_own(broker_of):
    issued = datetime.now(UTC)  # noqa: TID251 - a weather service has its own clock
    hours = [
        {"time": (issued + timedelta(hours=i)).isoformat(), "outdoor_c": -10.0 - i}
        for i in range(3)
    ]
    payload = json.dumps({"issued": issued.isoformat(), "hours": hours})
    site = Site(simulation=True, forecast=ForecastTopic(kind="mqtt", topic="weather/forecast"))

    async def scene():
        broker = broker_of("allow_anonymous true")
        await broker.listens()
        brokers = {"rooms": settings(broker, topics={})}
        given = replace(site, collectors=brokers)
        board, boards = build_forecast(given), build_boards(given)
        collector = build_collectors(given, boards, board, SystemClock())["rooms"]
        task = asyncio.create_task(collector.run())
        async with aiomqtt.Client("127.0.0.1", broker.port, identifier="weather") as service:
            await service.publish("weather/forecast", payload, qos=1, retain=True)
            await until(lambda: board.newest is not None, seconds=5.0)
            await service.publish("weather/forecast", "mild", qos=1)
            await until(lambda: board.fault != "", seconds=5.0)
        task.cancel()
        await asyncio.wait([task])
        return board, boards["rooms"].fates

    board, fates = asyncio.run(scene())

    assert board.newest.at(issued + timedelta(minutes=90), issued).outdoor_c == -11.5
    assert not fates


def test_what_the_broker_remembers_is_not_live_until_the_device_speaks(broker_of):
    async def scene():
        broker = broker_of("allow_anonymous true")
        await broker.listens()
        await publish(broker, ("3-502", said(20.0, 600.0)), retain=True)
        async with listening(settings(broker)) as board:
            await until(lambda: board.room("3-502") is not None, seconds=5.0)
            remembered = board.room("3-502")
            await publish(broker, ("3-502", said(21.0)))
            await until(lambda: board.room("3-502").value_c == 21.0, seconds=5.0)
            return remembered, board.room("3-502")

    remembered, live = asyncio.run(scene())

    assert not remembered.is_live
    assert live.is_live


def test_after_each_kill_and_hang_of_the_broker_rooms_come_again(broker_of):
    def open_things():
        return len(list(Path("/proc/self/fd").iterdir())), len(asyncio.all_tasks())

    async def again(broker, board, value):
        await until(lambda: board.is_up, seconds=10.0)
        await publish(broker, ("3-502", said(value)))
        await until(lambda: board.room("3-502").value_c == value, seconds=5.0)

    async def scene():
        broker = broker_of("allow_anonymous true")
        await broker.listens()
        async with listening(settings(broker)) as board:
            await until(lambda: board.is_up, seconds=5.0)
            await publish(broker, ("3-502", said(15.0)))
            await until(lambda: board.room("3-502") is not None, seconds=5.0)
            # The client that published ends its own task a moment later.
            await until(lambda: open_things()[1] == TASKS, seconds=5.0)
            before = open_things()
            for value in (20.0, 21.0):
                broker.end()
                await until(lambda: not board.is_up, seconds=2.0)
                broker.start()
                await broker.listens()
                await again(broker, board, value)
            broker.running.send_signal(signal.SIGSTOP)
            found_s = await until(lambda: not board.is_up, seconds=3 * KEEPALIVE_S)
            broker.running.send_signal(signal.SIGCONT)
            await again(broker, board, 22.0)
            await until(lambda: open_things() == before, seconds=5.0)
            return found_s

    with capture_logs() as lines:
        found_s = asyncio.run(scene())

    # A timer of a second looks whether the answer is overdue.
    assert found_s <= 2 * KEEPALIVE_S + 1.0
    assert [line["event"] for line in lines] == ["collector_lost", "collector_back"] * 3


def test_a_flood_is_bounded_and_over_when_it_ends(broker_of):
    async def scene():
        broker = broker_of("allow_anonymous true", "max_queued_messages 0")
        await broker.listens()
        async with listening(settings(broker)) as board:
            await until(lambda: board.is_up, seconds=5.0)
            flood = [("3-502", said(20.0, 4000.0 - i)) for i in range(3000)]
            await publish(broker, *flood)
            await publish(broker, ("3-502", said(21.0)))
            await until(lambda: board.room("3-502").value_c == 21.0, seconds=10.0)
            return board

    board = asyncio.run(scene())

    assert set(board.fates) == {"taken"}
    assert 1 <= board.fates["taken"] <= 3001


def guarded(folder, program):
    """Write what a guarded broker needs; return its lines, and settings that it lets in."""
    authority = identity(folder, "authority")
    server = identity(folder, "broker", uri="urn:broker", host="127.0.0.1", signer=authority)
    ours = identity(folder, "ours", uri="urn:heatd", signer=authority)
    passwords = folder / "passwords"
    for flag, user in ((["-c"], "heatd"), ([], "3-502")):
        command = [program, "-b", *flag, passwords, user, PASSWORD]
        subprocess.run(command, check=True, capture_output=True)
    rights = folder / "acl"
    rights.write_text("user heatd\ntopic read home/#\npattern write home/%u/#\n", encoding="utf-8")
    lines = (
        "allow_anonymous false",
        f"password_file {passwords}",
        f"acl_file {rights}",
        f"cafile {authority.crt}",
        f"certfile {server.crt}",
        f"keyfile {server.pem}",
    )
    return lines, authority, ours


@pytest.fixture
def guarded_broker(broker_of, tmp_path, require_program):
    lines, authority, ours = guarded(tmp_path, require_program("mosquitto_passwd"))
    broker = broker_of(*lines)
    file = tmp_path / "password"
    file.write_text(PASSWORD, encoding="utf-8")
    file.chmod(0o640)
    user = Login(name="heatd", password_file=str(file))
    given = settings(broker, tls=BrokerTls(ca=str(authority.crt)), user=user)
    return broker, given, ours


def test_rooms_come_by_tls_and_a_device_can_speak_for_its_own_flat_only(guarded_broker):
    broker, given, _ = guarded_broker

    async def scene():
        await broker.listens()
        async with listening(given) as board:
            await until(lambda: board.is_up, seconds=5.0)
            tls = aiomqtt.TLSParameters(ca_certs=given.tls.ca)
            async with aiomqtt.Client(
                "127.0.0.1", broker.port, username="3-502", password=PASSWORD, tls_params=tls
            ) as device:
                await device.publish("home/3-601/t1/state", said(30.0), qos=1)
                await device.publish("home/3-502/t1/state", said(21.0), qos=1)
            await until(lambda: board.room("3-502") is not None, seconds=5.0)
            return board

    board = asyncio.run(scene())

    assert board.room("3-502").value_c == 21.0
    assert board.room("3-601") is None
    assert board.fates == {"taken": 1}


def with_a_wrong_password(given, folder, _ours):
    file = folder / "wrong"
    file.write_text("wrong-pw", encoding="utf-8")
    file.chmod(0o640)
    return replace(given, user=Login(name="heatd", password_file=str(file)))


def as_nobody(given, _folder, _ours):
    return replace(given, user=None)


def by_another_authority(given, folder, _ours):
    other = folder / "other"
    other.mkdir()
    return replace(given, tls=BrokerTls(ca=str(identity(other, "authority").crt)))


def by_another_name(given, _folder, _ours):
    return replace(given, host="localhost")


def without_the_authority(given, folder, _ours):
    return replace(given, tls=BrokerTls(ca=str(folder / "nowhere.crt")))


def without_our_key(given, folder, ours):
    pair = KeyPair(certificate=str(ours.crt), key=str(folder / "nowhere.pem"))
    return replace(given, tls=replace(given.tls, own=pair))


@pytest.mark.parametrize(
    "visitor",
    [
        with_a_wrong_password,
        as_nobody,
        by_another_authority,
        by_another_name,
        without_the_authority,
        without_our_key,
    ],
)
# On a failed handshake paho leaves its socket to the garbage collector, which says so.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_who_is_not_trusted_is_rejected_once_and_tries_again_slowly(
    guarded_broker, tmp_path, visitor
):
    broker, given, ours = guarded_broker

    async def scene(lines):
        await broker.listens()
        async with listening(visitor(given, tmp_path, ours)) as board:
            await until(lambda: lines, seconds=10.0)
            # The first try without trust would have been repeated several times by now.
            await asyncio.sleep(1.0)
            return board

    with capture_logs() as lines:
        board = asyncio.run(scene(lines))

    assert not board.is_up
    assert [line["event"] for line in lines] == ["collector_lost"]
    assert "security rejected: " in lines[0]["error"]
    assert "wrong-pw" not in str(lines)
    assert board.fates == {}


def test_a_plain_connection_to_a_guarded_broker_gives_nothing(guarded_broker):
    broker, given, _ = guarded_broker

    async def scene(lines):
        await broker.listens()
        async with listening(replace(given, tls=None)) as board:
            await until(lambda: lines, seconds=10.0)
            return board

    with capture_logs() as lines:
        board = asyncio.run(scene(lines))

    assert board.fates == {}
