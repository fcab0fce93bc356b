"""Personal data at rest: nobody reads them without the master key, and nothing opens where it was not sealed."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from functools import partial
from uuid import UUID

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from cloud import main
from cloud.donors import service as donors
from cloud.executors import service as executors
from cloud.platform import personal
from cloud.platform.database import Database
from cloud.platform.masters import Masters
from demo.answers import wait_for
from shared.errors import QurbaniError
from shared.ids import new_id
from tests.cloud_hub import CloudHub

SWAPS = (
    "donors.donors SET sealed = (SELECT sealed FROM donors.donors WHERE id = :other) WHERE id = :id",
    "donors.donors SET (sealed, subject) = (SELECT sealed, subject FROM donors.donors WHERE id = :other) "
    "WHERE id = :id",
    "donors.donors SET sealed = (SELECT sealed FROM auth.users WHERE id = :id) WHERE id = :id OR id = :other",
    "donors.donors SET sealed = set_byte(sealed, length(sealed) - 1, get_byte(sealed, length(sealed) - 1) # 1) "
    "WHERE id = :id OR id = :other",
    "donors.donors SET sealed = ''::bytea WHERE id = :id OR id = :other",
    "platform.data_keys SET wrapped = (SELECT wrapped FROM platform.data_keys WHERE subject = :other) "
    "WHERE subject = :id",
)
"""Another's ciphertext, another's with the key that opens it, one's own of another table; altered; gone; the key."""


def test_what_was_swapped_or_altered_does_not_open(hub: CloudHub) -> None:
    donor, other = (UUID(hub.donor("Layla Canary").id) for _ in range(2))
    assert hub.run(lambda session: donors.donor(session, donor)).name == "Layla Canary"

    async def swapped(session: AsyncSession, swap: str) -> str:
        await session.execute(text(f"UPDATE {swap}"), {"id": donor, "other": other})
        with pytest.raises(QurbaniError) as refused:
            await donors.donor(session, donor)
        await session.rollback()
        return refused.value.code

    assert [hub.run(partial(swapped, swap=swap)) for swap in SWAPS] == ["damaged"] * len(SWAPS)


def test_an_address_has_one_account_however_it_is_written(hub: CloudHub) -> None:
    account = {"name": "Layla", "email": "One@Example.org", "password": "fifteen or more letters", "language": "fr"}
    hub.stranger.post("/api/v1/donors", account)
    hub.stranger.post("/api/v1/donors", {**account, "email": "oNE@example.ORG"})
    index = hub.platform.keys.blind("email", "one@example.org")
    assert hub.sql("SELECT count(*) FROM auth.users WHERE email_index = :index", index=index) == [1]


def test_whatever_is_destroyed_is_empty_from_then_on_and_takes_nothing_new(hub: CloudHub) -> None:
    site, executor = UUID(hub.site()), {"name": "Karim Canary", "language": "ar", "pin": "493817"}
    karim = UUID(hub.admin.post(f"/api/v1/sites/{site}/executors", executor)["id"])
    for _ in range(2):
        hub.run(lambda session: personal.destroy(session, [karim], hub.platform.clock.now()))
    assert [one.name for one in hub.run(lambda session: executors.executors(session, site))] == [""]
    told = [("executor", karim, {"name": "Karim Canary"})]
    with pytest.raises(QurbaniError) as refused:
        hub.run(lambda session: executors.feed_tell(session, site, told, about=karim))
    assert refused.value.code == "erased"


def test_nonces_do_not_repeat(hub: CloudHub) -> None:
    subject = new_id()

    async def seal_often(session: AsyncSession) -> set[bytes]:
        key = await personal.key_of(session, subject)
        return {key.seal(b"", "")[1:13] for _ in range(10_000)}

    assert len(hub.run(seal_often)) == 10_000


ROTATE = """
import asyncio, sys
from pathlib import Path
from cloud.platform.database import Database
from cloud.platform.keys import Keys
from cloud.platform.rotation import rotate
keys = Keys(bytes(32), Path(sys.argv[2]))
asyncio.run(rotate(Database(sys.argv[1], keys=keys), keys.masters, print))
"""


async def test_the_master_key_changes_under_a_running_hub_and_a_kill(hub: CloudHub) -> None:
    donor = UUID(hub.donor("Layla Canary").id)
    file = hub.platform.settings.master_path
    before = Masters(None, bytes.fromhex(file.read_text().split()[1]))
    many = [new_id() for _ in range(1500)]
    hub.run(lambda session: personal.keys_of(session, many))
    url = hub.platform.settings.database_url

    def old() -> list[UUID]:
        return hub.sql("SELECT subject FROM platform.data_keys WHERE master = :id", id=before.ids()[0])

    database = Database(url)
    with subprocess.Popen([sys.executable, "-c", ROTATE, url, str(file)]) as cut:  # noqa: ASYNC220 - it is killed
        async with database.begin() as session:
            # Somebody else is at one key, so that the rotation cannot end.
            held = text("SELECT 1 FROM platform.data_keys WHERE subject = :id FOR UPDATE")
            await session.execute(held, {"id": many[9]})
            await asyncio.to_thread(wait_for, "all but that one", lambda: len(old()) == 1, 120)
            cut.kill()
    await database.close()
    assert len(file.read_text().split()) == 4
    assert hub.run(lambda session: donors.donor(session, donor)).name == "Layla Canary"
    omar = UUID(hub.donor("Omar Canary").id)
    assert await main.rotate_keys(hub.platform.settings, lambda done, left: None) == 1
    assert len(file.read_text().split()) == 2
    assert not old()
    for id, name in ((donor, "Layla Canary"), (omar, "Omar Canary")):
        assert hub.run(lambda session, id=id: donors.donor(session, id)).name == name
    # And whoever has kept the old one has nothing that it opens.
    [(master, wrapped)] = hub.sql("SELECT master, wrapped FROM platform.data_keys WHERE subject = :id", id=donor)
    with pytest.raises(QurbaniError):
        before.unwrap(donor, master, wrapped)
