"""``qurbani edge``: the box at a site."""

from __future__ import annotations

import math
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated
from uuid import UUID

import msgspec
import typer
from rich.console import Console
from rich.table import Table

from commands.moving import moving, passing
from edge import address, main, supervisor, vault
from edge import doctor as checks
from edge import unlock as unlocking
from edge.disk import Disk
from edge.place import PLACES
from edge.recorder.view import CameraView
from edge.settings import Settings
from edge.status import Status, read
from edge.supervisor import is_locked
from edge.vault import Vault, read_lock
from shared import settings
from shared.clock import SystemClock, from_ms
from shared.crypto import SigningKey, UnsealKey, load_key, save_key
from shared.errors import QurbaniError

app = typer.Typer(help="The box at a site. Its one folder is QURBANI_DATA.", no_args_is_help=True)

NEW_PASSPHRASE = "QURBANI_EDGE_KEY_NEW_PASSPHRASE"  # noqa: S105 - the name of a variable


class LockedBy(StrEnum):
    """What shall open the private keys."""

    none = "none"
    passphrase = "passphrase"  # noqa: S105
    key_file = "key-file"


AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for a machine to read.")]

Passphrase = Annotated[
    str,
    typer.Option(
        envvar="QURBANI_EDGE_REPLICA_PASSPHRASE", prompt="Passphrase of the replica key", hide_input=True,
        help="Of the replica key; asked for when it is not given in the environment.",
    ),
]

ReleasePassphrase = Annotated[
    str,
    typer.Option(envvar="QURBANI_EDGE_RELEASE_PASSPHRASE", prompt="Passphrase of the release key", hide_input=True),
]

Stick = Annotated[Path, typer.Argument(exists=True, file_okay=False, help="The folder at which the stick is mounted.")]


@app.command()
def serve() -> None:
    """Run the box: API, worker, sync agent, and a recorder where it has cameras, until SIGTERM.

    With locked keys it waits for the key file, or for `unlock`; on a terminal it asks for the passphrase.
    """
    main.serve(load(), _ask)


@app.command()
def enrol(
    hub: Annotated[str, typer.Option(envvar="QURBANI_HUB_URL", help="Its address, e.g. https://hub.example")],
    code: Annotated[str, typer.Option(help="The one-time code of the hub's administrator.")],
    name: Annotated[str, typer.Option(help="What people call this box.")] = socket.gethostname(),
) -> None:
    """Make this box a node of a hub. Safe to repeat with the same code."""
    found = load()
    node = main.enrol(found, hub, code, name, opened_keys(found))
    typer.echo(f"{node.name} is node {node.id} of site {node.site_id}")


@app.command()
def lock(
    how: Annotated[LockedBy, typer.Argument(help="`none`: they lie open, readable by their owner only.")],
    key_file: Annotated[
        Path | None, typer.Option(dir_okay=False, help="For `key-file`: made when it is not there.")
    ] = None,
) -> None:
    """Lock the private keys of this box, lock them otherwise, or lay them open. The box must not run.

    Best before `enrol` or `restore`: keys that once lay open can be found on a disk after they were overwritten. Safe
    to repeat. QURBANI_EDGE_KEY_PASSPHRASE is what opens them now, QURBANI_EDGE_KEY_NEW_PASSPHRASE what shall.
    """
    found = load()
    found.make_folders()
    with open(supervisor.lock(found.run / "lock"), "rb"):
        keys = opened_keys(found)
        if how is LockedBy.none:
            vault.lay_open(keys)
        elif how is LockedBy.passphrase:
            vault.lock(keys, "passphrase", _new_passphrase())
        elif key_file is None:
            raise QurbaniError("bad_input", "--key-file: which file shall open them?")
        else:
            if not key_file.exists():
                vault.make_key_file(key_file)
            vault.lock(keys, "key file", vault.key_file_secret(key_file))
    typer.echo(f"the keys of this box: {unlocking.told(found)}")


