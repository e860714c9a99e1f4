"""The journal: one SQLite file in WAL mode that one process writes.

Rule: a batch is written wholly or not at all, and the same batch written twice is written once; so
whoever is unsure whether a write arrived simply writes it again.
"""

import fcntl
import os
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import (
    URL,
    Connection,
    Engine,
    Table,
    create_engine,
    delete,
    event,
    func,
    insert,
    inspect,
    select,
    text,
    update,
)
from sqlalchemy.exc import SQLAlchemyError

from history.packing import Layout
from history.schema import checkpoint, explanation, journal_head, layout, scan

_MIGRATIONS = Path(__file__).parent / "migrations"
REVISION = "0002"
"""The newest revision of the tables; a journal that has it opens without loading Alembic."""

_BUSY_MS = 1000
_WAL_BYTES_MAX = 64 * 1024 * 1024


class JournalError(Exception):
    """The journal cannot be opened; the text says which file, why, and what to do."""


class JournalTooNew(JournalError):  # noqa: N818 - it reads as the claim it makes
    """The journal was written by a newer heatd."""


class JournalInUse(JournalError):  # noqa: N818 - it reads as the claim it makes
    """Another process writes this journal."""


class WriteFailed(Exception):  # noqa: N818 - it reads as the claim it makes
    """The disk or the database refused a write; nothing of it was kept, or all of it was."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows that are committed together. `last_seq` is higher than that of every batch before."""

    last_seq: int
    rows: Mapping[Table, Sequence[Mapping[str, Any]]]


class Journal:
    """The open journal. Only `history.writer.Writer` writes to it.

    Attributes:
        path: Its file.
        engine: Its writing engine, of one connection.
        seq: Number of the newest row when the journal was opened.
        layouts: The known layouts and their numbers.
    """

    def __init__(self, path: Path, engine: Engine, lock: int) -> None:
        self.path = path
        self.engine = engine
        self._lock: int | None = lock
        with engine.connect() as connection:
            self.seq: int = connection.execute(select(journal_head.c.seq)).scalar_one()
            kept = connection.execute(select(layout)).mappings().all()
        self.layouts: dict[Layout, int] = {
            Layout.from_json(row["station"], row["columns"]): row["layout_id"] for row in kept
        }

    def write(self, batch: Batch) -> None:
        """Commit a batch, or do nothing if it was committed before.

        Raises:
            WriteFailed: The disk or the database refused. A later try starts on a new connection.
        """
        try:
            with self.engine.begin() as connection:
                if connection.execute(select(journal_head.c.seq)).scalar_one() >= batch.last_seq:
                    return
                for table, rows in batch.rows.items():
                    connection.execute(insert(table), list(rows))
                connection.execute(update(journal_head).values(seq=batch.last_seq))
        except (SQLAlchemyError, sqlite3.Error) as error:
            self.engine.dispose()
            raise WriteFailed(reason(error)) from error

    def prune(self, before: datetime, rows_max: int) -> int:
        """Delete up to `rows_max` each of scans, explanations and checkpoints before `before`.

        The newest checkpoint of every station stays, however old. Events are never deleted.

        Returns:
            How many rows were deleted; less than `rows_max` means that nothing is left to delete.

        Raises:
            WriteFailed: The disk or the database refused.
        """
        newest = select(func.max(checkpoint.c.seq)).group_by(checkpoint.c.station)
        scans = (
            select(scan.c.seq)
            .where(scan.c.layout_id.in_(select(layout.c.layout_id)), scan.c.at < before)
            .limit(rows_max)
        )
        explanations = select(explanation.c.seq).where(explanation.c.at < before).limit(rows_max)
        checkpoints = (
            select(checkpoint.c.seq)
            .where(checkpoint.c.at < before, checkpoint.c.seq.not_in(newest))
            .limit(rows_max)
        )
        try:
            with self.engine.begin() as connection:
                gone = connection.execute(delete(scan).where(scan.c.seq.in_(scans))).rowcount
                gone += connection.execute(
                    delete(explanation).where(explanation.c.seq.in_(explanations))
                ).rowcount
                gone += connection.execute(
                    delete(checkpoint).where(checkpoint.c.seq.in_(checkpoints))
                ).rowcount
        except (SQLAlchemyError, sqlite3.Error) as error:
            self.engine.dispose()
            raise WriteFailed(reason(error)) from error
        return gone

    def close(self) -> None:
        """Close the file and let another process have it; closing twice is fine."""
        self.engine.dispose()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def open_journal(path: Path, *, durable: bool = True) -> Journal:
    """Open the journal for writing, and bring its tables up to date.

    Args:
        path: Its file; it is made if it is not there, its folder is not.
        durable: False only for runs in virtual time: a commit then does not wait for the disk.

    Raises:
        JournalTooNew: It was written by a newer heatd.
        JournalInUse: Another process writes it.
        JournalError: It cannot be opened for another reason.
    """
    lock = _locked(path)
    engine = _writing_engine(path, "FULL" if durable else "OFF")
    try:
        migrate(engine, path)
        return Journal(path, engine, lock)
    except (SQLAlchemyError, sqlite3.Error) as error:
        engine.dispose()
        os.close(lock)
        raise JournalError(
            f"{path}: {reason(error)}. Check the disk, or restore a backup."
        ) from error
    except JournalError:
        engine.dispose()
        os.close(lock)
        raise


