"""The mailbox, written to by a real SMTP client and read by a real HTTP client."""

from __future__ import annotations

import smtplib
from collections.abc import Iterator
from email.message import EmailMessage
from pathlib import Path
from threading import Timer
from urllib.parse import urlsplit

import httpx
import pytest

from demo.mailbox import Mailbox, serve_mailbox
from shared.errors import QurbaniError


@pytest.fixture
def mailbox(tmp_path: Path) -> Iterator[Mailbox]:
    with Mailbox(tmp_path / "mail") as mailbox:
        yield mailbox


def connect(mailbox: Mailbox) -> smtplib.SMTP:
    url = urlsplit(mailbox.url)
    return smtplib.SMTP(str(url.hostname), url.port or 25, timeout=10)


def letter(subject: str, text: str, to: str = "amina@example.org") -> EmailMessage:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "hub@example.org", to, subject
    message.set_content(text)
    return message


def test_a_mail_is_kept_whole_and_on_disk(mailbox: Mailbox, tmp_path: Path) -> None:
    with connect(mailbox) as client:
        client.send_message(letter("أضحيتك تمت", "تقبل الله\nhttps://hub.example/v/1"))
    (mail,) = mailbox.messages
    assert (mail.number, mail.sender, mail.recipients) == (1, "hub@example.org", ["amina@example.org"])
    assert mail.subject == "أضحيتك تمت"
    assert mail.text.splitlines() == ["تقبل الله", "https://hub.example/v/1"]
    assert (tmp_path / "mail" / "0001.eml").read_bytes() == mail.raw


def test_a_password_may_be_used_and_a_wrong_one_is_refused(mailbox: Mailbox) -> None:
    url = urlsplit(mailbox.url)
    with connect(mailbox) as client:
        with pytest.raises(smtplib.SMTPAuthenticationError):
            client.login(str(url.username), "guess")
        client.login(str(url.username), str(url.password))
        client.send_message(letter("done", "it is done"))
    assert len(mailbox.messages) == 1


def test_waiting_ends_with_the_mail_or_says_what_came(mailbox: Mailbox) -> None:
    def send() -> None:
        with connect(mailbox) as client:
            client.send_message(letter("for Musa", "…", to="musa@example.org"))

    Timer(0.1, send).start()
    assert mailbox.wait_for(lambda mail: "musa@example.org" in mail.recipients, timeout=10).subject == "for Musa"
    with pytest.raises(QurbaniError, match="1 others"):
        mailbox.wait_for(lambda mail: mail.subject == "never", timeout=0.01)


def test_nothing_in_a_mail_becomes_part_of_the_page(mailbox: Mailbox) -> None:
    evil = "<script>alert(1)</script>"
    with connect(mailbox) as client:
        client.send_message(letter(evil, f'{evil} "https://x.example/?a=1&b=\'2\'" javascript:alert(1)'))
    with serve_mailbox(mailbox) as address:
        for path in ("", "1"):
            answer = httpx.get(address + path)
            assert "<script" not in answer.text
            assert "&lt;script&gt;" in answer.text
            assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert 'href="https://x.example/?a=1&amp;b=&#x27;2&#x27;"' in answer.text
        assert 'href="javascript' not in answer.text
        source = httpx.get(address + "1.eml")
        assert source.content == mailbox.messages[0].raw
        assert source.headers["content-type"] == "text/plain; charset=utf-8"
        assert source.headers["x-content-type-options"] == "nosniff"


def test_a_page_that_is_not_there(mailbox: Mailbox) -> None:
    with serve_mailbox(mailbox) as address:
        assert "No mail yet" in httpx.get(address).text
        assert [httpx.get(address + path).status_code for path in ("1", "x", "1.eml", "../1")] == [404] * 4


@pytest.mark.parametrize("raw", [b"", b"no headers at all", b"Content-Type: text/plain; charset=klingon\r\n\r\nqapla'"])
def test_a_mail_that_is_badly_made_is_shown_all_the_same(mailbox: Mailbox, raw: bytes) -> None:
    with connect(mailbox) as client:
        client.sendmail("hub@example.org", ["amina@example.org"], raw)
    with serve_mailbox(mailbox) as address:
        assert httpx.get(address + "1").status_code == 200
        assert "(no subject)" in httpx.get(address).text
