"""The sound of a copy."""

from __future__ import annotations

from typing import Any

from av.audio.resampler import AudioResampler


class Sound:
    """Audio frames in, AAC packets of ``rate`` bits a second and channel out, muxed into ``out``."""

    _RATE = 48_000

    def __init__(self, out: Any, source: Any, rate: int) -> None:
        channels = min(source.codec_context.channels, 2)
        layout = "mono" if channels == 1 else "stereo"
        self._out = out
        self._stream = out.add_stream("aac", rate=self._RATE, layout=layout)
        self._stream.bit_rate = rate * channels
        self._resampler = AudioResampler(format="fltp", layout=layout, rate=self._RATE)
        self.heard = False

    def put(self, frame: Any) -> None:
        for resampled in self._resampler.resample(frame):
            self._out.mux(self._stream.encode(resampled))
            self.heard = True

    def end(self) -> None:
        if self.heard:
            self.put(None)
            self._out.mux(self._stream.encode(None))