@app.command()
def unlock() -> None:
    """Give a box that waits what opens its keys: the passphrase, or what QURBANI_EDGE_KEY_FILE holds.

    The passphrase is asked for on a terminal; without one it is a line on standard input.
    """
    found = load()
    locked = read_lock(found.keys)
    if locked is None:
        raise QurbaniError("not_waiting", "the keys of this box are not locked")
    unlocking.hand_over(found, unlocking.secret(locked, found, os.environ, lambda: _ask() or _line()))
    typer.echo("the box has its keys, and starts")


@app.command()
def status(as_json: AsJson = False) -> None:
    """Tell how the box is doing: queue, disk, what is unsent, last contact. True also when nothing runs."""
    from models_tflite.store import Store  # the supervisor, which this module also starts, has no use for it

    found = load()
    if not found.database.exists():
        raise QurbaniError("not_enrolled", f"there is no box in {found.folder}")
    db = main.open_database(found)
    disk = Disk(found.folder, found.edge_reserve_bytes)
    now = read(db, found, disk, Store.from_environ(os.environ), SystemClock())
    db.close()
    is_running = is_locked(found.run / "lock")
    where = address.read(found) if is_running else None
    if as_json:
        typer.echo(msgspec.json.encode({"running": is_running, "address": where, **msgspec.to_builtins(now)}))
    else:
        Console().print(_screen(now, is_running, where))


@app.command()
def manifests(folder: Annotated[Path, typer.Argument(file_okay=False, help="Where to put them.")]) -> None:
    """Write what the box has signed of its captures, one file each, for `qurbani evidence verify FOLDER`."""
    db = main.open_database(load())
    rows = db.rows("SELECT node, number, text FROM manifest WHERE text IS NOT NULL ORDER BY number")
    db.close()
    folder.mkdir(parents=True, exist_ok=True)
    for row in rows:
        (folder / f"{row['node']}-{row['number']:06}.manifest.json").write_text(row["text"])
    typer.echo(f"{len(rows)} manifests")


@app.command()
def doctor(as_json: AsJson = False) -> None:
    """Look for what is wrong and mend what can be mended. Exit code 1 when something stays wrong."""
    found = load()
    try:
        keys = opened_keys(found)
    except QurbaniError as error:
        typer.echo(error.line(), err=True)
        keys = Vault(found.keys)
    findings = list(checks.examine(found, keys))
    if as_json:
        typer.echo(msgspec.json.encode(findings))
    else:
        for finding in findings:
            sign = "mended" if finding.is_mended else "ok" if finding.is_well else "WRONG"
            typer.echo(f"{sign:<7} {finding.what}: {finding.detail}")
    if not all(finding.is_well for finding in findings):
        raise typer.Exit(1)


@app.command()
def record(
    camera: Annotated[str, typer.Argument(help="One of those that QURBANI_EDGE_CAMERAS names.")],
    sacrifice: Annotated[UUID | None, typer.Option(help="The one to record; without it the camera is tried.")] = None,
    seconds: Annotated[float, typer.Option(min=1, help="How long; Ctrl-C ends it as well.")] = 60,
    as_json: AsJson = False,
) -> None:
    """Record a sacrifice with a camera of the box, by hand, or try what the camera sends. The box has to run."""
    from edge.recorder import byhand

    with opened_box() as box:
        if sacrifice is None:
            tried = byhand.attempt(box, camera)
            typer.echo(msgspec.json.encode(tried) if as_json else tried.line())
            return
        with passing(f"{camera} records", seconds) as passed:
            kept = byhand.record(box, camera, sacrifice, seconds, passed)
    if as_json:
        typer.echo(msgspec.json.encode(kept))
    else:
        typer.echo(f"video {kept.id} is kept, {_size(kept.size)}; it is being checked")


@app.command()
def export_bundle(stick: Stick, as_json: AsJson = False) -> None:
    """Write what the hub does not have yet onto a stick, encrypted for the hub. Goes on where it was cut.

    An answer of the hub that the stick brought back is taken in first. The box may run meanwhile.
    """
    from edge.stick import export

    with moving("to the stick") as moved, opened_box() as box:
        visit = export(box, stick, moved)
    if as_json:
        typer.echo(msgspec.json.encode(visit))
        return
    if visit.problem:
        typer.echo(f"the answer on the stick is not good: {visit.problem}", err=True)
    done = visit.exported
    size = _size(sum(blob.size for blob in done.blobs))
    typer.echo(f"bundle {done.number}: {done.ops} records and {len(done.blobs)} files ({size}) are on the stick")
    if done.left_out:
        typer.echo(f"{len(done.left_out)} files are not: there is no room, or the box has lost them", err=True)


