"""The hub itself: the real application behind a real port, on a database of its own; and the people who use it."""

from __future__ import annotations

import asyncio
import secrets
import socket
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import asynccontextmanager, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import msgspec
from sqlalchemy import select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from cloud import main
from cloud.admin.service import Break, reconcile
from cloud.alembic.migrations import migrate
from cloud.auth import accounts, letters
from cloud.auth import service as auth
from cloud.auth.models import Link, User
from cloud.auth.models import Session as SignedIn
from cloud.auth.tokens import LIFE_S as TOKEN_LIFE_S
from cloud.platform.core import Platform, opened
from cloud.platform.settings import Settings
from demo.authenticator import Authenticator
from demo.browser import Browser
from demo.servers import Room, Servers
from shared import settings
from shared.clock import Clock
from shared.crypto import SigningKey, UnsealKey, VerifyKey
from shared.ids import new_id
from sync import enrolment, tokens
from sync.calls import Call, Reply, drive
from sync.messages import ENROL, EXCHANGE, MEDIA_TYPE, TOKEN, Enrolled, from_wire, to_wire
from sync.ports import Heir
from sync.session import Identity, Session
from tests.unit.sync import world
from tests.unit.sync.chains import Chain

ADMIN = "admin@example.org"
SEAL = UnsealKey(b"s" * 32).public


def hub_settings(room: Room, data: Path, **more: str) -> Settings:
    """The settings of a hub that lives in ``room`` and keeps its files under ``data``."""
    quick = {"QURBANI_SWEEP_S": "0.5", "QURBANI_EVEN_S": "0", "QURBANI_RATE_FACTOR": "1000", "QURBANI_DATA": str(data)}
    return settings.load(Settings, room.environ() | quick | more)


async def secret_of_letter(session: AsyncSession, platform: Platform, email: str) -> str:
    """What the link of the newest letter to this address says."""
    user = await accounts.of_address(session, email)
    assert user, email
    newest = select(Link).where(Link.user_id == user.id).order_by(Link.id.desc()).limit(1)
    return letters.secret(platform, (await session.scalars(newest)).one())


class Person:
    """A client of the hub's API with an account."""

    def __init__(self, http: httpx.Client, id: str = "", email: str = "", password: str = "") -> None:
        self.http, self.id, self.email, self.password = http, id, email, password

    def ask(self, method: str, path: str, body: Any = None, *, status: int | None = None) -> Any:
        """The JSON of the answer, which has ``status``, or else is a success."""
        answer = self.http.request(method, path, json=body)
        assert answer.status_code == status if status else answer.is_success, (answer.status_code, answer.text)
        return answer.json() if answer.content else None

    def get(self, path: str, **expect: Any) -> Any:
        return self.ask("GET", path, **expect)

    def post(self, path: str, body: Any = None, **expect: Any) -> Any:
        return self.ask("POST", path, body, **expect)


