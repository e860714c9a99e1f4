"""The client says in words what stands between it and the daemon."""

import socket
import threading
from contextlib import contextmanager

import pytest

from api.client import Client, ClientError, RefusedError, UnreachableError, made
from api.messages import SetRequest
from tests.face import SmallDaemon, served


@contextmanager
def answering(path, answer):
    """Answer the first request at `path` with these bytes, whatever it asks."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()

        def serve():
            listener.accept()[0].close()  # the knock
            peer, _ = listener.accept()
            with peer:
                peer.recv(65536)
                peer.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        yield
        thread.join()


def test_no_socket_means_that_heatd_is_not_running(tmp_path):
    with pytest.raises(UnreachableError) as error, Client(tmp_path / "control.sock"):
        pass
    assert "heatd is not running: there is no socket" in str(error.value)
    assert "heatd run DIR" in str(error.value)


def test_a_socket_that_was_left_behind_means_the_same(tmp_path):
    path = tmp_path / "control.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    with pytest.raises(UnreachableError, match="nobody answers at"), Client(path):
        pass


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (b"", "The connection to heatd was lost"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}", "does not know"),
        (b"HTTP/1.1 500 Oh\r\ncontent-length: 2\r\n\r\n{}", "heatd answered 500 Oh"),
        (b"HTTP/1.1 500 Oh\r\ncontent-length: 3\r\n\r\noh!", "heatd answered 500 Oh"),
    ],
)
def test_a_strange_answer_is_told_in_words(tmp_path, answer, text):
    path = tmp_path / "control.sock"
    with answering(path, answer), Client(path) as client:
        with pytest.raises(ClientError) as error:
            client.status()
        assert text in str(error.value)


def test_a_refusal_says_why_and_what_to_do_next(tmp_path):
    with served(SmallDaemon(), tmp_path) as path, Client(path) as client:
        with pytest.raises(RefusedError) as error:
            client.station("st-99")
        assert str(error.value) == "There is no station st-99.\nThere are: st-01."
        assert error.value.problem.cause == "unknown"


def test_names_from_people_cannot_leave_their_place_in_the_address(tmp_path):
    with served(SmallDaemon(), tmp_path) as path, Client(path) as client:
        with pytest.raises(RefusedError, match="There is no station"):
            client.station("康城 1?x")
        with pytest.raises(RefusedError):
            client.explain("st-01", "../../../status")


def test_a_stream_that_is_refused_says_why(tmp_path):
    problem = b'{"cause":"too_many","sentence":"8 streams are open.","next_step":"Wait."}'
    answer = b"HTTP/1.1 429 No\r\ncontent-length: %d\r\n\r\n%b" % (len(problem), problem)
    path = tmp_path / "control.sock"
    with answering(path, answer), Client(path) as client, pytest.raises(RefusedError) as error:
        next(client.stream())
    assert str(error.value) == "8 streams are open.\nWait."


def test_a_watch_shows_the_whole_daemon_at_each_change(tmp_path):
    daemon = SmallDaemon()
    with served(daemon, tmp_path) as path, Client(path) as client:
        shown = client.watch()
        assert [station.scans for station in next(shown).stations] == [1]
        daemon.scan_from_a_thread(outdoor_c=-9.0)
        changed = next(shown)
        assert [(s.scans, s.outdoor_c) for s in changed.stations] == [(2, -9.0)]
        shown.close()


def test_a_request_that_cannot_be_made_is_told_in_words():
    with pytest.raises(ClientError, match="value: Input should be a finite number"):
        made(SetRequest, station="st-01", point="offset", value=float("nan"), why="test")
