"""The protocol asks no clock, rolls no dice and touches no wire: what runs in a simulation is what runs on a box.

An allow list, not a list of sins: what is not known to be pure cannot be imported at all.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

SYNC = Path(__file__).parents[3] / "sync"

PURE = {
    "__future__", "base64", "binascii", "bisect", "collections", "dataclasses", "enum", "functools", "hashlib", "hmac",
    "itertools", "math", "msgspec", "operator", "re", "shared.domain", "shared.errors", "sync", "typing", "zlib",
}  # fmt: skip
# Of these only the names that neither ask nor do anything.
PURE_NAMES = {
    "uuid": {"UUID"},
    "urllib.parse": {"parse_qs", "urlencode"},
    "jwt": {"PyJWS", "PyJWTError"},
    "cryptography.hazmat.primitives.asymmetric.ed25519": {"Ed25519PublicKey"},
    "shared.clock": {"Clock", "Reading"},
    "shared.crypto": {"SealKey", "SigningKey", "VerifyKey"},
    "shared.ids": {"NewId"},
    "shared.tus.client": {"Pace", "TusAnswer", "TusRequest", "Uploading", "upload"},
}
# The simulation stands around the core: it draws its tapes and keeps a queue, and is as deterministic.
SIMULATION = {
    "contextlib": {"contextmanager", "suppress"},
    "datetime": {"datetime"},
    "heapq": {"heappop", "heappush"},
    "random": {"Random"},
    "shared.clock": {"Clock", "Reading", "from_ms"},
}
# hash() and id() differ from one process to the next.
IMPURE_BUILTINS = {"__import__", "breakpoint", "eval", "exec", "hash", "id", "input", "open", "print"}
IMPURE_METHODS = {"generate"}
"""``SigningKey.generate`` rolls dice, though the class may be used."""


def complaints(source: str, also: Mapping[str, set[str]] | None = None) -> Iterator[str]:
    """What in ``source`` could reach outside or make two runs differ, with its line; ``also`` names may be imported."""
    named = PURE_NAMES | dict(also or {})
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Import(names=names):
                yield from (f"{node.lineno}: import {name.name}" for name in names if not _pure(name.name))
            case ast.ImportFrom(module=module, names=names):
                allowed = named.get(module or "", set())
                for name in names:
                    if not _pure(module or "") and name.name not in allowed:
                        yield f"{node.lineno}: from {module} import {name.name}"
            case ast.Name(id=name, ctx=ast.Load()) if name in IMPURE_BUILTINS:
                yield f"{node.lineno}: {name}"
            case ast.Attribute(attr=name) if name in IMPURE_METHODS:
                yield f"{node.lineno}: .{name}"
            case ast.AsyncFunctionDef() | ast.Await():
                yield f"{node.lineno}: async"


def _pure(module: str) -> bool:
    parents = module.split(".")
    return any(".".join(parents[:n]) in PURE for n in range(1, len(parents) + 1))


@pytest.mark.parametrize("path", sorted(SYNC.glob("*.py")), ids=lambda path: path.stem)
def test_the_protocol_is_pure(path: Path) -> None:
    assert not list(complaints(path.read_text()))


@pytest.mark.parametrize("path", sorted((SYNC / "simulation").glob("*.py")), ids=lambda path: path.stem)
def test_the_simulation_draws_from_its_seed_alone(path: Path) -> None:
    assert not list(complaints(path.read_text(), SIMULATION))


def test_no_other_folder_of_the_protocol_is_overlooked() -> None:
    assert {path.parent.name for path in SYNC.rglob("*.py")} == {"sync", "simulation"}


@pytest.mark.parametrize("planted", [
    "import time",
    "import random",
    "import socket, zlib",
    "import os.path",
    "from datetime import datetime",
    "from uuid import uuid4",
    "from shared.clock import SystemClock",
    "from shared.ids import new_id",
    "from random import Random",
    "from random import random",
    "from shared.files import write_whole",
    "def late():\n    import threading",
    "def late():\n    from subprocess import run",
    "def late():\n    return __import__('secrets')",
    "open('/etc/passwd')",
    "read = open",
    "hash('depends on the process')",
    "SigningKey.generate()",
    "async def wait(): ...",
])
def test_a_planted_impurity_is_seen(planted: str) -> None:
    assert list(complaints(planted))


@pytest.mark.parametrize("fine", [
    "from shared.clock import Clock\ndef f(clock: Clock): return clock.read()",
    "from shared.errors import QurbaniError",
    "import msgspec\nclass A(msgspec.Struct):\n    hash: bytes\n    id: int",
    "from sync.ops import Op",
])
def test_what_is_pure_is_left_alone(fine: str) -> None:
    assert not list(complaints(fine))
