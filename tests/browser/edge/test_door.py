"""The way of a new tablet in a real browser: the door, trust, and only then the camera."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.hashes import SHA256, Hash
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from edge import tls
from tests.box import running
from tests.browser.chromium import PROGRAM, tab
from tests.browser.edge.conftest import at, sign_in
from tests.hub import Hub, serving

NAME = "yard.lan"
"""What its network calls the box. To a page of 127.0.0.1 browsers always give the camera, to this one with TLS only."""


@pytest.mark.skipif(PROGRAM is None, reason="there is no Chromium on this machine")
def test_a_tablet_gets_its_camera_by_trusting_the_box(tmp_path: Path) -> None:
    with (
        serving(Hub()) as hub,
        running(tmp_path / "box", hub, QURBANI_EDGE_TLS="true", QURBANI_EDGE_NAMES=NAME) as (box, _, _),
    ):
        door, inside = (box.where[road].replace("127.0.0.1", NAME) for road in ("door", "url"))
        trust = f"--ignore-certificate-errors-spki-list={spki(box.folder / 'keys' / tls.FRONT)}"
        yard = ("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream",
                f"--host-resolver-rules=MAP {NAME} 127.0.0.1")  # fmt: skip
        with tab(tmp_path / "stranger", *yard) as page:
            page.call("Page.navigate", url=f"{inside}/sign-in")
            page.settle(lambda: "ERR_CERT_AUTHORITY_INVALID" in page.run("document.body?.innerText ?? ''"))
        with tab(tmp_path / "tablet", *yard, trust) as page:
            page.open(f"{door}/")
            assert page.run("[isSecureContext, 'mediaDevices' in navigator]") == [False, False]
            page.complaints.clear()  # of policies that plain HTTP cannot have
            page.click(f"a[href^='{inside}']")
            page.settle(lambda: at(page, "/sign-in"))
            sign_in(page)
            assert page.run("isSecureContext")
            assert page.run("navigator.serviceWorker.ready.then(ready => Boolean(ready.active))")
            stream = "navigator.mediaDevices.getUserMedia({ video: true, audio: true })"
            assert page.run(f"{stream}.then(stream => stream.getTracks().length)") == 2
            assert page.run("document.cookie") == ""
            assert not page.complaints


def spki(path: Path) -> str:
    """How Chromium names the key of a certificate that it is told to trust."""
    digest = Hash(SHA256())
    digest.update(tls.certificate(path).public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))
    return base64.b64encode(digest.finalize()).decode()
