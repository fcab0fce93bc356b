"""A running box as tablets and the hub meet it: real processes, real HTTP, real files."""

from __future__ import annotations

import io
import json
import os
import re
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest
from tusclient.client import TusClient

from edge.auth import FREE_TRIES
from shared.crypto import UnsealKey
from shared.ids import new_id
from shared.sealed import SealedReader
from shared.tus.wire import write_metadata
from tests.box import Box, Tablet, running, until
from tests.film import film
from tests.hub import Hub, serving

CANARY = b"the plaintext of a video, seen nowhere on the disk"


class Yard:
    """What the tests of this file share; each takes an animal of its own."""

    def __init__(self, hub: Hub, box: Box, tablet: Tablet, animals: list[UUID]) -> None:
        self.hub = hub
        self.box = box
        self.tablet = tablet
        self.animals = animals

    def sacrifice(self) -> UUID:
        return self.tablet.open_sacrifice(self.animals.pop())


@pytest.fixture(scope="module")
def yard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Yard]:
    with ExitStack() as stack:
        hub = stack.enter_context(serving(Hub()))
        folder = tmp_path_factory.mktemp("box")
        # More than any disk has room for, so that it is the disk that refuses.
        limit = {"QURBANI_EDGE_MAX_VIDEO_BYTES": str(10**15)}
        yield Yard(hub, *stack.enter_context(running(folder, hub, animals=12, **limit)))


def refusal(error: pytest.ExceptionInfo[httpx.HTTPStatusError]) -> tuple[int, str]:
    response = error.value.response
    assert response.headers["content-type"] == "application/problem+json"
    return response.status_code, response.json()["code"]


def test_a_recording_from_the_tablet_to_the_hub(yard: Yard) -> None:
    tablet, hub = yard.tablet, yard.hub
    animal = yard.animals[-1]
    sacrifice, video, content = yard.sacrifice(), new_id(), CANARY * 50_000
    tablet.upload(sacrifice, video, content)
    (judged,) = tablet.verdicts(sacrifice)

    assert judged["id"] == str(video)
    assert judged["size"] == len(content)
    assert judged["outcome"] == "review"
    assert judged["reasons"][0]["code"] == "not_a_video"
    assert "Choose the video" in judged["reasons"][0]["hint"]
    listed = {each["id"]: each for each in tablet.ask("GET", "/api/v1/animals").json()}[str(animal)]
    assert listed["state"] == "judged"
    assert listed["sacrifice_id"] == str(sacrifice)
    assert [share["name"] for share in listed["shares"]] == ["Ahmed Benali"]

    blob_id = yard.box.rows(f"SELECT blob_id FROM video WHERE id = '{video}'")[0]["blob_id"]
    until(lambda: blob_id in hub.arrived and ("sacrifice", sacrifice) in hub.records)
    until(lambda: tablet.sacrifice(sacrifice)["videos"][0]["place"] == "in_cloud")
    assert hub.records["sacrifice", sacrifice]["animal_id"].value == str(animal)
    assert hub.records["video", video]["sha256"].value == judged["sha256"]
    unsealed = SealedReader(io.BytesIO(hub.uploads[blob_id]), UnsealKey(b"h" * 32))
    assert unsealed.read() == content


def test_a_standard_tus_client(yard: Yard) -> None:
    sacrifice, video, content = yard.sacrifice(), new_id(), CANARY * 1000
    headers = {"Authorization": yard.tablet.http.headers["Authorization"]}
    client = TusClient(f"{yard.box.url}/api/v1/uploads", headers=headers)
    metadata = {"video_id": str(video), "sacrifice_id": str(sacrifice), "filetype": "video/mp4"}
    uploader = client.uploader(file_stream=io.BytesIO(content), chunk_size=10_000, metadata=metadata)
    uploader.upload()
    assert uploader.offset == len(content)
    assert yard.tablet.verdicts(sacrifice)[0]["id"] == str(video)


