"""A box without a network and its hub: real ones, and a folder that is carried between them."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from typer import Typer
from typer.testing import CliRunner

import commands.cloud
import commands.edge
from cloud import main
from cloud.apply.sticks import Taken
from edge import jobs
from edge.capture import Copy, Video
from edge.main import Box, enrol, opened
from edge.outbox import Outbox
from edge.settings import Settings
from edge.stick import Visit, export, take_back
from shared.domain.verdict import Verdict
from shared.errors import QurbaniError
from shared.ids import new_id
from shared.sealed import Blob, Sealer
from shared.stick import to_hub
from sync.calls import Call, Reply, drive
from sync.messages import BLOBS
from sync.session import Identity, Session
from tests.cloud_hub import CloudHub

PART = 4000


def qurbani(app: Typer, environ: dict[str, str], *arguments: str) -> Any:
    """The JSON that a command prints. Raises as the command does."""
    result = CliRunner().invoke(app, [*arguments, "--json"], env=environ, catch_exceptions=False)
    assert result.exit_code in (0, 1), result.output
    return json.loads(result.stdout)


class Site:
    """A box at a site of the hub, and what its people do."""

    def __init__(self, box: Box, hub: CloudHub, stick: Path) -> None:
        self.box, self.hub, self.stick = box, hub, stick
        self.uploaded: list[str] = []

    def record(self, size: int = 10_000) -> UUID:
        """A sacrifice of the first animal without one, with a video; the video's id."""
        free = "SELECT id FROM animal WHERE id NOT IN (SELECT animal_id FROM sacrifice)"
        animal, sacrifice, video = UUID(self.box.db.rows(free)[0]["id"]), new_id(), new_id()
        self.box.capture.open_sacrifice(sacrifice, animal, new_id())
        blob = self._seal(size)
        kept = Video(video, sacrifice, blob.sha256, blob.size, blob.blob_id, blob.blob_size, "video/mp4")
        self.box.capture.keep_video(kept, new_id())
        return video

    def _seal(self, size: int) -> Blob:
        path = self.box.settings.folder / "sealing"
        with path.open("wb") as out:
            sealer = Sealer.begin(out.write, [self.box.keys.seal.public, self.box.node.hub_seal])
            sealer.write(os.urandom(size))
            blob = sealer.finish()
        self.box.blobs.keep(path, blob.blob_id)
        path.unlink()
        return blob

    def prove(self, video: UUID) -> None:
        """The check of the only video has ended well, and its poster is made."""
        self.box.capture.record_verdict(self._lease(), video, Verdict("authentic", "1"))
        blob = self._seal(900)
        poster = Copy("poster", blob.sha256, blob.size, blob.blob_id, blob.blob_size)
        self.box.capture.keep_copies(self._lease(), video, [poster])

    def _lease(self) -> jobs.Lease:
        now = self.box.clock.read()
        lease = self.box.db.write(lambda tx: jobs.take(tx, now, new_id()))
        assert lease
        return lease

    def export(self) -> Visit:
        return export(self.box, self.stick, lambda size: None, part_bytes=PART)

    def imported(self) -> Taken:
        [taken] = asyncio.run(main.import_bundle(self.hub.platform.settings, self.stick, lambda size: None))
        return taken

    def take_back(self) -> None:
        take_back(self.box, self.stick, lambda size: None)

    def sync(self) -> None:
        """Over the wire."""
        box = self.box
        outbox = Outbox(box.db, box.keys, box.capture, box.clock)
        who = Identity(box.node.id, box.keys.sign, box.node.hub_verify)
        assert drive(Session(who, outbox, box.blobs, box.clock, new_id).run(), self._send) == {}

    def _send(self, call: Call) -> Reply:
        if call.method == "PATCH" and call.path.startswith(BLOBS):
            self.uploaded.append(call.path)
        return self.hub.send(call)

    def states(self) -> dict[UUID, str]:
        """How far the hub is with each video of the box."""
        query = "SELECT id, state FROM uploads.videos WHERE node = :node"
        return dict(self.hub.sql(query, node=self.box.node.id))

    def unsent(self) -> list[dict[str, int]]:
        return self.box.db.rows("""
            SELECT (SELECT max(seq) FROM op) - acked AS ops, (SELECT count(*) FROM blob WHERE NOT sent) AS blobs
            FROM link""")


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    return {"QURBANI_DATA": str(tmp_path / "box")}


