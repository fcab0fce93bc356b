"""No page of another site changes anything in the name of its visitor: every route that changes something, every trick.

The routes are those that the application has, so one that comes tomorrow is tried, too.
"""

from __future__ import annotations

import re
from typing import Any

import httpx
import pytest
from litestar import Litestar

from cloud import main
from cloud.pages.frame import FOLDER
from cloud.platform.access import NODE
from cloud.platform.csrf import FIELD, HEADER
from demo.browser import Browser
from shared.ids import new_id
from tests.cloud_hub import CloudHub

UNSAFE = {"POST", "PUT", "PATCH", "DELETE"}
PARAMETER = re.compile(r"\{[^}]+\}")


@pytest.fixture(scope="module")
def routes(hub: CloudHub) -> list[tuple[str, str, set[str], bool]]:
    """Method, path, roles, and whether it is a page's."""
    app: Any = main.web(hub.platform)
    while not isinstance(app, Litestar):
        app = app.app
    return [
        (method, PARAMETER.sub(str(new_id()), route.path_format), set(handler.opt["roles"]), "form" in handler.opt)
        for route in app.routes
        for handler in getattr(route, "route_handlers", [])
        for method in UNSAFE & set(handler.http_methods)
        if set(handler.opt["roles"]) != {NODE}
    ]


def signed_in(hub: CloudHub, role: str) -> Browser:
    """A browser with the session of a new person."""
    who, browser = hub.staff(role), hub.browser()
    browser.cookies.set("session", hub.page_session(who.id))
    return browser


def send(browser: httpx.Client, method: str, path: str, planted: str, brought: str, **headers: str) -> httpx.Response:
    """A form as a page would send it, with this cookie and this hidden field."""
    cookies = {**dict(browser.cookies), FIELD: planted}
    sent = {"Cookie": "; ".join(f"{name}={value}" for name, value in cookies.items()), **headers}
    return browser.request(method, path, data={FIELD: brought}, headers=sent, follow_redirects=False)


def test_every_route_refuses_what_our_pages_did_not_send(hub: CloudHub, routes: list[Any]) -> None:
    people = {role: signed_in(hub, role) for role in ("admin", "donor", "executor", "driver", "buyer")}
    tokens = {role: browser.token() for role, browser in people.items()}
    stranger = hub.browser()
    planted, old, unknown = signed_in(hub, "donor").token(), signed_in(hub, "admin").token(), stranger.token()
    foreign = {"sec-fetch-site": "cross-site"}
    assert len(routes) > 30
    assert sum(is_page for *_, is_page in routes) > 10
    for method, path, roles, is_page in routes:
        role = next((role for role in people if role in roles), "donor")
        browser, own = people[role], tokens[role]
        tricks = {
            "none": send(browser, method, path, "", ""),
            "another's": send(browser, method, path, planted, planted),
            "cross-site": send(browser, method, path, own, own, **foreign, **{HEADER: own}),
        }
        if is_page:
            tricks |= {
                "cookie only": send(browser, method, path, own, ""),
                "field only": send(browser, method, path, "", own),
                "unsigned": send(browser, method, path, "planted.planted", "planted.planted"),
                "an old session's": send(browser, method, path, old, old),
                "a stranger's": send(browser, method, path, unknown, own),
                "text/plain": send(browser, method, path, own, own, **{"content-type": "text/plain"}),
            }
        found = {name: answer.status_code for name, answer in tricks.items()}
        assert found == dict.fromkeys(tricks, 403), (method, path)
        if is_page:  # before a session: refused as a form, or sent to sign in
            assert send(stranger, method, path, "", "").status_code in (403, 303), path
            assert send(stranger, method, path, "a.b", "a.b").status_code in (403, 303), path


def test_what_our_pages_send_is_taken(hub: CloudHub) -> None:
    browser = signed_in(hub, "donor")
    token = browser.token()
    assert f'name="csrf" value="{token}"' in browser.get("/account").text
    assert browser.token() == token, "a page that is open in another window stays good"
    taken = send(browser, "POST", "/account/sign-out-everywhere", token, token)
    assert (taken.status_code, taken.headers["location"]) == (303, "/")


def test_every_form_carries_the_token() -> None:
    for template in FOLDER.glob("*.html"):
        text = template.read_text()
        assert text.count('method="post"') == text.count('include "csrf.html"'), template.name
