"""Run by Alembic: migrate over the connection that `upgrade` opened."""

from __future__ import annotations

from alembic import context

from cd4ml.store.migrations import TABLE
from cd4ml.store.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table=TABLE,
    transactional_ddl=False,
)
context.run_migrations()