@app.command()
def import_news(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="The file that the hub wrote.")],
) -> None:
    """Take in late orders and the list of people that the hub wrote for this box (`GET /api/v1/nodes/ID/news`)."""
    from edge.news import take

    with opened_box() as box:
        taken = take(box.db, box.keys, box.clock, file.read_bytes())
    typer.echo(f"{taken.changes} records are news here, as of {from_ms(taken.issued_ms):%Y-%m-%d %H:%M} UTC")


@app.command()
def import_ack(stick: Stick, as_json: AsJson = False) -> None:
    """Take in the hub's answer from a stick: what it holds by now, and the news for the site."""
    from edge.stick import take_back

    with moving("from the stick") as moved, opened_box() as box:
        answer = take_back(box, stick, moved)
    if as_json:
        typer.echo(msgspec.json.encode(answer))
        return
    typer.echo(f"the hub holds the records up to {answer.acked} and {len(answer.held)} files of bundle {answer.number}")
    for refused in answer.refused:
        typer.echo(f"it did not take {refused.what}: {refused.detail} [{refused.code}]", err=True)


@app.command()
def replica_key(
    file: Annotated[Path, typer.Argument(dir_okay=False, help="Where to put the private half. It must not be there.")],
    passphrase: Passphrase,
) -> None:
    """Make the key that opens replicas of boxes, locked with a passphrase. Keep the file where no box is.

    Prints the public half, for QURBANI_EDGE_REPLICA_KEY on the boxes.
    """
    _make_key(file, UnsealKey.generate(), passphrase)


@app.command()
def replicate(
    folder: Annotated[Path, typer.Argument(help="A folder on another disk, or of another machine.")],
    once: Annotated[bool, typer.Option("--once", help="One pass, all of it, and end.")] = False,
    as_json: AsJson = False,
) -> None:
    """Keep a replica of this box in FOLDER, until stopped; the box may run meanwhile.

    With QURBANI_EDGE_REPLICA=FOLDER the running box does it by itself, in a folder in which this has begun one.
    """
    from edge import replicator

    with opened_box() as box:
        keeper = replicator.Replicator(box.settings, box.db, box.keys, box.clock, folder, os.environ)
        replicator.begin(folder)
        if not once:
            replicator.run(keeper)
        state = keeper.once(math.inf)
    if as_json:
        typer.echo(msgspec.json.encode(state))
        return
    typer.echo(f"generation {state.number} is in {folder}")
    if state.left:
        raise QurbaniError("storage_full", f"{state.left} videos are not: {state.error or 'they went meanwhile'}")


@app.command()
def restore(
    folder: Annotated[Path, typer.Argument(exists=True, file_okay=False, help="Where the replica is.")],
    key: Annotated[Path, typer.Option(exists=True, dir_okay=False, help="The file that `replica-key` made.")],
    passphrase: Passphrase,
    box: Annotated[str, typer.Option(help="Which box, where FOLDER has replicas of several.")] = "",
    as_json: AsJson = False,
) -> None:
    """Make the box out of its replica, in an empty QURBANI_DATA. The old one must never run again.

    It may be started as soon as this says so; what it does not need at once follows. Goes on where it was cut.
    """
    from edge import restore as restoring

    def ready() -> None:
        typer.echo("the box may be started: `qurbani edge serve`; its videos follow", err=True)

    found, opened = load(), load_key(key, UnsealKey, passphrase)
    with moving("from the replica") as moved:
        done = restoring.restore(found, folder, opened, box, ready, moved, opened_keys(found))
    if as_json:
        typer.echo(msgspec.json.encode(done))
        return
    for reason in done.refused:
        typer.echo(f"not taken: {reason}", err=True)
    when = f", as it was on {from_ms(done.wall_ms):%Y-%m-%d %H:%M:%S} UTC by its clock" if done.number else ""
    under_way = f"{done.uploads} uploads and {done.recordings} recordings under way"
    typer.echo(f"{done.name} is back{when}: {done.videos} files, {under_way}")
    for lost in done.lost:
        typer.echo(f"without its bytes: video {lost.video_id} of animal {lost.tag or 'unknown'}", err=True)


