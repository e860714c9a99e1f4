"""The control socket is ours before anybody serves it, and every request is bounded."""

import asyncio
import json
import os
import socket
import stat

import pytest

from api.messages import ModeRequest, SetRequest, SourceRequest, TuneRequest
from controller.doorkeeper import BODY_BYTES_MAX, BODY_S_MAX, SEND_S_MAX, Doorkeeper
from controller.listener import SocketInUseError, bind_control_socket
from controller.preview import Refusal, SetPoint
from controller.translate import command_of, explanation_of, station_of, status_of
from core.command import LoopMode, SetMode, StartSource, StartTune, StopSource, StopTune
from hil_sim.virtual_loop import VirtualLoop
from tests.face import Door, SmallDaemon, snapshot


class TestTheListener:
    def test_is_open_to_owner_and_group_only_whatever_the_umask(self, tmp_path):
        before = os.umask(0)
        try:
            with bind_control_socket(tmp_path / "control.sock"):
                mode = (tmp_path / "control.sock").stat().st_mode
        finally:
            os.umask(before)
        assert stat.S_ISSOCK(mode)
        assert stat.S_IMODE(mode) == 0o660

    def test_replaces_what_a_dead_daemon_left_behind(self, tmp_path):
        path = tmp_path / "control.sock"
        bind_control_socket(path).close()
        assert path.exists()
        with bind_control_socket(path), socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))

    def test_leaves_a_socket_alone_on_which_somebody_answers(self, tmp_path):
        path = tmp_path / "control.sock"
        with bind_control_socket(path), pytest.raises(SocketInUseError, match="another heatd"):
            bind_control_socket(path)
        assert path.exists()

    def test_leaves_a_file_alone_that_is_no_socket(self, tmp_path):
        path = tmp_path / "control.sock"
        path.write_text("precious")
        with pytest.raises(SocketInUseError, match="is not a socket"):
            bind_control_socket(path)
        assert path.read_text() == "precious"


def knock(app, *, chunks=(), pause_s=0.0, drain_s=0.0, method="POST"):
    """Send one request through a doorkeeper in virtual time; return answer and hang-ups."""
    sent, events, waiting = [], [], list(chunks)

    async def receive():
        await asyncio.sleep(pause_s)
        chunk = waiting.pop(0) if waiting else b""
        return {"type": "http.request", "body": chunk, "more_body": bool(waiting)}

    async def send(message):
        await asyncio.sleep(drain_s)
        sent.append(message)

    scope = {
        "type": "http",
        "method": method,
        "state": {"hang_up": lambda: events.append(asyncio.get_running_loop().time())},
    }
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(Doorkeeper(app)(scope, receive, send))
    return sent, events


async def echo(_scope, receive, send):
    message = await receive()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": message["body"]})


class TestTheDoorkeeper:
    def test_hands_on_a_body_that_came_in_pieces(self):
        sent, _ = knock(echo, chunks=[b"ab", b"cd"])
        assert sent[1]["body"] == b"abcd"

    @pytest.mark.parametrize(
        ("size", "status"), [(BODY_BYTES_MAX, 200), (BODY_BYTES_MAX + 1, 413), (10**8, 413)]
    )
    def test_reads_no_more_than_the_bound(self, size, status):
        chunk = b"x" * 16384
        chunks = [chunk] * (size // len(chunk)) + [b"x" * (size % len(chunk))]
        sent, _ = knock(echo, chunks=chunks)
        assert sent[0]["status"] == status

    def test_says_what_the_bound_is(self):
        sent, _ = knock(echo, chunks=[b"x" * (BODY_BYTES_MAX + 1)])
        assert json.loads(sent[1]["body"])["sentence"] == "A request has at most 65536 bytes."
        assert (b"connection", b"close") in sent[0]["headers"]

    @pytest.mark.parametrize(("pause_s", "status"), [(BODY_S_MAX / 2.1, 200), (BODY_S_MAX, 408)])
    def test_does_not_wait_for_a_body_for_ever(self, pause_s, status):
        sent, _ = knock(echo, chunks=[b"a", b"b"], pause_s=pause_s)
        assert sent[0]["status"] == status

    def test_hangs_up_on_who_does_not_take_the_answer(self):
        _, events = knock(echo, method="GET", drain_s=SEND_S_MAX + 1.0)
        assert events == [SEND_S_MAX, SEND_S_MAX + 1.0 + SEND_S_MAX]

    def test_lets_who_is_only_slow_finish(self):
        _, events = knock(echo, method="GET", drain_s=SEND_S_MAX - 1.0)
        assert events == []


class TestTheTranslation:
    def test_shows_the_most_urgent_alarm_first(self):
        alarms = station_of(snapshot()).alarms
        assert [(alarm.priority, alarm.name) for alarm in alarms] == [
            (2, "T2G_HIGH"),
            (3, "DOOR_OPEN"),
        ]

    def test_makes_null_of_what_is_not_known(self):
        shown = json.loads(station_of(snapshot()).model_dump_json())
        assert shown["rooms_p10_c"] is None
        assert shown["loops"][1]["measured"] is None

    def test_names_the_stations_that_have_not_scanned_yet(self):
        status = status_of(SmallDaemon(st_01=Door(), st_02=Door(snapshot=None)))
        assert [station.station for station in status.stations] == ["st-01"]
        assert status.waiting == ("st-02",)

    def test_explains_a_loop_by_its_chain(self):
        chain = explanation_of(snapshot(), "T2g").chain
        assert [link.name for link in chain][:2] == ["outdoor", "curve"]

    def test_refuses_to_explain_a_loop_that_is_not_there(self):
        assert explanation_of(snapshot(), "T9") == Refusal(
            explanation_of(snapshot(), "T9").cause,
            "st-01 has no loop T9.",
            "It has T2g, P2D.",
        )

    @pytest.mark.parametrize(
        ("request_", "command"),
        [
            (
                SetRequest(station="st-01", point="CV1_SV", value=45.0, why="test", lease_s=60.0),
                SetPoint(
                    station="st-01", who="", why="test", lease_s=60.0, point="CV1_SV", value=45.0
                ),
            ),
            (
                ModeRequest(station="st-01", loop="T2g", mode="man", why="test"),
                SetMode(station="st-01", who="", why="test", loop="T2g", mode=LoopMode.MAN),
            ),
            (
                SourceRequest(station="st-01", action="start", why="test"),
                StartSource(station="st-01", who="", why="test", source=""),
            ),
            (
                SourceRequest(station="st-01", action="stop", source="gas1", why="test"),
                StopSource(station="st-01", who="", why="test", source="gas1"),
            ),
            (
                TuneRequest(station="st-01", loop="T2g", action="start", why="test"),
                StartTune(station="st-01", who="", why="test", loop="T2g"),
            ),
            (
                TuneRequest(station="st-01", loop="T2g", action="stop", why="test"),
                StopTune(station="st-01", who="", why="test", loop="T2g"),
            ),
        ],
    )
    def test_makes_a_command_of_a_request_and_leaves_the_name_to_the_desk(self, request_, command):
        assert command_of(request_) == command
