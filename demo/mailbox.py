"""Where the demo's mail goes: an SMTP server on this machine that keeps every message, and a page that shows them.

It offers a user and a password, which a client may use and need not::

    with Mailbox(folder) as mailbox, serve_mailbox(mailbox) as page:
        start_hub(smtp_url=mailbox.url)
        mail = mailbox.wait_for(lambda mail: "amina@example.org" in mail.recipients, timeout=10)
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email import message_from_bytes, policy
from email.message import EmailMessage
from html import escape
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Self

import msgspec
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from demo.servers.server import HOST, Port
from shared.errors import QurbaniError
from shared.files import write_whole

USER = "demo"
LARGEST_MAIL = 10_000_000

STYLE = (
    "body{font:1rem/1.5 system-ui,sans-serif;max-inline-size:50rem;margin:2rem auto;padding:0 1rem}"
    "td,th{text-align:start;padding:.25rem .75rem .25rem 0}pre{white-space:pre-wrap}"
)
# Nothing that a mail says can run here or load anything.
POLICY = f"default-src 'none'; style-src 'sha256-{base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()}'"

LINK = re.compile(r"(https?://[^\s<>\"]+)")


class Mail(msgspec.Struct, frozen=True):
    """A message that was accepted: who sent it to whom on the envelope, and its bytes."""

    number: int
    sender: str
    recipients: list[str]
    raw: bytes

    @property
    def subject(self) -> str:
        return str(self._parsed()["subject"] or "")

    @property
    def text(self) -> str:
        """The plain part, or the source of the HTML part where there is no other."""
        body = self._parsed().get_body(("plain", "html"))
        if body is None:
            return ""
        try:
            return str(body.get_content())
        except LookupError:  # an encoding that Python does not know
            return bytes(body.get_payload(decode=True)).decode(errors="replace")

    def _parsed(self) -> EmailMessage:
        return message_from_bytes(self.raw, policy=policy.default)


class Mailbox:
    """An SMTP server on a free loopback port; ``folder`` gets one ``.eml`` file a message."""

    def __init__(self, folder: Path) -> None:
        self.messages: list[Mail] = []
        self._folder = folder
        self._came = threading.Condition()
        self._password = secrets.token_hex(16)
        self._port = Port()
        self._server = Controller(
            self,
            hostname=HOST,
            port=self._port.number,
            authenticator=self._is_known,
            auth_require_tls=False,
            data_size_limit=LARGEST_MAIL,
        )

    @property
    def url(self) -> str:
        return f"smtp://{USER}:{self._password}@{HOST}:{self._port.number}"

    def __enter__(self) -> Self:
        self._folder.mkdir(parents=True, exist_ok=True)
        self._server.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.stop()
        self._port.close()

    def wait_for(self, wanted: Callable[[Mail], bool], timeout: float) -> Mail:
        """The first message that is ``wanted``. Raises ``unavailable`` if none comes within ``timeout`` seconds."""
        with self._came:
            if self._came.wait_for(lambda: any(map(wanted, self.messages)), timeout):
                return next(filter(wanted, self.messages))
        raise QurbaniError("unavailable", f"no such mail came within {timeout:g} s; {len(self.messages)} others did")

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        """Called by aiosmtpd. The message is on disk before it is acknowledged."""
        with self._came:
            mail = Mail(
                number=len(self.messages) + 1,
                sender=envelope.mail_from or "",
                recipients=envelope.rcpt_tos,
                raw=bytes(envelope.original_content or b""),
            )
            write_whole(self._folder / f"{mail.number:04}.eml", [mail.raw])
            self.messages.append(mail)
            self._came.notify_all()
        return f"250 OK: kept as {mail.number}"

    def _is_known(self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: object) -> AuthResult:
        known = isinstance(data, LoginPassword) and hmac.compare_digest(
            data.login + b":" + data.password, f"{USER}:{self._password}".encode()
        )
        return AuthResult(success=known, handled=False)


@contextmanager
def serve_mailbox(mailbox: Mailbox) -> Iterator[str]:
    """The address of pages that show the mailbox: a list, each message, and its source."""

    class Pages(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            name, _, ending = self.path.strip("/").partition(".")
            mail = next((mail for mail in mailbox.messages if str(mail.number) == name), None)
            if mail and ending == "eml":
                self._answer("text/plain; charset=utf-8", mail.raw)
            elif mail and not ending:
                self._answer("text/html; charset=utf-8", message_page(mail).encode())
            elif self.path == "/":
                self._answer("text/html; charset=utf-8", list_page(mailbox.messages).encode())
            else:
                self.send_error(HTTPStatus.NOT_FOUND)

        def _answer(self, kind: str, body: bytes) -> None:
            self.send_response(HTTPStatus.OK)
            headers = {"Content-Type": kind, "Content-Length": str(len(body)), "Cache-Control": "no-store"}
            safety = {"Content-Security-Policy": POLICY, "X-Content-Type-Options": "nosniff"}
            for header, value in (headers | safety).items():
                self.send_header(header, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing: the demo tells a story on this terminal."""

    with ThreadingHTTPServer((HOST, 0), Pages) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield f"http://{HOST}:{server.server_address[1]}/"
        finally:
            server.shutdown()
            thread.join()


def list_page(messages: list[Mail]) -> str:
    """All messages, newest first; looks again every few seconds."""
    rows = "".join(
        f'<tr><td>{mail.number}<td>{escape(", ".join(mail.recipients))}'
        f'<td dir="auto"><a href="/{mail.number}">{escape(mail.subject or "(no subject)")}</a>'
        for mail in reversed(messages)
    )
    table = f"<table><tr><th>No.<th>To<th>Subject{rows}</table>" if rows else "<p>No mail yet.</p>"
    return _page("Mailbox", table, '<meta http-equiv="refresh" content="3">')


def message_page(mail: Mail) -> str:
    """One message as text; only web addresses in it become links."""
    text = "".join(
        f'<a href="{escape(part)}" rel="noreferrer">{escape(part)}</a>' if LINK.fullmatch(part) else escape(part)
        for part in LINK.split(mail.text)
    )
    return _page(
        mail.subject or "(no subject)",
        f"<p>From {escape(mail.sender)} to {escape(', '.join(mail.recipients))}. "
        f'<a href="/">All mail</a>, <a href="/{mail.number}.eml">source</a></p><pre dir="auto">{text}</pre>',
    )


def _page(title: str, body: str, head: str = "") -> str:
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8">{head}<title>{escape(title)}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{STYLE}</style></head>'
        f'<body><h1 dir="auto">{escape(title)}</h1>{body}</body></html>'
    )
