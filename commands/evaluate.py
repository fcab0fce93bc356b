"""``qurbani evidence evaluate``: how good the models are, on labelled examples."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from msgspec.structs import replace
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from commands.evaluate_names import names
from commands.trials import enhancement, fingerprints, redaction
from models_tflite.evaluate import SceneEvaluation, Share, Truth
from models_tflite.loader import load_detector
from models_tflite.manifest import manifest, sensitive
from models_tflite.rules import ClipEvaluation, as_toml, fit, judge_shots, shoot
from models_tflite.scenes import judge_scenes, read_truths
from models_tflite.store import Store, folders
from shared.errors import QurbaniError
from shared.evidence.scene import Detector

app = typer.Typer(help="How good the models are, on labelled examples.", no_args_is_help=True)
for trial in (redaction, enhancement, fingerprints):
    app.command()(trial)


@app.callback()
def evaluate() -> None:
    """How good the models are, on labelled examples."""


app.command()(names)


@app.command()
def scenes(
    folder: Annotated[Path, typer.Argument(exists=True, file_okay=False, help="COCO annotations.json and images.")],
    model: Annotated[list[str] | None, typer.Option(help="A detector; may be repeated. Else all.")] = None,
    split: Annotated[str, typer.Option(help='The split to judge on; "" for all images.')] = "val",
    threads: Annotated[int, typer.Option(min=1, help="Threads for each model.")] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for a machine to read.")] = False,
) -> None:
    """How well detectors find persons, animals and knives on the labelled images of FOLDER."""
    truths = read_truths(folder, split)
    store, names = _here(model)
    reports = [_judged(name, store, truths, folder, threads) for name in names]
    if as_json:
        typer.echo(msgspec.json.encode(reports))
    else:
        for report in reports:
            _show(report)


@app.command()
def clips(
    folder: Annotated[Path, typer.Argument(exists=True, file_okay=False, help="COCO annotations.json and images.")],
    model: Annotated[list[str] | None, typer.Option(help="A detector; may be repeated. Else all.")] = None,
    split: Annotated[str, typer.Option(help='The split to build from; "" for all images.')] = "val",
    count: Annotated[int, typer.Option(min=24, help="Clips to build.")] = 900,
    seed: Annotated[int, typer.Option(help="The same one builds the same clips.")] = 1,
    threads: Annotated[int, typer.Option(min=1, help="Threads for each model.")] = 1,
    fit_rule: Annotated[bool, typer.Option("--fit", help="Print the rule that fits, for the manifest.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for a machine to read.")] = False,
) -> None:
    """How often clips built from the labelled images of FOLDER pass the rule over time, rightly and wrongly."""
    truths = read_truths(folder, split)
    store, names = _here(model)
    detectors = [_sensitive(name, store, threads) for name in names]
    with _bar("clips") as told:
        seen = shoot(truths, folder, detectors, count, seed, told)
    if fit_rule:
        for name, shots in zip(names, seen, strict=True):
            typer.echo(f"# {name}\n{as_toml(fit(shots))}")
        return
    rules = {entry.name: entry.rule for entry in manifest().detector}
    reports = [
        judge_shots(shots, rules[name], one.model) for name, one, shots in zip(names, detectors, seen, strict=True)
    ]
    if as_json:
        typer.echo(msgspec.json.encode(reports))
    else:
        _show_clips(reports)


def _here(asked: Sequence[str] | None) -> tuple[Store, Sequence[str]]:
    """A store of detectors that tell of every sign, and the names of those asked for, else of all."""
    known = manifest()
    store = Store(folders(os.environ), replace(known, detector=tuple(map(sensitive, known.detector))))
    here = [entry.name for entry in known.detector if store.find(entry)]
    if not here:
        raise QurbaniError("no_model", "there is no detector here")
    return store, asked or here


def _sensitive(name: str, store: Store, threads: int) -> Detector:
    detector = load_detector(store, name, threads)
    assert detector is not None  # a named one is here, or load_detector raises
    return detector


@contextmanager
def _bar(name: str) -> Iterator[Callable[[float], None]]:
    with Progress(console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty()) as bars:
        task = bars.add_task(name, total=1.0)
        yield lambda done: bars.update(task, completed=done)


def _judged(name: str, store: Store, truths: Sequence[Truth], folder: Path, threads: int) -> SceneEvaluation:
    detector = _sensitive(name, store, threads)
    entry = next(entry for entry in manifest().detector if entry.name == name)
    with _bar(name) as told:
        return judge_scenes(truths, folder, detector, entry.rule, entry.bytes, told)


def _show(report: SceneEvaluation) -> None:
    console = Console()
    console.print(
        f"[bold]{report.model}[/]  {report.bytes / 1e6:.1f} MB, {report.latency_ms.median:.0f} ms an image, "
        f"{report.images} images"
    )
    table = Table("", "from", "recall", "precision", "recall at precision 0.9", "box AP50", box=None)
    for group, of in report.classes.items():
        at = of.at_precision["0.9"]
        table.add_row(
            group,
            f"{of.chosen.threshold:.2f}",
            _share(of.chosen.recall),
            _share(of.chosen.precision),
            _share(at.recall) if at else "never",
            f"{of.boxes.value:.2f} ({of.boxes.low:.2f} to {of.boxes.high:.2f})" if of.boxes else "",
        )
    console.print(table)
    scene = Table("shown together", "all found", box=None)
    for name, share in report.scene.complete.items():
        scene.add_row(name, _share(share))
    scene.add_row("all three found where they are not", _share(report.scene.mistaken))
    console.print(scene)


def _show_clips(reports: Sequence[ClipEvaluation]) -> None:
    table = Table("", *(report.model for report in reports), box=None)
    for name, pick in (
        ("all shown, authentic", lambda one: one.found),
        ("all shown, rejected", lambda one: one.refused),
        ("not all shown, authentic", lambda one: one.mistaken),
    ):
        for way in ("chosen", "held_out", "single"):
            table.add_row(f"{name} ({way})", *(_share(pick(getattr(report, way))) for report in reports))
    Console().print(table)


def _share(share: Share | None) -> str:
    return f"{share.value:.2f} ({share.low:.2f} to {share.high:.2f})" if share else "no case"
