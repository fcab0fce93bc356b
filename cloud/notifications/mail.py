"""Mail: how a letter looks on the wire (RFC 5322, MIME) and how it is handed over (RFC 5321)."""

from __future__ import annotations

import ipaddress
import smtplib
import ssl
from contextlib import suppress
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime, parseaddr
from urllib.parse import unquote, urlsplit
from uuid import UUID

import msgspec

from shared.errors import QurbaniError

TIMEOUT_S = 20.0


class Letter(msgspec.Struct, frozen=True):
    """A message to one person; ``id`` makes the Message-ID, so that a letter that came twice can be told."""

    id: UUID
    name: str
    address: str
    language: str
    subject: str
    text: str
    html: str


def compose(letter: Letter, sender: str, now: datetime) -> EmailMessage:
    """The letter from ``sender`` (``Name <address>``), as text and as HTML. The same letter always has the same id."""
    name, address = parseaddr(sender)
    message = EmailMessage()
    message["From"] = Address(name, addr_spec=address)
    message["To"] = Address(" ".join(letter.name.split()), addr_spec=letter.address)
    message["Subject"] = " ".join(letter.subject.split())
    message["Date"] = format_datetime(now)
    message["Message-ID"] = f"<{letter.id}@{address.rpartition('@')[2]}>"
    message["Auto-Submitted"] = "auto-generated"  # no holiday notes in answer (RFC 3834)
    message.set_content(letter.text)
    message.add_alternative(letter.html, subtype="html")
    message["Content-Language"] = letter.language  # last, as the lines above move such headers into the parts
    return message


def hand_over(message: EmailMessage, server_url: str) -> None:
    """Return when the server at ``smtp://`` or ``smtps://[user:password@]host[:port]`` has taken the message (250).

    Blocking. Raises ``mail_deferred`` where it may take it later, ``mail_refused`` where it never will,
    ``misconfigured`` without a usable address of a server.
    """
    try:
        server = _connect(server_url)
    except (smtplib.SMTPException, OSError) as error:
        raise QurbaniError("mail_deferred", f"no mail server that we may use: {error}") from error
    try:
        server.send_message(message)
    except smtplib.SMTPRecipientsRefused as error:
        raise _answered(*next(iter(error.recipients.values()))) from error
    except smtplib.SMTPResponseException as error:
        raise _answered(error.smtp_code, error.smtp_error) from error
    except smtplib.SMTPNotSupportedError as error:
        raise QurbaniError("mail_refused", str(error)) from error
    except (smtplib.SMTPException, OSError) as error:
        raise QurbaniError("mail_deferred", f"the mail server fell silent: {error}") from error
    finally:
        _leave(server)


def _connect(server_url: str) -> smtplib.SMTP:
    url = urlsplit(server_url)
    if url.scheme not in ("smtp", "smtps") or not url.hostname:
        raise QurbaniError("misconfigured", "QURBANI_SMTP_URL is not smtp://... or smtps://...")
    tls = ssl.create_default_context()
    if url.scheme == "smtps":
        server: smtplib.SMTP = smtplib.SMTP_SSL(url.hostname, url.port or 465, timeout=TIMEOUT_S, context=tls)
    else:
        server = smtplib.SMTP(url.hostname, url.port or 587, timeout=TIMEOUT_S)
        if not _is_loopback(url.hostname):
            # Names and passwords never leave this machine in the clear; a server that cannot do it gets nothing.
            server.starttls(context=tls)
    if url.username:
        server.login(unquote(url.username), unquote(url.password or ""))
    return server


def _leave(server: smtplib.SMTP) -> None:
    """What was taken is taken, however the goodbye goes."""
    with suppress(smtplib.SMTPException, OSError):
        server.quit()


def _answered(code: int, text: bytes | str) -> QurbaniError:
    words = text.decode(errors="replace") if isinstance(text, bytes) else text
    return QurbaniError("mail_deferred" if 400 <= code < 500 else "mail_refused", f"{code} {words}")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