@pytest.fixture
def site(hub: CloudHub, tmp_path: Path, environ: dict[str, str]) -> Iterator[Site]:
    """The box was enrolled in the office and knows nothing of its site yet."""
    code = hub.admin.post(f"/api/v1/sites/{hub.site(S1='sheep', S2='sheep', S3='sheep')}/enrolment-codes")["code"]
    stick = tmp_path / "stick"
    stick.mkdir()
    settings = Settings(data=environ["QURBANI_DATA"])
    enrol(settings, hub.url, code, "box 1")
    with opened(settings) as box:
        yield Site(box, hub, stick)


def test_a_site_that_never_has_a_network(site: Site, environ: dict[str, str], hub: CloudHub) -> None:
    """By the commands, as people type them."""
    at_hub = {f"QURBANI_{name.upper()}": str(getattr(hub.platform.settings, name))
              for name in ("database_url", "redis_url", "kafka", "kafka_prefix", "data")}
    stick = str(site.stick)
    qurbani(commands.edge.app, environ, "export-bundle", stick)
    qurbani(commands.cloud.app, at_hub, "import-bundle", stick)
    qurbani(commands.edge.app, environ, "import-ack", stick)

    video = site.record()
    written = qurbani(commands.edge.app, environ, "export-bundle", stick)
    assert (written["exported"]["ops"], len(written["exported"]["blobs"])) == (3, 1)
    assert site.unsent() == [{"ops": 3, "blobs": 1}], "it is on a stick, not at the hub"
    [taken] = qurbani(commands.cloud.app, at_hub, "import-bundle", stick)
    assert (taken["ops"], taken["blobs"], taken["refused"]) == (3, 1, [])
    assert site.states() == {video: "arrived"}
    qurbani(commands.edge.app, environ, "import-ack", stick)
    assert site.unsent() == [{"ops": 0, "blobs": 0}]

    manifest = max(to_hub(site.stick, site.box.node.id).glob("manifest-*"))
    manifest.write_bytes(manifest.read_bytes()[:-1] + b"?")
    [taken] = qurbani(commands.cloud.app, at_hub, "import-bundle", stick)
    assert [refused["code"] for refused in taken["refused"]] == ["bad_signature"]


def test_a_stick_carries_what_goes_ahead_of_a_video_too(site: Site, hub: CloudHub) -> None:
    site.sync()
    site.prove(video := site.record())
    assert [blob.kind for blob in site.export().exported.blobs] == ["poster", "original"]
    site.imported()
    here = "SELECT variant FROM uploads.copies JOIN uploads.blobs ON blobs.id = copies.blob_id WHERE video_id = :id"
    assert hub.sql(f"{here} AND arrived IS NOT NULL", id=video) == ["still"]
    assert not hub.sql("SELECT seq FROM sync.ops WHERE node = :node AND parked_code IS NOT NULL", node=site.box.node.id)
    site.take_back()
    assert site.unsent() == [{"ops": 0, "blobs": 0}]