def test_plaintext_is_never_on_the_disk(yard: Yard) -> None:
    """Neither whole nor half: one upload is complete, another stops in the middle."""
    yard.tablet.upload(yard.sacrifice(), new_id(), CANARY * 50_000)
    half, content = yard.sacrifice(), CANARY * 50_000
    tus = {"Tus-Resumable": "1.0.0"}
    metadata = write_metadata({"video_id": str(new_id()), "sacrifice_id": str(half)})
    created = yard.tablet.ask("POST", "/api/v1/uploads", content=content[: 1 << 20], headers={
        **tus, "Upload-Length": str(len(content)), "Upload-Metadata": metadata,
        "Content-Type": "application/offset+octet-stream",
    })  # fmt: skip
    assert created.headers["Upload-Offset"] == str(1 << 20)
    files = [path for path in yard.box.folder.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) > len(content) + (1 << 20)
    assert not [path for path in files if CANARY in path.read_bytes()]


class TestRefusals:
    def test_without_a_token(self, yard: Yard) -> None:
        for method, path in [
            ("GET", "/api/v1/animals"),
            ("POST", "/api/v1/sacrifices"),
            ("GET", f"/api/v1/sacrifices/{new_id()}"),
            ("POST", "/api/v1/uploads"),
            ("HEAD", "/api/v1/uploads/" + "0" * 32),
            ("PATCH", "/api/v1/uploads/" + "0" * 32),
        ]:
            answer = httpx.request(method, yard.box.url + path, headers={"Tus-Resumable": "1.0.0"}, json={})
            assert (method, path, answer.status_code) == (method, path, 401)

    def test_wrong_pins(self, yard: Yard) -> None:
        body = {"executor_id": str(new_id()), "pin": "0000"}
        for _ in range(FREE_TRIES + 1):
            with pytest.raises(httpx.HTTPStatusError) as error:
                yard.tablet.ask("POST", "/api/v1/session", json=body)
            assert refusal(error) == (401, "bad_credentials")
        with pytest.raises(httpx.HTTPStatusError) as error:
            yard.tablet.ask("POST", "/api/v1/session", json=body)
        assert refusal(error) == (429, "too_many_requests")
        assert int(error.value.response.headers["Retry-After"]) >= 1

    @pytest.mark.parametrize(
        ("body", "expected"),
        [
            ({"id": "x", "animal_id": str(new_id())}, (400, "bad_input")),
            ({"id": str(new_id())}, (400, "bad_input")),
            ({"id": str(new_id()), "animal_id": str(new_id())}, (404, "not_found")),
        ],
    )
    def test_sacrifices(self, yard: Yard, body: dict[str, str], expected: tuple[int, str]) -> None:
        with pytest.raises(httpx.HTTPStatusError) as error:
            yard.tablet.ask("POST", "/api/v1/sacrifices", json=body)
        assert refusal(error) == expected

    def test_an_animal_that_was_opened_already(self, yard: Yard) -> None:
        animal = yard.animals[-1]
        sacrifice = yard.sacrifice()
        yard.tablet.open_sacrifice(animal, sacrifice)
        with pytest.raises(httpx.HTTPStatusError) as error:
            yard.tablet.open_sacrifice(animal)
        assert refusal(error) == (409, "conflict")
        assert error.value.response.json()["sacrifice_id"] == str(sacrifice)

    def test_uploads(self, yard: Yard) -> None:
        sacrifice, video = yard.sacrifice(), new_id()
        good = {"video_id": str(video), "sacrifice_id": str(sacrifice), "filetype": "video/mp4"}

        def create(length: int = 5, **changes: str) -> tuple[int, str]:
            metadata = write_metadata({**good, **changes})
            headers = {"Tus-Resumable": "1.0.0", "Upload-Length": str(length), "Upload-Metadata": metadata}
            with pytest.raises(httpx.HTTPStatusError) as error:
                yard.tablet.ask("POST", "/api/v1/uploads", headers=headers)
            return refusal(error)

        assert create(video_id="1") == (400, "bad_input")
        assert create(filetype="text/html") == (400, "bad_input")
        assert create(sacrifice_id=str(new_id())) == (404, "not_found")
        assert create(length=10**14) == (507, "disk_full")
        yard.tablet.upload(sacrifice, video, b"12345")
        assert create() == (409, "conflict")

    def test_addresses_that_are_not_there(self, yard: Yard) -> None:
        for path in ("/schema", "/api/v1/nothing", "/api/v1/sacrifices/1"):
            with pytest.raises(httpx.HTTPStatusError) as error:
                yard.tablet.ask("GET", path)
            assert refusal(error) == (404, "not_found")
            assert error.value.response.headers["X-Content-Type-Options"] == "nosniff"


