"""What the tablets of a site are shown: who works here, which animals there are, and what became of each."""

from __future__ import annotations

import json
from collections import Counter
from datetime import datetime, tzinfo
from typing import Any
from uuid import UUID

import msgspec

from edge import eid, eligible, plan
from edge.auth import Executor
from edge.db import Database, Tx, one
from edge.node import its_site, its_zone
from edge.place import OUTCOME, PLACE, VIDEOS, Place
from shared.domain.day import Plan
from shared.domain.eid import Timing, Window
from shared.domain.order import CAPACITY
from shared.domain.verdict import Claim, Outcome, Reason, Verdict, hint
from shared.errors import QurbaniError


class ShareView(msgspec.Struct, frozen=True):
    """A name to be said, in the script it was given in."""

    id: UUID
    name: str
    language: str | None
    reference: str | None
    deceased: bool = False


class AnimalView(msgspec.Struct, frozen=True):
    """An animal and its shares. ``state`` is that of its sacrifice, or ``waiting``.

    ``frozen`` says that its shares do not change any more.
    ``ineligible`` is why it does not count, ``arrived`` the clock reading at which it was taken in here, ``same_tag``
    says that another animal has its tag. ``photo_id`` is the newest photo of it that lies here.
    ``outcome`` is that of its best video: ``authentic`` if any is, else of the newest that was judged; ``place`` is how
    far that video has come. ``unsent`` is how many of its ``videos`` the hub has not got yet.
    """

    id: UUID
    tag: str | None
    species: str | None
    pen: str | None
    capacity: int | None
    state: str
    sacrifice_id: UUID | None
    shares: list[ShareView]
    outcome: Outcome | None = None
    place: Place | None = None
    videos: int = 0
    unsent: int = 0
    weight_g: int | None = None
    age_months: int | None = None
    sex: str | None = None
    defects: list[str] = []
    vet_note: str | None = None
    arrived: dict[str, Any] | None = None
    ineligible: list[str] = []
    same_tag: bool = False
    frozen: bool = False
    photo_id: UUID | None = None


class ReasonView(msgspec.Struct, frozen=True):
    """Why a verdict is not ``authentic``: a code to match on, and what to do again in the reader's language."""

    code: str
    hint: str
    about: str = ""
    instead: str = ""


class VideoView(msgspec.Struct, frozen=True):
    """A video that has arrived whole. ``outcome`` is None as long as it is being checked, ``place`` how far it is.

    The hub's outcome stands above the box's own; ``remedy`` is what a person there asks to be done again, ``feedback``
    what somebody there says to whoever recorded it.
    ``timing`` tells whether it was recorded when sacrifices count; None as long as nobody has said when that is.
    """

    id: UUID
    sha256: str
    size: int
    media_type: str
    captured: dict[str, Any]
    outcome: Outcome | None
    reasons: list[ReasonView]
    place: Place
    timing: Timing | None = None
    remedy: str = ""
    feedback: str = ""


class SacrificeView(msgspec.Struct, frozen=True):
    id: UUID
    animal_id: UUID
    executor_id: UUID
    state: str
    opened: dict[str, Any]
    videos: list[VideoView]


LOOKED_BACK = 40
"""As many of somebody's last recordings are looked at for advice."""
LAST_SAID = 3
"""As many words of the hub stand above the list of animals."""
REPEATED = 3
"""What went wrong fewer times than that is chance."""


class Advice(msgspec.Struct, frozen=True):
    """What went wrong in ``count`` of the ``all`` last recordings, and what to do. Shown to whoever made them alone."""

    code: str
    count: int
    all: int
    hint: str


class Said(msgspec.Struct, frozen=True):
    """What somebody at the hub says of a video of this animal to whoever recorded it."""

    animal_id: UUID
    tag: str
    feedback: str


class Names(msgspec.Struct, frozen=True):
    """A video to be checked: its hash, where it lies, its own names, the site's other names, the languages spoken."""

    sha256: str
    blob_id: str
    claims: list[Claim]
    cohort: list[Claim]
    spoken: list[str]


_BEST = f"""
    SELECT video.sacrifice_id, {OUTCOME} AS outcome, {PLACE} AS place, row_number() OVER (
        PARTITION BY video.sacrifice_id ORDER BY {OUTCOME} = 'authentic' DESC, video.rowid DESC) AS nth
    FROM {VIDEOS} JOIN verdict ON verdict.video_id = video.id"""  # noqa: S608 - constants
"""The videos that were judged; the best one of each sacrifice is the first."""


