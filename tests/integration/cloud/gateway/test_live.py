"""People's pages hear what changes at the hub, from any of its processes, and miss nothing over an interruption."""

from __future__ import annotations

import resource
import socket as socket_
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import msgspec
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from cloud import main
from cloud.gateway.log import Entry, append
from demo.answers import wait_for
from demo.process import Process
from demo.servers import Room, Servers
from demo.servers.server import Port
from shared.ids import new_id
from tests.cloud_hub import CloudHub, Person, copied_room, hub_settings, running

WITHIN_S = 1.0


@pytest.fixture(scope="module")
def room(servers: Servers, template: str) -> Iterator[Room]:
    with copied_room(servers, template) as room:
        yield room


@pytest.fixture(scope="module")
def hub(room: Room, tmp_path_factory: pytest.TempPathFactory) -> Iterator[CloudHub]:
    with running(hub_settings(room, tmp_path_factory.mktemp("hub")), main.relay, main.consume) as hub:
        yield hub


@contextmanager
def following(
    url: str, after: str | None = None, *, small: bool = False, **headers: str
) -> Iterator[ClientConnection]:
    """``small``: with a receive buffer that is soon full, and no reader before it is asked for a page."""
    query = f"?after={after}" if after is not None else ""
    address = url.replace("http", "ws", 1) + "/api/v1/events" + query
    line = socket_.socket()
    if small:
        line.setsockopt(socket_.SOL_SOCKET, socket_.SO_RCVBUF, 4096)
    line.connect((urlsplit(url).hostname, urlsplit(url).port))
    reading = {"max_queue": 1, "close_timeout": 0.1} if small else {}
    with connect(address, sock=line, additional_headers=headers, **reading) as socket:
        yield socket


def pass_of(person: Person) -> dict[str, str]:
    return {"Authorization": person.http.headers["authorization"]}


def page(socket: ClientConnection) -> dict[str, Any]:
    return dict(msgspec.json.decode(socket.recv(timeout=30)))


def heard(socket: ClientConnection, order: str, times: int = 1) -> tuple[float, str]:
    """When the last of so many changes of an order was heard, and the cursor after it."""
    while True:
        told = page(socket)
        times -= sum(event == {"entity": "order.changed", "key": order} for event in told["events"])
        if times <= 0:
            return time.monotonic(), told["cursor"]


def placed(donor: Person) -> str:
    order = {"species": "sheep", "shares": [{"name": "Ahmed", "language": "ar"}]}
    return str(donor.post("/api/v1/orders", order)["id"])


def pay(hub: CloudHub, order: str) -> None:
    payment = {"key": order, "minor": 25_000, "currency": "EUR", "method": "cash"}
    hub.admin.post(f"/api/v1/orders/{order}/payments", payment)


def ready(hub: CloudHub) -> None:
    """Returns when a change comes through, as the consumers have found their place and the log has begun."""
    donor = hub.donor()
    with following(hub.url, **pass_of(donor)) as socket:
        pay(hub, placed(donor))
        while (told := page(socket))["is_whole"] and not told["events"]:
            pass


