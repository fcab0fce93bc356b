"""Alembic's entry: runs in the connection and transaction that the caller opened."""

from __future__ import annotations

from typing import Any

from alembic import context
from sqlalchemy import text

from cloud.alembic.migrations import metadata

VERSIONS = "platform"


def ours(name: str | None, kind: str, parents: dict[str, Any]) -> bool:
    """Only the schemas of the services; whatever else the database holds is none of our business."""
    return kind != "schema" or name in {tables.schema for tables in metadata()}


connection = context.config.attributes["connection"]
connection.execute(text(f"CREATE SCHEMA IF NOT EXISTS {VERSIONS}"))
context.configure(
    connection=connection,
    target_metadata=metadata(),
    version_table_schema=VERSIONS,
    include_schemas=True,
    include_name=ours,
    compare_server_default=True,
)
context.run_migrations()
