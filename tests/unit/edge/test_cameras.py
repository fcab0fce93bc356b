"""What the recorder is made of: addresses, the ring, fragments, and the parts that they lie in."""

from __future__ import annotations

import errno
import io
import struct
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from uuid import UUID

import av
import msgspec
import numpy as np
import pytest

from edge.arrival import Arrival
from edge.blobs import Blobs
from edge.bus import Bell
from edge.capture import Capture
from edge.db import Database
from edge.node import Keys
from edge.recorder import simulated
from edge.recorder.address import parse
from edge.recorder.camera import Timeline
from edge.recorder.fragments import Fragments, whole
from edge.recorder.recording import Film, Keeper
from edge.recorder.reel import Reel
from edge.recorder.ring import Ring
from edge.recorder.source import Lost, connect, opening
from edge.recorder.still import Still, sample
from edge.recorder.tracks import Piece, Tracks
from edge.recordings import Recordings
from shared.clock import ManualClock
from shared.crypto import UnsealKey
from shared.errors import QurbaniError
from shared.ids import new_id
from shared.sealed import SealedReader
from shared.sealed_file import SealedFile
from tests.box import until
from tests.unit.edge.conftest import EXECUTOR

KEY = UnsealKey.generate()


@pytest.mark.parametrize(
    "text",
    ["gate", "gate=", "=sim:", "gate=http://10.0.0.5/", "gate=rtsp:///s3cret", "gate=v4l2:", "gate=sim: gate=sim:",
     "gate=sim:?size=large", "gate=sim:?rate=often", "gate=v4l2:/dev/video0?secret=s3cret", "a/b=sim:",
     "gate=rtsp://admin:s3cret@[::1"],
)  # fmt: skip
def test_an_address_that_is_wrong_is_named_without_its_secrets(text: str) -> None:
    with pytest.raises(QurbaniError, match="QURBANI_EDGE_CAMERAS") as error:
        parse(text)
    assert "s3cret" not in str(error.value)


def test_addresses() -> None:
    url, device = "rtsp://admin:s3cret@10.0.0.5:8554/s3cret", "v4l2:/dev/video0?size=1280x720&sound=hw:1"
    gate, shed, _ = parse(f"gate={url} shed={device} x=sim:")
    assert (gate.name, gate.where) == ("gate", url)
    assert "s3cret" not in f"{gate} {gate!r} {gate.shown}"
    assert (shed.where, shed.size, shed.options["sound"]) == ("/dev/video0", (1280, 720), "hw:1")


@pytest.fixture(scope="module")
def filmed() -> list[Piece]:
    """Three seconds of a simulated camera, as fast as they can be made."""
    tracks = Tracks()
    pictures, sounds = tracks.drawing(320, 180, 10), tracks.speaking(simulated.SOUND_RATE, 1)
    tracks.fix()
    return list(simulated.ticking(pictures, sounds, 320, 180, 10, begin=0, seconds=3))


def copied(piece: Piece, dts: int, *, is_key: bool = True, size: int = 100) -> Piece:
    return Piece(piece.tracks, 0, bytes(size), dts, dts, 40_000, is_key)


def test_a_ring_is_bounded_in_time_and_in_bytes(filmed: list[Piece]) -> None:
    by_time, by_size = Ring(2, 10**6), Ring(100, 1000)
    for number in range(100):
        for ring in (by_time, by_size):
            ring.put(copied(filmed[0], number * 100_000, is_key=number % 5 == 0))
    assert by_time.after(0)[0][0].dts == 8_000_000
    assert by_time.seconds == pytest.approx(1.9)
    assert len(by_size.after(by_size.place(0) or 0)[0]) == 10


def test_a_film_begins_at_the_key_frame_before(filmed: list[Piece]) -> None:
    ring = Ring(100, 10**6)
    assert ring.place(0) is None
    for number in range(100):
        ring.put(copied(filmed[0], number * 100_000, is_key=number % 20 == 7))
    begun, after = ring.after(ring.place(5_000_000) or 0)
    assert begun[0].dts == 4_700_000
    assert ring.after(after, 0.01)[0] == []
    begun, _ = ring.after(ring.place(0) or 0)
    assert begun[0].dts == 700_000, "the oldest there is"


