"""The demo's own clips, judged by what installs with the code; the story judges the others of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from demo.clips import SCENES, SEVEN, make
from models_tflite.loader import load_detector, load_transcriber
from models_tflite.store import Store
from shared.domain.verdict import Claim
from shared.evidence.decode import decode
from shared.evidence.pipeline import validate

LARGEST = 700_000


@pytest.mark.parametrize(
    ("name", "said", "outcome", "reasons"),
    [
        ("no_animal_ahmed_benali.mp4", SEVEN[:1], "rejected", ["no_animal"]),
        ("no_knife_ahmed_benali.mp4", SEVEN[:1], "rejected", ["no_knife"]),
        ("cow_seven_names.mp4", SEVEN, "authentic", []),
    ],
)
def test_a_clip_is_judged_by_what_it_shows(
    tmp_path: Path, name: str, said: tuple[str, ...], outcome: str, reasons: list[str]
) -> None:
    clip = make(tmp_path, name)
    assert clip.stat().st_size < LARGEST
    store = Store([])
    found = validate(
        clip, [Claim(each) for each in said], [Claim(each) for each in SEVEN],
        detector=load_detector(store, "qurbani-scene"), transcriber=load_transcriber(store, name="whisper-tiny-en"),
        spoken=["en"], decode=decode,
    )  # fmt: skip
    assert [(share.heard, share.said) for share in found.shares if share.heard != "heard"] == []
    assert (found.outcome, [reason.code for reason in found.reasons]) == (outcome, reasons)


def test_every_scene_has_its_pictures_and_its_voice() -> None:
    demo = Path(__file__).parents[3] / "demo"
    for scene in SCENES.values():
        assert (demo / "voices" / f"{scene.voice}.opus").is_file()
        assert not scene.animal or (demo / "pictures" / f"{scene.animal}.webp").is_file()
