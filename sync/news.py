"""News of a site in one piece, for a box that no road reaches: as a file, or as codes that one screen shows another.

They hold what the feed has for people who work there (:data:`TOLD`), changed since the box last said how far it had
read. They are no page of the feed: receipts and films are left out, so the box's place in it stays where it is, and
whatever road opens later brings them again. See PROTOCOL.md, section 14.
"""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

import msgspec

from shared.errors import QurbaniError
from sync.bundle import Receiver, Sender
from sync.messages import Change, from_wire, to_wire
from sync.ops import encode

VERSION = 1

TOLD = ("site", "animal", "share", "executor")
"""What a site cannot work without: whose animals, which names, and who may sign in. No more."""

_SIGNED = b"qurbani/news/1\0"


class News(msgspec.Struct, frozen=True, omit_defaults=True):
    """For box ``node`` at ``site``: what changed after the place (``since``, ``mark``), up to ``cursor``.

    ``issued_ms`` is the hub's clock: a box takes each of them once, and none that is older than what it has heard.
    """

    node: UUID
    site: UUID
    since: Annotated[int, msgspec.Meta(ge=0)]
    mark: bytes
    cursor: Annotated[int, msgspec.Meta(ge=0)]
    issued_ms: Annotated[int, msgspec.Meta(ge=0)]
    changes: list[Change]
    version: int = 1  # what an absent version means, for ever


class _Letter(msgspec.Struct, frozen=True):
    body: bytes
    sig: bytes


def write(sender: Sender, news: News) -> bytes:
    """``news`` signed, and sealed for the box."""
    body = encode(news)
    return sender.seal(to_wire(_Letter(body, sender.key.sign(_SIGNED + body))))


def read(receiver: Receiver, site: UUID, raw: bytes) -> News:
    """The news for this box. Raises ``damaged``, ``bad_signature``, ``bad_version``, or ``foreign_bundle``."""
    try:
        letter = from_wire(receiver.unseal(raw), _Letter)
    except QurbaniError as error:
        if error.code == "wrong_key":
            raise QurbaniError("foreign_bundle", "these news are for another box") from error
        raise QurbaniError("damaged", f"these news are cut or altered: {error.detail}") from error
    receiver.sender.verify(letter.sig, _SIGNED + letter.body)
    try:
        news = msgspec.msgpack.decode(letter.body, type=News)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise QurbaniError("bad_version", f"these news are of another version: {error}") from error
    if news.version != VERSION:
        raise QurbaniError("bad_version", f"these news are of version {news.version}")
    if (news.node, news.site) != (receiver.node, site):
        raise QurbaniError("foreign_bundle", f"these news are for box {news.node} at site {news.site}")
    if any(change.entity not in TOLD or not news.since < change.cursor <= news.cursor for change in news.changes):
        raise QurbaniError("damaged", "these news hold what news do not hold")
    return news