def test_who_reads_too_slowly_goes_on_at_a_key_frame(filmed: list[Piece]) -> None:
    ring = Ring(2, 10**6)
    for number in range(100):
        ring.put(copied(filmed[0], number * 100_000, is_key=number % 20 == 0))
    assert ring.after(10)[0][0].begins_picture


def test_nothing_is_placed_later_than_it_has_come(filmed: list[Piece]) -> None:
    """A camera with a clock of its own, whose first pieces come late, and which then sets its clock."""
    now = 0
    timeline = Timeline(lambda: now)
    placed = []
    for number in range(200):
        now = 1_000_000_000 + number * 40_000 + (500_000 if number < 3 else 0)
        jump = 3_600_000_000 if number >= 100 else 0
        placed.append(timeline.place(copied(filmed[0], number * 40_000 + jump)).dts - 1_000_000_000 - number * 40_000)
    assert all(abs(off) < 1000 for off in [*placed[3:100], *placed[100:]])


def test_picture_and_sound_keep_together_or_each_to_itself(filmed: list[Piece]) -> None:
    """Sound that comes late is later; sound whose times have nothing to do with the picture's comes as it comes."""
    for base, off in ((-300_000, -300_000), (271_000_000_000, 0)):
        moments = [1_000_000_000 + number * 40_000 for number in range(10)]
        clock = iter(moment for moment in moments for _ in range(2))
        timeline = Timeline(lambda clock=clock: next(clock))  # type: ignore[misc]
        for now in moments:
            picture = timeline.place(copied(filmed[0], now))
            sound = timeline.place(msgspec.structs.replace(copied(filmed[0], now + base), track=1))
            assert abs(sound.dts - picture.dts - off) < 1000


def film(pieces: list[Piece], origin: int | None = None) -> tuple[bytes, list[bytes]]:
    """The head and the fragments."""
    made = Fragments(pieces[0].tracks, pieces[0].dts if origin is None else origin)
    return made.head, [each for each in [*map(made.put, pieces), made.close()] if each]


def pictures(content: bytes) -> list[float]:
    with av.open(io.BytesIO(content)) as container:
        return [frame.time for frame in container.decode(video=0)]


def test_every_fragment_is_whole_and_short(filmed: list[Piece]) -> None:
    head, fragments = film(filmed)
    assert len(fragments) >= 5
    assert all(each[4:8] == b"moof" for each in fragments)
    for count in range(1, len(fragments) + 1):
        content = head + b"".join(fragments[:count])
        assert whole(io.BytesIO(content)) == (len(head), len(content))
        assert pictures(content)[-1] >= count * 0.5 - 0.1, "all that was handed out plays"
    head_end, end = whole(io.BytesIO(content[:-1]))
    assert head_end == len(head) < end < len(content)
    assert pictures(content[:end])[-1] > 2


def test_sound_that_ends_does_not_hold_the_picture_up(filmed: list[Piece]) -> None:
    made = Fragments(filmed[0].tracks, filmed[0].dts)
    silent = [piece for piece in filmed if piece.track == 0 or piece.dts < filmed[0].dts + 500_000]
    content = made.head + b"".join(map(made.put, silent))
    assert pictures(content)[-1] > 1.5


def reel(folder: Path) -> Reel:
    return Reel(folder / "reel", [KEY.public], KEY)


def opened(found: tuple[Path, object] | None) -> bytes:
    assert found is not None
    with found[0].open("rb") as sealed:
        return SealedReader(sealed, KEY).read()


def begin(folder: Path, *written: bytes) -> None:
    """A process writes a part, each time flushed, and is killed."""
    part = reel(folder).part()
    for each in written:
        part.write(each)
        part.sync()
    part.close()


