"""How spoken names are judged, on words that are given."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from models_tflite.names import Recording, SpokenClaim, Transcript, judge_names, read_recordings
from shared.domain.verdict import Word
from shared.errors import QurbaniError

SITE = ("Ahmed Benali", "Khadija Mansouri", "Omar Farouk Bello", "Moussa Keita")


def recording(*said: str, snr: float | None = None, lang: str = "en") -> Recording:
    claims = [SpokenClaim(name, name in said, "right" if name in said else "wrong") for name in SITE]
    return Recording("a.flac", lang, tuple(claims), SITE, said, snr)


def transcript(text: str) -> Transcript:
    return Transcript(tuple(Word(word, at * 0.4, at * 0.4 + 0.3, 0.9) for at, word in enumerate(text.split())), 1.0)


def test_what_is_heard_counts_by_language_noise_and_kind() -> None:
    rows = [recording("Ahmed Benali"), recording("Moussa Keita", snr=5.0, lang="fr")]
    found = judge_names(rows, [transcript("on behalf of Ahmed Benali"), transcript("quelque chose")], {})
    ours = found.ways["by sound"]
    assert found.claims == 8
    assert ours.all.true_accepted is not None
    assert (ours.all.true_accepted.hits, ours.all.true_accepted.total) == (1, 2)
    assert ours.clear.true_accepted is not None
    assert (ours.clear.true_accepted.hits, ours.clear.true_accepted.total) == (1, 1)
    assert {name: rates.true_accepted.hits for name, rates in ours.by_language.items() if rates.true_accepted} == {
        "en": 1, "fr": 0,
    }  # fmt: skip
    assert set(ours.by_noise) == {"quiet", "5 dB"}
    assert (ours.by_kind["right"].hits, ours.by_kind["wrong"].hits) == (1, 0)


def test_who_was_said_instead_counts_for_who_can_tell() -> None:
    found = judge_names([recording("Moussa Keita")], [transcript("for Moussa Keita")], {})
    named = {way: (report.swapped.hits, report.swapped.total) for way, report in found.ways.items() if report.swapped}
    named.pop("phonemes", None)  # where eSpeak is here
    assert named == {"by sound": (3, 3), "difflib": (0, 3), "partial_ratio": (0, 3)}


def test_a_false_claim_is_not_helped_by_the_true_ones() -> None:
    """Beside the name that was said, it would find no words left to take."""
    row = Recording("a", "en", (SpokenClaim("Salim Haddad", True), SpokenClaim("Salim Hadad", False, "alike")), ())
    found = judge_names([row], [transcript("for Salim Haddad")], {})
    assert found.ways["by sound"].by_kind["alike"].hits == 1


def test_errors_are_equal_where_the_scores_part() -> None:
    rows = [recording("Ahmed Benali"), recording("Khadija Mansouri")]
    found = judge_names(rows, [transcript("Ahmed Benali"), transcript("Khadija Mansouri")], {})
    assert found.ways["by sound"].all.equal_error == 0
    nothing = judge_names(rows, [transcript("well"), transcript("well")], {})
    assert nothing.ways["difflib"].all.equal_error == pytest.approx(0.5, abs=0.3)


@pytest.mark.parametrize("content", [None, "no json", '[{"file": "a"}]', "[]"])
def test_a_bad_list_is_named(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "names.json").write_text(content)
    with pytest.raises(QurbaniError) as caught:
        read_recordings(tmp_path)
    assert caught.value.code == "bad_dataset"


def test_a_split_leaves_out_the_others(tmp_path: Path) -> None:
    rows = [{"file": split, "lang": "en", "claims": [], "split": split} for split in ("tune", "new")]
    (tmp_path / "names.json").write_text(json.dumps(rows))
    assert [row.file for row in read_recordings(tmp_path, "new")] == ["new"]
    assert len(read_recordings(tmp_path)) == 2
