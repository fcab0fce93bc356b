"""Services in processes of their own are one hub: over one PostgreSQL, Kafka and Redis."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack, closing
from pathlib import Path

import httpx

from cloud import main
from cloud.main import SERVICES
from cloud.platform.core import opened
from cloud.platform.settings import Settings
from demo.desk import Admin, Donor
from demo.process import Process
from demo.servers import Servers
from demo.servers.server import Port
from tests.cloud_hub import copied_room, hub_settings, secret_of_letter

FRONT = ("auth", "donors")


async def register(donor: Donor, settings: Settings) -> None:
    """With the letter's link read from the database: neither process sends mail."""
    donor.post("/api/v1/donors", {"name": "Amina Haddad", "email": donor.email, "password": donor.password,
                                  "language": "fr"})  # fmt: skip
    async with opened(settings) as platform, platform.database.begin() as session:
        token = await secret_of_letter(session, platform, donor.email)
    donor.confirm(token)


def test_two_processes_with_disjoint_services_are_one_hub(servers: Servers, template: str, tmp_path: Path) -> None:
    back = [service for service in SERVICES if service not in FRONT]
    with copied_room(servers, template) as room, Port() as one, Port() as other:
        public = {"QURBANI_DATA": str(tmp_path / "data"), "QURBANI_PUBLIC_URL": f"http://127.0.0.1:{one.number}"}
        common = room.environ() | public
        password = asyncio.run(main.create_admin(hub_settings(room, tmp_path / "data"), "admin@example.org"))
        with (
            Process("cloud", "serve", "--services", ",".join(FRONT), log=tmp_path / "front.log",
                    environ=common | {"QURBANI_PORT": str(one.number)}) as front,
            Process("cloud", "serve", "--services", ",".join(back), log=tmp_path / "back.log",
                    environ=common | {"QURBANI_PORT": str(other.number)}) as behind,
            ExitStack() as clients,
        ):  # fmt: skip
            urls = [f"http://127.0.0.1:{port.number}" for port in (one, other)]
            for process, url in zip((front, behind), urls, strict=True):
                process.wait_for(url, lambda url=url: httpx.get(f"{url}/health/ready").is_success)
            admin = Admin(urls[0], "admin@example.org", password)
            admin.sign_in()
            sites = Admin(urls[1], "", "")
            sites.http.headers["Authorization"] = admin.http.headers["Authorization"]
            donor = Donor(urls[0], "amina@example.org", "seven quiet sheep graze")
            for who in (admin, sites, donor):
                clients.enter_context(closing(who.http))
            asyncio.run(register(donor, hub_settings(room, tmp_path / "data")))

            site = sites.add_site("Al Noor yard", "Africa/Algiers", ["ar"])
            sites.add_animal(site, "A1", "sheep", "")
            order = donor.order("sheep", [{"name": "Ahmed", "language": "ar"}])["id"]
            payment = {"key": "receipt-1", "minor": 25_000, "currency": "EUR", "method": "cash"}
            admin.post(f"/api/v1/orders/{order}/payments", payment)
            assert [donor.get(f"/api/v1/orders/{order}")["state"] for _ in range(2)] == ["paid", "paid"]  # kept by now
            sites.post(f"/api/v1/orders/{order}/allocate", {"site_id": site})
            assert donor.get(f"/api/v1/orders/{order}")["state"] == "allocated"

            assert donor.http.get(f"{urls[1]}/api/v1/orders/{order}").status_code == 404
            assert admin.http.get("/api/v1/sites").status_code == 404
            assert admin.http.delete("/api/v1/auth/sessions").status_code == 204
            assert sites.http.get("/api/v1/sites").status_code == 401