class Site:
    """Reads only."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def executors(self) -> list[Executor]:
        return msgspec.convert(self._db.rows("SELECT id, name, language FROM executor ORDER BY name"), list[Executor])

    def name(self) -> str:
        """What people call the site; empty as long as the hub has not said it."""
        return self._db.read(its_site).get("name") or ""

    def eid(self) -> Window | None:
        """When sacrifices count here, as far as the hub has said."""
        return self._db.read(eid.its_window)

    def plan(self, now: datetime) -> Plan:
        """What is done today and what is left, against the sun."""
        return self._db.read(lambda tx: plan.read(tx, now))

    def zone(self) -> tzinfo:
        """That of the site."""
        return self._db.read(its_zone)

    def languages(self) -> list[str]:
        """Those that are spoken at the site, as far as the hub has said."""
        return self._db.read(_languages)

    def animals(self, id: UUID | None = None) -> list[AnimalView]:
        """By pen and tag; all of them, or the one with this id."""
        where, given = ("WHERE animal.id = ?", [str(id)]) if id else ("", [])

        def work(tx: Tx) -> list[AnimalView]:
            shares: dict[str, list[ShareView]] = {}
            for row in tx.query("SELECT id, animal_id, name, language, reference, deceased FROM share ORDER BY id"):
                view = msgspec.convert({**row, "deceased": bool(row["deceased"])}, ShareView)
                shares.setdefault(row["animal_id"], []).append(view)
            rows = tx.query(
                f"""
                SELECT animal.*, coalesce(sacrifice.state, 'waiting') AS state, sacrifice.id AS sacrifice_id,
                    (SELECT count(*) FROM video WHERE video.sacrifice_id = sacrifice.id) AS videos,
                    (SELECT count(*) FROM video JOIN blob ON blob.id = video.blob_id
                     WHERE video.sacrifice_id = sacrifice.id AND NOT blob.sent) AS unsent,
                    best.outcome, best.place,
                    lower(animal.tag) IN (SELECT lower(tag) FROM animal GROUP BY lower(tag) HAVING count(*) > 1)
                        AS same_tag,
                    (SELECT photo.id FROM photo JOIN blob ON blob.id = photo.blob_id
                     WHERE photo.of = animal.id AND NOT blob.pruned ORDER BY photo.rowid DESC LIMIT 1) AS photo_id
                FROM animal LEFT JOIN sacrifice ON sacrifice.animal_id = animal.id
                LEFT JOIN ({_BEST}) AS best ON best.sacrifice_id = sacrifice.id AND best.nth = 1
                {where} ORDER BY animal.pen, animal.tag, animal.id""",  # noqa: S608 - constants
                given,
            )
            site = its_site(tx)
            return [_animal(row, site, shares.get(row["id"], [])) for row in rows]

        return self._db.read(work)

    def sacrifice(self, id: UUID, language: str) -> SacrificeView:
        """A sacrifice with its videos, oldest first. Raises ``not_found``."""

        def work(tx: Tx) -> SacrificeView:
            row = one(tx, "SELECT * FROM sacrifice WHERE id = ?", id)
            if row is None:
                raise QurbaniError("not_found", "no such sacrifice")
            videos = tx.query(
                f"""SELECT video.*, {PLACE} AS place, verdict.body, {OUTCOME} AS outcome, film.remedy,
                        (SELECT min(uncertain_ms) FROM manifest WHERE video_id = video.id) AS uncertain_ms,
                        film.feedback
                    FROM {VIDEOS} LEFT JOIN verdict ON verdict.video_id = video.id
                    WHERE video.sacrifice_id = ? ORDER BY video.rowid""",  # noqa: S608 - constants
                [str(id)],
            )
            when = eid.its_window(tx)
            views = [_video({**video, "opened": row["opened"]}, when, language) for video in videos]
            return msgspec.convert({**row, "opened": json.loads(row["opened"]), "videos": views}, SacrificeView)

        return self._db.read(work)

    def expect_video(self, id: UUID, sacrifice_id: UUID) -> None:
        """Return when this video may come. Raises ``not_found``, or ``conflict`` when it is here already."""

        def work(tx: Tx) -> None:
            if one(tx, "SELECT 1 FROM sacrifice WHERE id = ?", sacrifice_id) is None:
                raise QurbaniError("not_found", "open the sacrifice first")
            if known := one(tx, "SELECT sacrifice_id, sha256 FROM video WHERE id = ?", id):
                raise QurbaniError("conflict", "this video has arrived already", **known)

        self._db.read(work)

    def names(self, video_id: UUID) -> Names:
        """What a video has to be checked against. Raises ``not_found``."""

        def work(tx: Tx) -> Names:
            video = one(tx, """
                SELECT video.sha256, video.blob_id, sacrifice.animal_id FROM video
                JOIN sacrifice ON sacrifice.id = video.sacrifice_id WHERE video.id = ?""", video_id)
            if video is None:
                raise QurbaniError("not_found", "no such video")
            names = Names(video["sha256"], video["blob_id"], [], [], _languages(tx))
            for row in tx.query("SELECT * FROM share WHERE name IS NOT NULL ORDER BY id"):
                claim = Claim(row["name"], tuple(json.loads(row["spellings"] or "[]")), row["reference"] or "")
                (names.claims if row["animal_id"] == video["animal_id"] else names.cohort).append(claim)
            return names

        return self._db.read(work)

    def verdict(self, video_id: UUID) -> Verdict:
        """Of a video that was checked. Raises ``not_found``."""
        rows = self._db.rows("SELECT body FROM verdict WHERE video_id = ?", str(video_id))
        if not rows:
            raise QurbaniError("not_found", "this video has not been checked")
        return msgspec.json.decode(rows[0]["body"], type=Verdict)

    def advice(self, executor_id: UUID, language: str) -> Advice | None:
        """What went wrong most often in this executor's own last recordings; None where nothing did so repeatedly."""
        rows = self._db.rows(f"""
            SELECT body FROM verdict JOIN video ON video.id = verdict.video_id
            JOIN sacrifice ON sacrifice.id = video.sacrifice_id
            WHERE executor_id = ? ORDER BY verdict.rowid DESC LIMIT {LOOKED_BACK}""", str(executor_id))  # noqa: S608
        verdicts = [msgspec.json.decode(row["body"], type=Verdict) for row in rows]
        found = Counter(code for verdict in verdicts for code in {reason.code for reason in verdict.reasons})
        code, count = found.most_common(1)[0] if found else ("", 0)
        if count < REPEATED:
            return None
        return Advice(code, count, len(verdicts), hint(Reason(code, "…", "…"), language))

    def said_to(self, executor_id: UUID) -> list[Said]:
        """What the hub has said of this executor's videos, the newest first."""
        return msgspec.convert(self._db.rows(f"""
            SELECT animal.id AS animal_id, coalesce(animal.tag, '') AS tag, film.feedback FROM film
            JOIN video ON video.id = film.id JOIN sacrifice ON sacrifice.id = video.sacrifice_id
            JOIN animal ON animal.id = sacrifice.animal_id
            WHERE executor_id = ? AND film.feedback IS NOT NULL
            ORDER BY video.rowid DESC LIMIT {LAST_SAID}""", str(executor_id)), list[Said])  # noqa: S608 - a constant

    def judged(self) -> list[tuple[UUID, Verdict]]:
        """Every video that has its verdict, oldest first."""
        rows = self._db.rows("SELECT video_id, body FROM verdict ORDER BY rowid")
        return [(UUID(row["video_id"]), msgspec.json.decode(row["body"], type=Verdict)) for row in rows]


