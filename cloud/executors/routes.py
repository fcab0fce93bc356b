"""Sites and what is at them, boxes, and allocation: for admins; auditors look on."""

from __future__ import annotations

import asyncio
from typing import Annotated
from uuid import UUID

from litestar import Response, delete, get, post, put
from litestar.params import FromPath, HeaderParameter, JSONBody, QueryParameter

from cloud.donors.service import NewPrice, Order, Price
from cloud.executors import service
from cloud.executors.schemas import (
    Allocate,
    Animal,
    ApproveFilling,
    Balance,
    Batch,
    EnrolmentCode,
    Executor,
    Filling,
    Freeze,
    Hide,
    Moon,
    NewAnimal,
    NewExecutor,
    NewMoon,
    NewPin,
    NewSite,
    NewTeam,
    NewThaw,
    Node,
    Site,
    SiteEid,
    Team,
)
from cloud.platform import given
from shared import codes
from shared.domain.day import Plan

IfMatch = Annotated[str, HeaderParameter(name="If-Match")]

Convert = Annotated[bool, QueryParameter(name="convert")]

LOOK = ("admin", "auditor")
CHANGE = ("admin",)


@post("/api/v1/sites", roles=CHANGE)
async def add_site(data: JSONBody[NewSite], platform: given.Platform, session: given.Session, now: given.Now) -> Site:
    """Open a site."""
    return await service.add_site(session, data, now=now, new_id=platform.new_id)


@get("/api/v1/sites", roles=LOOK)
async def sites(session: given.Session) -> list[Site]:
    """All sites."""
    return await service.sites(session)


@get("/api/v1/sites/{site_id:uuid}", roles=LOOK)
async def site(site_id: FromPath[UUID], session: given.Session) -> Site:
    """A site."""
    return await service.site(session, site_id)


@put("/api/v1/sites/{site_id:uuid}/eid", roles=CHANGE, problems=("stale",))
async def set_eid(
    site_id: FromPath[UUID], data: JSONBody[SiteEid], session: given.Session, if_match: IfMatch = ""
) -> Site:
    """Say when it is Eid at a site. Its boxes hear of it at their next sync, and warn outside of it.

    With `If-Match`, the `ETag` under which the site was read, it changes nothing that somebody else has changed since.
    """
    return await service.set_eid(session, site_id, data, if_match)


@put("/api/v1/moons/{country:str}", roles=CHANGE)
async def set_moon(country: FromPath[str], data: JSONBody[NewMoon], session: given.Session) -> Moon:
    """Say when it is Eid in a country, by the moon that was sighted there: for all sites without a day of their own."""
    return await service.set_moon(session, country, data.day)


@get("/api/v1/moons", roles=LOOK)
async def moons(session: given.Session) -> list[Moon]:
    """When it is Eid in each country, as far as anybody has said."""
    return await service.moons(session)


@post("/api/v1/sites/{site_id:uuid}/animals", roles=CHANGE)
async def add_animal(
    site_id: FromPath[UUID], data: JSONBody[NewAnimal], platform: given.Platform, session: given.Session
) -> Animal:
    """An animal at a site; its boxes hear of it at their next sync."""
    return await service.add_animal(session, site_id, data, platform.new_id)


@get("/api/v1/sites/{site_id:uuid}/animals", roles=LOOK)
async def animals(site_id: FromPath[UUID], session: given.Session) -> list[Animal]:
    """The animals at a site."""
    return await service.animals(session, site_id)


@post("/api/v1/sites/{site_id:uuid}/freeze", status_code=200, roles=CHANGE, problems=("bad_transition",))
async def freeze(
    site_id: FromPath[UUID], data: JSONBody[Freeze], session: given.Session, now: given.Now
) -> list[Animal]:
    """Fix who is on which animal before it is slaughtered: from now on no share of these comes or goes."""
    return await service.freeze(session, site_id, data.animals, now)


@post("/api/v1/animals/{animal_id:uuid}/thaw", status_code=200, roles=CHANGE, problems=("bad_transition",))
async def thaw(
    animal_id: FromPath[UUID], data: JSONBody[NewThaw], platform: given.Platform, session: given.Session,
    who: given.Who, now: given.Now,
) -> Animal:
    """Let go of the shares of an animal that will not be sacrificed after all, and say why."""
    return await service.thaw(session, animal_id, data.reason, by=who.id, now=now, new_id=platform.new_id)


