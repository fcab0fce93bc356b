"""A sacrifice on film: an order allocated at a site, a box there, its video sealed and its verdict ready to be told."""

from __future__ import annotations

import hashlib
import io
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import UUID
from weakref import WeakKeyDictionary

import msgspec

from demo.mailbox import Mail
from shared.crypto import SealKey, SigningKey
from shared.domain.verdict import Frame, Outcome, Reason, ShareMatch, Verdict
from shared.evidence.manifest import FIRST, Capture, Manifest, Moment, judged, sign
from shared.ids import new_id
from shared.sealed import Sealer
from tests import blank
from tests.cloud_hub import Box, CloudHub, Person

CLOCK: dict[str, Any] = {"wall_ms": 1_780_000_000_000, "mono_ms": 60_000, "boot": "boot-0"}


@cache
def clip(seed: int = 1, seconds: int = 1) -> bytes:
    """A small real video."""
    with TemporaryDirectory() as folder:
        return blank.make(Path(folder) / "clip.mp4", seconds=seconds, seed=seed).read_bytes()


def another(content: bytes) -> bytes:
    """The same film as another file: at its end a box that players pass over."""
    return content + (24).to_bytes(4, "big") + b"free" + new_id().bytes


def seal(content: bytes, *recipients: SealKey) -> bytes:
    sealed = io.BytesIO()
    sealer = Sealer.begin(sealed.write, recipients)
    sealer.write(content)
    sealer.finish()
    return sealed.getvalue()


_donors: WeakKeyDictionary[CloudHub, dict[str, Person]] = WeakKeyDictionary()


def donor_of(hub: CloudHub, language: str) -> Person:
    """The one donor of a hub who speaks ``language``: making another costs two argon2 hashes."""
    known = _donors.setdefault(hub, {})
    if language not in known:
        known[language] = hub.donor(language=language)
    return known[language]


class Filmed:
    """What a box has recorded of one animal; :meth:`tell` and :meth:`send` let the hub know, in any order."""

    def __init__(self, hub: CloudHub, *names: str, species: str = "sheep", language: str = "fr",
                 content: bytes | None = None, donor: Person | None = None) -> None:
        self.hub = hub
        self.names = names
        self.site = hub.site(A1=species)
        self.donor = donor or donor_of(hub, language)
        self.order: dict[str, Any] = hub.allocated_order(self.donor, self.site, species, *names)
        self.box: Box = hub.box(self.site)
        self.sacrifice, self.video, self.verdict = new_id(), new_id(), new_id()
        self.content = another(clip()) if content is None else content
        self.sealed = seal(self.content, hub.platform.keys.unseal.public)

    @property
    def order_id(self) -> str:
        return str(self.order["id"])

    def tell(self, by: str = "", **changed: Any) -> None:
        """The ops of the sacrifice, ``by`` that executor, and its video; ``changed`` fields of that are as given."""
        self.box.write("sacrifice", self.sacrifice, {
            "site_id": self.site, "animal_id": self.order["animals"][0]["id"], "executor_id": by or str(new_id()),
            "opened": CLOCK, "state": "recorded",
        })  # fmt: skip
        self.tell_video(**changed)

    def tell_video(self, **changed: Any) -> None:
        """The op of the video alone."""
        self.box.write("video", self.video, {
            "sacrifice_id": str(self.sacrifice), "sha256": hashlib.sha256(self.content).hexdigest(),
            "size": len(self.content), "blob_id": hashlib.sha256(self.sealed).hexdigest(),
            "blob_size": len(self.sealed), "media_type": "video/mp4", "captured": CLOCK, **changed,
        })  # fmt: skip
        self.box.sync()

    def send(self) -> None:
        """The sealed video, over tus."""
        self.box.seal(self.sealed)
        self.box.sync()

    def judge(self, outcome: Outcome = "authentic", *, heard: tuple[str, ...] | None = None) -> None:
        """The op of the verdict. An authentic one has heard all the names, or those that are given."""
        names = self.names if heard is None else heard
        body = Verdict(
            outcome=outcome,
            code="1",
            reasons=() if outcome == "authentic" else (Reason("no_knife"),),
            shares=tuple(
                ShareMatch(name, "heard", 0.95, start=1.5 + 3 * at, end=2.5 + 3 * at) for at, name in enumerate(names)
            ),
            frames=(Frame(1.0, 0.9, 0.8, 0.7),),
            sampled=2,
            together=2,
        )
        fields = {"video_id": str(self.video), "outcome": outcome, "body": msgspec.to_builtins(body)}
        self.box.write("verdict", self.verdict, fields)
        self.box.sync()

    def manifest(self, uncertain_ms: int | None = None, **change: Any) -> Manifest:
        """What the box says of its capture; ``uncertain_ms`` is by how much its clock may be off."""
        captured = Capture(1, FIRST, Moment(**CLOCK, uncertain_ms=uncertain_ms))
        made = Manifest(
            self.box.node, self.video, hashlib.sha256(self.content).hexdigest(), len(self.content), "video/mp4",
            captured, {"software": "0.1.0"}, CLOCK["wall_ms"], judged(Verdict("authentic", "1")),
        )  # fmt: skip
        return msgspec.structs.replace(made, **change)

    def sign(self, uncertain_ms: int | None = None, key: SigningKey | None = None, **change: Any) -> None:
        """The op of the manifest, signed by the box or with another key."""
        text = sign(key or self.box.identity.key, self.manifest(uncertain_ms, **change)).decode()
        self.box.write("manifest", self.video, {"video_id": str(self.video), "text": text})
        self.box.sync()

    def go_ahead(self, variant: str, content: bytes) -> None:
        """What the box makes of the video to go ahead of it: its op, and its bytes."""
        sealed = seal(content, self.hub.platform.keys.unseal.public)
        self.box.write("copy", new_id(), {
            "video_id": str(self.video), "variant": variant, "sha256": hashlib.sha256(content).hexdigest(),
            "size": len(content), "blob_id": hashlib.sha256(sealed).hexdigest(), "blob_size": len(sealed),
        })  # fmt: skip
        self.box.sync()
        self.box.seal(sealed, kind=variant)
        self.box.sync()

    def state(self) -> str:
        """How far the hub is with the video."""
        return str(self.hub.sql("SELECT state FROM uploads.videos WHERE id = :id", id=self.video)[0])

    def order_state(self) -> str:
        return str(self.hub.admin.get(f"/api/v1/orders/{self.order_id}")["state"])

    def events(self, topic: str) -> int:
        """How many events of a topic were published about this video."""
        about = "convert_from(body, 'UTF8')::json->'data'->>'video_id' = :id"
        query = f"SELECT count(*) FROM platform.outbox WHERE topic = :topic AND {about}"
        return int(self.hub.sql(query, topic=topic, id=str(self.video))[0])

    def is_told_by(self, mail: Mail) -> bool:
        """Whether a mail tells the donor of this order."""
        return self.donor.email in mail.recipients and f"/orders/{self.order_id}" in mail.text

    def url(self, variant: str = "compressed", video: UUID | None = None) -> str:
        return f"/api/v1/videos/{video or self.video}/{variant}"
