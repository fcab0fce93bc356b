"""Clients: an outside one that knows nothing of us, and our own over a link that loses things."""

from __future__ import annotations

import hashlib
import io
import random
import time
from collections.abc import Callable, Iterator, Mapping

import httpx
import pytest
from tusclient.client import TusClient

from shared.errors import QurbaniError
from shared.tus.client import FileSource, Pace, TusAnswer, TusRequest, full_jitter, send_upload, upload
from tests.integration.tus.live import Live

DATA = random.Random(3).randbytes(700_000)


def metadata(data: bytes = DATA, name: str = "blob-1") -> dict[str, str]:
    return {"id": name, "sha256": hashlib.sha256(data).hexdigest()}


class Recorded(Pace):
    """Small chunks, and a note of each."""

    def __init__(self, **options: float) -> None:
        super().__init__(low=20_000, high=60_000)
        self.sizes: list[int] = []

    def took(self, size: int, seconds: float) -> None:
        self.sizes.append(size)
        super().took(size, seconds)


def send(live: Live, http: httpx.Client, *, data: bytes = DATA, patience: int = 50,
         waits: list[tuple[int, float]] | None = None) -> str:
    def wait(failures: int, at_least_s: float) -> bool:
        if waits is not None:
            waits.append((failures, at_least_s))
        return failures <= patience

    pace = Recorded()
    return send_upload(http, upload(FileSource(io.BytesIO(data)), live.url, metadata(data), pace), pace,
                       wait=wait, clock=time.monotonic)


class TestTuspy:
    @pytest.mark.parametrize("chunk_size", [10**9, 123_457])
    @pytest.mark.parametrize("with_checksum", [False, True])
    def test_a_whole_upload(self, live: Live, chunk_size: int, with_checksum: bool) -> None:
        TusClient(live.url).uploader(file_stream=io.BytesIO(DATA), chunk_size=chunk_size, metadata={"name": "عيد.mp4"},
                                     upload_checksum=with_checksum).upload()
        assert live.content() == DATA
        assert live.arrived[0].metadata == {"name": "عيد.mp4"}

    def test_pause_and_resume(self, live: Live) -> None:
        first = TusClient(live.url).uploader(file_stream=io.BytesIO(DATA), chunk_size=100_000)
        first.upload(stop_at=250_000)
        again = TusClient(live.url).uploader(file_stream=io.BytesIO(DATA), url=first.url, chunk_size=100_000)
        assert again.offset == first.offset == 250_000
        again.upload()
        assert live.content() == DATA

    def test_an_empty_file(self, live: Live) -> None:
        TusClient(live.url).uploader(file_stream=io.BytesIO(b"")).upload()
        assert live.content() == b""


class Lossy(httpx.BaseTransport):
    """Loses one message in ``odds``: the request on its way, its body in the middle, or the answer."""

    def __init__(self, seed: int, odds: float) -> None:
        self._rng = random.Random(seed)
        self._odds = odds
        self._inner = httpx.HTTPTransport()
        self.lost = 0

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        fate = self._rng.choice(["request", "body", "answer"]) if self._rng.random() < self._odds else ""
        self.lost += bool(fate)
        if fate == "request":
            raise httpx.ConnectTimeout("lost", request=request)
        if fate == "body" and (content := request.content):
            request.stream = Broken(content[:self._rng.randrange(len(content))])
        answer = self._inner.handle_request(request)
        if fate == "answer":
            answer.close()
            raise httpx.ReadTimeout("lost", request=request)
        return answer

    def close(self) -> None:
        self._inner.close()


class Broken(httpx.SyncByteStream):
    def __init__(self, content: bytes) -> None:
        self._content = content

    def __iter__(self) -> Iterator[bytes]:
        yield self._content
        raise httpx.WriteError("cut")


