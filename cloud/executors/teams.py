"""Teams: who works together at a site, and who leads them; and new PINs."""

from __future__ import annotations

from collections import defaultdict
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from cloud.auth import service as auth
from cloud.executors import feed, models, schemas
from cloud.executors.sites import site
from cloud.platform import audit
from shared.errors import QurbaniError
from shared.ids import NewId


async def teams(session: AsyncSession, site_id: UUID) -> list[schemas.Team]:
    """Those of a site, by name. Raises ``not_found``."""
    await site(session, site_id)
    rows = await session.scalars(select(models.Team).where(models.Team.site_id == site_id).order_by(models.Team.name))
    members: dict[UUID | None, list[models.Executor]] = defaultdict(list)
    here = select(models.Executor).where(models.Executor.site_id == site_id).order_by(models.Executor.id)
    for executor in await session.scalars(here.execution_options(populate_existing=True)):
        members[executor.team_id].append(executor)
    return [_team(row, members[row.id]) for row in rows]


async def add_team(session: AsyncSession, site_id: UUID, new: schemas.NewTeam, new_id: NewId) -> schemas.Team:
    """Raises ``not_found``, or ``bad_input`` for members who are not at this site, or a lead who is none of them."""
    await site(session, site_id)
    row = models.Team(id=new_id(), site_id=site_id, name=new.name)
    session.add(row)
    await session.flush()
    audit.about(session, subject=row.id)
    return await _man(session, row, new)


async def set_team(session: AsyncSession, team_id: UUID, new: schemas.NewTeam) -> schemas.Team:
    """What a team is from now on. Whoever was in another one leaves that. Raises as :func:`add_team`."""
    row = await _get(session, team_id)
    row.name = new.name
    return await _man(session, row, new)


async def remove_team(session: AsyncSession, team_id: UUID) -> None:
    """Its people stay at the site. Raises ``not_found``."""
    row = await _get(session, team_id)
    await _empty(session, team_id)
    await session.delete(row)


async def set_pin(session: AsyncSession, site_id: UUID, executor_id: UUID, new: schemas.NewPin) -> None:
    """Another PIN; the boxes refuse the old one as soon as they hear of it. Raises ``not_found``."""
    row = await session.get(models.Executor, executor_id, with_for_update=True)
    if row is None or row.site_id != site_id or row.left is not None:
        raise QurbaniError("not_found", "there is no such executor")
    row.pin_hash = await auth.hash_pin(new.pin)
    await session.flush()
    fields = {"name": row.person.name, "language": row.language, "pin_hash": row.pin_hash}
    await feed.tell(session, site_id, [("executor", executor_id, fields)], about=executor_id)


async def _man(session: AsyncSession, row: models.Team, new: schemas.NewTeam) -> schemas.Team:
    wanted = models.Executor.id.in_(new.members), models.Executor.site_id == row.site_id, models.Executor.left.is_(None)
    query = select(models.Executor).where(*wanted).order_by(models.Executor.id).with_for_update()
    people = list(await session.scalars(query.execution_options(populate_existing=True)))
    if len(people) != len(set(new.members)):
        raise QurbaniError("bad_input", "not all of these people are at this site", field="members")
    if new.lead_id is not None and new.lead_id not in new.members:
        raise QurbaniError("bad_input", "who leads a team is in it", field="lead_id")
    await _empty(session, row.id)
    for executor in people:
        executor.team_id, executor.leads = row.id, executor.id == new.lead_id
    await session.flush()
    return _team(row, people)


async def _empty(session: AsyncSession, team_id: UUID) -> None:
    mine = models.Executor.team_id == team_id
    await session.execute(update(models.Executor).where(mine).values(team_id=None, leads=False))


async def _get(session: AsyncSession, team_id: UUID) -> models.Team:
    row = await session.get(models.Team, team_id, with_for_update=True)
    if row is None:
        raise QurbaniError("not_found", "there is no such team")
    return row


def _team(row: models.Team, people: list[models.Executor]) -> schemas.Team:
    lead = next((executor.id for executor in people if executor.leads), None)
    return schemas.Team(row.id, row.site_id, row.name, lead, [executor.id for executor in people])
