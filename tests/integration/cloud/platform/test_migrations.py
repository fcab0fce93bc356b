"""The schema: from nothing, by several programs at once, and the same as the models say."""

from __future__ import annotations

import asyncio
from pathlib import Path

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

from cloud.alembic import migrations
from cloud.platform.database import Database
from cloud.platform.settings import Settings


def differences(connection: Connection) -> list[object]:
    schemas = {tables.schema for tables in migrations.metadata()}
    options = {
        "include_schemas": True,
        "include_name": lambda name, kind, parents: kind != "schema" or name in schemas,
        "include_object": lambda found, name, kind, *_: name != "alembic_version",
        "compare_server_default": True,
    }
    return compare_metadata(MigrationContext.configure(connection, opts=options), migrations.metadata())


async def test_an_empty_database_becomes_what_the_models_say_although_three_migrate_at_once(database_url: str) -> None:
    settings = Settings(database_url=database_url, redis_url="", kafka="")
    await asyncio.gather(*(migrations.migrate(settings) for _ in range(3)))
    database = Database(database_url)
    async with database.begin() as session:
        connection = await session.connection()
        assert await connection.run_sync(differences) == []
        # The comparison does see a difference where there is one.
        await session.execute(text("ALTER TABLE platform.jobs ADD COLUMN surplus text"))
        assert len(await connection.run_sync(differences)) == 1
        await session.rollback()
    await database.close()


def test_revisions_are_one_line_in_the_order_of_their_names() -> None:
    scripts = ScriptDirectory(str(Path(migrations.__file__).parent))
    line = [script.revision for script in scripts.walk_revisions()]
    assert line == sorted(line, reverse=True)
    assert len(scripts.get_heads()) == 1
