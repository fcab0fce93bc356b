"""The protocol, header by header, over both stores."""

from __future__ import annotations

import hashlib
import random
from base64 import b64encode
from collections.abc import Callable

import httpx
import pytest

from tests.integration.tus.live import CHUNK, TUS, Live

DATA = random.Random(1).randbytes(300_000)


def create(http: httpx.Client, live: Live, length: int | None, **headers: str) -> str:
    given = {"Upload-Defer-Length": "1"} if length is None else {"Upload-Length": str(length)}
    answer = http.post(live.url, headers={**given, **headers})
    assert answer.status_code == 201, answer.text
    assert answer.content == b""
    return str(httpx.URL(live.url).join(answer.headers["location"]))


def patch(http: httpx.Client, url: str, offset: int, body: bytes, **headers: str) -> httpx.Response:
    return http.patch(url, content=body, headers={**CHUNK, "Upload-Offset": str(offset), **headers})


def offset(http: httpx.Client, url: str) -> int:
    answer = http.head(url)
    assert answer.status_code == 200
    return int(answer.headers["upload-offset"])


def code(answer: httpx.Response) -> tuple[int, str]:
    assert answer.headers["tus-resumable"] == "1.0.0"
    assert answer.headers["content-type"] == "application/problem+json"
    return answer.status_code, answer.json()["code"]


def metadata(**pairs: str) -> str:
    return ",".join(f"{key} {b64encode(value.encode()).decode()}".strip() for key, value in pairs.items())


def test_options_tells_what_the_server_can_do(live: Live) -> None:
    answer = httpx.options(live.url)
    assert answer.status_code == 204
    assert answer.headers["tus-version"] == "1.0.0"
    assert set(answer.headers["tus-extension"].split(",")) == {
        "creation", "creation-with-upload", "creation-defer-length", "checksum", "termination", "expiration",
        "concatenation"}
    assert answer.headers["tus-checksum-algorithm"] == "sha1,sha256"
    assert int(answer.headers["tus-max-size"]) == live.uploads.limits.max_size


def test_an_upload_in_pieces(http: httpx.Client, live: Live) -> None:
    url = create(http, live, len(DATA), **{"Upload-Metadata": metadata(filename="ذبيحة.mp4", empty="")})
    answer = http.head(url)
    assert (answer.headers["upload-offset"], answer.headers["upload-length"]) == ("0", "300000")
    assert answer.headers["upload-metadata"] == f"filename {b64encode('ذبيحة.mp4'.encode()).decode()},empty"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["upload-expires"].endswith(" GMT")
    place = 0
    for size in (1, 65_535, 65_536, 0, 100_000, 68_928):
        answer = patch(http, url, place, DATA[place:place + size])
        place += size
        assert answer.status_code == 204, answer.text
        assert answer.headers["upload-offset"] == str(place) == str(offset(http, url))
    assert live.content() == DATA
    assert live.arrived[0].metadata == {"filename": "ذبيحة.mp4", "empty": ""}
    assert offset(http, url) == len(DATA), "a client that missed the last answer still learns that all is there"
    assert patch(http, url, len(DATA), b"").status_code == 204
    assert len(live.arrived) == 1


def test_an_empty_upload_is_done_when_it_is_created(http: httpx.Client, live: Live) -> None:
    assert offset(http, create(http, live, 0)) == 0
    assert live.content() == b""


@pytest.mark.parametrize("size", [0, 1000, 300_000])
def test_creation_with_upload(http: httpx.Client, live: Live, size: int) -> None:
    answer = http.post(live.url, headers={**CHUNK, "Upload-Length": "300000"}, content=DATA[:size])
    assert (answer.status_code, answer.headers["upload-offset"]) == (201, str(size))
    if size < len(DATA):
        patch(http, str(httpx.URL(live.url).join(answer.headers["location"])), size, DATA[size:])
    assert live.content() == DATA


def test_a_length_that_is_said_later(http: httpx.Client, live: Live) -> None:
    url = create(http, live, None)
    assert patch(http, url, 0, DATA[:70_000]).status_code == 204
    answer = http.head(url)
    assert answer.headers["upload-defer-length"] == "1"
    assert "upload-length" not in answer.headers
    for impossible in ("69999", str(live.uploads.limits.max_size + 1)):
        assert patch(http, url, 70_000, b"", **{"Upload-Length": impossible}).status_code in (400, 413)
    assert patch(http, url, 70_000, DATA[70_000:], **{"Upload-Length": "300000"}).status_code == 204
    assert live.content() == DATA
    assert http.head(url).headers["upload-length"] == "300000"


