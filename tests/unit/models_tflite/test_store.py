"""Where models are looked for, and whether they are what they should be."""

from __future__ import annotations

import hashlib
from pathlib import Path

import msgspec

from models_tflite.manifest import Manifest, RecogniserEntry, manifest
from models_tflite.store import SUMS, Store, folders, installed

DETECTOR = msgspec.structs.replace(manifest().entry("yolox-nano-coco"), sha256=hashlib.sha256(b"good").hexdigest())
RECOGNISER = RecogniserEntry("vosk-xx", "vosk", ("xx",), "-", "-", "-", ("am/final.mdl", "conf"), 1)
KNOWN = Manifest((DETECTOR,), (RECOGNISER,))


def recogniser(folder: Path) -> Path:
    model = folder / "vosk-xx"
    (model / "am").mkdir(parents=True)
    (model / "am/final.mdl").write_bytes(b"acoustic")
    (model / "conf").write_bytes(b"")
    return model


def test_the_folders_in_their_order() -> None:
    environ = {"QURBANI_MODELS": "/a", "QURBANI_DATA": "/b", "HOME": "/home/x"}
    assert folders(environ) == [Path("/a"), Path("/b/models"), Path("/home/x/.local/share/qurbani/models")]
    assert folders({"XDG_DATA_HOME": "/c"}) == [Path("/c/qurbani/models")]


def test_the_first_folder_that_has_it(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    for folder in (one, two):
        folder.mkdir()
    store = Store([one, two], KNOWN)
    assert store.find(DETECTOR) is None
    (two / DETECTOR.file).write_bytes(b"good")
    assert store.find(DETECTOR) == two / DETECTOR.file
    (one / DETECTOR.file).write_bytes(b"good")
    assert store.find(DETECTOR) == one / DETECTOR.file


def test_half_a_recogniser_is_none(tmp_path: Path) -> None:
    store = Store([tmp_path], KNOWN)
    model = recogniser(tmp_path)
    assert store.find(RECOGNISER) == model
    (model / "am/final.mdl").unlink()
    assert store.find(RECOGNISER) is None


def test_what_differs_from_the_manifest(tmp_path: Path) -> None:
    store = Store([tmp_path], KNOWN)
    path = tmp_path / DETECTOR.file
    path.write_bytes(b"good")
    assert store.wrong(DETECTOR, path) == []
    path.write_bytes(b"evil")
    assert store.wrong(DETECTOR, path) == [str(path)]


def test_what_differs_from_the_pin(tmp_path: Path) -> None:
    store = Store([tmp_path], KNOWN)
    model = recogniser(tmp_path)
    assert (store.wrong(RECOGNISER, model), store.version(RECOGNISER, model)) == ([], "unpinned")
    sha256 = hashlib.sha256(b"acoustic").hexdigest()
    (model / SUMS).write_text(f"{sha256}  am/final.mdl\n")
    assert (store.wrong(RECOGNISER, model), store.version(RECOGNISER, model)) == ([], sha256[:12])
    (model / "am/final.mdl").write_bytes(b"another")
    assert store.wrong(RECOGNISER, model) == [str(model / "am/final.mdl")]


def test_inside_an_installed_package() -> None:
    assert installed("numpy/__init__.py") is not None
    assert installed("numpy/nothing.bin") is None
    assert installed("no_such_package_anywhere/x") is None