def _languages(tx: Tx) -> list[str]:
    return list(json.loads(its_site(tx).get("languages") or "[]"))


def _animal(row: dict[str, Any], site: dict[str, Any], shares: list[ShareView]) -> AnimalView:
    plain = {name: json.loads(row[name] or default) for name, default in (("defects", "[]"), ("arrived", "null"))}
    more = {"capacity": CAPACITY.get(row["species"]), "shares": shares}
    more |= {name: bool(row[name]) for name in ("same_tag", "frozen")}
    return msgspec.convert({**row, **plain, **more, "ineligible": eligible.reasons(site, row)}, AnimalView)


def _video(row: dict[str, Any], when: Window | None, language: str) -> VideoView:
    verdict = msgspec.json.decode(row["body"], type=Verdict) if row["body"] else None
    reasons = verdict.reasons if verdict and row["outcome"] == verdict.outcome else ()
    return VideoView(
        id=UUID(row["id"]),
        sha256=row["sha256"],
        size=row["size"],
        media_type=row["media_type"],
        captured=json.loads(row["captured"]),
        outcome=row["outcome"],
        reasons=[ReasonView(reason.code, hint(reason, language), reason.about, reason.instead) for reason in reasons],
        place=row["place"],
        timing=eid.timing(when, row),
        remedy=row["remedy"] or "",
        feedback=row["feedback"] or "",
    )
