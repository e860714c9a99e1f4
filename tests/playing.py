"""Long plays for the tests, each done once for all workers, in a process of its own."""

import fcntl
import os
import pickle
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import TypeVar

import pytest

from hil_sim.play import Result, Row, play
from hil_sim.scenario import load_scenario

ROOT = Path(__file__).parent.parent

T = TypeVar("T")


def elsewhere(folders: pytest.TempPathFactory, name: str, work: Callable[[], T]) -> T:
    """Return what `work` returns, done once for all workers of the test run.

    It is done in another process, where no coverage is measured: it would take three times as long.

    Args:
        folders: Where the workers of one test run leave what they did.
        name: What it is called there.
        work: A function of a module; what it returns can be pickled.
    """
    own = folders.getbasetemp()
    kept = (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / f"{name}.pickle"
    with kept.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not kept.exists():
            with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
                kept.write_bytes(pickle.dumps(pool.submit(work).result()))
    return pickle.loads(kept.read_bytes())  # type: ignore[no-any-return] # noqa: S301 - our own file of this very run


def played_rows(folders: pytest.TempPathFactory, where: str, seed: int) -> tuple[Result, list[Row]]:
    """Return the result of a scenario and a row for each scan.

    Args:
        folders: As of `elsewhere`.
        where: The scenario's name, or its file below the repository.
        seed: Of all chance in it.
    """
    return elsewhere(folders, f"{Path(where).stem}-{seed}", partial(_play, where, seed))


def _play(where: str, seed: int) -> tuple[Result, list[Row]]:
    rows: list[Row] = []
    scenario = load_scenario(str(ROOT / where) if where.endswith(".yaml") else where)
    return play(scenario, seed=seed, rows=rows), rows
