"""A donor's own data, on their pages: agreeing, seeing, leaving."""

from __future__ import annotations

import re

from demo.browser import Browser
from tests.cloud_hub import CloudHub, Person


def signed_in(hub: CloudHub, donor: Person) -> Browser:
    browser = hub.browser(**{"accept-language": "en", "accept": "text/html,*/*;q=0.8"})
    sent = browser.post("/sign-in", data={"email": donor.email, "password": donor.password, "to": "/account/data"})
    assert sent.url.path == "/account/data"
    return browser


def test_whoever_registers_says_whether_they_want_mail(hub: CloudHub) -> None:
    for ticked in ({}, {"order_mail": "yes"}):
        email = f"{'yes' if ticked else 'no'}-mail@example.org"
        form = {"name": "Salma Idrissi", "email": email, "password": "seven quiet sheep graze", **ticked}
        browser = hub.browser(**{"accept-language": "en"})
        assert browser.post("/register", data=form).status_code == 200
        token = {"token": hub.token(email), "password": form["password"]}
        assert browser.post("/confirm", data=token).is_success
        assert ('data-tone="good">Agreed' in browser.get("/account/data").text) == bool(ticked)


def test_a_donor_agrees_and_withdraws(hub: CloudHub) -> None:
    donor = hub.donor()
    browser = signed_in(hub, donor)
    for agreed, given in (("", False), ("yes", True), ("yes", True), ("", False)):
        sent = browser.post("/account/consents", data={"purpose": "order_mail", "agreed": agreed})
        assert sent.url.path == "/account/data"
        assert bool(donor.get("/api/v1/consents")[0]["given"]) == given
    assert browser.post("/account/consents", data={"purpose": "fame", "agreed": "yes"}).status_code == 400


def test_a_donor_sees_everything_and_leaves(hub: CloudHub) -> None:
    donor = hub.donor("Nour Haddad", "en")
    browser = signed_in(hub, donor)
    assert "Nour Haddad" in browser.get("/api/v1/me/export").text

    refused = browser.post("/account/erase", data={"password": "not the one I chose"})
    assert (refused.status_code, "do not match" in refused.text) == (401, True)
    gone = browser.post("/account/erase", data={"password": donor.password})
    assert gone.status_code == 200
    assert re.search(r"signature&#34;: &#34;[0-9a-f]{128}", gone.text)
    assert "Nour" not in gone.text
    assert '"cache", "storage"' in gone.headers["clear-site-data"]
    assert browser.get("/account/data").url.path == "/sign-in"
    again = browser.post("/sign-in", data={"email": donor.email, "password": donor.password, "to": ""})
    assert again.status_code == 401


def test_an_order_under_way_keeps_its_names(hub: CloudHub) -> None:
    donor = hub.donor(language="en")
    hub.paid_order(donor, "sheep", "Ahmed Benali")
    sent = signed_in(hub, donor).post("/account/erase", data={"password": donor.password})
    assert (sent.status_code, "Orders are under way" in sent.text) == (409, True)
