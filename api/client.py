"""How to ask a running daemon over its control socket.

Rule: whatever goes wrong becomes one sentence for a person, with what to do next.
"""

import json
import socket
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar
from urllib.parse import quote

import httpx
from pydantic import ValidationError

from api.messages import (
    AcknowledgeRequest,
    Alarms,
    Explanation,
    Message,
    ModeRequest,
    OperateRequest,
    Outcome,
    Problem,
    Selection,
    SetRequest,
    SourceRequest,
    StationStatus,
    Status,
    TuneRequest,
)

REPLY_S_MAX = 5.0
"""Longest wait for an answer; the daemon itself gives a command's record one second."""

STREAM_SILENCE_S_MAX = 45.0
"""Longest silence on the stream, three times the daemon's keep-alive."""

M = TypeVar("M", bound=Message)


class ClientError(Exception):
    """The daemon could not be asked, or said no. The text tells what to do next."""


class UnreachableError(ClientError):
    """Nobody answers at the socket."""


class RefusedError(ClientError):
    """The daemon refused; `problem` carries its reason."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        fields = "".join(f"\n  {field.where}: {field.message}" for field in problem.fields)
        super().__init__(f"{problem.sentence}{fields}\n{problem.next_step}".rstrip())


def made(kind: type[M], **fields: object) -> M:
    """Return a request of these fields.

    Raises:
        ClientError: One of them is not what such a request may hold.
    """
    try:
        return kind.model_validate(fields)
    except ValidationError as error:
        found = (f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise ClientError("\n".join(found)) from error


class Client:
    """A connection to the daemon whose control socket is `path`; use it as a context manager."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._http = httpx.Client(
            transport=httpx.HTTPTransport(uds=str(path)),
            base_url="http://heatd",
            timeout=httpx.Timeout(REPLY_S_MAX),
        )

    def __enter__(self) -> Self:
        """Return the client.

        Raises:
            UnreachableError: Nobody answers at the path, or it is not for us.
        """
        _knock(self._path)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._http.close()

    def status(self) -> Status:
        """Return the whole daemon.

        Raises:
            ClientError: Nobody answers, or the daemon refused; so do all methods.
        """
        return self._get("/v1/status", Status)

    def station(self, station: str) -> StationStatus:
        """Return one station."""
        return self._get(f"/v1/stations/{quote(station, safe='')}", StationStatus)

    def explain(self, station: str, loop: str, *, at: datetime | None = None) -> Explanation:
        """Return why `loop` does what it does, or did at a moment (with a time zone)."""
        path = f"/v1/stations/{quote(station, safe='')}/loops/{quote(loop, safe='')}/explain"
        asked = "" if at is None else f"?at={quote(at.isoformat(), safe='')}"
        return self._get(path + asked, Explanation)

    def alarms(self, *, history: bool = False) -> Alarms:
        """Return the alarms that are not normal, with the newest of the past where asked for."""
        return self._get(f"/v1/alarms?history={str(history).lower()}", Alarms)

    def select(self, request: SetRequest | ModeRequest | SourceRequest | TuneRequest) -> Selection:
        """Prepare a command and return what it would do; nothing has happened yet."""
        return self._post("/v1/select", request, Selection)

    def operate(self, token: str, *, as_name: str = "") -> Outcome:
        """Carry out what `token` prepared."""
        return self._post("/v1/operate", OperateRequest(token=token, as_name=as_name), Outcome)

    def acknowledge(self, request: AcknowledgeRequest) -> Outcome:
        """Acknowledge an alarm."""
        return self._post("/v1/acknowledge", request, Outcome)

    def stream(self) -> Iterator[Status | StationStatus]:
        """Yield the whole daemon, then each station as it changes, until the daemon stops."""
        timeout = httpx.Timeout(REPLY_S_MAX, read=STREAM_SILENCE_S_MAX)
        try:
            with self._http.stream("GET", "/v1/stream", timeout=timeout) as response:
                if response.is_error:
                    response.read()
                    raise _refusal(response)
                yield from _events(response.iter_lines())
        except httpx.HTTPError as error:
            raise self._lost(error) from error

    def watch(self) -> Iterator[Status]:
        """Yield the whole daemon, and again whenever a station of it changed."""
        whole: Status | None = None
        for news in self.stream():
            if isinstance(news, Status):
                whole = news
            elif whole is not None:
                whole = whole.with_station(news)
            if whole is not None:
                yield whole

    def _get(self, path: str, kind: type[M]) -> M:
        return self._ask(self._http.build_request("GET", path), kind)

    def _post(self, path: str, message: Message, kind: type[M]) -> M:
        headers = {"content-type": "application/json"}
        content = message.model_dump_json()
        return self._ask(
            self._http.build_request("POST", path, content=content, headers=headers), kind
        )

    def _ask(self, request: httpx.Request, kind: type[M]) -> M:
        try:
            response = self._http.send(request)
        except httpx.HTTPError as error:
            raise self._lost(error) from error
        if response.is_error:
            raise _refusal(response)
        return _read(kind, response.content)

    def _lost(self, error: httpx.HTTPError) -> UnreachableError:
        if isinstance(error, httpx.TimeoutException):
            return UnreachableError(
                f"heatd does not answer at {self._path} in time.\n"
                "Whether a command was carried out is not known: look with `heatd status`."
            )
        return UnreachableError(f"The connection to heatd was lost ({error}).\nAsk again.")


def _knock(path: Path) -> None:
    """Find out whether anybody answers, while it is still plain what stands in the way."""
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(REPLY_S_MAX)
        try:
            probe.connect(str(path))
        except FileNotFoundError as error:
            raise UnreachableError(
                f"heatd is not running: there is no socket {path}.\n"
                "Start it with `heatd run DIR`, or name its socket with --socket or HEATD_SOCKET."
            ) from error
        except ConnectionRefusedError as error:
            raise UnreachableError(
                f"heatd is not running: nobody answers at {path}.\n"
                "Start it with `heatd run DIR`; it replaces the socket that was left behind."
            ) from error
        except PermissionError as error:
            raise UnreachableError(
                f"You may not open {path}.\n"
                "Ask the administrator to put you into the socket's group, then log in again."
            ) from error
        except OSError as error:
            raise UnreachableError(
                f"{path} cannot be opened ({error}).\nName the socket with --socket."
            ) from error


def _events(lines: Iterator[str]) -> Iterator[Status | StationStatus]:
    """Yield the messages of an event stream (WHATWG HTML, server-sent events)."""
    name = ""
    for line in lines:
        field, _, value = line.partition(": ")
        if field == "event":
            name = value
        elif field == "data" and name == "status":
            yield _read(Status, value.encode())
        elif field == "data" and name == "station":
            yield _read(StationStatus, value.encode())


def _read(kind: type[M], content: bytes) -> M:
    try:
        return kind.model_validate_json(content)
    except ValidationError as error:
        raise ClientError(
            "The daemon answered in a way that this program does not know.\n"
            "Use the heatd command of the version that runs."
        ) from error


def _refusal(response: httpx.Response) -> ClientError:
    try:
        problem = Problem.model_validate(json.loads(response.content))
    except (ValidationError, ValueError):
        return ClientError(
            f"heatd answered {response.status_code} {response.reason_phrase}. Try again, then look "
            "at its log."
        )
    return RefusedError(problem)
