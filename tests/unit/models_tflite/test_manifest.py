"""The list of models: every row can be read, and a wrong one is named."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from models_tflite.decoders import DECODERS
from models_tflite.manifest import PATH, DetectorEntry, RecogniserEntry, manifest
from shared.domain.verdict import GROUPS
from shared.errors import QurbaniError

ENTRIES = manifest().entries


def test_names_are_unique_and_found() -> None:
    names = [entry.name for entry in ENTRIES]
    assert len(set(names)) == len(names)
    assert [manifest().entry(name) for name in names] == list(ENTRIES)


@pytest.mark.parametrize("entry", manifest().detector, ids=lambda entry: entry.name)
def test_a_detector_says_all_that_is_needed_to_use_it(entry: DetectorEntry) -> None:
    assert len(entry.sha256) == 64
    assert entry.output.decoder in DECODERS
    assert set(entry.groups) == set(entry.rule.thresholds) == set(GROUPS)
    for group in GROUPS:
        assert set(entry.groups[group]) <= set(entry.output.labels)
        threshold = entry.rule.thresholds[group]
        assert 0 < threshold.absent < threshold.present < 1
    assert 1 <= entry.rule.frames <= entry.rule.within
    assert entry.licence


@pytest.mark.parametrize("entry", manifest().detector, ids=lambda entry: entry.name)
def test_what_an_animal_is_mistaken_for_is_never_enough_alone(entry: DetectorEntry) -> None:
    lookalikes = [weight for weight in entry.groups["animal"].values() if weight < 1]
    assert all(weight <= entry.rule.thresholds["animal"].present for weight in lookalikes)


def test_another_way_to_read_a_model_is_another_version() -> None:
    entry = manifest().detector[0]
    groups = {**entry.groups, "animal": {"animal": 0.5}}
    others = [
        replace(entry, sha256="0" * 64),
        replace(entry, input=replace(entry.input, pad=0)),
        replace(entry, output=replace(entry.output, overlap=0.6)),
        replace(entry, groups=groups),
    ]
    assert len({entry.version, *(other.version for other in others)}) == 5
    assert replace(entry, about="", url="https://example.org").version == entry.version


@pytest.mark.parametrize("entry", manifest().recogniser, ids=lambda entry: entry.name)
def test_a_recogniser_can_be_had_somehow(entry: RecogniserEntry) -> None:
    assert entry.files
    assert bool(entry.url) != bool(entry.packages)
    assert set(entry.sha256) <= set(entry.files)
    assert set(entry.join) <= set(entry.files)
    assert not entry.url or entry.url.startswith("https://")


def test_a_wrong_field_is_named(tmp_path: Path) -> None:
    wrong = tmp_path / "manifest.toml"
    wrong.write_text(PATH.read_text().replace('layout = "nchw"', 'layout = "sideways"', 1))
    with pytest.raises(QurbaniError, match="layout") as error:
        manifest(wrong)
    assert error.value.code == "misconfigured"
    wrong.write_text("[[detector]")
    with pytest.raises(QurbaniError, match=r"manifest\.toml"):
        manifest.__wrapped__(wrong)


def test_an_unknown_name_is_said() -> None:
    with pytest.raises(QurbaniError, match="'nobody'") as error:
        manifest().entry("nobody")
    assert error.value.code == "no_model"