@app.command()
def release_key(
    file: Annotated[Path, typer.Argument(dir_okay=False, help="Where to put the private half. It must not be there.")],
    passphrase: ReleasePassphrase,
) -> None:
    """Make the key that signs updates, locked with a passphrase.

    Prints the public half, for QURBANI_EDGE_RELEASE_KEY on the boxes.
    """
    _make_key(file, SigningKey.generate(), passphrase)


@app.command()
def make_update(
    target: Annotated[Path, typer.Argument(dir_okay=False, help="Where to write the update.")],
    files: Annotated[list[Path], typer.Argument(exists=True, dir_okay=False, help="What it consists of.")],
    key: Annotated[Path, typer.Option(exists=True, dir_okay=False, help="The file that `release-key` made.")],
    passphrase: ReleasePassphrase,
    version: Annotated[str, typer.Option(help="What the box will be: 1.2.3")],
    minimum: Annotated[str, typer.Option(help="What it must be by then, at least.")],
    not_before: Annotated[datetime, typer.Option(help="When it may be installed, in UTC.")],
) -> None:
    """Sign files as an update for boxes without a network."""
    from edge import update

    signing = load_key(key, SigningKey, passphrase)
    update.make(target, signing, version, minimum, not_before.replace(tzinfo=UTC), files)
    typer.echo(f"{target} is the update to {version}: {len(files)} files")


@app.command()
def check_update(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="The update, as on the stick.")],
    into: Annotated[Path | None, typer.Option(exists=True, file_okay=False, help="Empty, for its files.")] = None,
    as_json: AsJson = False,
) -> None:
    """Tell whether an update may be installed here and now: signed for us, whole, newer, and not during the sacrifices.

    Installs nothing. With --into its files, and only then, are in that folder.
    """
    if into is not None and any(into.iterdir()):
        raise QurbaniError("bad_input", f"{into} is not empty")
    found = load()
    update = main.check_update(found, opened_keys(found), file, into)
    where = f", its files are in {into}" if into else ""
    typer.echo(msgspec.json.encode(update) if as_json else f"the update to {update.version} may be installed{where}")


def load() -> Settings:
    return settings.load(Settings, os.environ)


def opened_keys(found: Settings) -> Vault:
    """The keys of the box; on a terminal the passphrase is asked for. Raises ``key_locked``."""
    return unlocking.vault(found, os.environ, _ask)


@contextmanager
def opened_box() -> Iterator[main.Box]:
    found = load()
    with main.opened(found, opened_keys(found)) as box:
        yield box


def _ask() -> str | None:
    """The passphrase of the box's keys; None where nobody can be asked."""
    return str(typer.prompt("Passphrase of this box's keys", hide_input=True)) if sys.stdin.isatty() else None


def _new_passphrase() -> str:
    """Raises ``bad_input`` for an empty one."""
    new = os.environ.get(NEW_PASSPHRASE) or (
        typer.prompt("New passphrase of this box's keys", hide_input=True, confirmation_prompt=True)
        if sys.stdin.isatty() else _line()
    )
    if not new:
        raise QurbaniError("bad_input", "the passphrase is empty")
    return str(new)


def _line() -> str:
    return sys.stdin.readline().rstrip("\n")


def _make_key(file: Path, key: SigningKey | UnsealKey, passphrase: str) -> None:
    if file.exists():
        raise QurbaniError("conflict", f"{file} is there already; what it opens or signs may need it")
    if not passphrase:
        raise QurbaniError("bad_input", "the passphrase is empty")
    save_key(file, key, passphrase)
    typer.echo(key.public.raw.hex())


