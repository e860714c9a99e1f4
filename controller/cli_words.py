"""What several files of the `heatd` command share: arguments, kinds of answer, how to give up.

Rule: it loads nothing that is slow, for every --help waits for it.
"""

from enum import StrEnum
from math import isfinite, nan
from pathlib import Path
from typing import Annotated, NoReturn

import typer


class Output(StrEnum):
    """How a command answers."""

    TEXT = "text"
    JSON = "json"


Directory = Annotated[
    Path, typer.Argument(exists=True, file_okay=False, help="Directory of the configuration.")
]
OutputAs = Annotated[Output, typer.Option("--output", "-o", help="text, or json for programs.")]


def number(text: str) -> float:
    """Return the finite value that a person typed, in the point's unit.

    Raises:
        typer.BadParameter: It is no number.
    """
    try:
        value = float(text)
    except ValueError:
        value = nan
    if isfinite(value):
        return value
    hint = "write it in the point's unit and without it, as in `heatd set st-01 offset 2`"
    raise typer.BadParameter(f"`{text}` is no number; {hint}")


def complain(*lines: str) -> NoReturn:
    """Say what is wrong on stderr and end with 1."""
    for line in lines:
        typer.echo(line, err=True)
    raise typer.Exit(1)