def test_one_sqlite_library_in_each_process(yard: Yard) -> None:
    """As the kernel sees it: what is mapped, not what is imported."""
    for name, pid in yard.box.children().items():
        maps = Path(f"/proc/{pid}/maps").read_text()
        libraries = set(re.findall(r"\S*sqlite3\S*\.so\S*", maps))
        assert len(libraries) == 1, (name, libraries)


def test_status_and_doctor_tell_the_truth(yard: Yard) -> None:
    until(lambda: status(yard)["sync"]["unsent_ops"] == 0)
    now = status(yard)
    told = json.loads(yard.box.command("status", "--json").stdout)
    assert told["running"] is True
    assert (told["node"], told["site"]) == (now["node"], "Mirpur")
    assert now["sync"]["error"] is None
    assert now["sync"]["last_contact_s"] < 60
    assert now["disk"]["free_bytes"] > 0
    assert "Mirpur" in yard.box.command("status").stdout
    findings = json.loads(yard.box.command("doctor", "--json").stdout)
    assert [finding["what"] for finding in findings if not finding["is_well"]] == []
    assert {"SQLite", "keys", "database", "ops", "videos"} <= {finding["what"] for finding in findings}


def status(yard: Yard) -> dict[str, Any]:
    return dict(yard.tablet.ask("GET", "/api/v1/status").json())


def test_a_second_box_on_the_folder_is_refused(yard: Yard) -> None:
    answer = yard.box.command("serve", check=False)
    assert answer.returncode == 1
    assert "already_running" in answer.stderr
    assert "Traceback" not in answer.stderr


def test_a_look_before_the_act(yard: Yard, tmp_path: Path) -> None:
    """A clip says what would spoil the video, in three languages, and nothing of it stays on the box."""
    clip = film(tmp_path / "clip.mp4", 2).read_bytes()
    answer = yard.tablet.ask("POST", "/api/v1/preflight", content=clip).json()
    assert answer["ready"] is False
    assert "no_sound" in [fault["code"] for fault in answer["faults"]]
    assert all(set(fault["hints"]) == {"ar", "en", "fr"} for fault in answer["faults"])
    assert yard.tablet.ask("POST", "/api/v1/preflight", content=b"no clip").json()["faults"][0]["code"] == "not_a_video"
    assert not any(clip[:64] in path.read_bytes() for path in yard.box.folder.rglob("*") if path.is_file())


def test_a_look_before_the_act_is_for_those_who_are_signed_in_and_brief(yard: Yard) -> None:
    with pytest.raises(httpx.HTTPStatusError) as error:
        yard.tablet.ask("POST", "/api/v1/preflight", content=bytes(16 * 1024 * 1024 + 1))
    assert refusal(error) == (413, "too_large")
    answer = httpx.post(yard.box.url + "/api/v1/preflight", content=b"clip")
    assert (answer.status_code, answer.json()["code"]) == (401, "not_signed_in")


def test_checks_make_way_for_recordings(yard: Yard) -> None:
    children = yard.box.children()
    assert os.getpriority(os.PRIO_PROCESS, children["worker"]) > os.getpriority(os.PRIO_PROCESS, children["api"])
