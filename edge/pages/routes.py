"""The tablet's pages: real addresses, and forms that need no script; the camera and the queue do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import msgspec
from litestar import Response, Router, get, post
from litestar.datastructures import Cookie
from litestar.params import FromPath, QueryParameter, URLEncodedBody
from litestar.response import Redirect

from edge.auth import Auth, Executor, Witness
from edge.claims import Claims
from edge.eid import season
from edge.events import EventLog
from edge.gate import is_secure, session_cookie
from edge.pages import butchery, intake
from edge.pages.animals import PHASES, by_pen
from edge.pages.frame import MAX_FORM_BYTES, THEMES, AnyRequest, Page, page, problem
from edge.recorder.window import Looker
from edge.recordings import Recordings
from edge.site import Site
from edge.status import Status
from shared.errors import QurbaniError
from shared.origin import refuse_foreign
from shared.pages import assets
from shared.pages.visitor import here, language_cookie, language_of, preference
from shared.problems import problem_response

Now = Callable[[], datetime]
To = Annotated[str, QueryParameter(name="to")]


class SignIn(msgspec.Struct, frozen=True):
    """The form of that name; ``to`` is the page that was asked for."""

    executor_id: str = ""
    pin: str = ""
    to: str = ""
    witness_id: str = ""
    witness_pin: str = ""


@get("/", sync_to_thread=False)
def front() -> Redirect:
    return Redirect("/animals", status_code=303)


@get("/sign-in", sync_to_thread=True)
def sign_in_form(request: AnyRequest, auth: Auth, site: Site, to: To = "/animals") -> Page:
    """The form; ``to`` is the page that was asked for."""
    facts = {"people": site.executors(), "people_old": auth.needs_witness}
    return page(request, "sign_in.html", **facts, to=_here(to), chosen="", refused="")


@post("/sign-in", request_max_body_size=MAX_FORM_BYTES, sync_to_thread=True)
def sign_in(data: URLEncodedBody[SignIn], request: AnyRequest, auth: Auth, site: Site) -> Response[Any]:
    """Begin a session, and go to the page that was asked for."""
    refuse_foreign("POST", request.headers, signed_in=False)
    try:
        witness = Witness(_id(data.witness_id), data.witness_pin) if data.witness_id else None
        token, _ = auth.sign_in(_id(data.executor_id), data.pin, witness)
    except QurbaniError as error:
        if error.code not in ("bad_credentials", "too_many_requests", "people_old"):
            raise
        # A form is answered by the form, with what was chosen, and not by a page about the problem.
        facts = {"people": site.executors(), "people_old": auth.needs_witness}
        facts |= {"to": _here(data.to), "chosen": data.executor_id, "refused": error.code}
        return page(request, "sign_in.html", error.kind.status, **facts)
    return Redirect(_here(data.to), status_code=303, cookies=[session_cookie(request, token, auth.life)])


@post("/sign-out", request_max_body_size=MAX_FORM_BYTES, sync_to_thread=False)
def sign_out(request: AnyRequest, auth: Auth) -> Redirect:
    """End the session on this tablet. What it has recorded stays there until it is sent."""
    refuse_foreign("POST", request.headers, signed_in=True)
    return Redirect("/sign-in", status_code=303, cookies=[session_cookie(request, "", auth.life)])


@get("/language/{language:str}", sync_to_thread=False)
def speak(request: AnyRequest, language: FromPath[str], to: To = "/animals") -> Redirect:
    """Speak another language from now on, beginning with the page ``to``."""
    return _remember(to, language_cookie(language, secure=is_secure(request)))


@get("/theme/{theme:str}", sync_to_thread=False)
def shine(request: AnyRequest, theme: FromPath[str], to: To = "/animals") -> Redirect:
    """Look for ``sunlight`` or for the ``dark`` from now on; anything else as the tablet itself does."""
    return _remember(to, preference("theme", theme if theme in THEMES else "", secure=is_secure(request)))


@get("/manifest.webmanifest", sync_to_thread=False)
def manifest(request: AnyRequest) -> Response[dict[str, Any]]:
    """What makes it an app on the tablet's home screen."""
    body = {
        "name": "Qurbani", "short_name": "Qurbani", "start_url": "/animals", "display": "standalone",
        "background_color": "#f4f6f2", "theme_color": "#0b6a4a",
        "icons": [{"src": assets.asset("mark.svg"), "type": "image/svg+xml", "sizes": "any"}],
    }  # fmt: skip
    return Response(body, media_type="application/manifest+json")


