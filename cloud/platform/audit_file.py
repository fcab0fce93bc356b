"""The audit in a file, to be checked without a hub: the hub's key, then the checkpoints, then every entry.

JSON lines, bytes in base64::

    {"type":"hub","key":"..."}
    {"type":"checkpoint","seq":1,"hash":"...","at":"...","sig":"..."}
    {"type":"link","seq":1,"at":"...","actor":null,...,"facts":{},"prev":"...","hash":"..."}
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from typing import BinaryIO

import msgspec
from sqlalchemy.ext.asyncio import AsyncSession

from cloud.platform import audit_chain
from cloud.platform.audit_chain import Break, Checkpoint, Link
from shared.crypto import VerifyKey
from shared.errors import QurbaniError


class Hub(msgspec.Struct, frozen=True, tag="hub"):
    """Whose audit it is: the public key that signs the checkpoints."""

    key: bytes


async def write(session: AsyncSession, file: BinaryIO, hub: VerifyKey) -> int:
    """Write the whole audit; how many entries it has."""
    head = [Hub(hub.raw), *await audit_chain.checkpoints(session)]
    file.writelines(msgspec.json.encode(line) + b"\n" for line in head)
    seq = 0
    while page := await audit_chain.links(session, seq):
        file.writelines(msgspec.json.encode(link) + b"\n" for link in page)
        seq = page[-1].seq
    return seq


def verify(file: Iterable[bytes], kept: Iterable[bytes], key: VerifyKey | None) -> Iterator[Break]:
    """What is wrong with a file.

    Args:
        file: its lines.
        kept: lines with checkpoints that were kept elsewhere, or of a whole file.
        key: the hub's; None to believe the one in the file, which proves nothing against who wrote the file anew.

    Raises ``bad_input`` where a line is none of ours.
    """
    lines = _lines(file)
    hub = next(lines, None)
    if not isinstance(hub, Hub):
        raise QurbaniError("bad_input", "the file does not begin with the hub's key")
    given = [line for line in _lines(kept) if isinstance(line, Checkpoint)]
    first = None
    for line in lines:
        if isinstance(line, Link):
            first = line
            break
        if isinstance(line, Checkpoint):
            given.append(line)
    rest = (line for line in lines if isinstance(line, Link))
    chain = itertools.chain([first], rest) if first else ()
    yield from audit_chain.verify(chain, given, key or VerifyKey(hub.key))


def _lines(file: Iterable[bytes]) -> Iterator[Hub | Checkpoint | Link]:
    decoder = msgspec.json.Decoder(Hub | Checkpoint | Link)
    for number, line in enumerate(file, 1):
        try:
            yield decoder.decode(line)
        except msgspec.DecodeError as error:
            raise QurbaniError("bad_input", f"line {number}: {error}") from error
