"""``qurbani cloud audit``: check the hub's audit, take it away, keep a checkpoint elsewhere."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from tempfile import TemporaryFile
from typing import Annotated, BinaryIO

import msgspec
import typer

from cloud.platform import audit_chain, audit_file
from cloud.platform.core import Platform, opened
from cloud.platform.settings import Settings
from shared import settings
from shared.crypto import VerifyKey
from shared.errors import QurbaniError

app = typer.Typer(help="Who did what, and that nobody changed it since.", no_args_is_help=True)

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for a machine to read.")]
SHOWN = 20


@app.command()
def export(file: Annotated[Path, typer.Argument(help="Where to write it; `-` for standard output.")]) -> None:
    """Write the whole audit to a file that anybody can check, without the hub."""
    if str(file) == "-":
        entries = asyncio.run(_export(sys.stdout.buffer))
    else:
        with file.open("wb") as out:
            entries = asyncio.run(_export(out))
    typer.echo(f"{entries} entries", err=True)


@app.command()
def checkpoint() -> None:
    """Print the newest signed checkpoint. Keep it where the hub's administrators cannot reach it."""
    typer.echo(msgspec.json.encode(asyncio.run(_newest())))


@app.command()
def verify(
    file: Annotated[Path | None, typer.Argument(help="An exported audit; without it, that of the hub.")] = None,
    kept: Annotated[list[Path] | None, typer.Option("--checkpoint", help="A checkpoint that was kept.")] = None,
    key: Annotated[str, typer.Option(help="The hub's public key in hex, else the one in the file.")] = "",
    as_json: AsJson = False,
) -> None:
    """Find every entry that was edited, deleted, inserted or moved. Exits with 1 where there is one."""
    lines = []
    for path in kept or []:
        with _read(path) as source:
            lines += source.readlines()
    with closing(_read(file) if file else _exported()) as source:
        found = list(audit_file.verify(source, lines, VerifyKey(_bytes(key)) if key else None))
    if as_json:
        typer.echo(msgspec.json.encode({"whole": not found, "breaks": found}))
    elif found:
        for one in found[:SHOWN]:
            typer.echo(f"entry {one.seq}: {one.kind}")
        if len(found) > SHOWN:
            typer.echo(f"and {len(found) - SHOWN} more")
    else:
        typer.echo("whole")
    raise typer.Exit(1 if found else 0)


@asynccontextmanager
async def _hub() -> AsyncIterator[Platform]:
    async with opened(settings.load(Settings, os.environ)) as platform:
        yield platform


async def _export(out: BinaryIO) -> int:
    async with _hub() as platform, platform.database.begin() as session:
        return await audit_file.write(session, out, platform.keys.sign.public)


async def _newest() -> audit_chain.Checkpoint:
    async with _hub() as platform, platform.database.begin() as session:
        return await audit_chain.newest_checkpoint(session)


def _exported() -> BinaryIO:
    """The hub's audit as a file, so that both ways are one."""
    out = TemporaryFile()  # noqa: SIM115 - the caller closes it
    asyncio.run(_export(out))
    out.seek(0)
    return out


def _read(path: Path) -> BinaryIO:
    try:
        return path.open("rb")
    except OSError as error:
        raise QurbaniError("bad_input", f"{path}: {error.strerror}") from error


def _bytes(text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError as error:
        raise QurbaniError("bad_input", "the key is not hex") from error
