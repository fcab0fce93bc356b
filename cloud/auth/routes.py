"""Signing in and out, for programs; the pages do it with a cookie."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

from litestar import delete, get, patch, post
from litestar.params import FromPath, HeaderParameter, JSONBody, QueryParameter

from cloud.auth import service
from cloud.auth.schemas import (
    AccountChange,
    App,
    ChangePassword,
    Code,
    Confirm,
    Forgotten,
    Invitation,
    Key,
    Listed,
    Me,
    NewProgram,
    Program,
    Proved,
    Refresh,
    Reset,
    Session,
    SignIn,
    Tokens,
)
from cloud.platform import given
from cloud.platform.access import ANYONE, ROLES

Agent = Annotated[str, HeaderParameter(name="user-agent")]
Proof = Annotated[str, HeaderParameter(name="qurbani-proof")]
OfRole = Annotated[str | None, QueryParameter(name="role")]
Before = Annotated[UUID | None, QueryParameter(name="before")]


@post("/api/v1/auth/sign-in", status_code=200, roles=(ANYONE,), limit="sign-in")
async def sign_in(
    data: JSONBody[SignIn], platform: given.Platform, session: given.Session, agent: Agent = ""
) -> Tokens:
    """A bearer token and a refresh token for an address and a password."""
    user = await service.check_password(session, platform, data.email, data.password)
    return await service.open_api(session, user, platform, agent, data.device_key)


@post("/api/v1/auth/confirm", status_code=200, roles=(ANYONE,), limit="sign-in")
async def confirm(
    data: JSONBody[Confirm], platform: given.Platform, session: given.Session, agent: Agent = ""
) -> Tokens:
    """Confirm one's address with the link in the letter and the password, and sign in."""
    user = await service.confirm(session, platform, data.token, data.password)
    return await service.open_api(session, user, platform, agent, data.device_key)


@post("/api/v1/auth/forgotten", status_code=202, roles=(ANYONE,), limit="sign-in", even=True)
async def forgotten(data: JSONBody[Forgotten], platform: given.Platform, session: given.Session) -> None:
    """Have a letter sent that lets one choose another password. The answer is the same without an account."""
    await service.forgotten(session, platform, data.email)


@post("/api/v1/auth/reset", status_code=204, roles=(ANYONE,), limit="sign-in")
async def reset(data: JSONBody[Reset], platform: given.Platform, session: given.Session) -> None:
    """Another password with the link in the letter; signs out everywhere."""
    await service.reset(session, platform, data.token, data.password)


@post("/api/v1/auth/password", status_code=204, roles=ROLES, limit="sign-in")
async def change_password(
    data: JSONBody[ChangePassword], platform: given.Platform, session: given.Session, who: given.Who
) -> None:
    """Another password; signs out everywhere else."""
    await service.change_password(session, platform, who, data.old, data.new)


@post("/api/v1/auth/refresh", status_code=200, roles=(ANYONE,))
async def refresh(data: JSONBody[Refresh], platform: given.Platform, proof: Proof = "") -> Tokens:
    """The next pair of tokens. Each refresh token works once; the second time it ends the session.

    A program that gave a device key proves with each call to hold it, and may ask again within 30 seconds.
    """
    return await service.refresh(platform, data.refresh_token, proof)


@post("/api/v1/auth/sign-out", status_code=204, roles=(ANYONE,))
async def sign_out(data: JSONBody[Refresh], session: given.Session, now: given.Now) -> None:
    """End the session of a refresh token, and with it every access token that came of it."""
    await service.end_session(session, data.refresh_token, now)


@get("/api/v1/auth/me", roles=ROLES, waiting=True)
async def me(platform: given.Platform, who: given.Who) -> Me:
    """Who is asking."""
    return Me(who.id, who.role, await service.name_of(platform, who.id), who.language)


@post("/api/v1/auth/second-factor/begin", status_code=200, roles=ROLES, waiting=True)
async def begin_second_factor(session: given.Session, who: given.Who) -> App:
    """The secret of an app for codes. It counts once a first code of it was sent."""
    return await service.begin_second_factor(session, who)


