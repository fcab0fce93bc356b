"""The sound as samples, and where somebody speaks."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest

from shared.errors import QurbaniError
from shared.evidence import sound
from shared.evidence.media import Video, opened
from shared.evidence.sound import RATE, Samples, listen, muted, speech
from tests.film import babble, film


def samples(video: Video) -> Samples:
    with opened(video) as container:
        return np.concatenate([piece.samples() for piece in listen(container)])


def test_the_track_as_16_khz_mono(tmp_path: Path) -> None:
    made = babble(5, 1, 4)
    heard = samples(film(tmp_path / "a.mp4", 5, sound=made))
    assert heard.dtype == np.int16
    assert len(heard) == pytest.approx(5 * RATE, abs=RATE // 4)  # AAC adds some silence
    quiet, loud = heard[: RATE // 2], heard[2 * RATE : 3 * RATE]
    assert np.abs(loud.astype(int)).mean() > 20 * np.abs(quiet.astype(int)).mean()


def test_no_track_is_no_samples(tmp_path: Path) -> None:
    with opened(film(tmp_path / "a.mp4", 1)) as container:
        assert list(listen(container)) == []


def test_a_cut_file_gives_its_sound_and_then_the_reason(tmp_path: Path) -> None:
    whole = film(tmp_path / "a.mp4", 8, sound=babble(8, 1, 7), options={"movflags": "faststart"}).read_bytes()
    heard: list[int] = []
    with pytest.raises(QurbaniError) as error, opened(io.BytesIO(whole[: len(whole) // 2])) as container:
        heard.extend(len(piece.samples()) for piece in listen(container))
    assert error.value.code == "file_damaged"
    assert 0 < sum(heard) < 7 * RATE


def test_too_long_is_said_and_not_sat_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sound, "LONGEST_S", 2)
    with pytest.raises(QurbaniError) as error:
        samples(film(tmp_path / "a.mp4", 4, sound=babble(4, 1, 3)))
    assert error.value.code == "too_long"


def test_speech_is_found_where_it_is() -> None:
    (span,) = speech(babble(10, 3, 6)).spans
    assert span.start == pytest.approx(3 - 0.3, abs=0.15)
    assert len(span.samples) / RATE == pytest.approx(3.6, abs=0.3)


def test_a_short_pause_does_not_cut_but_a_long_one_does() -> None:
    close = np.concatenate([babble(4, 1, 3), babble(4, 0.1, 2)])
    apart = np.concatenate([babble(4, 1, 2), babble(4, 1, 2)])
    assert len(speech(babble(4, 1, 3)).spans) == 1
    assert len(speech(close).spans) == 2
    assert len(speech(apart).spans) == 2
    gap = np.concatenate([babble(3, 1, 3), babble(3, 0.4, 2)])
    assert len(speech(gap).spans) == 1


@pytest.mark.parametrize("decibels", [20, 10, 6])
def test_speech_is_found_in_noise(decibels: int) -> None:
    voice = babble(10, 3, 6).astype(float)
    noise = np.random.default_rng(1).standard_normal(voice.size)
    noise *= np.sqrt((voice[3 * RATE : 6 * RATE] ** 2).mean()) / 10 ** (decibels / 20)
    found = speech(np.clip(voice + noise, -32768, 32767).astype(np.int16))
    covered = np.zeros(10 * RATE, bool)
    for span in found.spans:
        covered[int(span.start * RATE) :][: len(span.samples)] = True
    assert covered[3 * RATE : 6 * RATE].mean() > 0.95
    assert covered[: 2 * RATE].mean() < 0.1
    assert found.over_noise > 5


@pytest.mark.parametrize("level", [1, 300, 3000])
def test_steady_noise_is_no_speech(level: int) -> None:
    noise = np.random.default_rng(2).normal(0, level, 20 * RATE).astype(np.int16)
    assert speech(noise).spans == ()


def test_muted_is_not_the_same_as_quiet() -> None:
    assert muted(np.zeros(RATE, np.int16))
    assert muted(np.zeros(0, np.int16))
    assert muted(np.random.default_rng(3).integers(-1, 2, RATE).astype(np.int16) * 8)
    assert not muted(babble(2, 0.5, 1, loud=0.003))
    assert not muted(np.array([0, -32768, 0], np.int16))
