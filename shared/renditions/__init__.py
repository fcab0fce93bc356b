"""The copies that are made of a video to be watched: a compressed one and a poster.

Everything streams, frame by frame in and packet by packet out, from any seekable file to any seekable file.
"""

from shared.renditions.compress import WATCHABLE, Progress, Quality, Rendition, compress
from shared.renditions.poster import POSTER_SIDE, poster

__all__ = ["POSTER_SIDE", "WATCHABLE", "Progress", "Quality", "Rendition", "compress", "poster"]
