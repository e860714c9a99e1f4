"""What is wrong with a configuration: where it stands, what it is, what to write instead.

Rule: all problems of all files are told in one go, in reading order, each once.
"""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """A position in a file of the configuration; line and column count from 1."""

    file: str
    line: int
    column: int

    def moved(self, columns: int) -> "Place":
        """Return the place `columns` further right."""
        return Place(self.file, self.line, self.column + columns)


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One thing that is wrong. `hint` says what to write instead."""

    file: str
    line: int
    column: int
    message: str
    hint: str = ""

    def __str__(self) -> str:
        advice = f"; {self.hint}" if self.hint else ""
        return f"{self.file}:{self.line}:{self.column}: {self.message}{advice}"


TEXT_CHARS_MAX = 400


def problem_at(place: Place, message: str, hint: str = "") -> Problem:
    """Return the problem `message` at `place`, in one printable line of bearable length."""
    return Problem(place.file, place.line, place.column, _tame(message), _tame(hint))


def _tame(text: str) -> str:
    # Messages quote what was found in the file, which may hold line breaks or terminal codes.
    cut = text if len(text) <= TEXT_CHARS_MAX else f"{text[:TEXT_CHARS_MAX]} ..."
    if cut.isprintable():
        return cut
    return "".join(sign if sign.isprintable() else repr(sign)[1:-1] for sign in cut)


class ConfigErrors(Exception):  # noqa: N818 - one exception carries all errors of a configuration
    """A configuration that cannot be taken.

    Attributes:
        problems: Everything that is wrong, sorted by file, line and column, each problem once.
    """

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems: tuple[Problem, ...] = tuple(sorted(set(problems)))
        super().__init__("\n".join(str(problem) for problem in self.problems))
