"""Copies sealed files between the hot and the cold store, and proves each copy. Blocking."""

from __future__ import annotations

import shutil

import msgspec
import structlog

from cloud.platform.settings import Settings
from cloud.storage.blobs import prove
from cloud.storage.service import Store, open_cold, open_store
from shared.errors import QurbaniError

log = structlog.get_logger()

_PIECE = 1024 * 1024


class Mover(msgspec.Struct, frozen=True):
    """``attempt`` (1, 2, ...; 0 for a person) is in the names of its unfinished files, so that no two share one."""

    hot: Store
    cold: Store
    attempt: int = 0

    @classmethod
    def open(cls, settings: Settings, attempt: int = 0) -> Mover:
        """Raises ``misconfigured`` where there is no cold store."""
        return cls(open_store(settings), open_cold(settings), attempt)

    def copy_out(self, blob_id: str) -> None:
        """Return when the cold store holds a proved copy: written, read back and compared.

        One that is not what it should be is thrown away, and ``unavailable`` raised: the next try makes it anew.
        """
        self._copy(self.hot, self.cold, blob_id)
        try:
            with self.cold.open(blob_id) as copy:
                prove(blob_id, copy)
        except QurbaniError as error:
            if error.code != "damaged":
                raise
            log.warning("archive.damaged", blob_id=blob_id)
            self.cold.delete(blob_id)
            raise QurbaniError("unavailable", f"the copy of {blob_id} in the archive was damaged") from error

    def copy_back(self, blob_id: str) -> None:
        """Return when the hot store holds it again; what comes is compared before it counts."""
        self._copy(self.cold, self.hot, blob_id)

    def _copy(self, source: Store, target: Store, blob_id: str) -> None:
        for attempt in range(self.attempt):
            target.part(f"{blob_id}.moved.{attempt}").unlink(missing_ok=True)
        if target.has(blob_id):
            return
        part = target.part(f"{blob_id}.moved.{self.attempt}")
        try:
            with source.open(blob_id) as file, part.open("wb") as out:
                shutil.copyfileobj(file, out, _PIECE)
            target.put(blob_id, part)
        finally:
            part.unlink(missing_ok=True)
