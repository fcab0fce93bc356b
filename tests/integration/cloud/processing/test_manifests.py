"""What a box signed travels with its records, and can be checked by somebody who has two files and the hub's keys."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from typer.testing import CliRunner

from commands.evidence import app
from demo.answers import wait_for
from shared.crypto import SigningKey
from tests.cloud_hub import CloudHub
from tests.filmed import Filmed


def verify(*arguments: object) -> tuple[int, dict[str, Any]]:
    done = CliRunner().invoke(app, ["verify", *map(str, arguments), "--json"])
    return done.exit_code, json.loads(done.stdout)


def test_from_the_box_to_whoever_doubts(busy_hub: CloudHub, tmp_path: Path) -> None:
    film = Filmed(busy_hub, "Ahmed Benali")
    film.tell()
    film.judge()
    film.sign()
    film.send()
    wait_for("the donor to be shown the video", lambda: film.order_state() == "verified")
    for variant, who in (("original", busy_hub.admin), ("compressed", film.donor), ("poster", film.donor)):
        for name, path in ((variant, film.url(variant)), (f"{variant}.manifest.json", f"{film.url(variant)}/manifest")):
            (tmp_path / name).write_bytes(who.http.get(path).raise_for_status().content)
    keys = tmp_path / "signers"
    keys.write_bytes(busy_hub.client().get("/api/v1/signers").content)
    status, found = verify(tmp_path, "--keys", keys)
    assert (status, found["broken"]) == (0, [])
    assert len(found["manifests"]) == 3
    (tmp_path / "original.manifest.json").unlink()
    status, found = verify(tmp_path, "--keys", keys)
    assert status == 1
    assert sorted(each["code"] for each in found["broken"]) == ["wrong_parent", "wrong_parent"]


def test_what_a_donor_may_not_see_has_no_manifest_for_them(busy_hub: CloudHub) -> None:
    film = Filmed(busy_hub, "Ahmed Benali")
    film.tell()
    film.sign()
    assert film.donor.http.get(film.url("original") + "/manifest").status_code == 404
    assert film.donor.http.get(film.url("compressed") + "/manifest").status_code == 404


def test_a_manifest_that_does_not_hold_is_parked(busy_hub: CloudHub) -> None:
    film = Filmed(busy_hub, "Ahmed Benali")
    film.tell()
    for key, change, code in (
        (SigningKey.generate(), {}, "bad_signature"),
        (None, {"sha256": "ab" * 32}, "bad_op"),
    ):
        film.box.parked.clear()
        film.sign(key=key, **change)
        assert [parked.code for parked in film.box.parked.values()] == [code]