@get("/api/v1/sites/{site_id:uuid}/filling", roles=LOOK)
async def filling(site_id: FromPath[UUID], session: given.Session, convert: Convert = False) -> Filling:
    """A plan for the animals that did not fill, with the fewest changes. With `convert`, those left over are to get
    small animals."""
    return await service.filling_of(session, site_id, convert=convert)


@post("/api/v1/sites/{site_id:uuid}/filling", status_code=200, roles=CHANGE, problems=("stale",))
async def fill(
    site_id: FromPath[UUID], data: JSONBody[ApproveFilling], platform: given.Platform, session: given.Session,
    who: given.Who, now: given.Now,
) -> Filling:
    """Carry out the plan that was looked at. Each donor concerned is told why."""
    return await service.fill(session, site_id, data, by=who.id, now=now, new_id=platform.new_id)


@get("/api/v1/sites/{site_id:uuid}/hides", roles=LOOK)
async def hides(site_id: FromPath[UUID], session: given.Session) -> list[Hide]:
    """The hides of a site: how good, and how long each lay before it was in salt."""
    return await service.hides(session, site_id)


@get("/api/v1/sites/{site_id:uuid}/batches", roles=LOOK)
async def batches(site_id: FromPath[UUID], session: given.Session) -> list[Batch]:
    """The meat that was weighed at a site."""
    return await service.batches(session, site_id)


@get("/api/v1/sites/{site_id:uuid}/balance", roles=LOOK)
async def balance(site_id: FromPath[UUID], session: given.Session) -> list[Balance]:
    """Animals, hides and meat of each day, and what is missing."""
    return await service.balance(session, site_id)


@post("/api/v1/sites/{site_id:uuid}/executors", roles=CHANGE)
async def add_executor(
    site_id: FromPath[UUID], data: JSONBody[NewExecutor], platform: given.Platform, session: given.Session
) -> Executor:
    """Somebody who carries out sacrifices at a site, with the PIN for its tablets."""
    return await service.add_executor(session, site_id, data, platform.new_id)


@get("/api/v1/sites/{site_id:uuid}/executors", roles=LOOK)
async def executors(site_id: FromPath[UUID], session: given.Session) -> list[Executor]:
    """Who carries out sacrifices at a site."""
    return await service.executors(session, site_id)


@delete("/api/v1/sites/{site_id:uuid}/executors/{executor_id:uuid}", roles=CHANGE)
async def remove_executor(
    site_id: FromPath[UUID], executor_id: FromPath[UUID], session: given.Session, now: given.Now
) -> None:
    """Somebody left the site."""
    await service.remove_executor(session, site_id, executor_id, now)


@put("/api/v1/sites/{site_id:uuid}/executors/{executor_id:uuid}/pin", status_code=204, roles=CHANGE)
async def set_pin(
    site_id: FromPath[UUID], executor_id: FromPath[UUID], data: JSONBody[NewPin], session: given.Session
) -> None:
    """Another PIN for somebody; the boxes refuse the old one as soon as they hear of it."""
    await service.set_pin(session, site_id, executor_id, data)


@get("/api/v1/sites/{site_id:uuid}/teams", roles=LOOK)
async def teams(site_id: FromPath[UUID], session: given.Session) -> list[Team]:
    """Who works together at a site."""
    return await service.teams(session, site_id)


@post("/api/v1/sites/{site_id:uuid}/teams", roles=CHANGE)
async def add_team(
    site_id: FromPath[UUID], data: JSONBody[NewTeam], platform: given.Platform, session: given.Session
) -> Team:
    """People who work together, and who leads them. Whoever was in another team leaves that."""
    return await service.add_team(session, site_id, data, platform.new_id)


@put("/api/v1/teams/{team_id:uuid}", roles=CHANGE)
async def set_team(team_id: FromPath[UUID], data: JSONBody[NewTeam], session: given.Session) -> Team:
    """Who is in a team from now on."""
    return await service.set_team(session, team_id, data)


@delete("/api/v1/teams/{team_id:uuid}", roles=CHANGE)
async def remove_team(team_id: FromPath[UUID], session: given.Session) -> None:
    """A team is no more; its people stay at the site."""
    await service.remove_team(session, team_id)


