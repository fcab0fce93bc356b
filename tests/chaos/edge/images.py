"""What a disk may hold after the power went, told from what a process had done to its files.

Only what was flushed is sure. Of the rest of each file any part may be there, torn at sectors; of what changed in a
folder, any beginning of it. After Pillai et al., "All File Systems Are Not Created Equal" (OSDI 2014): no order between
files is taken for granted, and a new file's name is not there before its folder was flushed.
"""

from __future__ import annotations

import os
import random
import struct
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

SECTOR = 512
_HEAD = struct.Struct("<cQQII")


@dataclass(frozen=True)
class Act:
    """One thing that was done to the files below the folder; paths are relative to it."""

    kind: str
    inode: int
    place: int
    path: str
    data: bytes


@dataclass
class File:
    """What is sure of a file, and what was written since: places and bytes, or (None) the length it was cut to."""

    sure: bytearray
    since: list[tuple[int, bytes | None]] = field(default_factory=list)


def read(log: Path, folder: Path) -> Iterator[Act]:
    raw, at, root = log.read_bytes(), 0, f"{folder}/"
    while at < len(raw):
        kind, inode, place, path_size, size = _HEAD.unpack_from(raw, at)
        at += _HEAD.size
        path, data = raw[at : at + path_size].decode(), raw[at + path_size : at + path_size + size]
        at += path_size + size
        other = data.decode().removeprefix(root).encode() if kind in b"RL" else data
        yield Act(kind.decode(), inode, place, path.removeprefix(root) if path != str(folder) else "", other)


class Disk:
    """The state of a disk, act by act."""

    def __init__(self, folder: Path) -> None:
        self.files: dict[int, File] = {}
        self.names: dict[str, int] = {}
        self.changes: dict[str, list[tuple[str, int | None]]] = defaultdict(list)
        """Of each folder, what changed since it was flushed: names, and what they name from then on."""
        self._now: dict[str, int] = {}
        self._by_inode: dict[int, int] = {}
        for path in folder.rglob("*"):
            if path.is_file() and not path.name.endswith("-shm"):
                name, file = str(path.relative_to(folder)), self._new(path.stat().st_ino)
                self.files[file].sure += path.read_bytes()
                self.names[name] = self._now[name] = file

    def take(self, act: Act) -> None:
        match act.kind:
            case "W" | "T":
                self.files[self._file(act)].since.append((act.place, act.data if act.kind == "W" else None))
            case "S":
                file = self.files[self._file(act)]
                file.sure, file.since = _written(file.sure, file.since), []
            case "D":
                for name, known in self.changes.pop(act.path, ()):
                    _set(self.names, name, known)
            case "R" | "L":
                self._name(act.data.decode(), self._file(act))
                if act.kind == "R":
                    self._name(act.path, None)
            case "U":
                self._name(act.path, None)

    def image(self, luck: random.Random) -> dict[str, bytes]:
        """One of the contents that the disk may have if the power goes now."""
        names = dict(self.names)
        for changes in self.changes.values():
            for name, inode in changes[: luck.randrange(len(changes) + 1)]:
                _set(names, name, inode)
        kept = {inode: bytes(_written(file.sure, _some(file.since, luck))) for inode, file in self.files.items()}
        return {name: kept.get(inode, b"") for name, inode in names.items()}

    def _file(self, act: Act) -> int:
        """The file that an act is about. A number of a file that is gone may be another's now."""
        known = self._by_inode.get(act.inode)
        if known is None or (act.path not in self._now and known not in self._now.values()):
            known = self._new(act.inode)
        if act.path not in self._now:
            self._name(act.path, known)
        return known

    def _new(self, inode: int) -> int:
        self._by_inode[inode] = len(self.files)
        self.files[len(self.files)] = File(bytearray())
        return len(self.files) - 1

    def _name(self, name: str, inode: int | None) -> None:
        if self._now.get(name) != inode:
            _set(self._now, name, inode)
            self.changes[os.path.dirname(name)].append((name, inode))


def _set(names: dict[str, int], name: str, inode: int | None) -> None:
    if inode is None:
        names.pop(name, None)
    else:
        names[name] = inode


def _some(since: Sequence[tuple[int, bytes | None]], luck: random.Random) -> list[tuple[int, bytes | None]]:
    """None of what was not flushed, all of it, its beginning, or any sectors of it."""
    match luck.randrange(4):
        case 0:
            return []
        case 1:
            return list(since)
        case 2:
            return list(since[: luck.randrange(len(since) + 1)])
    return [part for place, data in since for part in _sectors(place, data) if luck.random() < 0.5]


def _sectors(place: int, data: bytes | None) -> Iterator[tuple[int, bytes | None]]:
    if data is None:
        yield place, None
        return
    at = 0
    while at < len(data):
        size = SECTOR - (place + at) % SECTOR
        yield place + at, data[at : at + size]
        at += size


def _written(sure: bytearray, since: Sequence[tuple[int, bytes | None]]) -> bytearray:
    content = bytearray(sure)
    for place, data in since:
        if data is None:
            del content[place:]
        content.extend(bytes(max(0, place - len(content))))
        if data is not None:
            content[place : place + len(data)] = data
    return content


def lay(image: dict[str, bytes], template: Path, folder: Path) -> None:
    """A folder with these files, and with the empty folders of ``template``."""
    for path in [template, *template.rglob("*")]:
        if path.is_dir():
            (folder / path.relative_to(template)).mkdir(mode=0o700, parents=True, exist_ok=True)
    for name, content in image.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
        os.chmod(folder / name, 0o600)