@post("/api/v1/auth/second-factor", status_code=200, roles=ROLES, waiting=True)
async def prove(
    data: JSONBody[Code], platform: given.Platform, session: given.Session, who: given.Who
) -> Proved:
    """Show one's second factor: after signing in, and again before money, roles and erasure. Each code works once."""
    return Proved(await service.prove(session, platform, who, data.code))


@delete("/api/v1/auth/second-factor", roles=ROLES, step_up=True)
async def remove_second_factor(platform: given.Platform, session: given.Session, who: given.Who) -> None:
    """Do without an app, or begin with another one; signs out everywhere."""
    await service.remove_second_factor(session, platform, who.id)


@get("/api/v1/accounts", roles=("admin",))
async def accounts(session: given.Session, role: OfRole = None, before: Before = None) -> list[Listed]:
    """The newest accounts, a hundred at a time."""
    return await service.accounts_of(session, role, before)


@post("/api/v1/accounts", roles=("admin",), step_up=True)
async def invite(data: JSONBody[Invitation], platform: given.Platform, session: given.Session) -> Listed:
    """Open an account for somebody, who is written to and chooses the password."""
    return await service.invite(session, platform, data)


@patch("/api/v1/accounts/{user_id:uuid}", roles=("admin",), step_up=True)
async def change_account(
    user_id: FromPath[UUID], data: JSONBody[AccountChange], platform: given.Platform, session: given.Session,
    who: given.Who,
) -> Listed:
    """Another role, shut out, or let in again; at once, and signed out everywhere."""
    return await service.change_account(session, platform, who, user_id, data)


@delete("/api/v1/accounts/{user_id:uuid}/second-factor", roles=("admin",), step_up=True)
async def remove_anothers_second_factor(
    user_id: FromPath[UUID], platform: given.Platform, session: given.Session
) -> None:
    """For somebody who has lost phone and recovery codes: let them set up another app when they sign in."""
    await service.remove_second_factor(session, platform, user_id)


@get("/api/v1/auth/programs", roles=("admin", "auditor"))
async def programs(session: given.Session) -> list[Program]:
    """The programs with an account of their own, the newest first; those that were revoked, too."""
    return await service.programs(session)


@post("/api/v1/auth/programs", roles=("admin",), step_up=True)
async def add_program(data: JSONBody[NewProgram], platform: given.Platform, session: given.Session) -> Key:
    """An account for a program, with one narrow role, and its key, which is shown this once."""
    return await service.add_program(session, platform, data)


@post("/api/v1/auth/programs/{program_id:uuid}/rotate", status_code=200, roles=("admin",), step_up=True)
async def rotate_program(program_id: FromPath[UUID], platform: given.Platform, session: given.Session) -> Key:
    """Another key for a program. The one before is good for an hour yet, those before that no more."""
    return await service.rotate_program(session, platform, program_id)


@delete("/api/v1/auth/programs/{program_id:uuid}", roles=("admin",), step_up=True)
async def revoke_program(program_id: FromPath[UUID], session: given.Session, now: given.Now) -> None:
    """Let a program in no more, from the next request on."""
    await service.revoke_program(session, program_id, now)


@get("/api/v1/auth/sessions", roles=ROLES)
async def sessions(session: given.Session, who: given.Who, now: given.Now) -> list[Session]:
    """Where one is signed in, the one last used first."""
    return await service.sessions(session, who, now)


@delete("/api/v1/auth/sessions", roles=ROLES)
async def sign_out_everywhere(session: given.Session, who: given.Who, now: given.Now) -> None:
    """End all one's sessions, this one included."""
    await service.end_all(session, who.id, now)


@delete("/api/v1/auth/sessions/{session_id:uuid}", roles=ROLES)
async def sign_out_one(session_id: FromPath[UUID], session: given.Session, who: given.Who, now: given.Now) -> None:
    """End one of one's sessions."""
    await service.end_one(session, who, session_id, now)


ROUTES = [
    sign_in, confirm, forgotten, reset, change_password, refresh, sign_out, me, sessions, sign_out_everywhere,
    sign_out_one, begin_second_factor, prove, remove_second_factor, accounts, invite, change_account,
    remove_anothers_second_factor, programs, add_program, rotate_program, revoke_program,
]
