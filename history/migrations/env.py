"""Alembic's entry: runs the revisions on the connection that `history.journal.migrate` gives it.

Rule: no configuration file and no address of a database; the caller owns connection and commit.
"""

from alembic import context

from history.schema import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
