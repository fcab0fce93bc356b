"""A migrated database to copy, and settings of a hub whose programs are processes of their own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from demo.servers import Servers
from tests.cloud_hub import migrated


@pytest.fixture(scope="session")
def template(servers: Servers) -> Iterator[str]:
    with migrated(servers) as url:
        yield url
