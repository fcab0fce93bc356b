"""Sites for whoever leads the work from afar: how the day goes, when it is Eid, the animals, the people, the boxes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec
from litestar import Response, get, post
from litestar.params import FromPath, URLEncodedBody
from litestar.response import Redirect
from sqlalchemy.ext.asyncio import AsyncSession

from cloud.executors import service as executors
from cloud.pages.frame import MAX_FORM_BYTES, AnyRequest, Page, page
from cloud.platform import audit, given
from cloud.processing import service as processing
from shared.errors import QurbaniError

LOOK, CHANGE = ("admin", "auditor"), ("admin",)
REFUSED = ("bad_input", "stale", "bad_transition", "not_found")
"""What the page of a site has words for."""

Form = URLEncodedBody[dict[str, Any]]
T = TypeVar("T")


@get("/sites", roles=LOOK)
async def sites(request: AnyRequest, session: given.Session) -> Page:
    """All sites, and when it is Eid in their countries."""
    return await _sites(request, session)


@post("/sites/moon", roles=CHANGE, request_max_body_size=MAX_FORM_BYTES)
async def set_moon(data: Form, request: AnyRequest, session: given.Session) -> Response[Any]:
    """Say when it is Eid in a country."""
    try:
        new = _read(data, executors.NewMoon)
        await executors.set_moon(session, str(data.get("country", "")).strip().upper(), new.day)
    except QurbaniError as error:
        if error.code not in REFUSED:
            raise
        audit.about(session, outcome="refused", code=error.code)
        return await _sites(request, session, error.code, error.kind.status)
    return Redirect("/sites", status_code=303)


async def _sites(request: AnyRequest, session: AsyncSession, refused: str = "", status: int = 200) -> Page:
    rows = [(site, ZoneInfo(site.timezone)) for site in await executors.sites(session)]
    return page(request, "sites.html", status, sites=rows, moons=await executors.moons(session), refused=refused)


@get("/sites/{site_id:uuid}", roles=LOOK)
async def site(site_id: FromPath[UUID], request: AnyRequest, session: given.Session, now: given.Now) -> Page:
    """One site; ``?convert=1`` plans small animals for whoever is left over."""
    return await _site(request, session, site_id, now)


async def _site(
    request: AnyRequest, session: AsyncSession, site_id: UUID, now: given.Now, status: int = 200, **facts: Any
) -> Page:
    found = await executors.site(session, site_id)
    people = await executors.executors(session, site_id)
    convert = request.query_params.get("convert") == "1"
    facts = {"refused": "", "code": None} | facts | {
        "site": found, "zone": ZoneInfo(found.timezone), "now": now, "convert": convert,
        "eid": await executors.said_eid(session, site_id),
        "progress": await processing.progress(session, site_id, now),
        "untimely": await processing.untimely(session, site_id),
        "animals": {animal.id: animal for animal in await executors.animals(session, site_id)},
        "filling": await executors.filling_of(session, site_id, convert=convert),
        "people": {person.id: person for person in people},
        "teams": await executors.teams(session, site_id),
        "coaching": {each.executor_id: each for each in await processing.coaching(session, site_id)},
        "boxes": await executors.nodes(session, site_id),
    }  # fmt: skip
    return page(request, "site.html", status, **facts)


@post("/sites/{site_id:uuid}/eid", roles=CHANGE, request_max_body_size=MAX_FORM_BYTES)
async def set_eid(
    site_id: FromPath[UUID], data: Form, request: AnyRequest, session: given.Session, now: given.Now
) -> Response[Any]:
    """Say when it is Eid at a site, and how many animals it plans to do in an hour."""

    async def work() -> None:
        begins = str(data.get("begins", ""))
        told = {**data, "begins": f"{begins}:00" if len(begins) == len("07:10") else begins}
        numbers = ("days", "per_hour", "sheep_months")
        told |= {name: int(data[name]) for name in numbers if str(data.get(name, "")).isdecimal()}
        await executors.set_eid(session, site_id, _read(told, executors.SiteEid))

    return await _do(request, session, site_id, now, work)


@post("/sites/{site_id:uuid}/freeze", roles=CHANGE, request_max_body_size=MAX_FORM_BYTES)
async def freeze(
    site_id: FromPath[UUID], request: AnyRequest, session: given.Session, now: given.Now
) -> Response[Any]:
    """Fix who is on which animal, of all that have shares."""
    return await _do(request, session, site_id, now, lambda: executors.freeze(session, site_id, None, now))


@post("/sites/{site_id:uuid}/filling", roles=CHANGE, request_max_body_size=MAX_FORM_BYTES)
async def fill(
    site_id: FromPath[UUID], data: Form, request: AnyRequest, platform: given.Platform, session: given.Session,
    who: given.Who, now: given.Now,
) -> Response[Any]:
    """Carry out the plan that was looked at."""

    async def work() -> None:
        told = executors.ApproveFilling(str(data.get("plan", "")), convert=data.get("convert") == "1")
        await executors.fill(session, site_id, told, by=who.id, now=now, new_id=platform.new_id)

    return await _do(request, session, site_id, now, work)


@post("/sites/{site_id:uuid}/thaw/{animal_id:uuid}", roles=CHANGE, request_max_body_size=MAX_FORM_BYTES)
async def thaw(
    site_id: FromPath[UUID], animal_id: FromPath[UUID], data: Form, request: AnyRequest, platform: given.Platform,
    session: given.Session, who: given.Who, now: given.Now,
) -> Response[Any]:
    """Let go of the shares of an animal that will not be sacrificed."""

    async def work() -> None:
        reason = _read(data, executors.NewThaw).reason
        await executors.thaw(session, animal_id, reason, by=who.id, now=now, new_id=platform.new_id)

    return await _do(request, session, site_id, now, work)


@post("/sites/{site_id:uuid}/untimely/{sacrifice_id:uuid}", roles=CHANGE, request_max_body_size=MAX_FORM_BYTES)
async def override(
    site_id: FromPath[UUID], sacrifice_id: FromPath[UUID], data: Form, request: AnyRequest, session: given.Session,
    who: given.Who, now: given.Now,
) -> Response[Any]:
    """Say why a sacrifice counts that was not within Eid."""

    async def work() -> None:
        reason = _read(data, processing.NewOverride).reason
        await processing.override(session, sacrifice_id, reason, who.id, now)

    return await _do(request, session, site_id, now, work)


@post("/sites/{site_id:uuid}/people", roles=CHANGE, request_max_body_size=MAX_FORM_BYTES)
async def add_person(
    site_id: FromPath[UUID], data: Form, request: AnyRequest, platform: given.Platform, session: given.Session,
    now: given.Now,
) -> Response[Any]:
    """Somebody new at a site."""

    async def work() -> None:
        await executors.add_executor(session, site_id, _read(data, executors.NewExecutor), platform.new_id)

    return await _do(request, session, site_id, now, work)


@post("/sites/{site_id:uuid}/people/{executor_id:uuid}/pin", roles=CHANGE, request_max_body_size=MAX_FORM_BYTES)
async def set_pin(
    site_id: FromPath[UUID], executor_id: FromPath[UUID], data: Form, request: AnyRequest, session: given.Session,
    now: given.Now,
) -> Response[Any]:
    """Another PIN for somebody."""

    async def work() -> None:
        await executors.set_pin(session, site_id, executor_id, _read(data, executors.NewPin))

    return await _do(request, session, site_id, now, work)


@post("/sites/{site_id:uuid}/people/{executor_id:uuid}/remove", roles=CHANGE, request_max_body_size=MAX_FORM_BYTES)
async def remove_person(
    site_id: FromPath[UUID], executor_id: FromPath[UUID], request: AnyRequest, session: given.Session, now: given.Now
) -> Response[Any]:
    """Somebody left."""
    return await _do(
        request, session, site_id, now, lambda: executors.remove_executor(session, site_id, executor_id, now))


@post("/sites/{site_id:uuid}/teams", roles=CHANGE, request_max_body_size=MAX_FORM_BYTES)
async def add_team(
    site_id: FromPath[UUID], data: Form, request: AnyRequest, platform: given.Platform, session: given.Session,
    now: given.Now,
) -> Response[Any]:
    """People who work together."""

    async def work() -> None:
        members = data.get("members") or []
        told = {**data, "members": [members] if isinstance(members, str) else members}
        await executors.add_team(session, site_id, _read(told, executors.NewTeam), platform.new_id)

    return await _do(request, session, site_id, now, work)


@post("/sites/{site_id:uuid}/teams/{team_id:uuid}/remove", roles=CHANGE, request_max_body_size=MAX_FORM_BYTES)
async def remove_team(
    site_id: FromPath[UUID], team_id: FromPath[UUID], request: AnyRequest, session: given.Session, now: given.Now
) -> Response[Any]:
    """A team is no more."""
    return await _do(request, session, site_id, now, lambda: executors.remove_team(session, team_id))


@post("/sites/{site_id:uuid}/code", roles=CHANGE, status_code=200, request_max_body_size=MAX_FORM_BYTES)
async def new_code(site_id: FromPath[UUID], request: AnyRequest, session: given.Session, now: given.Now) -> Page:
    """A code for a box, which this page shows once."""
    code = await executors.new_code(session, site_id, now)
    return await _site(request, session, site_id, now, code=code)


@post("/sites/{site_id:uuid}/boxes/{node_id:uuid}/revoke", roles=CHANGE, request_max_body_size=MAX_FORM_BYTES)
async def revoke(
    site_id: FromPath[UUID], node_id: FromPath[UUID], request: AnyRequest, session: given.Session, now: given.Now
) -> Response[Any]:
    """Shut a box out."""
    return await _do(request, session, site_id, now, lambda: executors.revoke(session, node_id, now))


@post("/sites/{site_id:uuid}/boxes/{node_id:uuid}/reinstate", roles=CHANGE, request_max_body_size=MAX_FORM_BYTES)
async def reinstate(
    site_id: FromPath[UUID], node_id: FromPath[UUID], request: AnyRequest, session: given.Session, now: given.Now
) -> Response[Any]:
    """Trust a box again."""
    return await _do(request, session, site_id, now, lambda: executors.reinstate(session, node_id))


async def _do(
    request: AnyRequest, session: AsyncSession, site_id: UUID, now: given.Now, work: Callable[[], Awaitable[object]]
) -> Response[Any]:
    """Do what a form asks for, and show the site again: anew, or with what was wrong."""
    await executors.site(session, site_id)
    try:
        async with session.begin_nested():
            await work()
    except QurbaniError as error:
        if error.code not in REFUSED:
            raise
        audit.about(session, outcome="refused", code=error.code)
        return await _site(request, session, site_id, now, error.kind.status, refused=error.code)
    return Redirect(f"/sites/{site_id}", status_code=303)


def _read(form: dict[str, Any], kind: type[T]) -> T:
    """What was typed, without what was left empty. Raises ``bad_input``."""
    known = {field.name for field in msgspec.structs.fields(kind)}  # type: ignore[arg-type]
    told = {name: value for name, value in form.items() if name in known and value != ""}
    try:
        return msgspec.convert(told, kind, strict=False)
    except msgspec.ValidationError as error:
        raise QurbaniError("bad_input", str(error)) from error


HANDLERS = [
    sites, set_moon, site, set_eid, freeze, fill, thaw, override, add_person, set_pin, remove_person, add_team,
    remove_team, new_code, revoke, reinstate,
]  # fmt: skip
