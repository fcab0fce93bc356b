"""The tus server without HTTP: what each request does to an upload, whatever store keeps it.

No offset leaves before it is durable. The last byte is acknowledged after the ``finished`` hook has returned,
which is where the row and the job of what arrived are committed; a crash in between makes the hook run again,
at the next request or at :meth:`UploadServer.recover`, so it must be safe to repeat.

What a request had sent when its connection was cut, fell silent or was taken over is kept and counts. Bytes
under a checksum that does not match are dropped. A power cut takes back at most ``Limits.flush_s`` of a request
that was still running; kill -9 at most what was in memory, some two segments.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import msgspec
import structlog

from shared.clock import Clock
from shared.errors import QurbaniError
from shared.ids import NewId
from shared.sealed import Blob
from shared.tus.disk import DiskThreads, OpenAppenders
from shared.tus.intake import Intake
from shared.tus.leases import Leases
from shared.tus.store import Appender, Deleting, Reading, Store, Upload
from shared.tus.wire import Checksum

_ID = re.compile(r"[0-9a-f]{32}")
_log = structlog.get_logger(__name__)


class Limits(msgspec.Struct, frozen=True):
    """Sizes in bytes, times in seconds. An open upload of a sealing store holds about two segments of memory."""

    max_size: int = 16 * 1024**3
    lifetime_s: int = 7 * 24 * 3600
    idle_s: float = 60
    lock_s: float = 5
    flush_s: float = 1
    open_uploads: int = 24


class Arrived(msgspec.Struct, frozen=True):
    """A whole upload. The hook may move ``path`` away, and must not mind if an earlier run of it did."""

    id: str
    owner: str
    metadata: dict[str, str]
    blob: Blob
    path: Path


class Standing(msgspec.Struct, frozen=True):
    """An upload and how many of its bytes are durable."""

    upload: Upload
    offset: int


Finished = Callable[[Arrived], Awaitable[None]]
Admit = Callable[[Upload, int], Awaitable[None]]
Elsewhere = Callable[[Upload], Awaitable[bool]]
Revisited = Callable[[Arrived], Awaitable[bool]]


async def _admit_all(upload: Upload, received: int) -> None:
    pass


async def _as_it_was(arrived: Arrived) -> bool:
    return True


async def _nowhere(upload: Upload) -> bool:
    return False


class UploadServer:
    """Serves the uploads of one store; one per store and process.

    ``admit`` is asked when an upload begins, again when a deferred length becomes known, each time with how many of
    its bytes are here already, and raises to refuse it (quota, room). ``elsewhere`` says whether the bytes of an
    unfinished upload came whole over another road: then it is finished as it stands; it is asked about uploads that
    name their ``sha256``. ``revisited`` is told when a finished upload is created again, and says whether what
    arrived is still there: else it begins anew. What a request does, it does for an ``owner``, who alone sees the
    upload: to others it is ``not_found``.
    """

    def __init__(self, store: Store, finished: Finished, clock: Clock, new_id: NewId, *,
                 admit: Admit = _admit_all, elsewhere: Elsewhere = _nowhere,
                 revisited: Revisited = _as_it_was, limits: Limits | None = None) -> None:
        self.limits = limits or Limits()
        self._store = store
        self._finished = finished
        self._admit = admit
        self._elsewhere = elsewhere
        self._revisited = revisited
        self._clock = clock
        self._new_id = new_id
        self._disk = DiskThreads()
        self._leases = Leases(self.limits.lock_s)
        self._appenders = OpenAppenders(store, self._leases, self._disk, self.limits.open_uploads)
        self._intake = Intake(self._disk, self.limits.idle_s, self.limits.flush_s)

    @property
    def extensions(self) -> tuple[str, ...]:
        names = ["creation", "creation-with-upload", "creation-defer-length", "checksum"]
        if isinstance(self._store, Deleting):
            names += ["termination", "expiration"]
        if isinstance(self._store, Reading):
            names += ["concatenation"]
        return tuple(names)

    async def create(self, owner: str, length: int | None, metadata: Mapping[str, str], *,
                     concat: str = "") -> Standing:
        """Begin an upload of ``length`` bytes (None: said later).

        With the metadata key ``id`` the client names it: creating it again, when the answer was lost, finds it
        where it stands. With ``sha256`` (hex) it says what the bytes must be.
        """
        wanted = self._plan(owner, length, metadata, concat)
        async with self._leases.hold(wanted.id):
            return await self._standing(await self._known_or_new(wanted))

    async def status(self, owner: str, id: str) -> Standing:
        """Where the upload stands. A connection that is still writing to it gives it up."""
        async with self._leases.hold(id):
            return await self._standing(await self._load(owner, id))

    async def append(self, owner: str, id: str, offset: int, body: AsyncIterator[bytes], *, size: int | None = None,
                     length: int | None = None, checksum: Checksum | None = None) -> Standing:
        """Take ``body`` (of ``size`` bytes, if that is known) in at ``offset``; ``length`` ends a deferral.

        Raises ``wrong_offset``, ``too_large``, ``checksum_mismatch``, or what made it end too early.
        """
        async with self._leases.hold(id) as lease:
            standing = await self._standing(await self._load(owner, id))
            if standing.offset != offset:
                raise QurbaniError("wrong_offset", f"the upload stands at {standing.offset}", offset=standing.offset)
            if standing.upload.blob is not None:
                return standing
            upload = await self._with_length(standing, length)
            room = (self.limits.max_size if upload.length is None else upload.length) - offset
            if size is not None and size > room:
                raise QurbaniError("too_large", f"there is room for {room} bytes more")
            async with self._appenders.writing(upload.id) as appender:
                end = await self._intake.take(lease, body, appender, room, checksum)
            standing = await self._standing(upload)
            if end != "whole":
                raise QurbaniError(end, offset=standing.offset)
            return standing

    async def terminate(self, owner: str, id: str) -> None:
        """Forget the upload. What has been handed over stays where it is."""
        async with self._leases.hold(id):
            await self._forget(await self._load(owner, id))

    async def concatenate(self, owner: str, parts: Sequence[str], metadata: Mapping[str, str],
                          concat: str) -> Standing:
        """One upload out of finished partial ones, in their order; those are forgotten then."""
        wanted = self._plan(owner, None, metadata, concat)
        async with self._leases.hold(wanted.id):
            upload = await self._disk.run(self._store.load, wanted.id)
            if upload is None or upload.blob is None:
                upload = await self._join(wanted, [await self._load(owner, part) for part in parts])
            standing = await self._standing(upload)
        for part in parts:
            with suppress(QurbaniError):  # gone already, if this is a repetition
                await self.terminate(owner, part)
        return standing

    async def recover(self) -> None:
        """At start: hand over what was whole when the process died."""
        for upload in await self._disk.run(self._all_uploads):
            if upload.blob is not None and not upload.is_finished:
                async with self._leases.hold(upload.id):
                    try:
                        await self._hand_over(upload)
                    except QurbaniError as error:
                        _log.warning("upload_not_taken", upload=upload.id, code=error.code, detail=error.detail)

    async def sweep(self) -> int:
        """Forget what has expired, except what nobody has taken yet; how many. To be called now and then."""
        swept = 0
        for upload in await self._disk.run(self._all_uploads):
            if self._is_over(upload) and not self._leases.is_held(upload.id):
                async with self._leases.hold(upload.id):
                    await self._forget(upload)
                swept += 1
        return swept

    def close(self) -> None:
        self._appenders.close_all()
        self._disk.close()

    # What an upload is.

    def _plan(self, owner: str, length: int | None, metadata: Mapping[str, str], concat: str) -> Upload:
        self._check_size(length or 0)
        id = self._new_id().hex
        if name := metadata.get("id"):
            id = hashlib.sha256(f"{owner}\0{name}".encode()).hexdigest()[:32]
        expires = self._clock.now() + timedelta(seconds=self.limits.lifetime_s)
        return Upload(id, owner, dict(metadata), length, expires, concat)

    async def _known_or_new(self, wanted: Upload) -> Upload:
        known = await self._disk.run(self._store.load, wanted.id)
        if known is not None and (self._is_over(known) or not await self._is_still_there(known)):
            await self._forget(known)
            known = None
        if known is None:
            await self._admit(wanted, 0)
            await self._disk.run(self._store.save, wanted)
            return wanted
        if (known.owner, known.length, known.metadata) != (wanted.owner, wanted.length, wanted.metadata):
            raise QurbaniError("conflict", "this id belongs to another upload")
        return known

    async def _is_still_there(self, upload: Upload) -> bool:
        if upload.blob is None or not upload.is_finished:
            return True
        path = self._store.path(upload.id)
        return await self._revisited(Arrived(upload.id, upload.owner, upload.metadata, upload.blob, path))

    async def _load(self, owner: str, id: str) -> Upload:
        upload = await self._disk.run(self._store.load, id) if _ID.fullmatch(id) else None
        if upload is None or upload.owner != owner:
            raise QurbaniError("not_found", "no such upload")
        if self._is_over(upload):
            raise QurbaniError("upload_gone")
        return upload

    async def _with_length(self, standing: Standing, length: int | None) -> Upload:
        upload = standing.upload
        if length is None or length == upload.length:
            return upload
        if upload.length is not None or length < standing.offset:
            raise QurbaniError("bad_input", "this cannot be the length of the upload")
        self._check_size(length)
        upload = msgspec.structs.replace(upload, length=length)
        await self._admit(upload, standing.offset)
        await self._disk.run(self._store.save, upload)
        return upload

    def _check_size(self, length: int) -> None:
        if length > self.limits.max_size:
            raise QurbaniError("too_large", f"an upload has at most {self.limits.max_size} bytes")

    def _is_over(self, upload: Upload) -> bool:
        is_owed = upload.blob is not None and not upload.is_finished
        return not is_owed and upload.expires <= self._clock.now()

    async def _forget(self, upload: Upload) -> None:
        if not isinstance(self._store, Deleting):
            raise QurbaniError("method_not_allowed", "this store keeps every upload")
        self._appenders.close(upload.id)
        await self._disk.run(self._store.delete, upload.id)

    def _all_uploads(self) -> list[Upload]:
        return list(self._store.uploads()) if isinstance(self._store, Deleting) else []

    async def _join(self, wanted: Upload, parts: Sequence[Upload]) -> Upload:
        if not all(part.concat == "partial" and part.blob for part in parts):
            raise QurbaniError("bad_input", "only finished partial uploads can be concatenated")
        upload = msgspec.structs.replace(wanted, length=sum(part.blob.size for part in parts if part.blob))
        self._check_size(upload.length or 0)
        await self._admit(upload, 0)
        await self._disk.run(self._store.save, upload)
        self._appenders.close(upload.id)
        await self._disk.run(self._store.clear, upload.id)  # what an earlier try had copied
        async with self._appenders.writing(upload.id) as appender:
            await self._disk.run(self._copy, parts, appender)
        return upload

    def _copy(self, parts: Sequence[Upload], appender: Appender) -> None:
        if not isinstance(self._store, Reading):
            raise QurbaniError("method_not_allowed", "this store cannot read uploads back")
        for part in parts:
            for piece in self._store.read(part.id):
                appender.write(piece)

    # Where it stands.

    async def _standing(self, upload: Upload) -> Standing:
        """Makes durable what came, and completes what is whole, also where a crash came between the two."""
        if upload.blob is None and "sha256" in upload.metadata and await self._elsewhere(upload):
            upload = await self._let_go(upload)
        if upload.blob is None:
            async with self._appenders.writing(upload.id) as appender:
                await self._disk.run(appender.sync)
            if appender.size != upload.length:
                return Standing(upload, appender.size)
            upload = await self._complete(upload)
        if not upload.is_finished:
            upload = await self._hand_over(upload)
        assert upload.blob is not None
        return Standing(upload, upload.blob.size)

    async def _let_go(self, upload: Upload) -> Upload:
        """What has come another way is finished, whatever has come this way."""
        name, size = upload.metadata["sha256"], upload.length or 0
        upload = msgspec.structs.replace(upload, blob=Blob(name, size, name, size), is_finished=True)
        await self._disk.run(self._store.save, upload)
        self._appenders.close(upload.id)
        await self._disk.run(self._store.clear, upload.id)
        return upload

    async def _complete(self, upload: Upload) -> Upload:
        async with self._appenders.writing(upload.id) as appender:
            blob = await self._disk.run(appender.finish)
        self._appenders.close(upload.id)
        if upload.metadata.get("sha256", blob.sha256).lower() != blob.sha256:
            await self._disk.run(self._store.clear, upload.id)
            raise QurbaniError("checksum_mismatch", "the whole is not what its sha256 says; it begins anew")
        upload = msgspec.structs.replace(upload, blob=blob)
        await self._disk.run(self._store.save, upload)
        return upload

    async def _hand_over(self, upload: Upload) -> Upload:
        assert upload.blob is not None
        is_partial = upload.concat == "partial"
        if not is_partial:
            path = self._store.path(upload.id)
            await self._finished(Arrived(upload.id, upload.owner, upload.metadata, upload.blob, path))
        upload = msgspec.structs.replace(upload, is_finished=True)
        await self._disk.run(self._store.save, upload)
        if not is_partial:
            await self._disk.run(self._store.clear, upload.id)
        return upload
