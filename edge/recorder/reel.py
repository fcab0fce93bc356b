"""What a recording lies in while it grows: a folder of sealed parts, one for each process that has written to it.

A part holds whole fragments, flushed one by one. Who is killed leaves a part that ends with the last fragment that was
flushed, or, when the disk itself was cut short, within one; the next process begins another. In the end all of them
are one film, sealed as a whole. Nothing readable is on the disk at any moment.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

import msgspec

from edge.recorder import fragments
from shared.crypto import SealKey, UnsealKey
from shared.files import sync_folder, write_whole
from shared.sealed import Blob, SealedReader, Sealer
from shared.sealed_file import SealedFile


class Reel:
    """The folder of one recording. ``key`` belongs to one of the ``recipients``."""

    def __init__(self, folder: Path, recipients: Sequence[SealKey], key: UnsealKey) -> None:
        self.folder = folder
        self._recipients = recipients
        self._key = key

    @property
    def is_there(self) -> bool:
        return self.folder.is_dir()

    def part(self) -> SealedFile:
        """A new part to write to."""
        if not self.folder.is_dir():
            self.folder.mkdir(mode=0o700, parents=True)
            sync_folder(self.folder.parent)
        return self._open(self.folder / f"{len(self._parts()):04}")

    def head(self) -> bytes:
        """How the film begins; nothing as long as there is none."""
        for path in self._parts():
            self._close(path)
            with path.open("rb") as sealed:
                reader = SealedReader(sealed, self._key)
                end, _ = fragments.whole(reader)
                if end:
                    return b"".join(map(bytes, reader.pieces(0, end)))
        return b""

    def finish(self) -> tuple[Path, Blob] | None:
        """The whole film, sealed and on the disk; None when not one fragment of it is. Safe to repeat.

        Once it is noted which file that is, it is not touched again: it may stand among the blobs as well.
        """
        note = self.folder / "whole"
        if not self._parts():
            return None
        if note.exists():
            name, blob = msgspec.json.decode(note.read_bytes(), type=tuple[str, Blob])
            return self.folder / name, blob
        found = self._whole_part() or self._joined()
        if found is not None:
            path, blob = found
            write_whole(note, [msgspec.json.encode((path.name, blob))])
        return found

    def discard(self) -> None:
        """Forget it all. What stands among the blobs stays there."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _parts(self) -> list[Path]:
        return sorted(path for path in self.folder.glob("????") if path.name.isdigit())

    def _open(self, path: Path) -> SealedFile:
        return SealedFile(path, self._recipients, self._key)

    def _close(self, path: Path) -> Blob:
        part = self._open(path)
        try:
            return part.finish()
        finally:
            part.close()

    def _whole_part(self) -> tuple[Path, Blob] | None:
        """The only part, when it ends where a fragment does: it is the film."""
        parts = self._parts()
        if len(parts) != 1:
            return None
        blob = self._close(parts[0])
        with parts[0].open("rb") as sealed:
            head, end = fragments.whole(SealedReader(sealed, self._key))
        return (parts[0], blob) if head < end == blob.size else None

    def _joined(self) -> tuple[Path, Blob] | None:
        """One film of all that is whole in the parts."""
        path, has_head = self.folder / "joined", False
        with path.open("wb") as out:
            sealer = Sealer.begin(out.write, self._recipients)
            for part in self._parts():
                self._close(part)
                with part.open("rb") as sealed:
                    reader = SealedReader(sealed, self._key)
                    head, end = fragments.whole(reader)
                    for piece in reader.pieces(head if has_head else 0, end if end > head else 0):
                        sealer.write(piece)
                    has_head = has_head or end > head
            blob = sealer.finish()
            out.flush()
            os.fsync(out.fileno())
        return (path, blob) if has_head else None
