"""The platform without HTTP: a migrated database, and a table for effects that can be counted."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import text

from cloud.platform.core import Platform, opened
from demo.servers import Servers
from tests.cloud_hub import copied_room, hub_settings

EFFECTS = "CREATE TABLE effects (id bigint GENERATED ALWAYS AS IDENTITY, what text)"


@pytest.fixture
async def platform(servers: Servers, template: str, tmp_path: Path) -> AsyncIterator[Platform]:
    with copied_room(servers, template) as room:
        async with opened(hub_settings(room, tmp_path)) as platform:
            async with platform.database.begin() as session:
                await session.execute(text(EFFECTS))
            yield platform
