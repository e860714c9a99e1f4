"""What the journal remembers, for people, programs and proofs.

Rule: a reader cannot write: its connections are opened read-only, and each answer is one short
query that never holds up the writer.
"""

import hashlib
import json
import sqlite3
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import (
    Connection,
    QueuePool,
    RowMapping,
    Select,
    Table,
    create_engine,
    func,
    select,
)
from sqlalchemy.exc import SQLAlchemyError

from core.point import Quality, Tag
from core.record import (
    AlarmEvent,
    AlarmRecord,
    ExplanationRecord,
    ModeRecord,
    OperatorAction,
    SetpointRecord,
)
from history.journal import REVISION, JournalError, reason, revision_of, too_new
from history.packing import Layout, Scan, unpack, unpack_input, unpack_output
from history.rows import action_of, alarm_of, mode_of, setpoint_of
from history.schema import (
    alarm_event,
    checkpoint,
    explanation,
    layout,
    metadata,
    mode_change,
    operator_action,
    scan,
    setpoint_change,
)

T = TypeVar("T")
ROWS_MAX = 1000
"""So many events a query returns unless told otherwise: the newest ones."""
SAMPLES_MAX = 100_000
"""So many samples a query returns unless told otherwise: the oldest ones since its begin."""

_BUSY_MS = 1000
_CHUNK = 1000


