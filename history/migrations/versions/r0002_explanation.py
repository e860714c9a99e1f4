"""Why the loops did what they did is kept.

Rule: as in the package.
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table of the explanations."""
    op.create_table(
        "explanation",
        sa.Column("seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("station", sa.Text(), nullable=False),
        sa.Column("loops", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("seq", name="pk_explanation"),
    )
    op.create_index("ix_explanation_station_at", "explanation", ["station", "at"])
