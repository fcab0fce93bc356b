"""The copy that fits into a messenger."""

from __future__ import annotations

from shared.renditions.compress import Quality

MESSENGER_BYTES = 16_000_000
"""What the widespread messengers take as a video."""

_PICTURE = 0.95
"""The rest is for the container."""
_AUDIO_RATE = 24_000
_SIDES = ((500_000, 854, 30), (200_000, 640, 25), (0, 426, 15))
"""From so many bits a second on, the longer side in pixels and the pictures a second."""


def messenger(seconds: float, most: int = MESSENGER_BYTES) -> Quality:
    """How to compress a film of that length into ``most`` bytes.

    The encoder keeps to its cap over two seconds (``bufsize``), so what it makes is no larger than the cap for two
    seconds more than the film.
    """
    rate = max(int(most * 8 * _PICTURE / (seconds + 2.0)) - 2 * _AUDIO_RATE, 20_000)
    side, fps = next((side, fps) for least, side, fps in _SIDES if rate >= least)
    return Quality(long_side=side, fps=fps, crf=24, video_rate=min(rate, 2_000_000), audio_rate=_AUDIO_RATE)
