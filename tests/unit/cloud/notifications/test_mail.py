"""Mail as it goes over the wire, to a real SMTP server that answers as it is told."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.message import EmailMessage
from uuid import UUID

import msgspec
import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from cloud.notifications.mail import Letter, compose, hand_over
from demo.servers.server import HOST, Port
from shared.errors import QurbaniError

NOW = datetime(2026, 5, 27, 9, 0, tzinfo=UTC)
SENDER = "Qurbani <no-reply@hub.example>"
PEACE = "السلام عليكم"
LETTER = Letter(UUID(int=7), "أحمد بن علي", "ahmed@example.org", "ar", "تم الذبح", PEACE, f"<p>{PEACE}</p>")


class Server:
    """Answers ``RCPT`` and ``DATA`` as told, and keeps what it took."""

    def __init__(self, rcpt: str = "250 OK", data: str = "250 OK") -> None:
        self.rcpt, self.data = rcpt, data
        self.taken: list[EmailMessage] = []

    async def handle_RCPT(self, server: SMTP, session: Session, envelope: Envelope, to: str, options: object) -> str:
        envelope.rcpt_tos.append(to)
        return self.rcpt

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        if self.data.startswith("250"):
            self.taken.append(message_from_bytes(bytes(envelope.original_content or b""), policy=policy.default))
        return self.data


@contextmanager
def listening(server: Server) -> Iterator[str]:
    with Port() as port:
        controller = Controller(server, hostname=HOST, port=port.number)
        controller.start()
        try:
            yield f"smtp://{HOST}:{port.number}"
        finally:
            controller.stop()


def test_what_is_sent_is_what_arrives() -> None:
    server = Server()
    with listening(server) as url:
        hand_over(compose(LETTER, SENDER, NOW), url)
    (mail,) = server.taken
    assert mail["to"] == "أحمد بن علي <ahmed@example.org>"
    assert mail["subject"] == "تم الذبح"
    assert mail["message-id"] == f"<{UUID(int=7)}@hub.example>"
    assert mail["content-language"] == "ar"
    assert mail["auto-submitted"] == "auto-generated"
    parts = {part.get_content_type(): part.get_content().strip() for part in mail.iter_parts()}
    assert parts == {"text/plain": PEACE, "text/html": f"<p>{PEACE}</p>"}


def test_the_same_letter_has_the_same_id_whenever_it_is_sent() -> None:
    later = NOW.replace(day=28)
    assert compose(LETTER, SENDER, NOW)["message-id"] == compose(LETTER, SENDER, later)["message-id"]


@pytest.mark.parametrize("name", ["Ahmed\r\nBcc: everybody@example.org", 'Ahmed "the <b>', "Benali, Ahmed", "a" * 200])
def test_a_name_cannot_add_a_header(name: str) -> None:
    composed = compose(msgspec.structs.replace(LETTER, name=name), SENDER, NOW)
    sent = message_from_bytes(bytes(composed), policy=policy.SMTP)
    assert sent["bcc"] is None
    assert [address.addr_spec for address in sent["to"].addresses] == ["ahmed@example.org"]


@pytest.mark.parametrize(("server", "code"), [
    (Server(rcpt="451 Later, please"), "mail_deferred"),
    (Server(rcpt="550 Nobody of that name"), "mail_refused"),
    (Server(data="452 No room"), "mail_deferred"),
    (Server(data="554 No, thank you"), "mail_refused"),
])  # fmt: skip
def test_no_is_not_yes(server: Server, code: str) -> None:
    with listening(server) as url, pytest.raises(QurbaniError) as caught:
        hand_over(compose(LETTER, SENDER, NOW), url)
    assert caught.value.code == code
    assert (server.rcpt if server.data.startswith("250") else server.data) in caught.value.detail


def test_nobody_there_is_a_reason_to_come_again() -> None:
    with Port() as unused, pytest.raises(QurbaniError, match="mail_deferred"):
        hand_over(compose(LETTER, SENDER, NOW), f"smtp://{HOST}:{unused.number}")


@pytest.mark.parametrize("url", ["", "http://mail.example.org", "smtp://"])
def test_an_address_that_is_none_is_named(url: str) -> None:
    with pytest.raises(QurbaniError, match="QURBANI_SMTP_URL"):
        hand_over(compose(LETTER, SENDER, NOW), url)
