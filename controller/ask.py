"""What the `heatd` command does with a running daemon: ask, show, select, confirm, operate.

Rule: it asks over the socket like everybody else; what goes wrong is told, and ends with 1.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TypeVar

import typer
from rich.console import Console, RenderableType
from rich.live import Live

from api.client import Client, ClientError, made
from api.messages import (
    AcknowledgeRequest,
    Message,
    ModeRequest,
    SetRequest,
    SourceRequest,
    Status,
    TuneRequest,
    TuneStatus,
)
from controller.cli_words import complain
from controller.tables import (
    alarms_view,
    explanation_view,
    selection_view,
    station_view,
    status_table,
    tune_line,
    tuned_yaml,
)

SOCKET_NAME = "control.sock"
RUNTIME_DIR = "/run/heatd"

_PIPE_COLUMNS = 200

E = TypeVar("E", bound=BaseException)


def status(socket: Path | None, station: str, *, as_json: bool) -> None:
    """Show all stations, or one."""
    with _asking(socket) as client:
        if station:
            one = client.station(station)
            _show(one, station_view(one), as_json=as_json)
        else:
            whole = client.status()
            _show(whole, status_table(whole), as_json=as_json)


def watch(socket: Path | None, station: str, *, as_json: bool) -> None:
    """Show all stations, or one, anew whenever something changes; ^C ends it."""
    with _asking(socket) as client:
        if station:
            client.station(station)
        with suppress(KeyboardInterrupt), Live(console=console(), auto_refresh=False) as live:
            for whole in client.watch():
                _refresh(live, whole, station, as_json=as_json)
            complain("heatd has stopped.")


def _refresh(live: Live, whole: Status, station: str, *, as_json: bool) -> None:
    chosen = next((found for found in whole.stations if found.station == station), None)
    if as_json:
        typer.echo((chosen or whole).model_dump_json())
    else:
        view = status_table(whole) if chosen is None else station_view(chosen)
        live.update(view, refresh=True)


def alarms(socket: Path | None, *, with_history: bool, as_json: bool) -> None:
    """Show the alarms that are not normal, and the past where asked for."""
    with _asking(socket) as client:
        found = client.alarms(history=with_history)
        _show(found, alarms_view(found, with_history=with_history), as_json=as_json)


def explain(
    socket: Path | None, station: str, loop: str, *, at: datetime | None, as_json: bool
) -> None:
    """Show why a loop does what it does, or did at a past moment."""
    with _asking(socket) as client:
        found = client.explain(station, loop, at=at)
        _show(found, explanation_view(found, is_past=at is not None), as_json=as_json)


def acknowledge(socket: Path | None, **fields: object) -> None:
    """Acknowledge an alarm; `fields` are those of the request."""
    with _asking(socket) as client:
        typer.echo(client.acknowledge(made(AcknowledgeRequest, **fields)).outcome)


def operate(
    socket: Path | None,
    kind: type[SetRequest | ModeRequest | SourceRequest],
    *,
    yes: bool,
    **fields: object,
) -> None:
    """Select, show what would happen, ask unless `yes`, and operate."""
    with _asking(socket) as client:
        typer.echo(_operated(client, made(kind, **fields), yes=yes))


def tune(
    socket: Path | None, station: str, loop: str, *, as_json: bool, yes: bool, **words: str
) -> None:
    """Start an autotune, show how it goes, and print what it found; ^C ends it."""
    start = made(TuneRequest, station=station, loop=loop, action="start", **words)
    with _asking(socket) as client:
        try:
            typer.echo(_operated(client, start, yes=yes, is_error=as_json), err=as_json)
            found = _watched(client, station, loop, is_quiet=as_json)
        except KeyboardInterrupt:
            stop = start.model_copy(update={"action": "stop"})
            client.operate(client.select(stop).token, as_name=start.as_name)
            complain("The autotune was ended; the valve goes back to where it stood.")
        if found is None:
            complain("heatd has stopped, and the autotune with it.")
        if as_json:
            typer.echo(found.model_dump_json(indent=2))
        if found.phase != "done":
            complain(f"The autotune was given up: {found.why}. No setting was changed.")
        if not as_json:
            typer.echo(tuned_yaml(station, loop, found))


def _operated(
    client: Client,
    request: SetRequest | ModeRequest | SourceRequest | TuneRequest,
    *,
    yes: bool,
    is_error: bool = False,
) -> str:
    """Return what became of a command that was selected, shown and confirmed."""
    selection = client.select(request)
    console(is_error=is_error).print(selection_view(selection))
    if not yes and not typer.confirm(f"Operate within {selection.valid_s:g} s?", err=is_error):
        complain("Nothing was done.")
    return client.operate(selection.token, as_name=request.as_name).outcome


def _watched(client: Client, station: str, loop: str, *, is_quiet: bool) -> TuneStatus | None:
    """Return the autotune once it has ended, None if the daemon does; show each step until then."""
    has_begun = False
    with _progress(is_quiet=is_quiet) as show:
        for whole in client.watch():
            found = _tune_of(whole, station, loop)
            has_begun = has_begun or (found is not None and found.is_busy)
            # One of yesterday is still shown until the scan that begins this one.
            if found is None or not has_begun:
                continue
            show(tune_line(station, loop, found))
            if not found.is_busy:
                return found
    return None


@contextmanager
def _progress(*, is_quiet: bool) -> Iterator[Callable[[RenderableType], None]]:
    """Lend what shows a line on stderr in the place of the one before; a file gets the last one."""
    if is_quiet:
        yield lambda _line: None
        return
    screen = console(is_error=True)
    try:
        with Live(console=screen, auto_refresh=False) as live:
            yield partial(live.update, refresh=True)
    finally:
        # Live ends its last line on a terminal only.
        if not screen.is_terminal:
            screen.line()


def _tune_of(whole: Status, station: str, loop: str) -> TuneStatus | None:
    loops = (one for found in whole.stations if found.station == station for one in found.loops)
    return next((one.tune for one in loops if one.name == loop), None)


def leaves(group: BaseExceptionGroup[E]) -> Iterator[E]:
    """Yield the exceptions of a group, however deep they lie."""
    for error in group.exceptions:
        if isinstance(error, BaseExceptionGroup):
            yield from leaves(error)
        else:
            yield error


@contextmanager
def _asking(socket: Path | None) -> Iterator[Client]:
    try:
        with Client(socket or _default_socket()) as client:
            yield client
    except ClientError as error:
        complain(str(error))


def _default_socket() -> Path:
    runtime = os.environ.get("RUNTIME_DIRECTORY", RUNTIME_DIR).split(":")[0]
    return Path(runtime) / SOCKET_NAME


def _show(message: Message, view: RenderableType, *, as_json: bool) -> None:
    if as_json:
        typer.echo(message.model_dump_json(indent=2))
    else:
        console().print(view)


def console(*, is_error: bool = False) -> Console:
    """Return the terminal, or stderr; a pipe is wide, so that no column is cut."""
    console = Console(highlight=False, markup=False, stderr=is_error)
    if not console.is_terminal:
        console.width = _PIPE_COLUMNS
    return console