def _screen(now: Status, is_running: bool, where: address.Address | None) -> Table:
    sync = now.sync
    contact = "never" if sync.last_contact_s is None else f"{_age(sync.last_contact_s)} ago"
    oldest = "" if sync.oldest_unsent_s is None else f", the oldest {_age(sync.oldest_unsent_s)} old"
    rows = {
        "box": f"{now.node or 'not enrolled'}, {'running' if is_running else 'stopped'}",
        "site": now.site or "not known yet",
        "tablets": where.url if where else "nowhere",
        **({"new tablets": where.door, "fingerprint": where.fingerprint} if where and where.door else {}),
        "videos to check": f"{now.queue.waiting} (given up: {now.queue.parked})",
        "hub": f"{sync.hub or 'none'}, last contact {contact}" + (f": {sync.error}" if sync.error else ""),
        "unsent records": f"{sync.unsent_ops}{oldest} (not understood by the hub: {sync.parked_ops})",
        "videos": ", ".join(f"{sync.places[place]} {place.replace('_', ' ')}" for place in PLACES),
        "unsent videos": f"{sync.unsent_videos}, {_size(sync.unsent_video_bytes)}",
        "disk": f"{_size(now.disk.free_bytes)} free, of which {_size(now.disk.reserve_bytes)} are not for videos: "
                f"{now.disk.captures_left} captures left (sent and gone from here: {now.disk.pruned_videos})",
        **({"cameras": "\n".join(map(_camera, now.cameras))} if now.cameras else {}),
        "replica": _replica(now),
        "people": _people(now),
        "keys": _keys(now),
        "clock": _clock(now),
        "Eid": _eid(now),
        "models": ", ".join(now.models) or "none: videos are recorded, a person must check them",
    }
    table = Table(show_header=False, box=None)
    for name, value in rows.items():
        table.add_row(name, value)
    return table


def _age(seconds: float) -> str:
    return str(timedelta(seconds=int(seconds)))


def _clock(now: Status) -> str:
    off = now.clock.uncertain_s
    known = "not compared with the hub since the box started" if off is None else f"right to {_age(off)}"
    return f"{now.clock.now:%Y-%m-%d %H:%M:%S} UTC, {known}"


def _keys(now: Status) -> str:
    said = "WAITING for `qurbani edge unlock`, " if now.keys.is_waiting else ""
    open_still = f", but STILL OPEN: {', '.join(now.keys.lying_open)}" if now.keys.lying_open else ""
    disk = "encrypted" if now.keys.on_crypt else "not encrypted: names in the records can be read from it"
    return f"{said}{now.keys.lie}{open_still}; the disk is {disk}"


def _camera(camera: CameraView) -> str:
    """``gate: recording, 30 s in the ring``, or why not."""
    if camera.phase != "ready":
        since = f" since {_age(camera.for_s)}" if camera.for_s else ""
        return f"{camera.name}: {camera.phase}{since}" + (f": {camera.trouble}" if camera.trouble else "")
    doing = "recording" if camera.recording else "ready"
    sound = "with sound" if camera.has_sound else "WITHOUT SOUND"
    return f"{camera.name}: {doing}, {camera.picture} {sound}, {camera.ring_s:.0f} s in the ring"


def _people(now: Status) -> str:
    if now.people.age_s is None:
        return "not told by the hub yet"
    old = ": TOO OLD, signing in takes two of them" if now.people.is_old else ""
    return f"as the hub knew them {_age(now.people.age_s)} ago, believed for {_age(now.people.lease_s)}{old}"


def _replica(now: Status) -> str:
    if now.replica is None:
        return "none: if the disk of this box dies, so does what the hub does not have yet"
    age = "none yet" if now.replica.age_s is None else f"{_age(now.replica.age_s)} old"
    left = f", {now.replica.left} files not in it yet" if now.replica.left else ""
    return f"{age}, in {now.replica.folder}{left}" + (f": {now.replica.error}" if now.replica.error else "")


def _eid(now: Status) -> str:
    if now.eid is None:
        return "not known: the hub has not said when it is"
    begins, ends = (f"{moment:%Y-%m-%d %H:%M}" for moment in (now.eid.begins, now.eid.ends))
    where = {"before": "not yet", "open": "now", "over": "over"}[now.eid.season]
    return f"sacrifices count from {begins} to {ends}, time of the site: {where}"


def _size(size: int) -> str:
    return f"{size / 2**30:.1f} GiB" if size >= 2**30 else f"{size / 2**20:.1f} MiB"
