"""``qurbani cloud serve --workers 2``: several processes at one port are one hub."""

from __future__ import annotations

import asyncio
import os
import re
import signal
from collections import Counter
from pathlib import Path

import httpx

from cloud import main
from demo.answers import wait_for
from demo.desk import Admin
from demo.process import Process
from demo.servers import Servers
from demo.servers.server import Port
from shared.trace import HEADER
from tests.cloud_hub import copied_room, hub_settings
from tests.integration.cloud.test_apart import Donor, register

WRONG = {"email": "nobody@example.org", "password": "not the right one"}


def children(process: Process) -> set[int]:
    """The workers: a child that multiprocessing keeps for itself answers nothing."""
    found = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    lines = {int(pid): Path(f"/proc/{pid}/cmdline").read_bytes() for pid in found if Path(f"/proc/{pid}").exists()}
    return {pid for pid, line in lines.items() if b"spawn_main" in line}


def reads(told: str, route: str) -> float:
    name = rf'qurbani_http_request_seconds_count{{[^}}]*route="{route}"[^}}]*}}'
    found = re.findall(rf"^{name} (\S+)$", told, re.MULTILINE)
    return sum(map(float, found))


def test_two_workers_are_one_hub_and_heal(servers: Servers, template: str, tmp_path: Path) -> None:
    with copied_room(servers, template) as room, Port() as port:
        chosen = hub_settings(room, tmp_path / "data")
        password = asyncio.run(main.create_admin(chosen, "admin@example.org"))
        environ = room.environ() | {"QURBANI_DATA": str(tmp_path / "data"), "QURBANI_PORT": str(port.number)}
        url, log = f"http://127.0.0.1:{port.number}", tmp_path / "hub.log"
        with Process("cloud", "serve", "--workers", "2", environ=environ, log=log) as process:
            process.wait_for("the hub", lambda: httpx.get(f"{url}/health/live").is_success, 60)
            workers = wait_for("both", lambda: len(children(process)) == 2 and children(process), 30)

            admin = Admin(url, "admin@example.org", password)
            donor = Donor(url, "amina@example.org", "seven quiet sheep graze")
            admin.sign_in()
            asyncio.run(register(donor, chosen))
            order = donor.order("sheep", [{"name": "Ahmed", "language": "ar"}])["id"]

            # Each request over a connection of its own, so that both answer.
            answers = [httpx.get(f"{url}/api/v1/orders/{order}", headers=donor.http.headers) for _ in range(40)]
            assert {answer.status_code for answer in answers} == {200}
            for _ in range(4):
                assert reads(httpx.get(f"{url}/metrics").text, "donors.order") == 40

            statuses = Counter(httpx.post(f"{url}/api/v1/auth/sign-in", json=WRONG).status_code for _ in range(33))
            assert statuses[429] >= 2, statuses

            killed = workers.pop()
            os.kill(killed, signal.SIGKILL)
            wait_for("another", lambda: len(children(process) - {killed}) == 2 or None, 30)
            wait_for("it to answer", lambda: all(
                httpx.get(f"{url}/api/v1/orders/{order}", headers={**donor.http.headers, HEADER: ""}).is_success
                for _ in range(20)
            ) or None, 30)  # fmt: skip
            assert reads(httpx.get(f"{url}/metrics").text, "donors.order") >= 60
            for who in (admin, donor):
                who.http.close()
            left = children(process)
            process.stop()
            assert not process.is_running()
            assert not [pid for pid in left if Path(f"/proc/{pid}").exists()]
        assert b'"level":"error"' not in log.read_bytes()