@get("/api/v1/sites/{site_id:uuid}/day", roles=LOOK)
async def day(site_id: FromPath[UUID], session: given.Session, now: given.Now) -> Plan:
    """The plan of today at a site, from its capacity against sunset, by what its boxes have told so far."""
    return await service.day(session, site_id, now)


@post("/api/v1/sites/{site_id:uuid}/enrolment-codes", roles=CHANGE)
async def new_code(site_id: FromPath[UUID], session: given.Session, now: given.Now) -> EnrolmentCode:
    """A code with which one box may join the site within a quarter of an hour. It is not shown again."""
    return await service.new_code(session, site_id, now)


@get("/api/v1/sites/{site_id:uuid}/nodes", roles=LOOK)
async def nodes(site_id: FromPath[UUID], session: given.Session) -> list[Node]:
    """The boxes of a site."""
    return await service.nodes(session, site_id)


@post("/api/v1/nodes/{node_id:uuid}/revoke", status_code=204, roles=CHANGE)
async def revoke(node_id: FromPath[UUID], session: given.Session, now: given.Now) -> None:
    """Shut a box out: stolen, cloned or retired."""
    await service.revoke(session, node_id, now)


@post("/api/v1/nodes/{node_id:uuid}/reinstate", status_code=204, roles=CHANGE)
async def reinstate(node_id: FromPath[UUID], session: given.Session) -> None:
    """Trust a box again that was shut out. What it sent meanwhile is taken in by `POST /api/v1/quarantine/redrive`."""
    await service.reinstate(session, node_id)


@get("/api/v1/nodes/{node_id:uuid}/news", roles=CHANGE, audited="always", media_type="application/octet-stream")
async def news(
    node_id: FromPath[UUID], platform: given.Platform, session: given.Session, now: given.Now
) -> Response[bytes]:
    """What this box has not been told yet, for somebody to bring it as a file: signed, and sealed for it alone."""
    return _to_carry(await service.write_news(session, platform.keys, node_id, now), "application/octet-stream", "news")


@get("/api/v1/nodes/{node_id:uuid}/news.gif", roles=CHANGE, audited="always", media_type="image/gif")
async def news_codes(
    node_id: FromPath[UUID], platform: given.Platform, session: given.Session, now: given.Now
) -> Response[bytes]:
    """The same as moving codes, for a phone to show to a tablet's camera."""
    raw = await service.write_news(session, platform.keys, node_id, now)
    return _to_carry(await asyncio.to_thread(lambda: codes.film(codes.parts(raw))), "image/gif", "news.gif")


def _to_carry(content: bytes, media_type: str, name: str) -> Response[bytes]:
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}
    return Response(content, media_type=media_type, headers=headers)


@post("/api/v1/orders/{order_id:uuid}/allocate", status_code=200, roles=CHANGE)
async def allocate(
    order_id: FromPath[UUID], data: JSONBody[Allocate], session: given.Session, now: given.Now
) -> list[Animal]:
    """Give every share of a paid order a seat on animals of one site: all of them or none.

    Where no site is named, it is one with room that costs no more than what was agreed: the cheapest, then the fullest.
    """
    return await service.allocate(session, order_id, data, now)


@post("/api/v1/orders/{order_id:uuid}/cancel", status_code=200, roles=("donor", "admin"))
async def call_off(order_id: FromPath[UUID], session: given.Session, now: given.Now, who: given.Who) -> Order:
    """End an order; what was paid goes back. Its donor may, and the staff for them, until its animals are fixed."""
    return await service.call_off(session, order_id, who, now)


@put("/api/v1/sites/{site_id:uuid}/prices", roles=CHANGE, problems=("stale",))
async def set_price(
    site_id: FromPath[UUID], data: JSONBody[NewPrice], platform: given.Platform, session: given.Session,
    if_match: IfMatch = "",
) -> Price:
    """Put up what a share costs at this site. Orders that were placed keep their price.

    With `If-Match`, the `ETag` of the price list, it changes nothing where somebody else has changed the list since.
    """
    return await service.set_price(session, site_id, data, platform.new_id, if_match)


ROUTES = [
    add_site, sites, site, set_eid, set_moon, moons, add_animal, animals, freeze, thaw, filling, fill, hides, batches,
    balance, day, add_executor, executors, remove_executor, set_pin, teams, add_team, set_team, remove_team, new_code,
    nodes, revoke, reinstate, news, news_codes, allocate, call_off, set_price,
]  # fmt: skip
