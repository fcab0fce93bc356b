"""How the box is doing, in one look. Read from the data folder, so it is true also when nothing runs."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

import msgspec

from edge import supervisor, unlock
from edge.capture import VALIDATE
from edge.db import Database, Tx, one
from edge.disk import Disk, is_encrypted
from edge.eid import Season, its_window, season
from edge.manifests import uncertainty
from edge.people import People, PeopleStatus
from edge.place import PLACE, PLACES, VIDEOS, Place
from edge.recorder.view import CameraView
from edge.recorder.window import Looker
from edge.replicator import read_state
from edge.room import captures_left
from edge.settings import Settings
from edge.vault import Vault, read_lock
from shared.clock import Clock, from_ms

if TYPE_CHECKING:
    from models_tflite.manifest import Entry
    from models_tflite.store import Store


class QueueStatus(msgspec.Struct, frozen=True):
    """Videos that wait for their check, and jobs that were given up."""

    waiting: int
    parked: int


class SyncStatus(msgspec.Struct, frozen=True):
    """``unsent_ops`` have not been acknowledged; ``oldest_unsent_s`` is the age of the oldest of them.

    ``last_contact_s`` is how long ago the hub last answered (None: never), ``error`` why the last attempt
    failed (None: it did not). ``parked_ops`` are those that the hub keeps but could not apply. ``places`` counts
    the videos by how far they have come.
    """

    hub: str | None
    last_contact_s: float | None
    error: str | None
    unsent_ops: int
    oldest_unsent_s: float | None
    parked_ops: int
    unsent_videos: int
    unsent_video_bytes: int
    places: dict[Place, int]


class DiskStatus(msgspec.Struct, frozen=True):
    """``free_bytes`` of the disk, of which ``reserve_bytes`` are not for videos.

    ``captures_left`` is how many videos of the usual size still fit, ``pruned_videos`` how many have made room.
    """

    free_bytes: int
    reserve_bytes: int
    captures_left: int
    pruned_videos: int


class ClockStatus(msgspec.Struct, frozen=True):
    """What the clock of the box says, and by how much it may be off (None: it was not compared since it started)."""

    now: datetime
    uncertain_s: float | None


class EidStatus(msgspec.Struct, frozen=True):
    """From when until when sacrifices count here, and where the clock stands to that."""

    begins: datetime
    ends: datetime
    season: Season


class ReplicaStatus(msgspec.Struct, frozen=True):
    """The replica in ``folder``: its age (None: there is none yet), how many files it lacks, and what is wrong."""

    folder: str
    age_s: float | None
    left: int
    error: str | None


class KeysStatus(msgspec.Struct, frozen=True):
    """How the private keys lie on the disk: ``lie`` in words, and which are ``lying_open`` although they should not.

    ``is_waiting``: a box that starts has not got what opens them. ``on_crypt`` tells whether the disk itself is
    encrypted (None: the kernel does not say); where it is not, names in the records can be read from it.
    """

    lie: str
    lying_open: list[str]
    is_waiting: bool
    on_crypt: bool | None


class Status(msgspec.Struct, frozen=True):
    """``eid`` is None as long as the hub has not said when it is, ``replica`` where none is kept."""

    node: UUID | None
    site: str | None
    queue: QueueStatus
    sync: SyncStatus
    disk: DiskStatus
    models: list[str]
    clock: ClockStatus
    eid: EidStatus | None
    people: PeopleStatus
    keys: KeysStatus
    replica: ReplicaStatus | None = None
    cameras: list[CameraView] = []


_PLACES = f"SELECT {PLACE} AS place, count(*) FROM {VIDEOS} GROUP BY place"  # noqa: S608 - constants


def read(db: Database, settings: Settings, disk: Disk, models: Store, clock: Clock) -> Status:
    reading = clock.read()
    people = People(db, clock, timedelta(hours=settings.edge_people_hours)).status()
    state, cameras = read_state(settings), Looker(settings).cameras()
    replica = ReplicaStatus(state.folder, state.age_s(reading), state.left, state.error) if state else None
    keys = keys_status(settings)
    now_ms, now = reading.wall_ms, from_ms(reading.wall_ms)

    def ago(wall_ms: int | None) -> float | None:
        # A clock that was set back meanwhile makes no negative ages.
        return None if wall_ms is None else max(0, now_ms - wall_ms) / 1000

    def work(tx: Tx) -> Status:
        node = one(tx, "SELECT node.*, site.name AS site FROM node LEFT JOIN site ON site.id = node.site_id") or {}
        link = first(tx, "SELECT * FROM link")
        ops = first(tx, "SELECT count(*) AS unsent, min(wall_ms) AS oldest FROM op WHERE seq > ?", link["acked"])
        videos = first(tx, f"""
            SELECT count(*) AS count, coalesce(sum(blob.size), 0) AS bytes FROM {VIDEOS} WHERE NOT sent""")  # noqa: S608
        sync = SyncStatus(
            hub=node.get("hub_url"),
            last_contact_s=ago(link["contact_ms"]),
            error=link["error"],
            unsent_ops=ops["unsent"],
            oldest_unsent_s=ago(ops["oldest"]),
            parked_ops=tx.table("op").count_where("parked IS NOT NULL"),
            unsent_videos=videos["count"],
            unsent_video_bytes=videos["bytes"],
            places={**dict.fromkeys(PLACES, 0), **dict(tx.execute(_PLACES).fetchall())},
        )
        job = tx.table("job")
        queue = QueueStatus(
            job.count_where("state = 'open' AND kind = ?", [VALIDATE]), job.count_where("state = 'parked'"))
        gone = tx.table("video").count_where("blob_id IN (SELECT id FROM blob WHERE pruned)")
        room = DiskStatus(disk.free, disk.reserve, captures_left(tx, disk), gone)
        id = UUID(node["id"]) if node else None
        off, when = uncertainty(tx, reading), its_window(tx)
        times = ClockStatus(now, None if off is None else off / 1000)
        eid = EidStatus(when.begins, when.ends, season(when, now)) if when else None
        return Status(
            id, node.get("site"), queue, sync, room, installed(models), times, eid, people, keys, replica, cameras)

    return db.read(work)


def keys_status(settings: Settings) -> KeysStatus:
    is_locked = read_lock(settings.keys) is not None
    lying_open = Vault(settings.keys).lying_open() if is_locked else []
    is_waiting = settings.unlock.exists() and supervisor.is_locked(settings.run / "lock")
    return KeysStatus(unlock.told(settings), lying_open, is_waiting, is_encrypted(settings.folder))


def installed(models: Store) -> list[str]:
    """The names of the models that are here and in use, first those that look, then those that listen."""
    looking = [entry for entry in models.known.detector if not entry.by_name_only]
    entries: list[Entry] = [*looking, *models.known.recogniser]
    return [entry.name for entry in entries if models.find(entry)]


def first(tx: Tx, sql: str, *parameters: object) -> dict[str, Any]:
    """The only row of a query that always has one."""
    row = one(tx, sql, *parameters)
    assert row is not None
    return row