class TestOurs:
    def test_a_whole_upload(self, live: Live) -> None:
        with httpx.Client() as http:
            url = send(live, http)
            assert send(live, http) == url, "what is there is not sent again"
            assert httpx.head(url, headers={"Tus-Resumable": "1.0.0"}).headers["upload-offset"] == str(len(DATA))
        assert live.content() == DATA

    def test_an_empty_upload(self, live: Live) -> None:
        with httpx.Client() as http:
            send(live, http, data=b"")
        assert live.content() == b""

    @pytest.mark.parametrize("seed", range(4))
    def test_over_a_link_that_loses_every_third_message(self, live: Live, seed: int) -> None:
        lossy = Lossy(seed, 1 / 3)
        with httpx.Client(transport=lossy) as http:
            send(live, http)
        assert lossy.lost > 3
        assert live.content() == DATA

    def test_what_was_left_is_gone_on_with(self, live: Live) -> None:
        broken_off = []
        for seed in range(100):
            with httpx.Client(transport=Lossy(seed, 0.3)) as http:
                try:
                    send(live, http, patience=0)
                    break
                except QurbaniError as error:
                    broken_off.append(error.code)
        assert len(broken_off) > 1
        assert set(broken_off) == {"unavailable"}
        assert live.content() == DATA

    def test_it_waits_as_long_as_it_is_asked_to(self, serve: Callable[..., Live]) -> None:
        live = serve()

        async def away(arrived: object) -> None:
            live.finished = live.take
            raise QurbaniError("unavailable", retry_after=7)

        live.finished = away
        waits: list[tuple[int, float]] = []
        with httpx.Client() as http:
            send(live, http, waits=waits)
        assert waits == [(1, 7.0)]
        assert live.content() == DATA

    def test_damage_on_the_way_is_sent_again(self, live: Live) -> None:
        class Flipping(httpx.BaseTransport):
            def __init__(self) -> None:
                self.inner, self.seen = httpx.HTTPTransport(), 0

            def handle_request(self, request: httpx.Request) -> httpx.Response:
                self.seen += request.method == "PATCH"
                if request.method == "PATCH" and self.seen == 3:
                    damaged = bytearray(request.content)
                    damaged[77] ^= 1
                    request.stream = httpx.ByteStream(bytes(damaged))
                return self.inner.handle_request(request)

            def close(self) -> None:
                self.inner.close()

        with httpx.Client(transport=Flipping()) as http:
            send(live, http)
        assert live.content() == DATA

    def test_it_does_not_try_for_ever_what_is_refused(self, live: Live) -> None:
        lie = {**metadata(), "sha256": "0" * 64}
        pace = Recorded()
        with httpx.Client() as http, pytest.raises(QurbaniError) as caught:
            send_upload(http, upload(FileSource(io.BytesIO(DATA)), live.url, lie, pace), pace,
                        wait=lambda failures, at_least_s: True, clock=time.monotonic)
        assert caught.value.code == "checksum_mismatch"
        assert live.arrived == []
        assert sum(pace.sizes) < 5 * len(DATA)

    def test_an_upload_that_has_expired_begins_anew(self, live: Live) -> None:
        class Late(Recorded):
            def took(self, size: int, seconds: float) -> None:
                super().took(size, seconds)
                if len(self.sizes) == 3:
                    live.clock.advance(live.uploads.limits.lifetime_s * 1000)

        pace = Late()
        with httpx.Client() as http:
            send_upload(http, upload(FileSource(io.BytesIO(DATA)), live.url, metadata(), pace), pace,
                        wait=lambda failures, at_least_s: False, clock=time.monotonic)
        assert live.content() == DATA


def answers(script: Mapping[str, TusAnswer | None], steps: int = 20) -> list[TusRequest]:
    """What the generator asks when each method is always answered the same."""
    uploading = upload(FileSource(io.BytesIO(b"abc")), "https://hub.example/blobs", metadata(b"abc"), Pace())
    asked = [next(uploading)]
    for _ in range(steps):
        asked.append(uploading.send(script[asked[-1].method]))
    return asked


def test_credentials_are_not_carried_elsewhere() -> None:
    for elsewhere in ("https://evil.example/x", "http://hub.example/blobs/x", "//evil.example/x", ""):
        with pytest.raises(QurbaniError) as caught:
            answers({"POST": TusAnswer(201, {"location": elsewhere, "upload-offset": "0"})})
        assert caught.value.code == "bad_answer"
    asked = answers({"POST": TusAnswer(201, {"location": "/blobs/x"}), "HEAD": None}, steps=1)
    assert asked[-1].url == "https://hub.example/blobs/x"
    assert asked[-1].method == "HEAD", "a server that does not say where it stands is asked"


def test_a_server_that_talks_nonsense_does_not_make_it_spin() -> None:
    created = TusAnswer(201, {"location": "/blobs/x", "upload-offset": "0"})
    for patched in (TusAnswer(204, {}), TusAnswer(204, {"upload-offset": "0"}), TusAnswer(418, {}),
                    TusAnswer(409, {}, b"{}"), TusAnswer(404, {})):
        with pytest.raises(QurbaniError) as caught:
            answers({"POST": created, "PATCH": patched, "HEAD": TusAnswer(200, {"upload-offset": "0"})})
        assert caught.value.code == "bad_answer"


def test_the_servers_own_words_are_passed_on() -> None:
    refusal = TusAnswer(507, {}, b'{"code": "storage_full", "detail": "12 MB are left", "status": 507}')
    with pytest.raises(QurbaniError) as caught:
        answers({"POST": refusal})
    assert (caught.value.code, caught.value.detail) == ("storage_full", "12 MB are left")


def test_the_pace_follows_the_link() -> None:
    pace = Pace(low=1000, high=100_000, aim_s=5)
    for _ in range(20):
        pace.took(pace.chunk, pace.chunk / 8000)
    assert pace.chunk == 40_000
    for _ in range(20):
        pace.took(pace.chunk, pace.chunk / 10**9)
    assert pace.chunk == 100_000
    for _ in range(20):
        pace.failed()
    assert pace.chunk == 1000


def test_waits_grow_and_are_spread() -> None:
    rng = random.Random(1)
    bounds = [max(full_jitter(attempt, rng, base_s=1, cap_s=60) for _ in range(500)) for attempt in range(12)]
    for attempt, longest in enumerate(bounds):
        assert 0.9 * min(60, 2**attempt) < longest <= min(60, 2**attempt)
    assert min(full_jitter(9, rng) for _ in range(500)) < 1
    assert full_jitter(10**6, rng, cap_s=60) <= 60