class CloudHub:
    """A running hub. Its thread has an event loop of its own; :meth:`sql` and :meth:`run` bring work there."""

    def __init__(self, url: str, platform: Platform, loop: asyncio.AbstractEventLoop, password: str) -> None:
        self.url = url
        self.platform = platform
        self._loop = loop
        self._clients: list[httpx.Client] = []
        self.stranger = Person(self.client())
        self.password = password
        """The admin's."""
        self._admin: Person | None = None
        self._authenticator: Authenticator | None = None
        self._admin_until = 0.0

    @property
    def admin(self) -> Person:
        """The admin, whose token is good for some minutes yet."""
        if self._admin is None or time.monotonic() > self._admin_until:
            index = self.platform.keys.blind("email", ADMIN)
            (id,) = self.sql("SELECT id FROM auth.users WHERE email_index = :index", index=index)
            self._admin, self._admin_until = self.trusting(str(id)), time.monotonic() + TOKEN_LIFE_S / 2
        return self._admin

    @property
    def authenticator(self) -> Authenticator:
        """The admin's app for codes, set up at the first call."""
        if self._authenticator is None:
            admin = self.sign_in(ADMIN, self.password)
            self._authenticator = Authenticator(admin.post("/api/v1/auth/second-factor/begin")["secret"])
            admin.post("/api/v1/auth/second-factor", {"code": self._authenticator.code()})
        return self._authenticator

    def client(self, **headers: str) -> httpx.Client:
        client = httpx.Client(base_url=self.url, headers=headers, timeout=30)
        self._clients.append(client)
        return client

    def browser(self, **headers: str) -> Browser:
        """A browser that follows redirects."""
        browser = Browser(self.url, **headers)
        browser.follow_redirects = True
        self._clients.append(browser)
        return browser

    def sign_in(self, email: str, password: str) -> Person:
        who = self.as_told(self.stranger.post("/api/v1/auth/sign-in", {"email": email, "password": password}))
        who.email, who.password = email, password
        return who

    def as_told(self, tokens: dict[str, str]) -> Person:
        """Whoever these tokens are of."""
        who = Person(self.client(authorization=f"Bearer {tokens['access_token']}"))
        who.id = who.get("/api/v1/auth/me")["id"]
        return who

    def trusting(self, id: str) -> Person:
        """Somebody whom the hub has signed in, without a password and a second factor."""

        async def sign_in(session: AsyncSession) -> str:
            found = await auth.open_api(session, await session.get_one(User, UUID(id)), self.platform)
            await self._prove(session, id)
            return found.access_token

        return Person(self.client(authorization=f"Bearer {self.run(sign_in)}"), id=id)

    def page_session(self, id: str) -> str:
        """The cookie of somebody whom the hub has signed in in a browser."""

        async def sign_in(session: AsyncSession) -> str:
            cookie = await auth.open_page(session, await session.get_one(User, UUID(id)), self.platform)
            await self._prove(session, id)
            return cookie

        return str(self.run(sign_in))

    async def _prove(self, session: AsyncSession, id: str) -> None:
        """As if they had just shown a second factor."""
        now = self.platform.clock.now()
        await session.execute(update(SignedIn).where(SignedIn.user_id == UUID(id)).values(proved=now))

    def staff(self, role: str) -> Person:
        """Somebody with a new account of this role, signed in."""
        name = f"{role}-{secrets.token_hex(4)}"
        new = auth.NewAccount(name, f"{name}@example.org", secrets.token_urlsafe(15), "en")
        return self.trusting(str(self.run(lambda session: auth.create_user(session, self.platform, new, role))))

    def program(self, role: str) -> Person:
        """A program with a new account of this role."""
        made = self.admin.post("/api/v1/auth/programs", {"name": f"a {role}", "role": role})
        return Person(self.client(authorization=f"Bearer {made['key']}"), id=made["id"])

    def donor(self, name: str = "Amina Haddad", language: str = "fr") -> Person:
        email, password = f"{secrets.token_hex(6)}@example.org", secrets.token_urlsafe(15)
        account = {"name": name, "email": email, "password": password, "language": language, "consents": ["order_mail"]}
        return self.registered(account)

    def registered(self, account: dict[str, Any]) -> Person:
        """A donor who has asked for this account, and confirmed the address."""
        self.stranger.post("/api/v1/donors", account)
        told = {"token": self.token(account["email"]), "password": account["password"]}
        who = self.as_told(self.stranger.post("/api/v1/auth/confirm", told))
        who.email, who.password = account["email"], account["password"]
        return who

    def token(self, email: str) -> str:
        """What the link of the newest letter to this address says."""

        return str(self.run(lambda session: secret_of_letter(session, self.platform, email)))

    def site(self, **animals: str) -> str:
        """A new site with these animals, tag to species; its id."""
        name = f"Site {secrets.token_hex(4)}"
        site = self.admin.post("/api/v1/sites", {"name": name, "timezone": "Africa/Algiers", "languages": ["ar"]})
        for tag, species in animals.items():
            self.admin.post(f"/api/v1/sites/{site['id']}/animals", {"tag": tag, "species": species})
        return str(site["id"])

    def paid_order(self, donor: Person, species: str, *names: str) -> dict[str, Any]:
        shares = [{"name": name, "language": "ar"} for name in names]
        order = donor.post("/api/v1/orders", {"species": species, "shares": shares})
        payment = {"key": secrets.token_hex(8), "minor": 25_000, "currency": "EUR", "method": "cash"}
        paid: dict[str, Any] = self.admin.post(f"/api/v1/orders/{order['id']}/payments", payment)
        return paid

    def allocated_order(self, donor: Person, site: str, species: str, *names: str) -> dict[str, Any]:
        """The order, and under ``animals`` what its shares are on."""
        order = self.paid_order(donor, species, *names)
        order["animals"] = self.admin.post(f"/api/v1/orders/{order['id']}/allocate", {"site_id": site})
        return order

    def box(self, site: str) -> Box:
        """A box, enrolled at a site."""
        code = self.admin.post(f"/api/v1/sites/{site}/enrolment-codes")["code"]
        key = SigningKey.generate()
        return Box(self, key, from_wire(self.enrol(code, key).body, Enrolled))

    def enrol(self, code: str, key: SigningKey | None = None, node: UUID | None = None) -> Reply:
        """What the hub answers to a box that shows this code, and asks for the name that it had."""
        message = enrolment.enrol(code, key or SigningKey.generate(), SEAL, "a box", node)
        return self.send(Call("POST", ENROL, {"content-type": MEDIA_TYPE}, to_wire(message)))

    def send(self, call: Call) -> Reply:
        """One call of the sync protocol, over HTTP."""
        answer = self.stranger.http.request(call.method, call.path, headers=call.headers, content=call.body)
        headers = {name.lower(): value for name, value in answer.headers.items()}
        return Reply(answer.status_code, headers, answer.content)

    def run(self, work: Callable[[AsyncSession], Any]) -> Any:
        """What ``work(session)``, a coroutine, returns; in one transaction, committed."""

        async def inside() -> Any:
            async with self.platform.database.begin() as session:
                return await work(session)

        return asyncio.run_coroutine_threadsafe(inside(), self._loop).result(30)

    def sql(self, query: str, **parameters: Any) -> list[Any]:
        """The rows of a query; of those with one column, the values."""

        async def ask(session: AsyncSession) -> list[Any]:
            rows = (await session.execute(text(query), parameters)).all()
            return [row[0] if len(row) == 1 else tuple(row) for row in rows]

        found: list[Any] = self.run(ask)
        return found

    def breaks(self) -> list[Break]:
        """What does not fit together, and nothing has time left to."""

        async def look(session: AsyncSession) -> list[Break]:
            found = reconcile(session, main.groups(), self.platform.clock.now(), timedelta(0))
            return [each async for each in found]

        found: list[Break] = self.run(look)
        return found

    def close(self) -> None:
        for client in self._clients:
            client.close()


