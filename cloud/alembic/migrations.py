"""Bring the database to the schema of this release.

Everything happens in one transaction under one advisory lock: several programs may start at once, one migrates,
and a crash leaves the schema as it was. The running release must live with the new schema, so a revision adds;
what it replaces is removed a release later.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, MetaData, text

from cloud.main import SERVICES, offered
from cloud.platform.database import Database
from cloud.platform.settings import Settings

LOCK = 0x71757262_6D696772  # any number; the same in every migrator
LOCK_TIMEOUT = "5s"


def metadata() -> list[MetaData]:
    """The tables of the platform and of every service, one schema each."""
    for module in ("outbox", "inbox", "jobs", "audit_chain", "idempotency", "personal"):
        import_module(f"cloud.platform.{module}")
    return [base.metadata for base in offered(("platform", *SERVICES), "models", "Base")]


def config(connection: Connection, settings: Settings) -> Config:
    """Alembic's configuration for work on ``connection``; a revision that seals what is there needs the settings."""
    found = Config()
    found.set_main_option("script_location", str(Path(__file__).parent))
    found.attributes |= {"connection": connection, "settings": settings}
    return found


async def migrate(settings: Settings, to: str = "head") -> None:
    """Upgrade to the newest revision, or ``to`` an earlier one.

    Raises ``unavailable`` when a table stays locked for longer than 5 s."""
    database = Database(settings.database_url)
    try:
        async with database.begin() as session:
            await session.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
            await session.execute(text(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'"))
            connection = await session.connection()
            await connection.run_sync(lambda sync: command.upgrade(config(sync, settings), to))
    finally:
        await database.close()