def test_a_part_that_was_left_is_the_film(tmp_path: Path, filmed: list[Piece]) -> None:
    head, fragments = film(filmed)
    begin(tmp_path, head + fragments[0], fragments[1])
    assert reel(tmp_path).head() == head
    found = reel(tmp_path).finish()
    assert opened(found) == head + fragments[0] + fragments[1]
    assert reel(tmp_path).finish() == found, "what may stand among the blobs must never be touched again"


def test_parts_become_one_film_and_half_a_fragment_goes(tmp_path: Path, filmed: list[Piece]) -> None:
    head, fragments = film(filmed)
    begin(tmp_path, head + fragments[0], fragments[1][:-5])
    begin(tmp_path, head + fragments[2], fragments[3])
    (tmp_path / "reel" / "joined").write_bytes(b"what an earlier attempt had written")
    content = opened(reel(tmp_path).finish())
    assert content == head + fragments[0] + fragments[2] + fragments[3]
    assert pictures(content)[-1] > 1.5


@pytest.mark.parametrize("left", [None, b"", "head", "half"])
def test_what_holds_no_fragment_is_no_film(tmp_path: Path, filmed: list[Piece], left: bytes | str | None) -> None:
    head, fragments = film(filmed)
    if left is not None:
        begin(tmp_path, {"head": head, "half": head + fragments[0][:-1]}.get(left, b""))  # type: ignore[call-overload]
    assert reel(tmp_path).finish() is None


