"""The control socket: HTTP over a Unix socket that we bind ourselves, for people at the machine.

Rule: the socket translates and never decides; whatever it is fed, memory stays bounded and no
station waits for it.
"""

import asyncio
import contextlib
import pwd
import socket
import struct
from collections.abc import AsyncGenerator, Iterator
from pathlib import Path
from typing import Any

import structlog
import uvicorn
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import StreamingResponse
from pydantic import AwareDatetime
from starlette.exceptions import HTTPException
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from api.messages import (
    AcknowledgeRequest,
    Alarms,
    CommandRequest,
    FieldProblem,
    OperateRequest,
    Problem,
)
from api.messages import Message as Answer
from controller.commands import CommandDesk, Outcome, Selection
from controller.doorkeeper import Doorkeeper
from controller.listener import bind_control_socket
from controller.operators import name_operator
from controller.past import Past
from controller.preview import Cause, Refusal
from controller.translate import (
    ShownDaemon,
    acknowledgement_of,
    alarms_of,
    answer_of,
    change_of,
    command_of,
    explanation_of,
    past_explanation_of,
    problem_of,
    station_of,
    status_of,
    urgent_first,
    whole_station_of,
)

log = structlog.get_logger(__name__)

SILENT_S_MAX = 5.0
CONNECTIONS_MAX = 32
STREAMS_MAX = 8
STREAM_PACE_S = 0.25
KEEP_ALIVE_S = 15.0
STOP_S_MAX = 2.0
HISTORY_ROWS_MAX = 1000
SCAN_S_MAX = 4.0
"""How long an answer waits for the scan that carries the command out; less than a client waits."""

_ABORT_AFTER_S = 1.0
_FIELDS_MAX = 32
_WHERE_CHARS_MAX = 100
_NO_SUCH_KIND = "There is no such kind of command"
_STATUS_CODE = {
    Cause.UNKNOWN: 404,
    Cause.INVALID: 422,
    Cause.FORBIDDEN: 403,
    Cause.CONFLICT: 409,
    Cause.TOO_MANY: 429,
    Cause.UNAVAILABLE: 503,
}


