"""What every test may lean on: programs of the machine, and a word about what was left out."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import settings

# Two cores, often busy: a slow example is no failure, and a failing one prints how to get it back.
settings.register_profile("heatd", deadline=None, print_blob=True)
settings.load_profile("heatd")


@pytest.fixture
def require_program() -> Callable[[str], Path]:
    """Return a function that finds a program of the machine, e.g. `require_program("mbpoll")`.

    Where it is missing, the test stands aside and is named at the end; under CI=true it fails.
    """

    def find(program: str) -> Path:
        if found := shutil.which(program):
            return Path(found)
        missing = f"{program} is not installed (apt-get install {program})"
        if os.environ.get("CI") == "true":
            pytest.fail(missing, pytrace=False)
        pytest.skip(missing)

    return find


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Name the tests that stood aside, each with its reason."""
    skipped = terminalreporter.stats.get("skipped", [])
    if not skipped:
        return
    terminalreporter.section("left out")
    for report in skipped:
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        terminalreporter.line(f"{report.nodeid}: {reason.removeprefix('Skipped: ')}")
