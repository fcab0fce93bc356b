"""A hub for each module of tests; they make sites, donors and boxes of their own in it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest

from cloud import main
from cloud.platform.core import Platform
from cloud.platform.forever import forever
from cloud.platform.outbox import Relay
from demo.mailbox import Mailbox
from demo.servers import Servers
from tests.cloud_hub import CloudHub, hub_settings, running


@pytest.fixture(scope="module")
def hub(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[CloudHub]:
    with servers.room() as room, running(hub_settings(room, tmp_path_factory.mktemp("hub"))) as hub:
        yield hub


async def relay(platform: Platform, services: Sequence[str]) -> None:
    """What sends the events, in a hub that only answers HTTP otherwise."""
    await forever("relay", Relay(platform.database, platform.settings, platform.clock).live)


@pytest.fixture(scope="session")
def mailbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mailbox]:
    """Where the mail of :func:`busy_hub` goes."""
    with Mailbox(tmp_path_factory.mktemp("mailbox")) as mailbox:
        yield mailbox


@pytest.fixture(scope="session")
def busy_hub(servers: Servers, tmp_path_factory: pytest.TempPathFactory, mailbox: Mailbox) -> Iterator[CloudHub]:
    """A hub with everything running: events flow, jobs are done, mail is sent."""
    folder = tmp_path_factory.mktemp("busy-hub")
    with servers.room() as room:
        settings = hub_settings(room, folder, QURBANI_SMTP_URL=mailbox.url)
        with running(settings, relay, main.consume, main.work) as hub:
            yield hub
