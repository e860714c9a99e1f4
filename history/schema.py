"""The tables of the journal.

Rule: the tables change only together with a new revision in `migrations/versions`; a test compares
the two.
"""

from datetime import UTC, datetime, timedelta

from sqlalchemy import (
    BigInteger,
    Column,
    Dialect,
    Float,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
)
from sqlalchemy.types import TypeDecorator

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class UtcDateTime(TypeDecorator[datetime]):
    """A moment, kept as whole microseconds since 1970 UTC: sortable, and nothing is lost.

    Raises:
        ValueError: A moment without a time zone was given.
    """

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:  # noqa: ARG002 - SQLAlchemy's signature
        """Return the microseconds since 1970 UTC."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"a moment without time zone: {value}")
        return (value - _EPOCH) // _MICROSECOND

    def process_result_value(self, value: int | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002 - SQLAlchemy's signature
        """Return the moment in UTC."""
        return None if value is None else _EPOCH + value * _MICROSECOND


# Only a column whose type reads INTEGER is SQLite's own row id; elsewhere 32 bits would run out.
_ID = BigInteger().with_variant(Integer(), "sqlite")

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def _table(
    name: str, *columns: "Column[str] | Column[int] | Column[float] | Column[bytes]"
) -> Table:
    return Table(
        name,
        metadata,
        Column("seq", _ID, primary_key=True, autoincrement=False),
        Column("at", UtcDateTime, nullable=False),
        Column("station", Text, nullable=False),
        *columns,
        Index(None, "station", "at"),
    )


alarm_event = _table(
    "alarm_event",
    Column("alarm", Text, nullable=False),
    Column("event", Text, nullable=False),
    Column("priority", Integer, nullable=False),
    Column("value", Float),
    Column("text", Text, nullable=False),
    Column("who", Text, nullable=False),
    Column("why", Text, nullable=False),
)

setpoint_change = _table(
    "setpoint_change",
    Column("loop", Text, nullable=False),
    Column("old", Float),
    Column("new", Float),
    Column("why", Text, nullable=False),
)

mode_change = _table(
    "mode_change",
    Column("subject", Text, nullable=False),
    Column("old", Text, nullable=False),
    Column("new", Text, nullable=False),
    Column("why", Text, nullable=False),
)

operator_action = _table(
    "operator_action",
    Column("who", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("detail", Text, nullable=False),
    Column("why", Text, nullable=False),
    Column("outcome", Text, nullable=False),
)

checkpoint = _table("checkpoint", Column("state", Text, nullable=False))

layout = Table(
    "layout",
    metadata,
    Column("layout_id", _ID, primary_key=True, autoincrement=False),
    Column("station", Text, nullable=False),
    Column("columns", Text, nullable=False),
)
"""What the bytes of a scan mean (see `packing.Layout`)."""

scan = Table(
    "scan",
    metadata,
    Column("seq", _ID, primary_key=True, autoincrement=False),
    Column("at", UtcDateTime, nullable=False),
    Column("layout_id", _ID, nullable=False),
    Column("data", LargeBinary, nullable=False),
    Index(None, "layout_id", "at"),
)

explanation = _table("explanation", Column("loops", LargeBinary, nullable=False))
"""Why the loops of a station did what they did: text, compressed with zlib."""

journal_head = Table(
    "journal_head",
    metadata,
    Column("one", Integer, primary_key=True, autoincrement=False),
    Column("seq", _ID, nullable=False),
)
"""One row: the number of the newest row of all tables, written in the same transaction as it."""
