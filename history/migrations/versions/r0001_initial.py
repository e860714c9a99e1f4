"""The first tables.

Rule: as in the package.
"""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables of an empty journal."""
    _stamped(
        "alarm_event",
        sa.Column("alarm", sa.Text(), nullable=False),
        sa.Column("event", sa.Text(), nullable=False),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("value", sa.Float()),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("who", sa.Text(), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
    )
    _stamped(
        "setpoint_change",
        sa.Column("loop", sa.Text(), nullable=False),
        sa.Column("old", sa.Float()),
        sa.Column("new", sa.Float()),
        sa.Column("why", sa.Text(), nullable=False),
    )
    _stamped(
        "mode_change",
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("old", sa.Text(), nullable=False),
        sa.Column("new", sa.Text(), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
    )
    _stamped(
        "operator_action",
        sa.Column("who", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
    )
    _stamped("checkpoint", sa.Column("state", sa.Text(), nullable=False))
    op.create_table(
        "layout",
        sa.Column("layout_id", _id(), autoincrement=False),
        sa.Column("station", sa.Text(), nullable=False),
        sa.Column("columns", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("layout_id", name="pk_layout"),
    )
    op.create_table(
        "scan",
        sa.Column("seq", _id(), autoincrement=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("layout_id", _id(), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("seq", name="pk_scan"),
    )
    op.create_index("ix_scan_layout_id_at", "scan", ["layout_id", "at"])
    head = op.create_table(
        "journal_head",
        sa.Column("one", sa.Integer(), autoincrement=False),
        sa.Column("seq", _id(), nullable=False),
        sa.PrimaryKeyConstraint("one", name="pk_journal_head"),
    )
    op.bulk_insert(head, [{"one": 1, "seq": 0}])


def _stamped(name: str, *columns: "sa.Column[str] | sa.Column[int] | sa.Column[float]") -> None:
    op.create_table(
        name,
        sa.Column("seq", _id(), autoincrement=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("station", sa.Text(), nullable=False),
        *columns,
        sa.PrimaryKeyConstraint("seq", name=f"pk_{name}"),
    )
    op.create_index(f"ix_{name}_station_at", name, ["station", "at"])


def _id() -> "sa.types.TypeEngine[int]":
    return sa.BigInteger().with_variant(sa.Integer(), "sqlite")
