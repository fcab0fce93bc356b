"""Looks for what is wrong with a box, and mends what can be mended without losing anything."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import msgspec

from edge import jobs, node, replicator, sqlite, tls, unlock
from edge.blobs import Blobs
from edge.db import Database
from edge.disk import is_encrypted
from edge.node import Keys
from edge.replicator import State
from edge.settings import Settings
from edge.supervisor import is_locked
from edge.vault import LOCK, Vault
from shared.clock import Reading, SystemClock
from shared.errors import QurbaniError

LATE_S = 30.0
"""A replica that a running box keeps is a second or two old."""


class Finding(msgspec.Struct, frozen=True):
    """One thing that was looked at. ``is_mended`` says that it was wrong and is not any more."""

    what: str
    is_well: bool
    detail: str
    is_mended: bool = False


def examine(settings: Settings, vault: Vault | None = None) -> Iterator[Finding]:
    """Every check in turn. What a running box is busy with is left alone while it runs.

    Without a ``vault``, locked keys and what they open are not looked into.
    """
    yield _sqlite()
    if not settings.database.exists():
        yield Finding("database", False, f"there is none in {settings.folder}: enrol the box")
        return
    is_running = is_locked(settings.run / "lock")
    vault = vault or Vault(settings.keys)
    keys = _keys(settings, vault)
    yield keys
    yield _disk(settings)
    if settings.edge_tls:
        yield _certificate(settings)
    db = Database(settings.database)
    try:
        yield _integrity(db)
        yield _enrolment(db)
        yield _chain(db)
        if keys.is_well and _opens(vault):
            yield _videos(db, Blobs(settings.blobs, Keys.load(vault).seal))
        if (state := replicator.read_state(settings)) is not None:
            yield _replica(state, settings, SystemClock().read())
        yield _recordings(db, settings, vault, is_running=is_running)
        if not is_running:
            yield _leases(db)
            yield _half_files(settings.folder)
    finally:
        db.close()


def _sqlite() -> Finding:
    library = sqlite.library()
    try:
        sqlite.check()
    except QurbaniError as error:
        return Finding("SQLite", False, error.line())
    return Finding("SQLite", True, f"{library.sqlite_version} of {library.__name__}, for everybody in the process")


def _keys(settings: Settings, vault: Vault) -> Finding:
    """Keys are not made here: new ones would not be those that the hub knows."""
    missing = [name for name in node.KEY_FILES if not (settings.keys / name).exists()]
    if missing:
        return Finding("keys", False, f"missing: {', '.join(missing)}")
    open_to_others = [name for name in node.KEY_FILES if (settings.keys / name).stat().st_mode & 0o077]
    for name in open_to_others:
        (settings.keys / name).chmod(0o600)
    try:
        lies = unlock.told(settings)
        if _opens(vault):
            Keys.load(vault)
    except QurbaniError as error:
        return Finding("keys", False, error.line())
    if open_to_others:
        return Finding("keys", True, "others could read them; now only their owner can", is_mended=True)
    if not (settings.keys / LOCK).exists():
        return Finding("keys", True, f"{lies}, readable by their owner only: whoever takes the disk has them")
    return _locked(settings, vault, lies)


def _locked(settings: Settings, vault: Vault, lies: str) -> Finding:
    """Whether a lock keeps what it promises to whoever takes the disk, and nothing else."""
    if left := vault.lying_open():
        return Finding("keys", False, f"{lies}, but open still: {', '.join(left)}; start the box, which locks them")
    path = unlock.key_file(settings)
    if path is not None and path.exists() and path.stat().st_dev == settings.folder.stat().st_dev:
        return Finding("keys", False, f"{lies}, and {path} is on the disk of the box itself")
    opened = "open with it" if _opens(vault) else "it is not here, so what they open was not looked into"
    return Finding("keys", True, f"{lies}: {opened}")


def _opens(vault: Vault) -> bool:
    return vault.password is not None or not (vault.folder / LOCK).exists()


def _disk(settings: Settings) -> Finding:
    """Names lie in the records, which SQLite does not encrypt: keys that are locked need a disk that is encrypted."""
    found = is_encrypted(settings.folder)
    if found:
        return Finding("disk", True, "encrypted (dm-crypt)")
    known = "not encrypted" if found is False else "not known to be encrypted"
    detail = f"{known}: whoever takes it reads the names in the records"
    return Finding("disk", not (settings.keys / LOCK).exists(), detail)


def _certificate(settings: Settings) -> Finding:
    """What tablets meet. The authority is not made anew: each tablet would have to learn to trust it."""
    try:
        if not (settings.keys / tls.AUTHORITY).exists():
            return Finding("certificate", True, "made when the box first starts")
        tls.certificate(settings.keys / tls.AUTHORITY)
    except QurbaniError as error:
        return Finding("certificate", False, f"{error.line()}; then every tablet has to trust the box again")
    try:
        until = tls.certificate(settings.keys / tls.FRONT).not_valid_after_utc
    except (FileNotFoundError, QurbaniError):
        return Finding("certificate", True, "made anew when the box next starts")
    return Finding("certificate", True, f"good until {until:%Y-%m-%d}, renewed long before")


def _integrity(db: Database) -> Finding:
    wrong = [str(row[0]) for row in db.read(lambda tx: tx.execute("PRAGMA integrity_check").fetchall())]
    orphans = db.read(lambda tx: tx.execute("PRAGMA foreign_key_check").fetchall())
    if wrong != ["ok"] or orphans:
        return Finding("database", False, "; ".join([*wrong, *(f"orphan in {row[0]}" for row in orphans)]))
    return Finding("database", True, "integrity_check and foreign_key_check are clean")


def _enrolment(db: Database) -> Finding:
    who = node.load(db)
    if who is None:
        return Finding("enrolment", False, "the box has no hub: run `qurbani edge enrol`")
    return Finding("enrolment", True, f"node {who.id} of {who.hub_url}")


def _chain(db: Database) -> Finding:
    broken = db.rows("""
        SELECT op.seq FROM op LEFT JOIN op AS before ON before.seq = op.seq - 1
        WHERE op.prev <> coalesce(before.hash, zeroblob(32)) ORDER BY op.seq""")
    if broken:
        return Finding("ops", False, f"op {broken[0]['seq']} does not follow the one before it")
    count = db.rows("SELECT count(*) AS ops FROM op")[0]["ops"]
    return Finding("ops", True, f"{count} in one chain")


def _videos(db: Database, blobs: Blobs) -> Finding:
    """Whether every recorded video lies there in its size, and opens with the key of the box."""
    wrong = []
    rows = db.rows("SELECT id, size FROM blob WHERE NOT pruned")
    for row in rows:
        try:
            with blobs.opened(row["id"]):
                is_whole = blobs.path(row["id"]).stat().st_size == row["size"]
        except (OSError, QurbaniError):
            is_whole = False
        if not is_whole:
            wrong.append(row["id"])
    if wrong:
        return Finding("videos", False, f"{len(wrong)} missing or damaged, first {wrong[0]}")
    return Finding("videos", True, f"{len(rows)} lie where they should")


def _replica(state: State, settings: Settings, now: Reading) -> Finding:
    age_s = state.age_s(now)
    if age_s is None:
        detail = f"there is none in {state.folder}: begin it with `qurbani edge replicate {state.folder} --once`"
        return Finding("replica", False, state.error or detail)
    told = f"{age_s:.0f} s old, in {state.folder}"
    if state.error or state.left:
        return Finding("replica", False, f"{told}; {state.left} files are not in it; {state.error or 'they follow'}")
    if settings.edge_replica and age_s > LATE_S:
        return Finding("replica", False, f"{told}: the box does not run, or cannot keep up")
    if not Path(state.folder).exists():
        return Finding("replica", False, f"{told}, and that is not here now")
    if os.stat(state.folder).st_dev == settings.folder.stat().st_dev:
        return Finding("replica", False, f"{told}: that is the disk of the box itself, and dies with it")
    return Finding("replica", True, told)


def _recordings(db: Database, settings: Settings, vault: Vault, *, is_running: bool) -> Finding:
    """What cameras of the box left when they were cut; a running box sees to it itself."""
    known = {row["id"]: row["state"] for row in db.rows("SELECT id, state FROM recording")}
    strange = [folder.name for folder in settings.recordings.glob("*") if folder.name not in known]
    if strange:
        return Finding("recordings", False, f"{len(strange)} that nobody knows, first {strange[0]}; they are kept")
    left = sum(state in ("asked", "running") for state in known.values())
    if not left or is_running:
        return Finding("recordings", True, f"{left} under way" if left else "none was cut")
    if not _opens(vault):
        return Finding("recordings", True, f"{left} that were cut wait for the box, or for what opens its keys")
    from edge.main import Box  # what nobody else here needs: a media library
    from edge.recorder.office import finish

    box = Box.open(settings, vault)
    try:
        done = finish(box)
    finally:
        box.db.close()
    if done < left:
        return Finding("recordings", False, f"{left - done} that were cut cannot be made videos of; see the log")
    return Finding("recordings", True, f"{done} that were cut are videos now", is_mended=True)


def _leases(db: Database) -> Finding:
    stuck = db.rows("SELECT count(*) AS jobs FROM job WHERE state = 'open' AND token IS NOT NULL")[0]["jobs"]
    if not stuck:
        return Finding("leases", True, "none without a worker")
    db.write(jobs.free)
    return Finding("leases", True, f"{stuck} freed whose worker is gone", is_mended=True)


def _half_files(folder: Path) -> Finding:
    """What :func:`shared.files.write_whole` leaves when the cable is pulled in the middle."""
    halves = list(folder.rglob(".*.part"))
    for half in halves:
        half.unlink()
    if not halves:
        return Finding("half files", True, "none")
    return Finding("half files", True, f"{len(halves)} removed", is_mended=True)
