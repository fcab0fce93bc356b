"""One hub for all pages of a worker, with everything running."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from cloud import main
from cloud.alembic.migrations import migrate
from cloud.processing import reviews
from demo.servers import Servers
from tests.browser.chromium import Tab, tab
from tests.cloud_hub import CloudHub, hub_settings, running


@pytest.fixture(scope="session")
def hub(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[CloudHub]:
    """Nothing is drawn to be seen again: a queue holds what its test has put there."""
    with servers.room() as room, pytest.MonkeyPatch.context() as patch:
        patch.setattr(reviews, "BLIND", 0.0)
        settings = hub_settings(room, tmp_path_factory.mktemp("hub"))
        asyncio.run(migrate(settings))
        with running(settings, main.relay, main.consume, main.work) as hub:
            yield hub


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Tab]:
    with tab(tmp_path / "profile") as browser:
        yield browser