@get("/service-worker.js", sync_to_thread=False)
def service_worker() -> Response[str]:
    """The script that lets pages open without the box; it names what it has to keep, so it changes with that."""
    names = sorted(path.name for path in assets.FOLDER.iterdir() if path.name != "service-worker.js")
    kept = msgspec.json.encode([assets.asset(name) for name in names]).decode()
    script = (assets.FOLDER / "service-worker.js").read_text()
    return Response(f"const ASSETS = {kept}\n{script}", media_type="text/javascript",
                    headers={"Cache-Control": "no-cache"})  # fmt: skip


@get("/offline", sync_to_thread=False)
def offline(request: AnyRequest) -> Page:
    """What is shown in the place of a page that this tablet does not have, while the box cannot be reached."""
    return page(request, "offline.html")


@get("/animals", sync_to_thread=True)
def animals(
    request: AnyRequest, executor: Executor, site: Site, claims: Claims, events: EventLog, home: str, now: Now
) -> Page:
    """The animals of the site, by pen."""
    after = events.head()
    pens = by_pen(site.animals(), claims.holders(), site.executors(), executor.id)
    advice = site.advice(executor.id, language_of(request, executor.language))
    facts = {"pens": pens, "site": site.name(), "advice": advice, "said": site.said_to(executor.id)}
    facts |= _season(site, now)
    return page(request, "animals.html", who=executor, home=home, after=after, **facts)


@get("/animals/{animal_id:uuid}", sync_to_thread=True)
def animal(
    request: AnyRequest, animal_id: FromPath[UUID], executor: Executor, site: Site, events: EventLog, home: str,
    now: Now, looker: Looker, recordings: Recordings,
) -> Page:
    """One animal: its names, the camera, and what was found in its videos."""
    after, found = events.head(), site.animals(animal_id)
    if not found:
        raise QurbaniError("not_found", "no such animal at this site")
    videos = []
    if found[0].sacrifice_id:
        videos = site.sacrifice(found[0].sacrifice_id, language_of(request, executor.language)).videos
    recording = recordings.current(found[0].sacrifice_id) if found[0].sacrifice_id else None
    facts = {
        "animal": found[0], "videos": videos[::-1], "cameras": looker.cameras(),
        "recording": recording, "running_s": recordings.seconds(recording) if recording else 0,
        **_season(site, now),
    }  # fmt: skip
    return page(request, "animal.html", who=executor, home=home, after=after, **facts)


@get("/overview", sync_to_thread=True)
def overview(
    request: AnyRequest, executor: Executor, site: Site, claims: Claims, events: EventLog, home: str,
    read_status: Callable[[], Status], now: Now,
) -> Page:
    """How the site is doing: for whoever leads it."""
    after = events.head()
    pens = by_pen(site.animals(), claims.holders(), site.executors(), executor.id)
    listed = [animal for _, animals in pens for animal in animals]
    facts = {
        "plan": site.plan(now()), "zone": site.zone(),
        "now": read_status(), "phases": PHASES, "all": len(listed), "site": site.name(),
        "done": sum(animal.phase == "done" for animal in listed),
        "pens": [(pen, Counter(animal.phase for animal in animals)) for pen, animals in pens],
        "open": [animal for animal in listed if animal.phase in ("again", "review", "taken", "opened", "unfit")],
    }  # fmt: skip
    return page(request, "overview.html", who=executor, home=home, after=after, **facts)


@get("/news", sync_to_thread=False)
def news(request: AnyRequest, executor: Executor) -> Page:
    """Where news are taken in that somebody brought."""
    return page(request, "news.html", who=executor)


def _season(site: Site, now: Now) -> dict[str, Any]:
    """What is told of the time in which sacrifices count."""
    eid = site.eid()
    return {"eid": eid, "season": season(eid, now()) if eid else None, "zone": site.zone()}


def missing(request: AnyRequest, error: Exception) -> Response[Any]:
    """Where no route has the address: a page for people, for programs the problem document that they expect."""
    for_people = "text/html" in request.headers.get("accept", "")
    return problem(request, error) if for_people else problem_response(request, error)


def _remember(to: str, cookie: Cookie) -> Redirect:
    return Redirect(_here(to), status_code=303, cookies=[cookie])


def _here(to: str) -> str:
    return here(to, "/animals")


def _id(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError as error:
        raise QurbaniError("bad_credentials", "choose who you are") from error


ENTRANCE = [
    Router(
        "/",
        route_handlers=[front, sign_in_form, sign_in, sign_out, speak, shine, manifest, service_worker, offline],
        exception_handlers={Exception: problem},
    ),
]
"""What is the same in every yard."""

OUTSIDE = [Router("/", route_handlers=[news], exception_handlers={Exception: problem})]
"""What is about the box itself, and not about what is done in a yard."""

PAGES = [
    Router(
        "/", route_handlers=[animals, animal, overview, *intake.PAGES, *butchery.PAGES],
        exception_handlers={Exception: problem},
    ),
]
"""What each yard has of its own, below its ``home``."""
