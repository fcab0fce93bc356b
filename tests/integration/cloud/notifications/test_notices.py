"""A notice is true when it is sent, is sent once, and its state is never ahead of the mail server's answer."""

from __future__ import annotations

from collections.abc import Iterator
from email import message_from_bytes, policy
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from cloud import main
from cloud.notifications import service
from cloud.platform import outbox
from demo.answers import wait_for
from demo.mailbox import Mailbox
from demo.servers import Servers
from shared.clock import ManualClock
from shared.errors import QurbaniError
from shared.events import NotificationWanted
from shared.ids import new_id
from tests.cloud_hub import CloudHub, copied_room, hub_settings, running
from tests.filmed import Filmed


def notice(film: Filmed) -> tuple[Any, ...]:
    """The state of the one notice of an order, and its reason."""
    (found,) = film.hub.admin.get(f"/api/v1/notifications?order_id={film.order_id}")
    return found["state"], found["reason"]


def wanted(film: Filmed, template: str = "order_verified") -> NotificationWanted:
    return NotificationWanted(new_id(), UUID(film.donor.id), UUID(film.order_id), template, {})


def want(hub: CloudHub, notice: NotificationWanted) -> None:
    hub.run(lambda session: service.want(session, notice, hub.platform.clock.now()))


@pytest.mark.parametrize(("language", "says", "link"), [
    ("ar", "تم ذبح أضحيتكم", 'dir="rtl"'), ("fr", "votre sacrifice a été accompli", "Voir la vidéo"),
    ("en", "your sacrifice has been carried out", "Watch the video"),
])  # fmt: skip
def test_in_the_donors_language(busy_hub: CloudHub, mailbox: Mailbox, language: str, says: str, link: str) -> None:
    film = Filmed(busy_hub, "Ahmed Benali", "خديجة", species="cow", language=language)
    film.tell()
    film.send()
    film.judge()
    mail = mailbox.wait_for(film.is_told_by, 30)
    message = message_from_bytes(mail.raw, policy=policy.default)
    text, html = (message.get_body((kind,)).get_content() for kind in ("plain", "html"))
    assert says in text
    assert "\u2068خديجة\u2069" in text
    assert link in html
    assert "<bdi>خديجة</bdi>" in html
    assert f'href="{busy_hub.platform.settings.base_url}/orders/{film.order_id}"' in html
    assert message["content-language"] == language
    wait_for("the notice to be marked", lambda: notice(film) == ("sent", None))


def test_what_is_not_true_is_not_said(busy_hub: CloudHub, mailbox: Mailbox) -> None:
    film = Filmed(busy_hub, "Ahmed Benali")
    too_early = wanted(film)

    async def publish(session: Any) -> None:
        now = busy_hub.platform.clock.now()
        await outbox.publish(session, "notification.send", too_early, subject=too_early.donor_id, now=now)

    busy_hub.run(publish)
    wait_for("the notice to be skipped", lambda: film.hub.admin.get(
        f"/api/v1/notifications?order_id={film.order_id}") and notice(film) == ("skipped", "not_true"))  # fmt: skip
    assert not any(map(film.is_told_by, mailbox.messages))


def test_wanted_twice_is_noted_once(hub: CloudHub) -> None:
    film = Filmed(hub, "Ahmed Benali")
    for again in (wanted(film), wanted(film)):
        want(hub, again)
    assert notice(film) == ("queued", None)


def test_a_template_that_there_is_not_is_a_bad_event(hub: CloudHub) -> None:
    with pytest.raises(QurbaniError, match="bad_event"):
        want(hub, wanted(Filmed(hub, "Ahmed Benali"), "order_eaten"))


def test_refused_is_failed_and_says_why(hub: CloudHub) -> None:
    film, now = Filmed(hub, "Ahmed Benali"), hub.platform.clock.now()
    noted = wanted(film)
    want(hub, noted)
    error = QurbaniError("mail_refused", "550 Nobody of that name")
    hub.run(lambda session: service.not_sent(session, noted.notification_id, 1, error, now))
    assert notice(film) == ("failed", "mail_refused")
    assert hub.sql("SELECT answer FROM notifications.attempts WHERE notification_id = :id",
                   id=noted.notification_id) == ["550 Nobody of that name"]


def test_put_off_for_ever_is_failed(hub: CloudHub) -> None:
    film, now = Filmed(hub, "Ahmed Benali"), hub.platform.clock.now()
    noted, error = wanted(film), QurbaniError("mail_deferred")
    want(hub, noted)
    attempts = len(service.PAUSES) + 1
    for attempt in range(1, attempts):
        hub.run(lambda session, n=attempt: service.not_sent(session, noted.notification_id, n, error, now))
        assert notice(film) == ("queued", None)
    hub.run(lambda session: service.not_sent(session, noted.notification_id, attempts, error, now))
    assert notice(film) == ("failed", "mail_deferred")


@pytest.fixture
def mute(tmp_path: Path) -> Mailbox:
    """A mail server that is down until it is entered."""
    return Mailbox(tmp_path / "mail")


@pytest.fixture
def patient(servers: Servers, template: str, tmp_path: Path, mute: Mailbox) -> Iterator[CloudHub]:
    """A hub whose mail server is down, and whose clock stands still."""
    with copied_room(servers, template) as room:
        settings = hub_settings(room, tmp_path / "hub", QURBANI_SMTP_URL=mute.url)
        with running(settings, main.relay, main.consume, main.work, clock=ManualClock()) as hub:
            yield hub


def test_a_mail_server_that_was_down_gets_it_later(patient: CloudHub, mute: Mailbox) -> None:
    film = Filmed(patient, "Ahmed Benali")
    film.tell()
    film.send()
    film.judge()
    tried = """SELECT number, answer FROM notifications.attempts JOIN notifications.notifications n
               ON n.id = notification_id WHERE order_id = :id ORDER BY number"""
    ((_, answer),) = wait_for("the first attempt", lambda: patient.sql(tried, id=film.order_id))
    assert "no mail server" in answer
    assert notice(film) == ("queued", None)
    with mute:
        patient.platform.clock.advance(int(service.PAUSES[0].total_seconds() * 1000))  # type: ignore[attr-defined]
        mute.wait_for(film.is_told_by, 30)
        wait_for("the notice to be marked", lambda: notice(film) == ("sent", None))
    assert len([mail for mail in mute.messages if film.is_told_by(mail)]) == 1
    assert patient.sql(tried, id=film.order_id)[1] == (2, "250")
