"""What people without an account see: an order by a link, a certificate by its code, and nobody's name."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
import pytest

from cloud.donors import models
from cloud.guests import certificates
from cloud.guests.links import LIFE
from cloud.guests.service import follow
from demo.answers import wait_for
from demo.mailbox import Mailbox
from shared import papers
from shared.errors import QurbaniError
from tests.cloud_hub import CloudHub
from tests.filmed import Filmed
from tests.integration.cloud.pages.test_mine import signed_in

NAMES = ("Ahmed Benali", "خديجة المنصوري")


@pytest.fixture(scope="module")
def film(busy_hub: CloudHub, mailbox: Mailbox) -> Filmed:
    """A cow with two names of one donor, verified, and its donor told."""
    film = Filmed(busy_hub, *NAMES, species="cow", language="en")
    film.tell()
    film.send()
    film.judge()
    wait_for("the order to be verified", lambda: film.order_state() == "verified")
    mailbox.wait_for(film.is_told_by, 60)
    return film


def address(film: Filmed) -> str:
    return f"/api/v1/orders/{film.order_id}"


def token_of(url: str) -> str:
    return url.rsplit("/", 1)[1]


# Links


def test_whoever_has_a_link_sees_how_far_it_is_and_nobody(busy_hub: CloudHub, film: Filmed) -> None:
    link = film.donor.post(f"{address(film)}/links")
    found = busy_hub.stranger.get(f"/api/v1/tracked/{token_of(link['url'])}")
    assert (found["reference"], found["state"], found["shares"]) == (film.order["reference"], "verified", 2)
    assert [step["state"] for step in found["timeline"]] == ["placed", "paid", "allocated", "sacrificed", "verified"]
    page = busy_hub.browser(**{"accept-language": "en"}).get(f"/track/{token_of(link['url'])}")
    assert page.status_code == 200
    assert "Done and verified" in page.text
    for secret in (*NAMES, film.donor.email, film.donor.id, film.order_id, str(film.video)):
        assert secret not in str(found) + page.text


def test_the_letter_has_a_link_and_the_same_letter_the_same(
    busy_hub: CloudHub, film: Filmed, mailbox: Mailbox
) -> None:
    [mail] = [mail for mail in mailbox.messages if film.is_told_by(mail)]
    told = re.search(r"/track/(\S+)", mail.text)
    assert told
    assert busy_hub.stranger.get(f"/api/v1/tracked/{told[1]}")["state"] == "verified"
    assert told[1] in [token_of(each["url"]) for each in film.donor.get(f"{address(film)}/links")]


def test_one_that_never_was_has_ended_or_was_revoked_is_the_same(busy_hub: CloudHub, film: Filmed) -> None:
    link = film.donor.post(f"{address(film)}/links")
    good = token_of(link["url"])
    path = f"{address(film)}/links/{link['id']}"
    busy_hub.donor("Somebody Else").ask("DELETE", path, status=404)
    refused: set[str] = set()

    def ask(token: str) -> None:
        answer = busy_hub.stranger.http.get(f"/api/v1/tracked/{token}")
        assert answer.status_code == 404, token
        refused.add(answer.text)

    for forged in ("none", "A" * 43, good[:-1], good + "A", good[:20] + "AAAA" + good[24:], good.swapcase(), "%00"):
        ask(forged)
    later = busy_hub.platform.clock.now() + LIFE
    with pytest.raises(QurbaniError, match="there is no such link"):
        busy_hub.run(lambda session: follow(session, busy_hub.platform, good, later))
    for _ in range(2):
        film.donor.ask("DELETE", path, status=204)
    ask(good)
    assert len(refused) == 1, refused
    assert film.donor.get(f"{address(film)}/links")[0]["url"] == ""
    pages = {busy_hub.browser(accept="text/html").get(f"/track/{token}").text.replace(token, "")
             for token in (good, "A" * 43)}  # fmt: skip
    assert len({re.sub(r'value="[^"]*"|nonce-\S+', "", text) for text in pages}) == 1


def test_each_look_by_a_link_is_told_once_an_hour(busy_hub: CloudHub, film: Filmed) -> None:
    link = film.donor.post(f"{address(film)}/links")
    before = busy_hub.sql("SELECT max(id) FROM platform.audit")[0]
    for _ in range(3):
        busy_hub.stranger.get(f"/api/v1/tracked/{token_of(link['url'])}")
    told = busy_hub.sql("""SELECT role, outcome, subject, facts FROM platform.audit
                           WHERE id > :id AND action = 'guests.tracked'""", id=before)
    assert told[:1] in ([], [("stranger", "seen", film.order_id, {"link": link["id"]})])
    assert len(told) <= 1


def test_there_are_so_many_links_and_no_more_and_none_of_who_is_erased(busy_hub: CloudHub) -> None:
    donor = busy_hub.donor()
    share = {"name": "Ahmed", "language": "ar"}
    path = f"/api/v1/orders/{donor.post('/api/v1/orders', {'species': 'sheep', 'shares': [share]})['id']}/links"
    links = [donor.post(path) for _ in range(10)]
    assert donor.post(path, status=409)["code"] == "conflict"
    busy_hub.admin.post(f"/api/v1/donors/{donor.id}/erase", {"reason": "asked"})
    for link in links[:2]:
        busy_hub.stranger.get(f"/api/v1/tracked/{token_of(link['url'])}", status=404)


# Certificates


@pytest.fixture(scope="module")
def issued(film: Filmed) -> dict[str, Any]:
    issued: dict[str, Any] = film.donor.post(f"{address(film)}/certificate")
    return issued


@pytest.fixture(scope="module")
def files(film: Filmed, issued: dict[str, Any]) -> dict[str, bytes]:
    path = f"{address(film)}/certificate.pdf"
    return {language: film.donor.http.get(f"{path}?language={language}").content for language in ("ar", "fr", "en")}


def test_who_asks_again_gets_the_same_certificate(film: Filmed, issued: dict[str, Any]) -> None:
    assert film.donor.post(f"{address(film)}/certificate") == issued
    assert re.fullmatch(r"([0-9A-HJKMNP-TV-Z]{4}-){2}[0-9A-HJKMNP-TV-Z]{4}", issued["code"])


def test_it_says_in_three_languages_what_is_signed(
    busy_hub: CloudHub, film: Filmed, issued: dict[str, Any], files: dict[str, bytes]
) -> None:
    for language, content in files.items():
        paper = papers.read(content)
        assert paper.checked() == busy_hub.platform.keys.sign.public
        told = paper.facts
        assert (paper.kind, told["code"], told["language"]) == ("certificate", issued["code"], language)
        assert (told["names"], told["species"], told["shares"]) == (list(NAMES), "cow", 2)
        assert content.startswith(b"%PDF-")
        assert content.rstrip().endswith(b"%%EOF")
        assert len(content) < 60_000
    assert len(set(files.values())) == 3
    again = film.donor.http.get(f"{address(film)}/certificate.pdf?language=ar")
    assert again.content == files["ar"]
    assert again.headers["cache-control"] == "no-store"


def test_one_bit_of_it_is_another_and_it_does_not_hold(files: dict[str, bytes]) -> None:
    content = files["ar"]
    tail = content.rindex(b"\n%qurbani ")
    places = [*range(0, tail, 97), *range(tail - 40, len(content))]
    for at in places:
        flipped = bytearray(content)
        flipped[at] ^= 1 << (at % 8)
        with pytest.raises(QurbaniError):
            papers.read(bytes(flipped)).checked()
    for more in (content + b"\n", content[:-1], content + content[tail:], content[:tail]):
        with pytest.raises(QurbaniError):
            papers.read(more).checked()


def test_anybody_checks_the_file_without_us(busy_hub: CloudHub, files: dict[str, bytes], tmp_path: Path) -> None:
    file, keys = tmp_path / "certificate.pdf", tmp_path / "keys.json"
    file.write_bytes(files["fr"])
    keys.write_text(busy_hub.stranger.http.get("/api/v1/signers").text)

    def check(*more: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "qurbani", "evidence", "paper", str(file), *more]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    assert check().returncode == 3
    good = check("--keys", str(keys))
    assert good.returncode == 0, good.stderr
    assert NAMES[0] in good.stdout
    flipped = bytearray(files["fr"])
    flipped[2000] ^= 1
    file.write_bytes(flipped)
    assert check("--keys", str(keys)).returncode == 1


def test_anybody_checks_the_code_and_learns_no_name(
    busy_hub: CloudHub, film: Filmed, issued: dict[str, Any]
) -> None:
    code = issued["code"]
    typed = (code, code.lower(), code.replace("-", ""), code.replace("0", "O").replace("1", "l"), f" {code} ")
    for text in typed:
        found = busy_hub.stranger.get(f"/api/v1/certificates/{text}")
        assert (found["code"], found["stands"], found["shown"]["species"]) == (code, True, "cow")
    for language, words in (("en", "It stands"), ("fr", "Valable"), ("ar", "سارية")):
        browser = busy_hub.browser(**{"accept-language": language})
        page = browser.get("/check", params={"code": code.lower()})
        assert page.url.path.startswith("/check/")
        assert words in page.text
        for secret in (*NAMES, film.donor.email, film.donor.id, film.order_id, film.order["reference"]):
            assert secret not in page.text + str(found)


def test_a_code_that_is_none_is_one_and_the_same_404(busy_hub: CloudHub) -> None:
    answers = [busy_hub.stranger.http.get(f"/api/v1/certificates/{code}")
               for code in (certificates.new_code(), "0000-0000-0000", "x", "%00", "'--", "A" * 5000)]
    assert {answer.status_code for answer in answers} == {404}
    assert len({answer.text for answer in answers}) == 1
    page = busy_hub.browser(**{"accept-language": "en"}).get("/check/0000-0000-0000")
    assert (page.status_code, "There is no certificate with this code." in page.text) == (404, True)


def test_codes_are_not_tried_out_by_the_thousand(busy_hub: CloudHub) -> None:
    routes = {path: item["get"]["responses"] for path, item in
              busy_hub.admin.get("/api-docs/openapi.json")["paths"].items() if "get" in item}  # fmt: skip
    for path in ("/api/v1/certificates/{code}", "/api/v1/tracked/{token}"):
        assert "429" in routes[path]
    assert len({certificates.new_code() for _ in range(2_000)}) == 2_000


def test_none_is_made_of_what_is_not_done_and_none_of_anothers(busy_hub: CloudHub, film: Filmed) -> None:
    order = busy_hub.paid_order(film.donor, "sheep", "Ahmed")
    path = f"/api/v1/orders/{order['id']}/certificate"
    assert film.donor.post(path, status=409)["code"] == "bad_transition"
    film.donor.get(f"{path}.pdf", status=404)
    other = busy_hub.donor("Somebody Else")
    other.post(f"{address(film)}/certificate", status=404)
    other.get(f"{address(film)}/certificate.pdf", status=404)


def test_a_name_that_is_not_to_be_shown_is_not(busy_hub: CloudHub) -> None:
    film = Filmed(busy_hub, "Ahmed Benali", species="cow", language="en")
    busy_hub.run(lambda session: _hide(session, UUID(film.order["shares"][0]["id"])))
    film.tell()
    film.send()
    film.judge()
    wait_for("the order to be verified", lambda: film.order_state() == "verified")
    film.donor.post(f"{address(film)}/certificate")
    content = film.donor.http.get(f"{address(film)}/certificate.pdf").content
    assert papers.read(content).facts["names"] == []
    assert papers.read(content).facts["shares"] == 1


async def _hide(session: Any, share_id: UUID) -> None:
    row = await session.get(models.Share, share_id)
    row.person = msgspec.structs.replace(row.person, anonymous=True)


def test_what_turns_out_otherwise_is_withdrawn_for_good(busy_hub: CloudHub) -> None:
    film = Filmed(busy_hub, "Ahmed Benali", language="en")
    film.tell()
    film.send()
    film.judge()
    wait_for("the order to be verified", lambda: film.order_state() == "verified")
    code = film.donor.post(f"{address(film)}/certificate")["code"]
    film.donor.post(f"/api/v1/videos/{film.video}/dispute", {"reason": "not_real"}, status=204)
    for person in (busy_hub.admin, busy_hub.staff("admin")):
        person.ask("PUT", f"/api/v1/reviews/{film.video}/vote", {"vote": "reject", "note": ""})
    wait_for("the certificate to fall", lambda: not _check(busy_hub, code)["stands"])
    wait_for("it to be withdrawn", lambda: _check(busy_hub, code)["withdrawn"])
    film.donor.get(f"{address(film)}/certificate.pdf", status=404)
    assert "turned out otherwise" in busy_hub.browser(**{"accept-language": "en"}).get(f"/check/{code}").text
    told = busy_hub.sql("SELECT count(*) FROM platform.audit WHERE action = 'guests.withdraw' AND subject = :id",
                        id=film.order_id)
    assert told == [1]


def _check(hub: CloudHub, code: str) -> dict[str, Any]:
    found: dict[str, Any] = hub.stranger.get(f"/api/v1/certificates/{code}")
    return found


def test_a_donor_does_all_of_it_on_the_page_of_the_order(busy_hub: CloudHub) -> None:
    donor = busy_hub.donor(language="en")
    film = Filmed(busy_hub, "Ahmed Benali", donor=donor)
    browser = signed_in(busy_hub, donor)
    path = f"/orders/{film.order_id}"
    assert "Make the certificate" not in browser.get(path).text
    film.tell()
    film.send()
    film.judge()
    wait_for("the order to be verified", lambda: film.order_state() == "verified")
    assert "Make the certificate" in browser.get(path).text
    shown = browser.post(f"{path}/certificate")
    assert f"{path}/certificate.pdf?language=ar" in shown.text
    shown = browser.post(f"{path}/links")
    [url] = set(re.findall(r'href="(/track/[^"]+)"', shown.text)) - _in_letters(film)
    guest = busy_hub.browser(accept="text/html")
    assert guest.get(url).status_code == 200
    [link] = [each for each in donor.get(f"{address(film)}/links") if each["url"].endswith(url)]
    assert url not in browser.post(f"{path}/links/{link['id']}/revoke").text
    assert guest.get(url).status_code == 404


def _in_letters(film: Filmed) -> set[str]:
    rows = film.hub.sql("SELECT id FROM notifications.notifications WHERE order_id = :id", id=film.order_id)
    links = film.donor.get(f"{address(film)}/links")
    return {f"/track/{token_of(each['url'])}" for each in links if UUID(each["id"]) in rows}
