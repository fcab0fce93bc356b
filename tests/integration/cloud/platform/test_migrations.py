"""The schema: from nothing, by several programs at once, and the same as the models say."""

from __future__ import annotations

import asyncio
from pathlib import Path
from uuid import uuid4

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

from cloud.alembic import migrations
from cloud.apply import cases
from cloud.donors import service as donors
from cloud.donors.schemas import Donor
from cloud.executors import service as executors
from cloud.platform.database import Database
from cloud.platform.keys import Keys
from cloud.platform.paging import Paging
from cloud.platform.settings import Settings
from cloud.processing import checks as processing


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


CLEAR = """
    INSERT INTO auth.users (id, email, password_hash, role, name, language, created)
        VALUES (:donor, 'layla@example.org', '', 'donor', 'Layla Canary', 'fr', now());
    INSERT INTO donors.donors (id, name, email, phone, language, created)
        VALUES (:donor, 'Layla Canary', 'Layla@example.org', '+213555000111', 'fr', now());
    INSERT INTO donors.orders (id, donor_id, species, state, created) VALUES (:order, :donor, 'sheep', 'paid', now());
    INSERT INTO donors.shares (id, order_id, name, language, spellings)
        VALUES (:share, :order, 'Omar Canary', 'ar', '["Umar Canary"]');
    INSERT INTO executors.sites (id, name, timezone, languages, created, eid_days, sheep_months)
        VALUES (:site, 'Blida', 'Africa/Algiers', '["ar"]', now(), 4, 6);
    INSERT INTO executors.executors (id, site_id, name, language, pin_hash)
        VALUES (:executor, :site, 'Karim Canary', 'ar', '');
    INSERT INTO executors.feed (site_id, entity, key, cursor, fields) VALUES
        (:site, 'share', :share, 1, '{"name": "Omar Canary", "spellings": []}'),
        (:site, 'executor', :executor, 2, '{"name": "Karim Canary"}'), (:site, 'site', :site, 3, '{"name": "Blida"}');
    INSERT INTO processing.verdicts (id, video_id, node, outcome, body, told)
        VALUES (:verdict, :verdict, :verdict, 'review', '{"outcome": "review", "code": "Canary"}', now());
    INSERT INTO sync.chains (node, site_id, acked, hash, stamp) VALUES (:verdict, :site, 1, '', 0);
    INSERT INTO sync.ops (node, seq, hlc, stamp, entity, key, patch, actor, prev, hash, received, parked_code)
        VALUES (:verdict, 1, 0, 0, 'verdict', :verdict, '\\x81a16ea643616e617279', '', '', '', now(), 'bad_op');
    INSERT INTO sync.records (entity, key, site_id, cells) VALUES ('verdict', :verdict, :site, '\\x80')
"""
"""What a release had that kept personal data in the clear."""


async def test_what_lay_in_the_clear_is_sealed_and_leaves_no_trace(database_url: str, tmp_path: Path) -> None:
    settings = Settings(database_url=database_url, redis_url="", kafka="", data=str(tmp_path))
    await migrations.migrate(settings, "0023")
    ids = {name: uuid4() for name in ("donor", "order", "share", "site", "executor", "verdict")}
    database = Database(database_url, keys=Keys.load(settings))
    async with database.begin() as session:
        for statement in CLEAR.split(";"):
            await session.execute(text(statement), {name: id for name, id in ids.items() if f":{name}" in statement})
    for _ in range(2):
        await migrations.migrate(settings)
    async with database.begin() as session:
        found = await donors.donor(session, ids["donor"])
        assert found == Donor(ids["donor"], "Layla Canary", "Layla@example.org", "+213555000111", "fr")
        [share] = await donors.shares(session, [ids["share"]])
        assert (share.name, share.spellings) == ("Omar Canary", ["Umar Canary"])
        for name in ("Leila Kanari", "عمر كناري"):
            assert [each.donor for each in await donors.look_up(session, name, Paging())] == [found]
        assert [one.name for one in await executors.executors(session, ids["site"])] == ["Karim Canary"]
        told = {row.key: row.fields for row in (await executors.feed_page(session, ids["site"], 0, b"")).changes}
        assert told == {
            ids["share"]: {"name": "Omar Canary", "spellings": []}, ids["executor"]: {"name": "Karim Canary"},
            ids["site"]: {"name": "Blida"},
        }  # fmt: skip
        assert (await processing.verdict(session, ids["verdict"])).code == "Canary"
        assert [op.patch for op in await cases.quarantine(session, Paging())] == [{"n": "Canary"}]
        assert len((await session.execute(text("SELECT DISTINCT master FROM platform.data_keys"))).all()) == 1
        for table in ("auth.users", "donors.donors", "donors.shares", "executors.executors", "executors.feed",
                      "processing.verdicts", "sync.ops"):
            # Dropped columns stay in the rows until these are written anew.
            pages = text(f"SELECT pg_read_binary_file(pg_relation_filepath('{table}'))")
            assert b"Canary" not in await session.scalar(pages)
    await database.close()


def test_revisions_are_one_line_in_the_order_of_their_names() -> None:
    scripts = ScriptDirectory(str(Path(migrations.__file__).parent))
    line = [script.revision for script in scripts.walk_revisions()]
    assert line == sorted(line, reverse=True)
    assert len(scripts.get_heads()) == 1