def test_a_length_is_said_once(http: httpx.Client, live: Live) -> None:
    url = create(http, live, 10)
    assert code(patch(http, url, 0, b"abc", **{"Upload-Length": "11"})) == (400, "bad_input")
    assert patch(http, url, 0, b"abc", **{"Upload-Length": "10"}).status_code == 204


@pytest.mark.parametrize("algorithm", ["sha1", "sha256"])
def test_checksums(http: httpx.Client, live: Live, algorithm: str) -> None:
    def checksum(data: bytes) -> dict[str, str]:
        return {"Upload-Checksum": f"{algorithm} {b64encode(hashlib.new(algorithm, data).digest()).decode()}"}

    url = create(http, live, len(DATA))
    first, rest = DATA[:100_000], DATA[100_000:]
    assert patch(http, url, 0, first, **checksum(first)).status_code == 204
    for wrong in (first, rest[1:]):
        assert code(patch(http, url, 100_000, rest, **checksum(wrong))) == (460, "checksum_mismatch")
        assert offset(http, url) == 100_000
    assert code(patch(http, url, 100_000, rest, **{"Upload-Checksum": "md5 AAAA"})) == (400, "bad_input")
    assert code(patch(http, url, 100_000, rest, **{"Upload-Checksum": "sha1 ?"})) == (400, "bad_input")
    assert patch(http, url, 100_000, rest, **checksum(rest)).status_code == 204
    assert live.content() == DATA


def test_the_whole_is_checked_against_its_sha256(http: httpx.Client, live: Live) -> None:
    promised = metadata(sha256=hashlib.sha256(DATA).hexdigest())
    url = create(http, live, len(DATA), **{"Upload-Metadata": promised})
    assert code(patch(http, url, 0, DATA[:-1] + b"?")) == (460, "checksum_mismatch")
    assert live.arrived == []
    assert offset(http, url) == 0, "nothing of it can be trusted, so it begins anew"
    assert patch(http, url, 0, DATA).status_code == 204
    assert live.content() == DATA


def test_a_wrong_offset_changes_nothing(http: httpx.Client, live: Live) -> None:
    url = create(http, live, len(DATA))
    patch(http, url, 0, DATA[:1000])
    for wrong in (0, 999, 1001, 300_000):
        answer = patch(http, url, wrong, b"x" * 10)
        assert code(answer) == (409, "wrong_offset")
        assert answer.json()["offset"] == 1000
    assert patch(http, url, 1000, DATA[1000:]).status_code == 204
    assert live.content() == DATA


def test_bad_requests_are_told_why(http: httpx.Client, live: Live) -> None:
    url = create(http, live, 100)
    assert code(httpx.patch(url)) == (412, "wrong_version")
    assert code(httpx.post(live.url, headers={"Tus-Resumable": "0.2.2"})) == (412, "wrong_version")
    assert httpx.head(url).headers["tus-version"] == "1.0.0"
    assert code(http.patch(url, content=b"x", headers={"Upload-Offset": "0"})) == (415, "unsupported_media")
    assert code(http.patch(url, content=b"x", headers=CHUNK)) == (400, "bad_input")
    for bad in ("-1", "+0", "0x0", "1e3", "1 0", "9" * 20):
        assert code(http.patch(url, content=b"x", headers={**CHUNK, "Upload-Offset": bad})) == (400, "bad_input"), bad
    for length in ({}, {"Upload-Length": "1", "Upload-Defer-Length": "1"}, {"Upload-Length": "ten"}):
        assert code(http.post(live.url, headers=length)) == (400, "bad_input"), length
    for pairs in ("a b c", "a,a", ",", "a gA==", "a YQ==,", "\u00e9 YQ=="):
        answer = http.post(live.url, headers=httpx.Headers({"Upload-Length": "1", "Upload-Metadata": pairs}, "latin-1"))
        assert code(answer) == (400, "bad_input"), pairs
    for nowhere in ("0" * 32, "x", "..%2F..%2Finfo", "%00", "0" * 31 + "G"):
        assert http.head(f"{live.url}/{nowhere}").status_code == 404
        assert patch(http, f"{live.url}/{nowhere}", 0, b"").status_code == 404
    assert code(http.post(url)) == (405, "method_not_allowed")
    assert http.put(url).status_code == 405
    assert offset(http, url) == 0


