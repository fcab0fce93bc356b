"""A real browser without a window, driven over the Chrome DevTools Protocol."""

from __future__ import annotations

import base64
import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import msgspec
from websockets.sync.client import ClientConnection, connect

from demo.answers import wait_for
from demo.servers.server import die_with
from shared.errors import QurbaniError

PROGRAM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")

FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--hide-scrollbars", "--mute-audio",
    "--autoplay-policy=no-user-gesture-required", "--remote-debugging-port=0",
)  # fmt: skip


KEYS = {
    "Tab": ("Tab", 9, ""), "Enter": ("Enter", 13, "\r"), "Space": ("Space", 32, " "),
    "ArrowDown": ("ArrowDown", 40, ""), "ArrowRight": ("ArrowRight", 39, ""),
}  # fmt: skip
"""Code, number and text of the keys that are not letters."""


class Tab:
    """One page. ``complaints`` is what the browser has objected to: scripts that failed, policies that were broken."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection
        self._number = 0
        self.complaints: list[str] = []
        self.requested: list[str] = []
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Ask the browser, and take note of what it says meanwhile."""
        self._number += 1
        asked = {"id": self._number, "method": method, "params": parameters}
        self._connection.send(msgspec.json.encode(asked).decode())
        while True:
            said = msgspec.json.decode(self._connection.recv(timeout=30))
            if said.get("id") == self._number:
                assert "error" not in said, said
                return said.get("result", {})  # type: ignore[no-any-return]
            self._note(said["method"], said["params"])

    def size(self, width: int, height: int, *, dark: bool = False) -> None:
        """Look like a screen of this many CSS pixels."""
        screen = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 700}
        self.call("Emulation.setDeviceMetricsOverride", **screen)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])

    def open(self, url: str) -> None:
        self.call("Page.navigate", url=url)
        self.settle(lambda: self.run("document.readyState === 'complete' && location.href !== 'about:blank'"))

    def run(self, script: str) -> Any:
        """The value of a JavaScript expression; a promise is waited for."""
        answer = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def settle(self, look: Callable[[], Any]) -> Any:
        try:
            return wait_for("the page", look, 60, 0.05)
        except QurbaniError as error:
            states = "document.body.innerHTML.match(/data-state=\\S+/g)"
            shown = self.run(f"[location.href, document.body.innerText, {states}]")
            raise AssertionError(f"{error.detail}; the page shows {shown}, complaints: {self.complaints}") from error

    def click(self, selector: str) -> None:
        """A tap in the middle of what can be seen, once it can; what lies over it gets it, as with a finger."""
        where = self.settle(lambda: self.run(f"""(() => {{
          const element = document.querySelector({msgspec.json.encode(selector).decode()})
          if (!element?.checkVisibility()) return null
          element.scrollIntoView({{ block: 'center', behavior: 'instant' }})
          const box = element.getBoundingClientRect()
          return [box.x + box.width / 2, box.y + box.height / 2]
        }})()"""))
        for kind in ("mousePressed", "mouseReleased"):
            spot = {"x": where[0], "y": where[1], "button": "left", "clickCount": 1}
            self.call("Input.dispatchMouseEvent", type=kind, **spot)

    def press(self, key: str) -> None:
        """A key of the keyboard: ``Tab``, ``Enter``, ``Space``, an arrow, or a letter or digit."""
        code, number, text = KEYS.get(key, (key, ord(key[0].upper()), key))
        event = {"key": text if key == "Space" else key, "code": code, "windowsVirtualKeyCode": number}
        self.call("Input.dispatchKeyEvent", type="keyDown", **event, **({"text": text} if text else {}))
        self.call("Input.dispatchKeyEvent", type="keyUp", **event)

    def submit(self, **fields: str) -> None:
        """Fill in the form of the page and send it off."""
        for name, value in fields.items():
            self.run(f"document.querySelector('main [name={name}]').value = {msgspec.json.encode(value).decode()}")
        self.run("document.querySelector('main form').requestSubmit()")

    def picture(self, path: Path) -> None:
        """A PNG of the whole page, for people to look at."""
        shot = self.call("Page.captureScreenshot", captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(shot["data"]))

    def _note(self, method: str, facts: dict[str, Any]) -> None:
        if method == "Network.requestWillBeSent":
            self.requested.append(facts["request"]["url"])
        elif method == "Runtime.exceptionThrown":
            self.complaints.append(str(facts["exceptionDetails"]))
        elif method == "Log.entryAdded" and facts["entry"]["level"] in ("error", "warning"):
            self.complaints.append(f"{facts['entry']['text']} {facts['entry'].get('url', '')}")


@contextmanager
def tab(profile: Path, *flags: str) -> Iterator[Tab]:
    """A browser with one empty tab; ``profile`` is the folder of its own that it keeps things in."""
    assert PROGRAM, "there is no Chromium"
    (profile / "DevToolsActivePort").unlink(missing_ok=True)  # of the last browser on this folder
    browser = subprocess.Popen(
        [PROGRAM, *FLAGS, *flags, f"--user-data-dir={profile}", "about:blank"],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        preexec_fn=die_with(os.getpid(), signal.SIGKILL),
    )  # fmt: skip
    try:
        port = wait_for("the browser", lambda: _port(profile), 30)
        pages = wait_for("its tab", lambda: _pages(port), 30)
        with connect(pages[0]["webSocketDebuggerUrl"], max_size=1 << 26) as connection:
            yield Tab(connection)
    finally:
        browser.terminate()
        browser.wait(20)


def camera(film: Path, sound: Path | None = None) -> tuple[str, ...]:
    """Flags for a camera that shows ``film`` (MJPEG or Y4M) again and again, and a microphone that hears ``sound``."""
    shown = ("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream",
             f"--use-file-for-fake-video-capture={film}")  # fmt: skip
    return (*shown, f"--use-file-for-fake-audio-capture={sound}") if sound else shown


def _port(profile: Path) -> int | None:
    found = profile / "DevToolsActivePort"
    return int(found.read_text().split()[0]) if found.exists() and found.read_text() else None


def _pages(port: int) -> list[dict[str, Any]]:
    found = httpx.get(f"http://127.0.0.1:{port}/json/list", timeout=10).json()
    return [page for page in found if page["type"] == "page"]
