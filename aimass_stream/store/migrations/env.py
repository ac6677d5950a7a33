"""What Alembic runs to begin: the connection comes from `upgrade`, and with it the transaction."""

from __future__ import annotations

from alembic import context

context.configure(connection=context.config.attributes["connection"])
with context.begin_transaction():
    context.run_migrations()
