"""``python -m benchmarks.speech DIR``: synthesise the set into DIR, ``names.json`` last."""

from __future__ import annotations

import argparse
from pathlib import Path

import av
import msgspec
import numpy as np

from benchmarks.speech.script import Utterance, plan
from benchmarks.speech.voices import RATE, Samples, speak

SILENCE_S = 0.5
"""Before and after the voice."""
QUIET_DB = 45.0
"""Even a quiet room is this little below the voice."""
NOISE_ONLY_S = 4.0


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("folder", type=Path)
    arguments.add_argument("--count", type=int, default=270)
    arguments.add_argument("--seed", type=int, default=1)
    given = arguments.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    planned = list(plan(given.count, given.seed))
    for at, utterance in enumerate(planned):
        path = given.folder / utterance.file
        if not path.exists():
            _write(path, _sound(utterance, np.random.default_rng([given.seed, at])))
    (given.folder / "names.json").write_bytes(msgspec.json.format(msgspec.json.encode(planned), indent=1))


def _sound(utterance: Utterance, rng: np.random.Generator) -> Samples:
    """The voice in its noise: pink (a crowd far away) and brown (wind) in equal parts."""
    if utterance.text:
        voice = speak(utterance.text, utterance.lang, utterance.voice, utterance.pace)
        voice = np.pad(voice / np.sqrt(np.mean(voice**2)), round(SILENCE_S * RATE))
    else:
        voice = np.zeros(round(NOISE_ONLY_S * RATE), np.float32)
    noise = _coloured(len(voice), 1, rng) + _coloured(len(voice), 2, rng)
    noise /= np.sqrt(np.mean(noise**2))
    mixed = voice + noise * 10 ** (-(QUIET_DB if utterance.snr is None else utterance.snr) / 20)
    return (mixed / np.abs(mixed).max() * 0.7).astype(np.float32)


def _coloured(count: int, power: float, rng: np.random.Generator) -> Samples:
    """Noise whose power falls with frequency to the ``power``, from 50 Hz on."""
    spectrum = np.fft.rfft(rng.standard_normal(count))
    spectrum /= np.maximum(np.fft.rfftfreq(count, 1 / RATE), 50) ** (power / 2)
    samples = np.fft.irfft(spectrum, count)
    return (samples / np.sqrt(np.mean(samples**2))).astype(np.float32)


def _write(path: Path, samples: Samples) -> None:
    part = path.with_suffix(".part.flac")
    with av.open(str(part), "w", format="flac") as out:
        stream = out.add_stream("flac", rate=RATE, layout="mono")
        frame = av.AudioFrame.from_ndarray((samples * 32767).astype(np.int16)[np.newaxis], format="s16", layout="mono")
        frame.sample_rate, frame.pts = RATE, 0
        for packet in (*stream.encode(frame), *stream.encode(None)):
            out.mux(packet)
    part.rename(path)


if __name__ == "__main__":
    main()
