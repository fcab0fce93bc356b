"""Health tells the truth about each helper, whichever way it fails, and what does not need one goes on without it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import Any
from urllib.parse import urlsplit

import msgspec
import pytest

from demo.answers import wait_for
from demo.proxy import Proxy
from demo.servers import Servers
from tests.cloud_hub import CloudHub, copied_room, hub_settings, running

Links = dict[str, Proxy]
"""What stands between the hub and each of its helpers."""


class Cluster(BaseHTTPRequestHandler):
    """Answers as Elasticsearch does when it is asked how it is."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b'{"status": "green"}')

    def log_message(self, *_: Any) -> None:
        pass


def _address(url: str) -> tuple[str, int]:
    at = urlsplit(url)
    assert at.hostname
    assert at.port
    return at.hostname, at.port


@pytest.fixture(scope="module")
def linked(
    servers: Servers, template: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[CloudHub, Links]]:
    with ExitStack() as stack:
        room = stack.enter_context(copied_room(servers, template))
        cluster = HTTPServer(("127.0.0.1", 0), Cluster)
        Thread(target=cluster.serve_forever, daemon=True).start()
        stack.callback(cluster.server_close)
        stack.callback(cluster.shutdown)
        urls = {
            "postgres": room.database_url, "redis": room.redis_url, "kafka": f"//{room.kafka}", "mqtt": room.mqtt_url,
            "elasticsearch": f"http://127.0.0.1:{cluster.server_port}",
        }  # fmt: skip
        links = {name: stack.enter_context(Proxy(*_address(url))) for name, url in urls.items()}
        through = {name: url.replace(":".join(map(str, _address(url))), f"127.0.0.1:{links[name].port}")
                   for name, url in urls.items()}
        settings = msgspec.structs.replace(
            hub_settings(room, tmp_path_factory.mktemp("linked")), database_url=through["postgres"],
            redis_url=through["redis"], kafka=through["kafka"].removeprefix("//"), mqtt_url=through["mqtt"],
            elasticsearch_url=through["elasticsearch"],
        )  # fmt: skip
        yield stack.enter_context(running(settings)), links


def failing(hub: CloudHub) -> set[str]:
    """Which helpers the hub says do not answer."""
    answer = hub.stranger.http.get("/health")
    told: dict[str, Any] = answer.json()
    assert (answer.status_code, told["status"]) in ((200, "ok"), (503, "degraded"))
    assert len(told["helpers"]) == 6
    return {name for name, helper in told["helpers"].items() if helper["state"] != "ok"}


def comes_to(hub: CloudHub, *names: str) -> None:
    """Return once the hub names these and no other; it asks its helpers once a second."""
    wait_for(f"{names} to be named", lambda: failing(hub) == set(names), 60, 0.2)


def test_each_helper_that_fails_is_named_and_no_other(linked: tuple[CloudHub, Links]) -> None:
    hub, links = linked
    comes_to(hub)
    for name, link in links.items():
        link.cut()
        comes_to(hub, name)
        assert hub.stranger.http.get("/health/ready").is_success == (name in ("mqtt", "elasticsearch"))
        link.heal()
    folder = hub.platform.settings.data_path / "blobs"
    folder.rename(folder.with_name("elsewhere"))
    folder.touch()
    comes_to(hub, "storage")
    folder.unlink()
    folder.with_name("elsewhere").rename(folder)


def test_those_that_are_silent_are_named_and_hold_up_nothing(linked: tuple[CloudHub, Links]) -> None:
    hub, links = linked
    for link in links.values():
        link.black_hole()
    comes_to(hub, *links)
    assert hub.stranger.get("/health/live") == {"status": "ok"}
    for link in links.values():
        link.heal()
    comes_to(hub)