def test_a_change_is_heard_within_a_second_by_whom_it_concerns(hub: CloudHub) -> None:
    ready(hub)
    donor, other = hub.donor(), hub.donor("Karim Ziani")
    with (
        following(hub.url, **pass_of(donor)) as mine, following(hub.url, **pass_of(hub.admin)) as staff,
        following(hub.url, **pass_of(other)) as theirs,
    ):  # fmt: skip
        for socket in (mine, staff, theirs):
            assert page(socket)["events"] == []
        took = []
        for _ in range(5):
            order = placed(donor)
            pay(hub, order)
            paid = time.monotonic()
            took += [heard(socket, order)[0] - paid for socket in (mine, staff)]
        own = placed(other)
        pay(hub, own)
        assert sorted(took)[len(took) // 2] < WITHIN_S, took
        told = page(theirs)["events"]
        assert {event["key"] for event in told} == {own}, "of other people's orders a donor hears nothing"


def test_nothing_is_missed_over_an_interruption_and_by_another_process(
    hub: CloudHub, room: Room, tmp_path: Path
) -> None:
    ready(hub)
    donor = hub.donor()
    with following(hub.url, **pass_of(donor)) as socket:
        cursor = page(socket)["cursor"]
    orders = [placed(donor) for _ in range(3)]
    with Port() as port:
        ours = hub.platform.settings
        keys = {"QURBANI_DATA": str(ours.data), "QURBANI_PUBLIC_URL": ours.base_url, "QURBANI_PORT": str(port.number)}
        url = f"http://127.0.0.1:{port.number}"
        for order in orders[:2]:
            pay(hub, order)
        with (
            following(hub.url, after=cursor, **pass_of(donor)) as here,
            Process("cloud", "serve", "--services", "auth,gateway", environ=room.environ() | keys,
                    log=tmp_path / "log") as process,
        ):  # fmt: skip
            process.wait_for(url, lambda: httpx.get(f"{url}/health/live").is_success)
            heard(here, orders[0])
            # The other process has begun after the change: it answers out of Redis.
            with following(url, after=cursor, **pass_of(donor)) as there:
                _, reached = heard(there, orders[1])
                pay(hub, orders[2])
                assert heard(there, orders[2])[1] == heard(here, orders[2])[1] > reached


SLOW, CHANGES = 30, 5_000


def test_those_who_do_not_read_cost_no_memory_hold_up_nobody_and_miss_nothing(
    hub: CloudHub, room: Room, tmp_path: Path
) -> None:
    ready(hub)
    donor, ours = hub.donor(), hub.platform.settings
    entries = [Entry("order.changed", str(new_id()), donor.id) for _ in range(CHANGES)]
    with Port() as port, ExitStack() as sockets:
        keys = {"QURBANI_DATA": str(ours.data), "QURBANI_PUBLIC_URL": ours.base_url, "QURBANI_PORT": str(port.number)}
        log_file = tmp_path / "log"
        process = sockets.enter_context(
            Process("cloud", "serve", "--services", "auth,gateway", environ=room.environ() | keys, log=log_file))
        url = f"http://127.0.0.1:{port.number}"
        process.wait_for(url, lambda: httpx.get(f"{url}/health/live").is_success)
        deaf = [sockets.enter_context(following(url, small=True, **pass_of(donor))) for _ in range(SLOW)]
        awake = sockets.enter_context(following(url, **pass_of(donor)))
        cursors = [page(socket)["cursor"] for socket in (*deaf, awake)]
        before = rss_mb(process.pid)
        for first in range(0, CHANGES, 500):
            hub.run(lambda session, first=first: append(hub.platform.redis, entries[first : first + 500]))
        began = time.monotonic()
        assert told(awake, CHANGES) == [entry.key for entry in entries]
        assert time.monotonic() - began < 10
        assert rss_mb(process.pid) - before < 50
        # One of them wakes up; another comes back with the cursor that it had.
        assert told(deaf[0], CHANGES) == [entry.key for entry in entries]
        with following(url, after=cursors[1], **pass_of(donor)) as again:
            assert told(again, CHANGES) == [entry.key for entry in entries]


def told(socket: ClientConnection, count: int) -> list[str]:
    """The keys of the next ``count`` events."""
    keys: list[str] = []
    while len(keys) < count:
        got = page(socket)
        assert got["is_whole"]
        keys += [event["key"] for event in got["events"]]
    return keys


def rss_mb(pid: int) -> float:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * resource.getpagesize() / 1e6


def test_a_log_that_was_lost_is_told(hub: CloudHub) -> None:
    ready(hub)
    donor = hub.donor()
    with following(hub.url, **pass_of(donor)) as socket:
        page(socket)
        hub.run(lambda session: hub.platform.redis.flushdb())
        order = placed(donor)
        pay(hub, order)
        told = page(socket)
        assert not told["is_whole"] or {event["key"] for event in told["events"]} == {order}
        pay(hub, again := placed(donor))
        heard(socket, again)


@pytest.mark.parametrize("after", ["9999999999999-0", "1-0"])
def test_a_cursor_that_the_log_does_not_reach_begins_anew(hub: CloudHub, after: str) -> None:
    ready(hub)
    with following(hub.url, after=after, **pass_of(hub.donor())) as socket:
        told = page(socket)
    assert (told["events"], told["is_whole"]) == ([], False)


def test_who_may_listen(hub: CloudHub) -> None:
    donor = hub.donor()
    cookie = {"Cookie": f"session={hub.page_session(donor.id)}"}
    with following(hub.url, Origin=hub.url, **cookie) as socket:
        assert page(socket)["is_whole"]
    refused = [({}, ""), ({"Authorization": "Bearer nonsense"}, ""), ({**cookie, "Origin": "https://evil.example"}, ""),
               (pass_of(hub.staff("driver")), ""), (pass_of(donor), "not-a-cursor")]  # fmt: skip
    for headers, after in refused:
        with pytest.raises((InvalidStatus, ConnectionClosed)), following(hub.url, after=after, **headers) as socket:
            page(socket)


def test_who_has_signed_out_hears_nothing_more(hub: CloudHub) -> None:
    ready(hub)
    donor = hub.donor()
    with following(hub.url, **pass_of(donor)) as socket:
        page(socket)
        order = placed(donor)
        donor.ask("DELETE", "/api/v1/auth/sessions", status=204)
        pay(hub, order)
        with pytest.raises(ConnectionClosed) as closed:
            page(socket)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 4401
    wait_for("the hub to go on", lambda: hub.stranger.get("/health/live") is not None)
