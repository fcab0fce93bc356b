"""A small RTSP camera (RFC 2326, RTP interleaved over TCP, Basic authentication) that films a clock.

FFmpeg's own muxer makes the RTP packets and the RTCP reports; here they are only passed on. One viewer at a time.
"""

from __future__ import annotations

import base64
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from selectors import EVENT_READ, DefaultSelector
from urllib.parse import quote

import av
from av.container import OutputContainer

from edge.recorder import simulated
from edge.recorder.address import parse
from edge.recorder.tracks import US, Piece, Tracks

USER, PASSWORD = "admin", "p4ss/word of a camera"


class RtspCamera:
    """Listens at ``url``; ``cut`` ends the connection, and nobody is let in until ``mend``."""

    def __init__(self) -> None:
        self._server = socket.create_server(("127.0.0.1", 0))
        self._port = self._server.getsockname()[1]
        self._tracks = Tracks()
        (address,) = parse("x=sim:?rate=15")
        self._feed = simulated.clock(self._tracks, address)
        self._lock = threading.Lock()
        self._films: list[OutputContainer] = []
        self._begun = 0  # RTCP reports of FFmpeg take it that a film begins at 0
        self._viewer: socket.socket | None = None
        self.is_broken = threading.Event()
        threading.Thread(target=self._film, daemon=True).start()
        threading.Thread(target=self._serve, daemon=True).start()

    @property
    def url(self) -> str:
        return f"rtsp://{USER}:{quote(PASSWORD, safe='')}@127.0.0.1:{self._port}/main"

    def cut(self) -> None:
        self.is_broken.set()
        with suppress(OSError):
            if self._viewer is not None:
                self._viewer.shutdown(socket.SHUT_RDWR)

    def mend(self) -> None:
        self.is_broken.clear()

    def close(self) -> None:
        self.cut()
        self._server.close()

    def _film(self) -> None:
        for piece in self._feed:
            with self._lock:
                if self._films:
                    self._send(self._films[piece.track], piece)

    def _send(self, film: OutputContainer, piece: Piece) -> None:
        packet = av.Packet(piece.data)
        packet.pts, packet.dts = piece.pts - self._begun, piece.dts - self._begun
        packet.time_base, packet.is_keyframe = US, piece.is_key
        packet.stream = film.streams[0]
        film.mux_one(packet)

    def _serve(self) -> None:
        while True:
            try:
                viewer, _ = self._server.accept()
            except OSError:
                return
            with viewer, suppress(OSError, ValueError):
                if not self.is_broken.is_set():
                    self._viewer = viewer
                    self._talk(viewer)

    def _talk(self, viewer: socket.socket) -> None:
        asked = viewer.makefile("rb")
        while line := asked.readline():
            method = line.split()[0].decode()
            headers = dict(
                each.decode().rstrip().split(": ", 1) for each in iter(asked.readline, b"\r\n")
            )
            answer, more, body = "200 OK", [], ""
            if headers.get("Authorization") != f"Basic {self._credentials}" and method != "OPTIONS":
                answer, more = "401 Unauthorized", ['WWW-Authenticate: Basic realm="camera"']
            elif method == "OPTIONS":
                more = ["Public: DESCRIBE, SETUP, PLAY, TEARDOWN"]
            elif method == "DESCRIBE":
                body = self._description()
                more = ["Content-Type: application/sdp", f"Content-Base: rtsp://127.0.0.1:{self._port}/main/"]
            elif method == "SETUP":
                more = [f"Transport: {headers['Transport']}", "Session: 1;timeout=60"]
            else:
                more = ["Session: 1"]
            head = [f"RTSP/1.0 {answer}", f"CSeq: {headers['CSeq']}", f"Content-Length: {len(body)}", *more]
            viewer.sendall("\r\n".join([*head, "", body]).encode())
            if method == "PLAY" and answer == "200 OK":
                self._play(viewer)
                return

    @property
    def _credentials(self) -> str:
        return base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()

    def _description(self) -> str:
        picture, sound = self._tracks.streams
        nals = [nal for nal in picture.codec_context.extradata.split(b"\x00\x00\x00\x01") if nal]
        sets = ",".join(base64.b64encode(nal).decode() for nal in nals[:2])
        config = sound.codec_context.extradata.hex()
        return "\r\n".join([
            "v=0", "o=- 0 0 IN IP4 127.0.0.1", "s=camera", "c=IN IP4 0.0.0.0", "t=0 0",
            "m=video 0 RTP/AVP 96", "a=rtpmap:96 H264/90000",
            f"a=fmtp:96 packetization-mode=1; sprop-parameter-sets={sets}", "a=control:trackID=0",
            "m=audio 0 RTP/AVP 97", f"a=rtpmap:97 MPEG4-GENERIC/{simulated.SOUND_RATE}/1",
            f"a=fmtp:97 mode=AAC-hbr; sizelength=13; indexlength=3; indexdeltalength=3; config={config}",
            "a=control:trackID=1", "",
        ])  # fmt: skip

    def _play(self, viewer: socket.socket) -> None:
        """Pass on what FFmpeg sends by UDP, until the viewer has gone."""
        self._begun = simulated.now_us()
        with DefaultSelector() as waiting:
            for track in (0, 1):
                first, port = _pair()
                for channel, listening in enumerate(first, 2 * track):
                    waiting.register(listening, EVENT_READ, channel)
                film = av.open(f"rtp://127.0.0.1:{port}?pkt_size=1200", "w", format="rtp",
                               options={"payload_type": str(96 + track)})  # fmt: skip
                film.add_stream_from_template(self._tracks.streams[track])
                film.start_encoding()
                with self._lock:
                    self._films.append(film)
            try:
                while not self.is_broken.is_set():
                    for key, _ in waiting.select(0.1):
                        packet = key.fileobj.recv(65536)  # type: ignore[union-attr]
                        viewer.sendall(struct.pack(">cBH", b"$", key.data, len(packet)) + packet)
            finally:
                with self._lock:
                    self._films.clear()
                for key in list(waiting.get_map().values()):
                    key.fileobj.close()  # type: ignore[union-attr]


def _pair() -> tuple[list[socket.socket], int]:
    """Two UDP sockets on neighbouring ports, and the first port: RTP and RTCP."""
    while True:
        rtp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        rtcp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        rtp.bind(("127.0.0.1", 0))
        port = rtp.getsockname()[1]
        try:
            rtcp.bind(("127.0.0.1", port + 1))
        except OSError:
            rtp.close()
            rtcp.close()
            continue
        return [rtp, rtcp], port


@contextmanager
def rtsp_camera() -> Iterator[RtspCamera]:
    camera = RtspCamera()
    try:
        yield camera
    finally:
        camera.close()
