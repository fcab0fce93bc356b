"""Answers of the servers we drive: read them, or wait until they are what they should become."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, TypeVar

import httpx

from shared.errors import TABLE, QurbaniError

T = TypeVar("T")


def answer(response: httpx.Response) -> Any:
    """The JSON of a good answer (None when it is empty). A problem document is raised as the error it names."""
    if response.is_success:
        return response.json() if response.content else None
    is_problem = response.headers.get("content-type", "").startswith("application/problem+json")
    problem = response.json() if is_problem else {}
    code = problem.get("code") if problem.get("code") in TABLE else "internal"
    where = f"{response.request.method} {response.request.url.path}"
    raise QurbaniError(str(code), f"{where} answered {response.status_code}: {problem.get('detail', '')}")


def wait_for(what: str, look: Callable[[], T | None], timeout_s: float = 60, every_s: float = 0.1) -> T:
    """The first answer of ``look`` that is true. Raises ``unavailable`` when there is none in time.

    A refused or broken connection counts as not yet: servers that are starting do that.
    """
    deadline = time.monotonic() + timeout_s
    why = "nothing yet"
    while time.monotonic() < deadline:
        try:
            if found := look():
                return found
        except httpx.TransportError as error:
            why = str(error)
        time.sleep(every_s)
    raise QurbaniError("unavailable", f"waited {timeout_s:.0f} s for {what}: {why}")
