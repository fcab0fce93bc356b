"""The copies that are made of a video to be watched: a compressed one, one for messengers and a poster.

Everything streams, frame by frame in and packet by packet out, from any seekable file to any seekable file.
"""

from shared.renditions.compress import WATCHABLE, Progress, Quality, Rendition, compress
from shared.renditions.messenger import MESSENGER_BYTES, messenger
from shared.renditions.poster import POSTER_SIDE, poster

__all__ = [
    "MESSENGER_BYTES",
    "POSTER_SIDE",
    "WATCHABLE",
    "Progress",
    "Quality",
    "Rendition",
    "compress",
    "messenger",
    "poster",
]
