"""What the simulator shows on a terminal: progress, the live table, a result as words.

Rule: all of it goes to standard error, except a result.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from time import perf_counter
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from api.messages import Status
from hil_sim.table import view

_TALK = Console(stderr=True)
# Where no bar can be drawn a line says now and then that something goes on.
_LINE_S = 10.0


@contextmanager
def progress(what: str) -> Iterator[Callable[[float], None]]:
    """Show a bar while something long runs; yields what is told the share that is done, 0..1.

    In a file or a pipe it is a line every ten seconds instead.
    """
    if not _TALK.is_terminal:
        yield _lines(what)
        return
    columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
    with Progress(*columns, console=_TALK) as bar:
        task = bar.add_task(what, total=1.0)
        yield lambda share: bar.update(task, completed=share)


def _lines(what: str) -> Callable[[float], None]:
    told_s = perf_counter()

    def tell(share: float) -> None:
        nonlocal told_s
        if perf_counter() - told_s >= _LINE_S:
            told_s = perf_counter()
            _TALK.print(f"{what}: {share:.0%}", markup=False, highlight=False, soft_wrap=True)

    return tell


@contextmanager
def live(*, is_wanted: bool) -> Iterator[Callable[[Status, float, float], None]]:
    """Show the live table; yields what is told status, speed and seconds since the start."""
    if not is_wanted:
        yield lambda _status, _speed, _seconds: None
        return
    with Live(console=_TALK, refresh_per_second=4) as shown:
        yield lambda status, speed, seconds: shown.update(
            view(status, speed=speed, seconds=seconds)
        )


def print_result(result: Mapping[str, Any], *, asked: str) -> None:
    """Print the result of a scenario for people; `asked` is how they named it."""
    out = Console()
    out.print(
        f"{result['scenario']} seed {result['seed']}: [bold]{result['verdict']}[/bold]  "
        f"({result['virtual_s'] / 3600:.0f} h in {result['wall_s']:.1f} s)"
    )
    table = Table(show_header=False)
    for name, value in result["figures"].items():
        table.add_row(name, "—" if value is None else f"{value:g}")
    out.print(table)
    for sentence in result["broken_invariants"]:
        out.print(f"broken: {sentence}", style="bold red", markup=False)
    out.print(f"digest {result['digest']}")
    out.print(f"again: ./run heatd-sim run {asked} --seed {result['seed']}", soft_wrap=True)


def print_faults(result: Mapping[str, Any]) -> None:
    """Print what came of the fault catalogue for people."""
    out = Console()
    table = Table("row", "fault", "survived", "data true after", "alarms", "written twice")
    for row in result["rows"]:
        time_s = row["recovery_s"]
        table.add_row(
            str(row["row"]),
            row["fault"],
            "yes" if row["survived"] else "NO",
            "—" if time_s is None else f"{time_s:.2f} s",
            str(row["alarms"]),
            str(row["duplicate_writes"]),
        )
    out.print(table)
    for row in result["rows"]:
        for sentence in row["why"]:
            out.print(f"{row['fault']}: {sentence}", style="bold red", markup=False)
    for sentence in result["grew"]:
        out.print(f"grew: {sentence}", style="bold red", markup=False)
    first, last = result["held"][0], result["held"][-1]
    out.print(
        f"after the first and the last of {result['repeats']}: "
        f"{first['fds']} and {last['fds']} file descriptors, {first['tasks']} and {last['tasks']} "
        f"tasks, {first['rss_mb']:g} and {last['rss_mb']:g} MB"
    )
    if result["withheld_s"]:
        out.print(
            f"for {result['withheld_s']:g} of {result['seconds']:g} s the machine kept the process "
            "from running; that is counted against nobody"
        )
    out.print(f"[bold]{result['verdict']}[/bold] in {result['seconds']:.0f} s")


def print_fuzz(result: Mapping[str, Any]) -> None:
    """Print what came of a fuzz for people."""
    out = Console()
    out.print(
        f"{result['target']} seed {result['seed']}: [bold]{result['verdict']}[/bold]  "
        f"{result['frames']:,} frames in {result['seconds']:g} s, {result['accepted']:,} replies "
        f"and {result['values']:,} values taken, {result['hangs']} hangs"
    )
    for sentence in (*result["wrong_values"], *result["crashes"]):
        out.print(sentence, style="bold red", markup=False, soft_wrap=True)
    for command in result["again"]:
        out.print(f"again: {command}", soft_wrap=True)


def print_figures(figures: Mapping[str, Mapping[str, Any]]) -> None:
    """Print figures by their names, with a column for each contender."""
    table = Table("", *figures)
    names = next(iter(figures.values()))
    for name in names:
        table.add_row(name, *(_shown(column[name]) for column in figures.values()))
    Console().print(table)


def _shown(value: object) -> str:
    return "—" if value is None else str(value)
