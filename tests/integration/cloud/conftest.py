"""One hub for all tests of a worker; they make sites, donors and boxes of their own in it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import structlog

from cloud import main
from demo.mailbox import Mailbox
from demo.servers import Servers
from shared import log
from tests.cloud_hub import CloudHub, copied_room, hub_settings, migrated, running


@pytest.fixture(scope="session", autouse=True)
def _plain_log() -> None:
    """The log as programs write it; structlog's own for developers takes seconds for a traceback."""
    log.to_stderr([structlog.processors.format_exc_info, structlog.processors.JSONRenderer(default=repr)])


@pytest.fixture(scope="session")
def template(servers: Servers) -> Iterator[str]:
    """A migrated database, to be copied in milliseconds."""
    with migrated(servers) as url:
        yield url


@pytest.fixture(scope="session")
def hub(servers: Servers, template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[CloudHub]:
    with copied_room(servers, template) as room, running(hub_settings(room, tmp_path_factory.mktemp("hub"))) as hub:
        yield hub


@pytest.fixture(scope="session")
def mailbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mailbox]:
    """Where the mail of :func:`busy_hub` goes."""
    with Mailbox(tmp_path_factory.mktemp("mailbox")) as mailbox:
        yield mailbox


@pytest.fixture(scope="session")
def busy_hub(
    servers: Servers, template: str, tmp_path_factory: pytest.TempPathFactory, mailbox: Mailbox
) -> Iterator[CloudHub]:
    """A hub with everything running: events flow, jobs are done, mail is sent."""
    folder = tmp_path_factory.mktemp("busy-hub")
    with copied_room(servers, template) as room:
        settings = hub_settings(room, folder, QURBANI_SMTP_URL=mailbox.url)
        with running(settings, main.relay, main.consume, main.work) as hub:
            yield hub
