"""Fork a writer, kill it at a random instant, look at what it left; so often as asked.

Run by a test as a program of its own, so that the forks start from a process without threads.
"""

import asyncio
import json
import os
import random
import signal
import sqlite3
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

sys.path.insert(0, str(Path.cwd()))

from core.record import ModeRecord
from history.journal import open_journal
from history.reader import Reader
from history.writer import Writer

AT = datetime(2026, 1, 12, 3, 0, tzinfo=UTC)
_PROMISE_BYTES = 8


async def write_for_ever(path: Path, generation: str, promises: int) -> None:
    writer = Writer(open_journal(path))
    task = asyncio.create_task(writer.run())
    n = 0
    while not task.done():
        batch = range(n, n + 1 + n % 7)
        await writer.commit(
            ModeRecord(at=AT, station=generation, subject=str(i), old="", new="", why="")
            for i in batch
        )
        n = batch.stop
        os.write(promises, n.to_bytes(_PROMISE_BYTES, "little"))


def kill_one(path: Path, generation: str, commits: int, after_s: float) -> int:
    """Return how many records the writer had promised before it was killed.

    It is killed some time after so many commits, however slow the machine is.
    """
    promised, promises = os.pipe()
    child = os.fork()
    if child == 0:
        asyncio.run(write_for_ever(path, generation, promises))
        os._exit(1)
    os.close(promises)
    told = bytearray()
    while len(told) < _PROMISE_BYTES * commits:
        told += os.read(promised, _PROMISE_BYTES)
    time.sleep(after_s)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    while chunk := os.read(promised, 65536):
        told += chunk
    os.close(promised)
    return int.from_bytes(told[-_PROMISE_BYTES:], "little")


def main(path: Path, kills: int) -> None:
    rng = random.Random(17)
    open_journal(path).close()
    found = []
    for n in range(kills):
        generation = f"generation-{n}"
        promised = kill_one(path, generation, rng.randrange(20), rng.uniform(0.0, 0.02))
        with sqlite3.connect(path) as connection:
            (integrity,) = connection.execute("PRAGMA integrity_check").fetchone()
        connection.close()
        reader = Reader(path)
        kept = [int(row.subject) for row in reader.modes(generation, limit=1_000_000)]
        reader.close()
        found.append({"promised": promised, "kept": kept, "integrity": integrity})
    print(json.dumps(found))  # noqa: T201 - the answer of this program


main(Path(sys.argv[1]), int(sys.argv[2]))
