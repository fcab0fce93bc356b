"""``qurbani evidence evaluate names``: how well spoken names are told."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from models_tflite.evaluate import Share
from models_tflite.loader import load_transcriber
from models_tflite.names import NameEvaluation, Rates, judge_names, read_recordings, transcribed
from models_tflite.store import Store
from shared.errors import QurbaniError
from shared.evidence.speech import Transcriber


def names(
    folder: Annotated[Path, typer.Argument(exists=True, file_okay=False, help="names.json and recordings.")],
    model: Annotated[str, typer.Option(help="A recogniser; else the best for each recording's language.")] = "",
    split: Annotated[str, typer.Option(help='The split to judge on; "" for all recordings.')] = "",
    cache: Annotated[Path | None, typer.Option(help="Where transcripts are kept; else in FOLDER.")] = None,
    threads: Annotated[int, typer.Option(min=1, help="Threads for the recogniser.")] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for a machine to read.")] = False,
) -> None:
    """How well spoken names are told, on the recordings of FOLDER, beside two plain ways to compare.

    What a recogniser has made of a recording is kept, so that judging again takes seconds.
    """
    recordings = read_recordings(folder, split)
    store = Store.from_environ(os.environ)
    ears = {language: _ears(store, model, language, threads) for language in {row.lang for row in recordings}}
    transcripts = []
    with Progress(console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty()) as bars:
        for row in bars.track(recordings, description="transcribe"):
            kept = cache or folder / "transcripts"
            transcripts.append(transcribed(folder / row.file, row.lang, ears[row.lang], kept))
    report = judge_names(recordings, transcripts, {language: each.model for language, each in ears.items()})
    if as_json:
        typer.echo(msgspec.json.encode(report))
    else:
        _show(report)


def _ears(store: Store, model: str, language: str, threads: int) -> Transcriber:
    found = load_transcriber(store, name=model, language=language, threads=threads)
    if found is None:
        raise QurbaniError("no_model", f"there is no recogniser here for {language!r}")
    return found


def _show(report: NameEvaluation) -> None:
    console = Console()
    engines = ", ".join(sorted({model.name for model in report.recogniser.values()}))
    console.print(f"{report.claims} claims on {report.recordings} recordings, {report.seconds:.1f} s each by {engines}")
    table = Table("", "", *(part for way in report.ways for part in (f"{way}: right", "wrong", "EER")), box=None)
    of_all = {way: {"all": found.all, "clear": found.clear} for way, found in report.ways.items()}
    for part, groups in (
        ("", of_all),
        ("language", {way: found.by_language for way, found in report.ways.items()}),
        ("noise", {way: found.by_noise for way, found in report.ways.items()}),
    ):
        for name in next(iter(groups.values())):
            table.add_row(part, name, *(cell for rates in _of(groups, name) for cell in _cells(rates)))
    console.print(table)
    kinds = Table("kind", *report.ways, box=None)
    for kind in next(iter(report.ways.values())).by_kind:
        kinds.add_row(kind, *(_share(found.by_kind[kind]) for found in report.ways.values()))
    kinds.add_row("swapped, named rightly", *(_share(found.swapped) for found in report.ways.values()))
    console.print(kinds)


def _of(groups: Mapping[str, Mapping[str, Rates]], name: str) -> list[Rates]:
    return [each[name] for each in groups.values()]


def _cells(rates: Rates) -> tuple[str, str, str]:
    error = "" if rates.equal_error is None else f"{rates.equal_error:.3f}"
    return _share(rates.true_accepted), _share(rates.false_accepted), error


def _share(share: Share | None) -> str:
    return f"{share.value:.3f} of {share.total}" if share else "no case"
