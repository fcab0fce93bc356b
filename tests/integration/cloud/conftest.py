"""A hub for each module of tests; they make sites, donors and boxes of their own in it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from demo.servers import Servers
from tests.cloud_hub import CloudHub, hub_settings, running


@pytest.fixture(scope="module")
def hub(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[CloudHub]:
    with servers.room() as room, running(hub_settings(room, tmp_path_factory.mktemp("hub"))) as hub:
        yield hub