class Box(world.Box):
    """A box of the protocol's tests with an identity at a real hub."""

    def __init__(self, hub: CloudHub, key: SigningKey, enrolled: Enrolled) -> None:
        super().__init__(hub.platform.clock, Chain(enrolled.node, key))  # type: ignore[arg-type]
        self.hub = hub
        self.site = enrolled.site
        self._heir: Heir | None = None
        self.identity = Identity(enrolled.node, key, VerifyKey(enrolled.hub_sign_key))
        self.session = Session(self.identity, self, self, hub.platform.clock, new_id)

    def write(self, entity: str, key: UUID, patch: dict[str, Any]) -> Any:
        return self.chain.write(entity, key, patch, hlc=self._tick())

    def _tick(self) -> int:
        self.stamp += 1
        return self.stamp

    def sync(self) -> None:
        """Exchange everything, and send the blobs."""
        drive(self.session.run(), self.hub.send)

    def opening(self, **change: Any) -> dict[str, Any]:
        """The patch that opens a sacrifice, of the first animal at the box's site."""
        animal = self.hub.admin.get(f"/api/v1/sites/{self.site}/animals")[0]["id"]
        opened = {"wall_ms": 1_780_000_000_000, "mono_ms": 5, "boot": "b"}
        patch = {"site_id": str(self.site), "animal_id": animal, "executor_id": str(new_id()), "opened": opened}
        return {**patch, "state": "opened", **change}

    def assertion(self, **change: Any) -> str:
        """What the box proves itself with; ``change`` forges it."""
        told = {"key": self.identity.key, "node": self.node, "aud": tokens.audience(self.identity.hub)}
        told |= {"now_ms": self.clock.read().wall_ms, "jti": new_id(), **change}
        return tokens.assertion(told["key"], told["node"], told["aud"], now_ms=told["now_ms"], jti=told["jti"])

    def heir(self) -> Heir:
        # Of this test's own: the hub is every test's.
        self._heir = self._heir or Heir(SigningKey.generate(), SEAL)
        return self._heir

    def take_over(self, node: UUID, common: int) -> None:
        super().take_over(node, common)
        self._heir = None

    def bearer(self, method: str = "POST", path: str = EXCHANGE) -> dict[str, str]:
        """The headers of a call that the box makes."""
        form = tokens.to_form(self.assertion())
        reply = self.hub.send(Call("POST", TOKEN, {"content-type": tokens.FORM}, form))
        token = msgspec.json.decode(reply.body, type=tokens.Token)
        now_ms = self.clock.read().wall_ms
        proof = tokens.possession(self.identity.key, method, path, token.access_token, now_ms=now_ms)
        return {"content-type": MEDIA_TYPE, "authorization": f"Bearer {token.access_token}", tokens.PROOF: proof}

    def held(self) -> list[int]:
        """The ``seq`` of each op of the box that the hub holds."""
        return self.hub.sql("SELECT seq FROM sync.ops WHERE node = :node ORDER BY seq", node=self.node)

    def told(self, entity: str) -> Mapping[UUID, Mapping[str, Any]]:
        """The records of an entity that the hub has told this box."""
        return {key: fields for (kind, key), fields in self.records_.items() if kind == entity}


