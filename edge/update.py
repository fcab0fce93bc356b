"""Updates that come on a stick: is this one ours, whole, newer, and is now the time?

An update is a tar archive. Its first member, ``manifest``, is an array ``[body, signature]`` in MessagePack; ``body``
holds the map of :class:`Manifest`, and the signature is Ed25519 of ``qurbani/update/1\\0`` followed by ``body``, by the
key for releases. The other members are the files that it names, in that order, and nothing else.
"""

from __future__ import annotations

import hashlib
import io
import re
import tarfile
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import IO, Annotated

import msgspec

from shared.crypto import SigningKey, VerifyKey
from shared.domain.eid import Window
from shared.errors import QurbaniError
from shared.files import replaced_whole, sync_folder

_SIGNED = b"qurbani/update/1\0"
_FIRST = "manifest"
_MAX_MANIFEST = 1 << 20
_CHUNK = 1 << 20

Version = Annotated[str, msgspec.Meta(pattern=r"^\d{1,6}\.\d{1,6}\.\d{1,6}$")]


class File(msgspec.Struct, frozen=True):
    """A file of the update: ``size`` in bytes, SHA-256 in hex."""

    name: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.+-]{0,199}$")]
    size: Annotated[int, msgspec.Meta(ge=0, le=1 << 34)]
    sha256: Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]


class Manifest(msgspec.Struct, frozen=True):
    """What an update is: to ``version``, from ``minimum`` or later, not installed before ``not_before``."""

    version: Version
    minimum: Version
    not_before: datetime
    files: list[File]


class Now(msgspec.Struct, frozen=True):
    """What an update has to fit: what runs here, the time and by how much it may be off, and the days of Eid."""

    version: str
    time: datetime
    off: timedelta
    eid: Window | None


def make(
    target: Path, key: SigningKey, version: str, minimum: str, not_before: datetime, files: Sequence[Path]
) -> None:
    """Write an update to ``target``. Raises ``bad_input``."""
    entries = []
    for path in files:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        entries.append({"name": path.name, "size": path.stat().st_size, "sha256": digest})
    try:
        told = {"version": version, "minimum": minimum, "not_before": not_before, "files": entries}
        manifest = msgspec.convert(told, Manifest)
    except msgspec.ValidationError as error:
        raise QurbaniError("bad_input", str(error)) from error
    body = msgspec.msgpack.encode(manifest)
    first = msgspec.msgpack.encode([body, key.sign(_SIGNED + body)])
    with replaced_whole(target, mode=0o644) as out, tarfile.open(fileobj=out, mode="w|") as tar:
        tar.addfile(_member(_FIRST, len(first)), io.BytesIO(first))
        for path, entry in zip(files, manifest.files, strict=True):
            with path.open("rb") as file:
                tar.addfile(_member(path.name, entry.size), file)


def check(update: Path, key: VerifyKey, now: Now, into: Path | None = None) -> Manifest:
    """The manifest of an update that may be installed; its files are then in the empty folder ``into``, if given.

    Raises ``damaged``, ``bad_signature``, ``old_update`` or ``not_now``; ``into`` is then as empty as before.
    """
    try:
        with tarfile.open(update, "r|") as tar:
            manifest = _read_manifest(tar, key)
            _fit(manifest, now)
            _read_files(tar, manifest.files, into)
    except tarfile.TarError as error:
        raise QurbaniError("damaged", f"{update.name} is not an update, or was cut: {error}") from error
    return manifest


def _read_manifest(tar: tarfile.TarFile, key: VerifyKey) -> Manifest:
    first = tar.next()
    if first is None or first.name != _FIRST or not first.isreg() or first.size > _MAX_MANIFEST:
        raise QurbaniError("damaged", "an update begins with its manifest")
    try:
        body, signature = msgspec.msgpack.decode(_content(tar, first).read(), type=tuple[bytes, bytes])
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise QurbaniError("damaged", f"the manifest is cut or altered: {error}") from error
    key.verify(signature, _SIGNED + body)
    try:
        return msgspec.msgpack.decode(body, type=Manifest)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise QurbaniError("bad_version", f"this box does not know such updates: {error}") from error


def _fit(manifest: Manifest, now: Now) -> None:
    ours = _number(now.version)
    if _number(manifest.version) <= ours:
        raise QurbaniError("old_update", f"{now.version} runs here, and this is {manifest.version}")
    if ours < _number(manifest.minimum):
        raise QurbaniError("old_update", f"{now.version} runs here, and this update needs {manifest.minimum} first")
    if now.time < manifest.not_before:
        earliest, here = (f"{each:%Y-%m-%d %H:%M}" for each in (manifest.not_before, now.time))
        raise QurbaniError("not_now", f"not before {earliest} UTC; here it is {here}")
    if now.eid and now.eid.timing(now.time - now.off, now.time + now.off) != "outside":
        raise QurbaniError("not_now", "these are, or by this clock may be, the hours in which sacrifices count")


def _read_files(tar: tarfile.TarFile, files: Sequence[File], into: Path | None) -> None:
    left: list[Path] = []
    try:
        for file in files:
            member = tar.next()
            if member is None or member.name != file.name or not member.isreg() or member.size != file.size:
                raise QurbaniError("damaged", f"{file.name} is missing, or not what the manifest says")
            if into is not None:
                left.append(into / file.name)
            _read_file(_content(tar, member), file, into)
        if (more := tar.next()) is not None:
            raise QurbaniError("damaged", f"{more.name} is not in the manifest")
    except BaseException:
        for path in left:
            path.unlink(missing_ok=True)
        raise
    if into is not None:
        sync_folder(into)


def _read_file(source: IO[bytes], file: File, into: Path | None) -> None:
    digest = hashlib.sha256()
    if into is None:
        while piece := source.read(_CHUNK):
            digest.update(piece)
    else:
        with replaced_whole(into / file.name, mode=0o644) as out:
            while piece := source.read(_CHUNK):
                digest.update(piece)
                out.write(piece)
    if digest.hexdigest() != file.sha256:
        raise QurbaniError("damaged", f"{file.name} has been altered")


def _content(tar: tarfile.TarFile, member: tarfile.TarInfo) -> IO[bytes]:
    found = tar.extractfile(member)
    assert found is not None, "it is a file"
    return found


def _member(name: str, size: int) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.size = size
    return member


def _number(version: str) -> tuple[int, ...]:
    """``0.10.2`` is newer than ``0.9.9``; what is not a release of ours is older than all."""
    return tuple(map(int, version.split("."))) if re.fullmatch(r"\d+\.\d+\.\d+", version) else (0,)
