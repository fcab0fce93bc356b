"""A live tus server over each store."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from shared.tus.folder import FolderStore
from shared.tus.server import Limits
from tests.integration.tus.live import TUS, Live


@pytest.fixture(params=["sealing", "plain"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def serve(kind: str, tmp_path: Path) -> Iterator[Callable[..., Live]]:
    """Starts servers over one folder; ``limits`` are fields of :class:`Limits`."""
    running: list[Live] = []

    def start(store: FolderStore | None = None, admit: Any = None, **limits: Any) -> Live:
        given = {"admit": admit} if admit else {}
        running.append(Live(kind, tmp_path, store=store, limits=Limits(**limits), **given))
        return running[-1]

    yield start
    for live in running:
        live.stop()


@pytest.fixture
def live(serve: Callable[..., Live]) -> Live:
    return serve()


@pytest.fixture
def http() -> Iterator[httpx.Client]:
    with httpx.Client(headers=TUS) as client:
        yield client