def test_a_torn_disk_costs_the_end_only(tmp_path: Path, filmed: list[Piece]) -> None:
    """Whatever byte the file of the tail ends at, what is whole before plays."""
    head, fragments = film(filmed)
    begin(tmp_path, head, *fragments)
    tail = tmp_path / "reel" / "0000.tail"
    size = tail.stat().st_size
    for cut in range(size, 0, -size // 7):
        with tail.open("r+b") as file:
            file.truncate(cut)
        (tmp_path / "reel" / "whole").unlink(missing_ok=True)
        found = reel(tmp_path).finish()
        if found is None:
            break
        content = opened(found)
        assert whole(io.BytesIO(content))[1] == len(content)
        assert pictures(content)


def test_the_picture_of_now_and_the_last_seconds(filmed: list[Piece]) -> None:
    ring = Ring(30, 10**7)
    still = Still(ring)
    assert (still.jpeg(), sample(ring, 1)) == (b"", b"")
    for piece in filmed:
        ring.put(piece)
    assert still.jpeg()[:3] == b"\xff\xd8\xff"
    assert pictures(sample(ring, 1))


def heads() -> Iterator[bytes]:
    """Those of two connections to one camera."""
    for _ in range(2):
        tracks = Tracks()
        tracks.drawing(320, 180, 10)
        tracks.speaking(16_000, 1)
        tracks.fix()
        yield Fragments(tracks, 0).head


def test_a_camera_that_comes_back_fits_into_the_same_film() -> None:
    first, second = heads()
    assert first == second
    assert struct.unpack_from(">I4s", first)[1] == b"ftyp"


@pytest.mark.parametrize(
    ("video", "audio", "suffix", "kept"),
    [("libx265", "libopus", "mkv", True), ("mjpeg", "pcm_mulaw", "mov", False), ("mpeg4", "mp2", "avi", False)],
)
def test_what_a_film_can_hold_is_not_encoded_again(
    tmp_path: Path, video: str, audio: str, suffix: str, kept: bool
) -> None:
    """Cameras of every kind: their packets as they are, or as H.264 and AAC."""
    clip = tmp_path / f"clip.{suffix}"
    with av.open(str(clip), "w") as out:
        pictures = out.add_stream(video, rate=25)
        pictures.width, pictures.height = 160, 96
        pictures.pix_fmt = "yuvj420p" if video == "mjpeg" else "yuv420p"
        sounds = out.add_stream(audio, rate={"libopus": 48_000, "pcm_mulaw": 8_000}.get(audio, 44_100), layout="mono")
        if video == "libx265":
            pictures.codec_context.options = {"x265-params": "log-level=none"}
        for number in range(25):
            frame = av.VideoFrame.from_ndarray(simulated.picture(40 * number, 160, 96), format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, 25)
            out.mux(pictures.encode(frame.reformat(format=pictures.pix_fmt)))
        samples = np.zeros((1, sounds.rate), np.int16)
        heard = av.AudioFrame.from_ndarray(samples, format="s16", layout="mono")
        heard.sample_rate, heard.pts, heard.time_base = sounds.rate, 0, Fraction(1, sounds.rate)
        out.mux(sounds.encode(heard))
        out.mux(pictures.encode(None))
        out.mux(sounds.encode(None))
    source = connect(parse(f"x=sim:{clip}")[0])
    feed, found = source.feeds[0], list[Piece]()
    while len([piece for piece in found if piece.track == 0]) < 20:
        found.append(next(feed))
    source.close()
    head, fragments = film(found)
    with av.open(io.BytesIO(head + b"".join(fragments))) as container:
        names = [stream.codec_context.name for stream in container.streams]
        assert names == (["hevc", "opus"] if kept else ["h264", "aac"])
        assert len(list(container.decode(video=0))) >= 18
    assert found[0].begins_picture


def test_a_usb_camera_is_asked_for_what_its_address_says() -> None:
    """The options of FFmpeg's v4l2 demuxer. No test here has such a camera; that it is asked shows in its answer."""
    (address,) = parse("shed=v4l2:/dev/video99?size=1280x720&rate=25&format=mjpeg&sound=hw:1")
    assert opening(address) == ("v4l2", {"video_size": "1280x720", "framerate": "25", "input_format": "mjpeg"})
    with pytest.raises(Lost, match="No such file or directory"):
        connect(address)


def test_a_recording_that_cannot_be_written_is_tried_again_and_loses_nothing_that_was(
    tmp_path: Path, filmed: list[Piece], capture: Capture, keys: Keys, db: Database, sacrifice: UUID
) -> None:
    """The disk refuses the second write; what comes later fits into the same film."""
    given: list[bool] = []
    now = filmed[-1].dts
    bell, blobs = Bell(tmp_path, "recorder"), Blobs(tmp_path / "blobs", keys.seal)
    (tmp_path / "blobs").mkdir()
    ledger = Recordings(db, ManualClock())
    room = lambda: not given.append(True)  # noqa: E731
    keeper = Keeper(ledger, Arrival(capture, blobs, bell), bell, lambda: now, new_id, room)
    ring = Ring(30, 10**7)
    half = len(filmed) // 2
    for piece in filmed[:half]:
        ring.put(piece)
    asked = ledger.ask(new_id(), sacrifice, "gate", EXECUTOR, None)
    tapes = (tmp_path / "reel", [keys.seal.public], keys.seal)
    refused = Film(asked, FullDisk(*tapes), keeper, ring, 0, 10**18, -1)
    refused.start()
    until(lambda: ledger.find(asked.id).state == "running")
    for piece in filmed[half:]:
        ring.put(piece)
    refused.join(20)
    assert refused.failed_us is not None
    assert not given, "the room that is held for records is not for pictures"

    ring.put(copied(filmed[-1], now + 1_000_000, is_key=False))
    Film(ledger.find(asked.id), Reel(*tapes), keeper, ring, refused.kept_us, now, refused.kept_us).run()
    assert ledger.find(asked.id).state == "kept"
    (row,) = db.rows("SELECT blob_id FROM video")
    with blobs.opened(row["blob_id"]) as kept:
        shown = pictures(kept.read())
    assert shown[-1] > 0.5
    assert shown == sorted(set(shown))
    assert not Reel(*tapes).is_there
    bell.close()


class FullDisk(Reel):
    """Takes a first write, and then no more."""

    def part(self) -> SealedFile:
        made = super().part()
        write = made.write

        def refuse(data: bytes) -> None:
            if made.size > 2000:  # more than the head
                raise OSError(errno.ENOSPC, "No space left on device")
            write(data)

        made.write = refuse  # type: ignore[method-assign]
        return made
