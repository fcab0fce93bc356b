"""The hub's application, of which only the routes are looked at."""

from __future__ import annotations

import pytest
from litestar import Litestar

from commands import cloud_routes


@pytest.fixture(scope="session")
def application() -> Litestar:
    return cloud_routes.application()