@dataclass(frozen=True, slots=True)
class TrendPoint:
    """One sample of a trend; an output's quality is GOOD, for it is what heatd wanted."""

    at: datetime
    value: float
    quality: Quality


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A kept state of a station."""

    at: datetime
    state: dict[str, Any]


class Reader:
    """Questions to one journal; safe to use while the daemon writes, from any thread.

    Args:
        path: The journal's file.

    Raises:
        JournalError: It is not there, or not a journal.
        JournalTooNew: It was written by a newer heatd.
    """

    def __init__(self, path: Path) -> None:
        uri = f"{path.absolute().as_uri()}?mode=ro"
        self._engine = create_engine(
            "sqlite://", creator=lambda: _read_only(uri), poolclass=QueuePool
        )
        try:
            with self._engine.connect() as connection:
                found = revision_of(connection, path)
        except (SQLAlchemyError, sqlite3.Error) as error:
            self.close()
            raise JournalError(
                f"{path}: {reason(error)}. Has the daemon run with this state directory?"
            ) from error
        except JournalError:
            self.close()
            raise
        if found != REVISION:
            self.close()
            if found is None:
                raise JournalError(f"{path}: it has no tables yet. Start the daemon first.")
            raise too_new(path, found)

    def alarms(
        self,
        station: str | None = None,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        active_only: bool = False,
        limit: int = ROWS_MAX,
    ) -> tuple[AlarmRecord, ...]:
        """Return what happened to alarms, oldest first.

        Args:
            station: Only this one; None means all.
            since: The first moment wanted.
            until: The first moment no longer wanted.
            active_only: Only the RAISED of the alarms that have not cleared since.
            limit: At most so many, the newest.
        """
        query = _newest(alarm_event, station, since, until, limit)
        if active_only:
            turning = (AlarmEvent.RAISED.value, AlarmEvent.CLEARED.value)
            last = (
                select(func.max(alarm_event.c.seq))
                .where(alarm_event.c.event.in_(turning))
                .group_by(alarm_event.c.station, alarm_event.c.alarm)
            )
            query = query.where(
                alarm_event.c.seq.in_(last), alarm_event.c.event == AlarmEvent.RAISED.value
            )
        return self._records(query, alarm_of)

    def setpoints(
        self,
        station: str | None = None,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        limit: int = ROWS_MAX,
    ) -> tuple[SetpointRecord, ...]:
        """Return changes of setpoints, oldest first; arguments as in `alarms`."""
        return self._records(_newest(setpoint_change, station, since, until, limit), setpoint_of)

    def modes(
        self,
        station: str | None = None,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        limit: int = ROWS_MAX,
    ) -> tuple[ModeRecord, ...]:
        """Return changes of mode and state, oldest first; arguments as in `alarms`."""
        return self._records(_newest(mode_change, station, since, until, limit), mode_of)

    def actions(
        self,
        station: str | None = None,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        limit: int = ROWS_MAX,
    ) -> tuple[OperatorAction, ...]:
        """Return what people asked for, oldest first; arguments as in `alarms`."""
        return self._records(_newest(operator_action, station, since, until, limit), action_of)

    def samples(
        self,
        station: str,
        tag: Tag,
        since: datetime,
        until: datetime,
        *,
        limit: int = SAMPLES_MAX,
    ) -> tuple[TrendPoint, ...]:
        """Return the trend of one input, oldest first; `until` itself is excluded.

        Scans whose layout has no such tag are left out.
        """
        with self._engine.connect() as connection:
            return tuple(
                TrendPoint(at, *unpack_input(its, data, tag))
                for at, its, data in _scans(connection, station, since, until, limit)
                if tag in its.inputs
            )

    def outputs(
        self,
        station: str,
        tag: Tag,
        since: datetime,
        until: datetime,
        *,
        limit: int = SAMPLES_MAX,
    ) -> tuple[TrendPoint, ...]:
        """Return the trend of one output, oldest first; `until` itself is excluded.

        Scans that did not move it are left out: it stood where it was.
        """
        with self._engine.connect() as connection:
            return tuple(
                TrendPoint(at, unpack_output(its, data, tag), Quality.GOOD)
                for at, its, data in _scans(connection, station, since, until, limit)
                if tag in its.outputs
            )

    def scans(
        self, station: str, since: datetime, until: datetime, *, limit: int = SAMPLES_MAX
    ) -> tuple[tuple[datetime, Scan], ...]:
        """Return whole scans with their moments, oldest first; `until` itself is excluded."""
        with self._engine.connect() as connection:
            return tuple(
                (at, unpack(its, data))
                for at, its, data in _scans(connection, station, since, until, limit)
            )

    def latest_checkpoint(self, station: str) -> Checkpoint | None:
        """Return the state of a station that was kept last, None if none ever was."""
        query = (
            select(checkpoint.c.at, checkpoint.c.state)
            .where(checkpoint.c.station == station)
            .order_by(checkpoint.c.seq.desc())
            .limit(1)
        )
        with self._engine.connect() as connection:
            row = connection.execute(query).one_or_none()
        return None if row is None else Checkpoint(row.at, json.loads(row.state))

    def explanation(
        self, station: str, at: datetime, *, since: datetime
    ) -> ExplanationRecord | None:
        """Return the newest explanation of a station at or before `at`, and not before `since`."""
        query = (
            select(explanation)
            .where(explanation.c.station == station)
            .where(explanation.c.at <= at, explanation.c.at >= since)
            .order_by(explanation.c.at.desc(), explanation.c.seq.desc())
            .limit(1)
        )
        with self._engine.connect() as connection:
            row = connection.execute(query).mappings().one_or_none()
        if row is None:
            return None
        loops = zlib.decompress(row["loops"]).decode()
        return ExplanationRecord(at=row["at"], station=row["station"], loops=loops)

    def history_rows(self) -> dict[str, int]:
        """Return how many rows each table has."""
        with self._engine.connect() as connection:
            return {
                table.name: connection.execute(select(func.count()).select_from(table)).scalar_one()
                for table in _tables()
            }

    def station_rows(self, station: str) -> int:
        """Return how many events and scans are remembered of one station."""
        events = [alarm_event, setpoint_change, mode_change, operator_action]
        queries = [
            select(func.count()).select_from(table).where(table.c.station == station)
            for table in events
        ]
        mine = select(layout.c.layout_id).where(layout.c.station == station)
        queries.append(select(func.count()).select_from(scan).where(scan.c.layout_id.in_(mine)))
        with self._engine.connect() as connection:
            return sum(connection.execute(query).scalar_one() for query in queries)

    def digest(self) -> str:
        """Return the SHA-256 over all that is remembered, as 64 hexadecimal digits.

        Tables come by name and rows in the order in which they were put. Their numbers are left
        out, so it does not matter into how many commits the writer put them.
        """
        digest = hashlib.sha256()
        with self._engine.connect() as connection:
            for table in _tables():
                digest.update(f"{table.name}\n".encode())
                key, *columns = table.columns
                rows = connection.execution_options(yield_per=_CHUNK).execute(
                    select(*columns).order_by(key)
                )
                for row in rows:
                    digest.update(b"".join(map(_canonical, row)) + b"\n")
        return digest.hexdigest()

    def close(self) -> None:
        """Close the connections."""
        self._engine.dispose()

    def _records(self, query: Select[Any], made_of: Callable[[RowMapping], T]) -> tuple[T, ...]:
        with self._engine.connect() as connection:
            rows = connection.execute(query).mappings().all()
        return tuple(made_of(row) for row in reversed(rows))


def _newest(
    table: Table, station: str | None, since: datetime | None, until: datetime | None, limit: int
) -> Select[Any]:
    query = select(table).order_by(table.c.seq.desc()).limit(limit)
    if station is not None:
        query = query.where(table.c.station == station)
    if since is not None:
        query = query.where(table.c.at >= since)
    if until is not None:
        query = query.where(table.c.at < until)
    return query


def _scans(
    connection: Connection, station: str, since: datetime, until: datetime, limit: int
) -> Iterator[tuple[datetime, Layout, bytes]]:
    kept = connection.execute(select(layout).where(layout.c.station == station)).mappings()
    layouts: Mapping[int, Layout] = {
        row["layout_id"]: Layout.from_json(station, row["columns"]) for row in kept
    }
    query = (
        select(scan.c.at, scan.c.layout_id, scan.c.data)
        .where(scan.c.layout_id.in_(layouts), scan.c.at >= since, scan.c.at < until)
        .order_by(scan.c.at, scan.c.seq)
        .limit(limit)
    )
    for at, layout_id, data in connection.execute(query):
        yield at, layouts[layout_id], data


def _tables() -> list[Table]:
    # The head counts rows in the order of their commits, which is no part of what happened.
    return sorted(
        (table for table in metadata.tables.values() if table.name != "journal_head"),
        key=lambda table: table.name,
    )


def _canonical(value: object) -> bytes:
    match value:
        case float():
            written = value.hex().encode()
        case bytes():
            written = value
        case _:
            written = str(value).encode()
    return b"%s %d:%s," % (type(value).__name__.encode(), len(written), written)


def _read_only(uri: str) -> sqlite3.Connection:
    connection = sqlite3.connect(uri, uri=True, check_same_thread=False)
    connection.execute(f"PRAGMA busy_timeout={_BUSY_MS}")
    connection.execute("PRAGMA query_only=ON")
    return connection