class ControlSocket:
    """The door for people at the machine: their uid is who they are.

    Args:
        daemon: What is shown.
        desk: Where commands go.
        path: Of the socket; what a dead daemon left there is removed.
        past: Who remembers what was.
        ready: Set once the socket answers; an event of its own if none is given.
    """

    def __init__(
        self,
        daemon: ShownDaemon,
        desk: CommandDesk,
        path: Path,
        past: Past,
        *,
        ready: asyncio.Event | None = None,
    ) -> None:
        self.path = path
        self.ready = ready or asyncio.Event()
        self._daemon = daemon
        self._desk = desk
        self._past = past
        self._news = asyncio.Event()
        self._is_closing = False
        self._streams: set[_Stream] = set()

    async def run(self) -> None:
        """Serve until cancelled, then end within `STOP_S_MAX`.

        Raises:
            SocketInUseError: The path is taken.
        """
        listener = bind_control_socket(self.path)
        server = _Server(self._config(), self.ready)
        serving = asyncio.create_task(server.serve(sockets=[listener]), name="control socket")
        pump = asyncio.create_task(self._pump(), name="control socket news")
        log.info("control_socket_opened", path=str(self.path))
        try:
            await asyncio.wait({serving, pump}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._is_closing = True
            self._news.set()
            pump.cancel()
            await _close(server, serving)
            listener.close()
            self.path.unlink(missing_ok=True)
            log.info("control_socket_closed", path=str(self.path))
        # Neither ends by itself: let the daemon see why one did.
        for task in (serving, pump):
            if not task.cancelled():
                task.result()

    def _config(self) -> uvicorn.Config:
        return uvicorn.Config(
            Doorkeeper(self._app()),
            http=_PeerProtocol,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            limit_concurrency=CONNECTIONS_MAX,
            timeout_graceful_shutdown=int(STOP_S_MAX),
        )

    def _app(self) -> FastAPI:
        app = FastAPI(title="heatd", docs_url=None, redoc_url=None, openapi_url=None)
        read, write = ["GET"], ["POST"]
        app.add_api_route("/v1/status", self._status, methods=read)
        app.add_api_route("/v1/stations/{station}", self._station, methods=read)
        app.add_api_route(
            "/v1/stations/{station}/loops/{loop}/explain", self._explain, methods=read
        )
        app.add_api_route("/v1/alarms", self._alarms, methods=read)
        app.add_api_route("/v1/stream", self._stream, methods=read)
        app.add_api_route("/v1/select", self._select, methods=write)
        app.add_api_route("/v1/operate", self._operate, methods=write)
        app.add_api_route("/v1/acknowledge", self._acknowledge, methods=write)
        app.add_exception_handler(RequestValidationError, _unreadable)
        app.add_exception_handler(HTTPException, _no_such_door)
        app.add_exception_handler(Exception, _broken)
        return app

    async def _status(self) -> Response:
        return _json(status_of(self._daemon))

    async def _station(self, station: str) -> Response:
        snapshot = self._daemon.stations[station].snapshot if self._knows(station) else None
        return (
            _refuse(self._unseen(station))
            if snapshot is None
            else _json(whole_station_of(snapshot))
        )

    async def _explain(self, station: str, loop: str, at: AwareDatetime | None = None) -> Response:
        if not self._knows(station):
            return _refuse(self._unseen(station))
        if at is not None:
            kept = await self._past.explanation(station, at)
            found = past_explanation_of(kept, station, loop, at)
            return _refuse(found) if isinstance(found, Refusal) else _json(found)
        snapshot = self._daemon.stations[station].snapshot
        if snapshot is None:
            return _refuse(self._unseen(station))
        found = explanation_of(snapshot, loop)
        return _refuse(found) if isinstance(found, Refusal) else _json(found)

    async def _alarms(self, *, history: bool = False) -> Response:
        doors = self._daemon.stations.values()
        active = (alarm for door in doors if door.snapshot for alarm in alarms_of(door.snapshot))
        past = await self._past.alarms(HISTORY_ROWS_MAX) if history else ()
        changes = tuple(change_of(record) for record in past[:HISTORY_ROWS_MAX])
        return _json(Alarms(active=urgent_first(active), history=changes))

    async def _stream(self) -> Response:
        if len(self._streams) >= STREAMS_MAX:
            sentence = f"{STREAMS_MAX} streams are open."
            return _refuse(Refusal(Cause.TOO_MANY, sentence, "Close one, or ask for the status."))
        return _Stream(self._events(), self._streams)

    async def _select(self, request: Request, body: CommandRequest) -> Response:
        who = await _who(request, body.as_name)
        return _answer(
            who if isinstance(who, Refusal) else self._desk.select(command_of(body), who)
        )

    async def _operate(self, request: Request, body: OperateRequest) -> Response:
        who = await _who(request, body.as_name)
        if isinstance(who, Refusal):
            return _answer(who)
        outcome = await self._desk.operate(body.token, who)
        if isinstance(outcome, Outcome):
            await self._until_scanned(outcome.station)
        return _answer(outcome)

    async def _acknowledge(self, request: Request, body: AcknowledgeRequest) -> Response:
        who = await _who(request, body.as_name)
        if isinstance(who, Refusal):
            return _answer(who)
        return _answer(await self._desk.acknowledge(acknowledgement_of(body), who))

    async def _until_scanned(self, station: str) -> None:
        """Wait for the scan that takes it, so that whoever asks next sees what became of it.

        A script may then put a loop into manual and set its output in the very next line.
        """
        door = self._daemon.stations[station]
        without = door.scans_begun
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(SCAN_S_MAX):
                while door.snapshot is None or door.snapshot.scans <= without:
                    await self._daemon.wait_scan()

    def _knows(self, station: str) -> bool:
        return station in self._daemon.stations

    def _unseen(self, station: str) -> Refusal:
        if self._knows(station):
            sentence = f"{station} has not finished a scan yet."
            return Refusal(Cause.UNAVAILABLE, sentence, "Try again in a few seconds.")
        names = ", ".join(self._daemon.stations)
        return Refusal(Cause.UNKNOWN, f"There is no station {station}.", f"There are: {names}.")

    async def _pump(self) -> None:
        """Wake all streams at every scan; they look for themselves what is new."""
        while True:
            await self._daemon.wait_scan()
            self._news.set()
            self._news = asyncio.Event()

    async def _events(self) -> AsyncGenerator[bytes, None]:
        """Yield the whole daemon, then each changed station at its newest.

        Nothing is queued for a reader: while it is slow, this waits, and then skips what is old.
        """
        sent: dict[str, int] = {}
        first = status_of(self._daemon)
        sent.update((station.station, station.scans) for station in first.stations)
        yield _event("status", first)
        while not self._is_closing:
            # Sends nothing, but comes back only when the reader has taken what was sent before.
            yield b""
            news = self._news
            for name, door in self._daemon.stations.items():
                snapshot = door.snapshot
                if snapshot is not None and snapshot.scans != sent.get(name):
                    sent[name] = snapshot.scans
                    yield _event("station", station_of(snapshot))
            try:
                await asyncio.wait_for(news.wait(), KEEP_ALIVE_S)
            except TimeoutError:
                yield b": keep-alive\n\n"
            await asyncio.sleep(STREAM_PACE_S)


class _Stream(StreamingResponse):
    """An endless answer, counted for as long as somebody takes it."""

    def __init__(self, events: AsyncGenerator[bytes, None], open_streams: "set[_Stream]") -> None:
        headers = {"cache-control": "no-store"}
        super().__init__(events, media_type="text/event-stream", headers=headers)
        self._events = events
        self._open_streams = open_streams
        open_streams.add(self)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._open_streams.discard(self)
            await self._events.aclose()


class _Server(uvicorn.Server):
    """uvicorn without its signals: those belong to the daemon."""

    def __init__(self, config: uvicorn.Config, ready: asyncio.Event) -> None:
        super().__init__(config)
        self._ready = ready

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._ready.set()


class _PeerProtocol(H11Protocol):
    """HTTP/1.1 that knows its peer's uid, and hangs up on one that never asks anything."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn has it
        super().connection_made(transport)
        peer = transport.get_extra_info("socket")
        # struct ucred of unix(7): pid, uid, gid, as they were when the peer connected.
        credentials = peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
        _, uid, _ = struct.unpack("3i", credentials)
        self.app_state = {**self.app_state, "peer_uid": uid, "hang_up": transport.abort}
        self.loop.call_later(SILENT_S_MAX, self._hang_up_if_silent)

    def _hang_up_if_silent(self) -> None:
        if self.cycle is None:
            self.transport.abort()


async def _close(server: _Server, serving: "asyncio.Task[None]") -> None:
    """End the server: what is under way may finish, who hangs is cut off."""
    server.should_exit = True
    await asyncio.wait({serving}, timeout=_ABORT_AFTER_S)
    for connection in tuple(server.server_state.connections):
        connection.transport.abort()
    await asyncio.wait({serving}, timeout=STOP_S_MAX - _ABORT_AFTER_S)


async def _who(request: Request, claimed: str) -> str | Refusal:
    uid: int = request.state.peer_uid
    try:
        # The directory of accounts may lie on a network.
        account = (await asyncio.to_thread(pwd.getpwuid, uid)).pw_name
    except KeyError:
        account = ""
    return name_operator(uid, account, claimed)


def _json(message: Answer, code: int = 200) -> Response:
    return Response(message.model_dump_json(), code, media_type="application/json")


def _answer(answer: Selection | Outcome | Refusal) -> Response:
    return _refuse(answer) if isinstance(answer, Refusal) else _json(answer_of(answer))


def _refuse(refusal: Refusal) -> Response:
    return _json(problem_of(refusal), _STATUS_CODE[refusal.cause])


def _problem(code: int, sentence: str, next_step: str) -> Response:
    return _json(Problem(cause=str(code), sentence=sentence, next_step=next_step), code)


def _event(name: str, message: Answer) -> bytes:
    return f"event: {name}\ndata: {message.model_dump_json()}\n\n".encode()


async def _unreadable(_request: Request, error: Any) -> Response:  # noqa: ANN401 - the library's signature
    """Say which fields cannot be read, and never repeat their values."""
    fields = tuple(
        FieldProblem(
            where=".".join(str(part) for part in found["loc"])[:_WHERE_CHARS_MAX],
            # This one message of pydantic's holds the value.
            message=_NO_SUCH_KIND if found["type"] == "union_tag_invalid" else found["msg"],
        )
        for found in error.errors()[:_FIELDS_MAX]
    )
    problem = Problem(
        cause=Cause.INVALID.value,
        sentence="The request cannot be read.",
        next_step="Correct the fields that are named.",
        fields=fields,
    )
    return _json(problem, 422)


async def _no_such_door(_request: Request, error: Any) -> Response:  # noqa: ANN401 - the library's signature
    return _problem(error.status_code, str(error.detail), "See the documentation of the API.")


async def _broken(_request: Request, _error: Exception) -> Response:
    return _problem(500, "heatd failed to answer; its log says why.", "Report it with the log.")
