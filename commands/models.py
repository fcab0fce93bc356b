"""``qurbani models``: the models that look and listen."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

from models_tflite import fetch as fetching
from models_tflite.manifest import DetectorEntry, Entry, RecogniserEntry
from models_tflite.store import SUMS, Store, folders

app = typer.Typer(
    help="The models that look and listen. They are looked for in QURBANI_MODELS, QURBANI_DATA/models, the user's "
    "own data folder, beside the manifest, and in installed packages.",
    no_args_is_help=True,
)

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for a machine to read.")]


class Row(msgspec.Struct):
    """One model as ``list`` shows it; ``path`` is empty when it is not here.

    ``by_name_only``: not used unless somebody names it.
    """

    name: str
    kind: str
    languages: tuple[str, ...]
    licence: str
    bytes: int
    path: str
    get: str
    about: str
    by_name_only: bool


@app.command("list")
def list_models(as_json: AsJson = False) -> None:
    """Every known model, whether it is here, and how to get it."""
    store = Store.from_environ(os.environ)
    rows = [_row(entry, store.find(entry)) for entry in store.known.entries]
    if as_json:
        typer.echo(msgspec.json.encode(rows))
        return
    for row in rows:
        languages = " ".join(row.languages)
        where = row.path or f"not here: {row.get}"
        typer.echo(f"{row.name:<18} {row.kind:<9} {languages:<4} {row.bytes / 1e6:6.1f} MB  {row.licence:<11} {where}")


@app.command()
def fetch(
    name: Annotated[str, typer.Argument(help="As `models list` names it; else the first with an address.")] = "",
    to: Annotated[Path | None, typer.Option(help="Into this folder instead of the first that is searched.")] = None,
) -> None:
    """Get a model and check its sha256. Goes on where it was cut.

    Where the maker publishes no sha256, the first fetch pins what it got, and later ones must match.
    """
    store = Store.from_environ(os.environ)
    entry = store.known.entry(name) if name else next(entry for entry in store.known.detector if entry.url)
    columns = (TextColumn(entry.name), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=Console(stderr=True), disable=not sys.stderr.isatty()) as bar:
        task = bar.add_task(entry.name, total=entry.bytes)

        def told(here: int, total: int) -> None:
            bar.update(task, completed=here, total=total or None)

        path = fetching.fetch(entry, to or folders(os.environ)[0], told)
    typer.echo(f"{entry.name}: {path} ({_trust(entry)})")


@app.command()
def verify(as_json: AsJson = False) -> None:
    """Read every model that is here and compare its sha256. Exit code 1 when one is not what it should be."""
    store = Store.from_environ(os.environ)
    here = [(entry, path) for entry in store.known.entries if (path := store.find(entry))]
    wrong = {entry.name: store.wrong(entry, path) for entry, path in here}
    if as_json:
        typer.echo(msgspec.json.encode(wrong))
    else:
        for entry, path in here:
            damaged = ", ".join(wrong[entry.name])
            typer.echo(f"{entry.name}: {f'damaged: {damaged}' if damaged else _checked(entry, path)}")
    if any(wrong.values()):
        raise typer.Exit(1)


def _row(entry: Entry, path: Path | None) -> Row:
    get = f"qurbani models fetch {entry.name}"
    kind: str = "detector"
    languages: tuple[str, ...] = ()
    if isinstance(entry, RecogniserEntry):
        kind, languages = entry.engine, entry.languages or ("any",)
        if not entry.url and not entry.join:
            get = f"pip install {' '.join(entry.packages)}"
    by_name_only = isinstance(entry, DetectorEntry) and entry.by_name_only
    return Row(entry.name, kind, languages, entry.licence, entry.bytes, str(path or ""), get, entry.about, by_name_only)


def _trust(entry: Entry) -> str:
    return "as the manifest says" if entry.sha256 else "its maker publishes no sha256: pinned as it came"


def _checked(entry: Entry, path: Path) -> str:
    if entry.sha256:
        return f"as the manifest says: {path}"
    return f"as first fetched: {path}" if (path / SUMS).is_file() else f"no sha256 is known: {path}"
