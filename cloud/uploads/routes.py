"""Watching videos, and seeing how far each has come."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from typing import Annotated, Any, BinaryIO
from uuid import UUID

from litestar import Request, Response, delete, get, post, put, route
from litestar.params import FromPath, JSONBody, QueryParameter
from litestar.response import Stream
from sqlalchemy.ext.asyncio import AsyncSession

from cloud.platform import given
from cloud.platform.access import ANYONE, Principal
from cloud.platform.core import Platform
from cloud.storage.service import open_store
from cloud.uploads import archive, ranges, service
from cloud.uploads.schemas import Hold, Link, NewFeedback, Photo, Place, Variant, Video
from shared.sealed import SealedReader

State = Annotated[str | None, QueryParameter(name="state")]


@put("/api/v1/videos/{video_id:uuid}/feedback", status_code=204, roles=("admin",))
async def say_of(
    video_id: FromPath[UUID], data: JSONBody[NewFeedback], session: given.Session, now: given.Now
) -> None:
    """A word to whoever recorded a video. It shows on the tablets of the site after their next sync."""
    await service.say_of(session, video_id, data.text, now)


@get("/api/v1/videos", roles=("admin", "auditor"))
async def videos(session: given.Session, paging: given.Paging, in_state: State = None) -> list[Video]:
    """The videos, the newest first, and how far each has come."""
    return await service.videos(session, paging, in_state)


@route("/api/v1/videos/{video_id:uuid}/{variant:str}", http_method=["GET", "HEAD"],
       roles=("donor", "admin", "auditor"), audited="always")
async def watch(
    video_id: FromPath[UUID], variant: FromPath[Variant], request: Request[Any, Any, Any],
    platform: given.Platform, session: given.Session, who: given.Who,
) -> Response[Any]:
    """A file of a video, or the part of it that ``Range`` asks for. Someone else's is as if it were not there.

    A page shows the poster by itself. The film is asked for by whoever plays it, and only then it counts as seen.
    """
    return await _watched(request, platform, session, who, video_id, variant, "private, no-store")


@get("/api/v1/videos/{video_id:uuid}/{variant:str}/link", roles=("donor", "admin", "auditor"))
async def link(
    video_id: FromPath[UUID], variant: FromPath[Variant], platform: given.Platform, session: given.Session,
    who: given.Who, now: given.Now,
) -> Link:
    """A link to a file of a video that needs no cookie, good for ten minutes, or until whoever asks signs out."""
    return await service.link(session, platform, video_id, variant, who, now)


@get("/media/{video_id:uuid}/{variant:str}", roles=(ANYONE,), limit="none", audited="always")
async def linked(
    video_id: FromPath[UUID], variant: FromPath[Variant], request: Request[Any, Any, Any],
    platform: given.Platform, session: given.Session, now: given.Now,
) -> Response[Any]:
    """What a link is of. Whether its owner may still watch is looked up each time."""
    target = request.scope["raw_path"] + b"?" + request.scope["query_string"]
    who, caching = await service.follow(session, platform, target, now)
    return await _watched(request, platform, session, who, video_id, variant, caching)


async def _watched(
    request: Request[Any, Any, Any], platform: Platform, session: AsyncSession, who: Principal, video_id: UUID,
    variant: Variant, caching: str,
) -> Response[Any]:
    copy = await service.watchable(session, video_id, variant, service.donor(who))
    answer = ranges.answer(request.headers, f'"{copy.sha256}"', copy.size)
    headers = {**answer.headers, "Cache-Control": caching}
    if request.method == "HEAD" or answer.status == 304:
        return Response(b"", status_code=answer.status, headers=headers, media_type=copy.media_type)
    if who.role == "donor" and variant in ("compressed", "messenger"):
        await service.opened(session, video_id, who.id, platform.clock.now())
    blob = await asyncio.to_thread(open_store(platform.settings).open, copy.blob_id)
    plain = await asyncio.to_thread(_pieces, platform, blob, answer.start, answer.stop)
    return Stream(_sent(blob, plain), status_code=answer.status, headers=headers, media_type=copy.media_type)


@get("/api/v1/videos/{video_id:uuid}/archive", roles=("donor", "admin", "auditor"))
async def place(video_id: FromPath[UUID], session: given.Session, who: given.Who) -> Place:
    """Whether a video is in the archive."""
    return await service.place_for(session, video_id, who)


@post("/api/v1/videos/{video_id:uuid}/restore", roles=("donor", "admin"))
async def restore(
    video_id: FromPath[UUID], platform: given.Platform, session: given.Session, who: given.Who, now: given.Now
) -> Place:
    """Ask for a video in the archive. It takes some minutes; a donor gets a mail when it is there."""
    return await service.ask_back(session, video_id, who, now, platform.new_id)


@put("/api/v1/videos/{video_id:uuid}/hold", roles=("admin",))
async def hold(video_id: FromPath[UUID], data: JSONBody[Hold], session: given.Session) -> Place:
    """Keep a video at hand, whatever its age: for a court, or as long as there is a dispute."""
    return await archive.hold(session, video_id, data.reason)


@delete("/api/v1/videos/{video_id:uuid}/hold", roles=("admin",), status_code=200)
async def release(video_id: FromPath[UUID], session: given.Session) -> Place:
    """Let a video go to the archive by its age again."""
    return await archive.hold(session, video_id, None)


@get("/api/v1/photos", roles=("admin", "auditor"))
async def photos(of: Annotated[UUID, QueryParameter()], session: given.Session) -> list[Photo]:
    """The photos that were taken at a site of an animal or a hide."""
    return await service.photos(session, of)


@get("/api/v1/photos/{photo_id:uuid}", roles=("admin", "auditor"))
async def photo(photo_id: FromPath[UUID], platform: given.Platform, session: given.Session) -> Stream:
    """A photo, once its bytes have arrived."""
    blob_id, kind, size = await service.photo(session, photo_id)
    blob = await asyncio.to_thread(open_store(platform.settings).open, blob_id)
    plain = await asyncio.to_thread(_pieces, platform, blob, 0, size)
    return Stream(_sent(blob, plain), media_type=kind, headers={"Cache-Control": "private, no-store"})


def _pieces(platform: Platform, blob: BinaryIO, start: int, stop: int) -> Iterator[memoryview]:
    return SealedReader(blob, platform.keys.unseal).pieces(start, stop)


async def _sent(blob: BinaryIO, plain: Iterator[memoryview]) -> AsyncIterator[bytes]:
    """The plaintext, a segment at a time, each verified before a byte of it is sent."""
    with closing(blob):
        while piece := await asyncio.to_thread(lambda: bytes(next(plain, b""))):
            yield piece


ROUTES = [videos, say_of, watch, link, linked, place, restore, hold, release, photos, photo]