@contextmanager
def migrated(servers: Servers) -> Iterator[str]:
    """The URL of a migrated database, to make copies of."""
    with servers.database() as url:
        asyncio.run(migrate(Settings(database_url=url, redis_url="", kafka="")))
        yield url


@contextmanager
def copied_room(servers: Servers, template: str) -> Iterator[Room]:
    """A room whose database is a copy of ``template``."""
    with servers.database(template) as database_url, servers.redis_database() as redis_url:
        yield Room(
            database_url=database_url, redis_url=redis_url, kafka=servers.kafka, kafka_prefix=servers.kafka_prefix(),
            kafka_session_ms=servers.kafka_session_ms, mqtt_url=servers.mqtt_url, mqtt_prefix=servers.mqtt_prefix(),
        )  # fmt: skip


@contextmanager
def running(
    chosen: Settings, *programs: main.Program, clock: Clock | None = None, admin: str = ADMIN
) -> Iterator[CloudHub]:
    """A hub that answers HTTP, with these programs (``main.consume``, ``main.work``) beside it.

    Its database must have been migrated.
    """
    password = asyncio.run(main.create_admin(chosen, admin))
    started: Future[tuple[str, Platform, asyncio.AbstractEventLoop]] = Future()
    stop = asyncio.Event()

    async def live() -> None:
        async with opened(chosen, clock) as platform, _served(platform) as url, _beside(programs, platform):
            started.set_result((url, platform, asyncio.get_running_loop()))
            await stop.wait()

    def run() -> None:
        try:
            asyncio.run(live())
        except BaseException as error:
            started.set_exception(error)

    thread = threading.Thread(target=run, name="hub", daemon=True)
    thread.start()
    url, platform, loop = started.result(30)
    hub = CloudHub(url, platform, loop, password)
    try:
        yield hub
    finally:
        hub.close()
        loop.call_soon_threadsafe(stop.set)
        thread.join(30)


@asynccontextmanager
async def _served(platform: Platform) -> AsyncIterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        # asyncio does that for servers that it binds itself; without, each answer waits 40 ms for an acknowledgement.
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        server = main.server(platform)
        serving = asyncio.create_task(server.serve([listening]))
        while not server.started:  # noqa: ASYNC110 - uvicorn has no event for it
            await asyncio.sleep(0.01)
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            await serving


@asynccontextmanager
async def _beside(programs: Sequence[main.Program], platform: Platform) -> AsyncIterator[None]:
    tasks = [asyncio.ensure_future(program(platform, main.SERVICES)) for program in programs]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
