"""Opening a file and saying what is in it."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from shared.errors import QurbaniError
from shared.evidence.media import AudioTrack, VideoTrack, opened, probe
from tests.film import babble, film


def test_says_what_is_in_it(tmp_path: Path) -> None:
    with opened(film(tmp_path / "a.mp4", 3, sound=babble(3, 1, 2))) as container:
        found = probe(container)
    assert found.seconds == pytest.approx(3, abs=0.1)
    assert found.video == VideoTrack("h264", 160, 96, 10.0)
    assert found.audio == AudioTrack("aac", 16000, 1)


def test_no_sound_is_none(tmp_path: Path) -> None:
    with opened(film(tmp_path / "a.mp4", 1)) as container:
        assert probe(container).audio is None


def test_reads_a_file_object_from_its_start_and_leaves_it_open(tmp_path: Path) -> None:
    file = io.BytesIO(film(tmp_path / "a.mp4", 1).read_bytes())
    file.seek(100)
    with opened(file) as container:
        assert probe(container).video is not None
    assert not file.closed


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "file_empty"),
        (b"\0", "not_a_video"),
        (b"hello, this is no video\n" * 500, "not_a_video"),
        (b"\x00\x00\x00\x18ftypisom\x00\x00\x02\x00isomiso2" + bytes(4000), "not_a_video"),
    ],
)
def test_what_is_no_video(content: bytes, code: str) -> None:
    with pytest.raises(QurbaniError) as error, opened(io.BytesIO(content)):
        pass
    assert error.value.code == code


def test_a_playlist_in_disguise_reads_no_other_file(tmp_path: Path) -> None:
    """FFmpeg would follow these to the video beside them."""
    other = film(tmp_path / "other.ts", 1)
    playlists = (
        f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{other}\n#EXT-X-ENDLIST\n",
        f"ffconcat version 1.0\nfile '{other}'\n",
    )
    for text in playlists:
        disguised = tmp_path / "clip.mp4"
        disguised.write_text(text)
        with pytest.raises(QurbaniError) as error, opened(disguised):
            pass
        assert error.value.code == "not_a_video"


def test_a_wrong_path_is_named(tmp_path: Path) -> None:
    with pytest.raises(QurbaniError, match="nothing\\.mp4") as error, opened(tmp_path / "nothing.mp4"):
        pass
    assert error.value.code == "not_found"