def migrate(engine: Engine, path: Path) -> None:
    """Bring the tables up to date, in one transaction.

    Raises:
        JournalTooNew: The journal was written by a newer heatd.
        JournalError: The file belongs to another program.
    """
    with engine.begin() as connection:
        found = revision_of(connection, path)
        if found != REVISION:
            _upgrade(connection, found, path)


def revision_of(connection: Connection, path: Path) -> str | None:
    """Return the revision of a journal's tables, None if it has no tables yet.

    Raises:
        JournalError: The file belongs to another program.
    """
    tables = inspect(connection).get_table_names()
    if not tables:
        return None
    if "alembic_version" not in tables or "journal_head" not in tables:
        raise JournalError(f"{path}: this is a database of another program. Choose another file.")
    return str(connection.scalar(text("SELECT version_num FROM alembic_version")))


def too_new(path: Path, revision: str) -> JournalTooNew:
    """Return the error that says what to do about a journal from the future."""
    return JournalTooNew(
        f"{path}: written by a newer heatd (tables {revision}, this one knows {REVISION}). "
        "Install that version again, or restore the backup made before its installation."
    )


def _upgrade(connection: Connection, found: str | None, path: Path) -> None:
    # Alembic costs 0.7 s of start-up, so only a journal that is not up to date loads it.
    from alembic import command  # noqa: PLC0415 - see above
    from alembic.config import Config  # noqa: PLC0415 - see above
    from alembic.script import ScriptDirectory  # noqa: PLC0415 - see above

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    if found is not None and found not in known:
        raise too_new(path, found)
    command.upgrade(config, "head")


def _locked(path: Path) -> int:
    # A lock file of its own: closing any handle of the database would drop SQLite's own locks.
    name = path.with_name(path.name + ".lock")
    try:
        lock = os.open(name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
    except OSError as error:
        raise JournalError(f"{name}: {error.strerror}. Check the folder and its owner.") from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(lock)
        raise JournalInUse(f"{path}: another heatd writes this journal. Stop it first.") from error
    return lock


def _writing_engine(path: Path, synchronous: str) -> Engine:
    engine = create_engine(URL.create("sqlite", database=str(path)), pool_size=1, max_overflow=0)

    @event.listens_for(engine, "connect")
    def _prepare(connection: sqlite3.Connection, _: object) -> None:
        # The library would begin transactions where it likes; here they begin where we say.
        connection.isolation_level = None
        for pragma in (
            f"busy_timeout={_BUSY_MS}",
            "journal_mode=WAL",
            f"synchronous={synchronous}",
            f"journal_size_limit={_WAL_BYTES_MAX}",
        ):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine


def reason(error: Exception) -> str:
    """Return the database's own words, without the statement around them."""
    return str(getattr(error, "orig", None) or error)