def test_what_a_stick_carried_is_not_sent_again_and_what_was_sent_is_not_read_again(site: Site) -> None:
    site.sync()
    by_stick = site.record()
    site.export()
    by_wire = site.record()
    assert (site.imported().blobs, site.states()) == (1, {by_stick: "arrived"})
    site.sync()  # no answer has come back: the box learns it on the way
    assert len(site.uploaded) == 1
    assert site.states() == {by_stick: "arrived", by_wire: "arrived"}
    assert site.unsent() == [{"ops": 0, "blobs": 0}]
    site.take_back()

    third = site.record()
    site.export()
    site.sync()
    taken = site.imported()
    assert (taken.ops, taken.blobs, taken.known_blobs) == (0, 0, 1)
    assert site.states()[third] == "arrived"
    told = site.hub.sql("SELECT convert_from(body, 'UTF8')::json #>> '{data,video_id}' FROM platform.outbox")
    assert sorted(id for id in told if id and UUID(id) in site.states()) == sorted(map(str, site.states()))


def test_an_upload_that_was_half_there_is_finished_by_the_stick(site: Site) -> None:
    site.sync()
    site.record(5_000_000)
    send, pieces = site._send, 0

    def cut(call: Call) -> Reply:
        nonlocal pieces
        pieces += call.method == "PATCH"
        if pieces > 1:
            raise ConnectionError
        return send(call)

    site._send = cut  # type: ignore[method-assign]
    with pytest.raises(ConnectionError):
        site.sync()
    site._send = send  # type: ignore[method-assign]
    site.export()
    assert site.imported().blobs == 1
    site.sync()
    assert len(site.uploaded) == 1
    assert site.unsent() == [{"ops": 0, "blobs": 0}]


def test_an_import_goes_on_where_it_was_cut(site: Site) -> None:
    site.sync()
    video = site.record()
    site.export()
    whole = next(iter(to_hub(site.stick, site.box.node.id).glob("*.0001")))
    whole.rename(whole.with_suffix(".away"))
    taken = site.imported()
    assert [refused.code for refused in taken.refused] == ["damaged"]
    assert site.states() == {video: "expected"}, "the records are not held up"
    whole.with_suffix(".away").rename(whole)
    read: list[int] = []
    [taken] = asyncio.run(main.import_bundle(site.hub.platform.settings, site.stick, read.append))
    assert (taken.blobs, taken.refused, site.states()) == (1, [], {video: "arrived"})
    blob_bytes = site.box.db.rows("SELECT size FROM blob")[0]["size"]
    assert sum(read) < blob_bytes, "the first part was there already"


def test_spoilt_bytes_on_a_stick_are_not_taken_and_are_written_again(site: Site) -> None:
    site.sync()
    video = site.record()
    site.export()
    part = next(iter(to_hub(site.stick, site.box.node.id).glob("*.0000")))
    sealed = part.read_bytes()
    part.write_bytes(sealed[:-1] + bytes([sealed[-1] ^ 1]))
    assert [refused.code for refused in site.imported().refused] == ["damaged"]
    visit = site.export()
    assert visit.answer
    assert visit.answer.refused
    assert site.imported().refused == []
    assert site.states() == {video: "arrived"}


def test_what_a_box_brings_that_was_shut_out_is_kept_aside(site: Site) -> None:
    site.sync()
    site.record()
    site.export()
    site.hub.admin.post(f"/api/v1/nodes/{site.box.node.id}/revoke")
    taken = site.imported()
    assert {refused.code for refused in taken.refused} == {"revoked"}, "no file of it is stored"
    parked = site.hub.sql("SELECT DISTINCT parked_code FROM sync.ops WHERE node = :node", node=site.box.node.id)
    assert (taken.blobs, taken.ops > 0, parked) == (0, True, ["revoked"])
    assert site.states() == {}


def test_a_folder_of_another_box_is_refused(site: Site, hub: CloudHub) -> None:
    site.sync()
    site.record()
    site.export()
    other = hub.box(str(site.box.node.site_id)).node
    to_hub(site.stick, site.box.node.id).parent.rename(to_hub(site.stick, other).parent)
    [refused] = site.imported().refused
    assert refused.code == "bad_signature"


def test_an_empty_stick_says_so(site: Site, tmp_path: Path) -> None:
    for act in (site.imported, site.take_back):
        with pytest.raises(QurbaniError, match="no_bundle"):
            act()
