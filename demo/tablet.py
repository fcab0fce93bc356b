"""A field executor's tablet, as a program: what it asks of the box over HTTP, and nothing else."""

from __future__ import annotations

import random
import ssl
import time
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx

from demo.answers import answer, wait_for
from shared import trace
from shared.ids import new_id
from shared.tus.client import FileSource, Pace, full_jitter, send_upload, upload


class Tablet:
    """Talks to the box at ``url``. Every call is safe to repeat: the tablet makes the ids."""

    def __init__(self, url: str, authority: Path) -> None:
        """``authority`` is the certificate of the box, which the tablet trusts, and no other."""
        self.http = httpx.Client(base_url=url, timeout=30, verify=ssl.create_default_context(cafile=authority))

    def sign_in(self, name: str, pin: str) -> None:
        """As the executor called ``name``, once the box knows that name."""
        executors = wait_for(
            f"the box to know {name}",
            lambda: [each for each in answer(self.http.get("/api/v1/executors")) if each["name"] == name],
        )
        session = answer(self.http.post("/api/v1/session", json={"executor_id": executors[0]["id"], "pin": pin}))
        self.http.headers["Authorization"] = f"Bearer {session['token']}"

    def animals(self) -> list[dict[str, Any]]:
        """Those of the site; it may be asked before the box has drawn them from the hub."""
        return wait_for("the animals", lambda: answer(self.http.get("/api/v1/animals")))

    def record(self, tag: str, clip: Path) -> UUID:
        """Open the sacrifice of the animal with this tag and upload its video; returns the sacrifice's id.

        Returns only when the box has acknowledged the whole video.
        """
        animal = next(each for each in self.animals() if each["tag"] == tag)
        sacrifice_id, video_id = new_id(), new_id()
        headers = {trace.HEADER: trace.header(trace.of(sacrifice_id))}
        opening = {"id": str(sacrifice_id), "animal_id": animal["id"]}
        wait_for(
            "the box to open it",
            lambda: answer(self.http.post("/api/v1/sacrifices", json=opening, headers=headers)),
        )
        metadata = {
            "id": str(video_id), "video_id": str(video_id), "sacrifice_id": str(sacrifice_id), "filetype": "video/mp4"
        }  # fmt: skip
        pace = Pace()
        with clip.open("rb") as file:
            uploading = upload(FileSource(file), str(self.http.base_url.join("/api/v1/uploads")), metadata, pace)
            send_upload(self.http, uploading, pace, wait=_wait, clock=time.monotonic)
        return sacrifice_id

    def verdict(self, sacrifice_id: UUID, timeout_s: float = 60) -> dict[str, Any]:
        """The newest video of a sacrifice, as soon as the box has judged it: ``outcome`` and ``reasons``."""

        def judged() -> dict[str, Any] | None:
            videos: list[dict[str, Any]] = answer(self.http.get(f"/api/v1/sacrifices/{sacrifice_id}"))["videos"]
            return videos[-1] if videos and videos[-1]["outcome"] else None

        return wait_for("the verdict", judged, timeout_s)

    def status(self) -> dict[str, Any]:
        return wait_for("the status", lambda: answer(self.http.get("/api/v1/status")))


def _wait(failures: int, at_least_s: float) -> bool:
    time.sleep(max(at_least_s, full_jitter(failures, random.SystemRandom(), cap_s=5)))
    return failures < 20
