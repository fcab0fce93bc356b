"""``qurbani evidence evaluate``: how good the models are, on labelled examples."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from msgspec.structs import replace
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from models_tflite.evaluate import SceneEvaluation, Share, Truth
from models_tflite.loader import load_detector
from models_tflite.manifest import manifest, sensitive
from models_tflite.scenes import judge_scenes, read_truths
from models_tflite.store import Store, folders
from shared.errors import QurbaniError

app = typer.Typer(help="How good the models are, on labelled examples.", no_args_is_help=True)


@app.callback()
def evaluate() -> None:
    """How good the models are, on labelled examples."""


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
    known = manifest()
    store = Store(folders(os.environ), replace(known, detector=tuple(map(sensitive, known.detector))))
    here = [entry.name for entry in known.detector if store.find(entry)]
    if not here:
        raise QurbaniError("no_model", "there is no detector here")
    reports = [_judged(name, store, truths, folder, threads) for name in model or here]
    if as_json:
        typer.echo(msgspec.json.encode(reports))
    else:
        for report in reports:
            _show(report)


def _judged(name: str, store: Store, truths: Sequence[Truth], folder: Path, threads: int) -> SceneEvaluation:
    detector = load_detector(store, name, threads)
    assert detector is not None  # a named one is here, or load_detector raises
    entry = next(entry for entry in manifest().detector if entry.name == name)
    with Progress(console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty()) as bars:
        task = bars.add_task(name, total=1.0)
        return judge_scenes(
            truths, folder, detector, entry.rule, entry.bytes, lambda done: bars.update(task, completed=done)
        )


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


def _share(share: Share | None) -> str:
    return f"{share.value:.2f} ({share.low:.2f} to {share.high:.2f})" if share else "no case"
