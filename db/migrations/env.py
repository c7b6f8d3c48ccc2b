"""Alembic's entry: runs the steps on the connection that db/migrate.py hands over."""

from __future__ import annotations

from alembic import context
from sqlalchemy import Connection

from db.tables import metadata

connection = context.config.attributes["connection"]
assert isinstance(connection, Connection)
context.configure(connection=connection, target_metadata=metadata, compare_server_default=False)
with context.begin_transaction():
    context.run_migrations()