def test_sizes_have_limits(http: httpx.Client, serve: Callable[..., Live]) -> None:
    live = serve(max_size=1000)
    assert code(http.post(live.url, headers={"Upload-Length": "1001"})) == (413, "too_large")
    url = create(http, live, 1000)
    assert code(patch(http, url, 0, bytes(1001))) == (413, "too_large")

    def chunks() -> list[bytes]:
        return [bytes(600), bytes(600)]

    answer = http.patch(url, content=iter(chunks()), headers={**CHUNK, "Upload-Offset": "0"})
    assert code(answer) == (413, "too_large")
    assert offset(http, url) == 0
    deferred = create(http, live, None)
    assert code(patch(http, deferred, 0, bytes(1001))) == (413, "too_large")
    assert patch(http, url, 0, bytes(1000)).status_code == 204


def test_nobody_sees_what_belongs_to_another(http: httpx.Client, live: Live) -> None:
    name = {"Upload-Metadata": metadata(id="video-1")}
    url = create(http, live, 100, **name)
    stranger = {"Authorization": "tablet-2"}
    assert http.head(url, headers=stranger).status_code == 404
    assert code(patch(http, url, 0, b"x", **stranger)) == (404, "not_found")
    assert code(http.delete(url, headers=stranger)) == (404, "not_found")
    assert create(http, live, 100, **name, **stranger) != url, "the same name of another is another upload"
    assert offset(http, url) == 0


def test_a_named_upload_is_created_once(http: httpx.Client, live: Live) -> None:
    name = {"Upload-Metadata": metadata(id="video-1")}
    url = create(http, live, len(DATA), **name)
    patch(http, url, 0, DATA[:70_000])
    again = http.post(live.url, headers={**CHUNK, "Upload-Length": str(len(DATA)), **name}, content=b"ignored")
    assert (again.status_code, again.headers["upload-offset"]) == (201, "70000")
    assert str(httpx.URL(live.url).join(again.headers["location"])) == url
    assert code(http.post(live.url, headers={"Upload-Length": "5", **name})) == (409, "conflict")
    patch(http, url, 70_000, DATA[70_000:])
    again = http.post(live.url, headers={"Upload-Length": str(len(DATA)), **name})
    assert (again.status_code, again.headers["upload-offset"]) == (201, str(len(DATA)))
    assert live.content() == DATA


def test_termination(http: httpx.Client, live: Live) -> None:
    url = create(http, live, 100)
    patch(http, url, 0, b"abc")
    assert http.delete(url).status_code == 204
    assert http.head(url).status_code == 404
    assert http.delete(url).status_code == 404
    done = create(http, live, 3)
    patch(http, done, 0, b"abc")
    assert http.delete(done).status_code == 204
    assert live.content() == b"abc", "what was handed over stays"


def test_a_proxy_that_knows_only_post(http: httpx.Client, live: Live) -> None:
    url = create(http, live, 3)
    override = {**CHUNK, "Upload-Offset": "0", "X-HTTP-Method-Override": "PATCH"}
    assert http.post(url, content=b"abc", headers=override).headers["upload-offset"] == "3"
    assert http.post(url, headers={"X-HTTP-Method-Override": "DELETE"}).status_code == 204
    assert live.content() == b"abc"


async def test_expiration(live: Live) -> None:
    async with httpx.AsyncClient(headers=TUS) as http:
        created = await http.post(live.url, headers={"Upload-Length": "10"})
        url = str(httpx.URL(live.url).join(created.headers["location"]))
        live.clock.advance(live.uploads.limits.lifetime_s * 1000 - 1)
        assert (await http.head(url)).status_code == 200
        assert await live.uploads.sweep() == 0
        live.clock.advance(1)
        assert (await http.head(url)).status_code == 410
        assert await live.uploads.sweep() == 1
        assert (await http.head(url)).status_code == 404


def test_concatenation(http: httpx.Client, live: Live) -> None:
    partial = {"Upload-Concat": "partial"}
    first, second = create(http, live, 200_000, **partial), create(http, live, 100_000, **partial)
    final = {"Upload-Concat": f"final;{httpx.URL(first).path} {second}", "Upload-Metadata": metadata(filename="v")}
    patch(http, first, 0, DATA[:200_000])
    assert code(http.post(live.url, headers=final)) == (400, "bad_input"), "the second part is not whole"
    patch(http, second, 0, DATA[200_000:])
    assert live.arrived == [], "a part alone is nobody's video"
    assert http.head(first).headers["upload-concat"] == "partial"
    answer = http.post(live.url, headers=final)
    assert answer.status_code == 201
    whole = http.head(str(httpx.URL(live.url).join(answer.headers["location"])))
    assert (whole.headers["upload-length"], whole.headers["upload-offset"]) == ("300000", "300000")
    assert whole.headers["upload-concat"].startswith("final;")
    assert http.head(first).status_code == 404
    assert live.content() == DATA
    assert live.arrived[0].metadata == {"filename": "v"}
