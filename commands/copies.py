"""``qurbani evidence redact`` and ``enhance``: copies for people to watch."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.progress import Progress

from models_tflite.loader import load_detector
from models_tflite.store import Store
from shared.domain.verdict import Frame
from shared.errors import QurbaniError
from shared.evidence import sandbox
from shared.evidence.copies import copy, suffix
from shared.evidence.derive import Recipe
from shared.evidence.enhance import Enhancement
from shared.evidence.frames import Picture
from shared.evidence.redact import Redaction
from shared.evidence.scene import look

Original = Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="The video; it is only read.")]
Target = Annotated[Path | None, typer.Argument(help="The copy, or a folder for it. Else it lies beside the video.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for a machine to read.")]


def redact(
    video: Original,
    target: Target = None,
    bystanders: Annotated[bool, typer.Option(help="Also the faces of persons who are not near the animal.")] = False,
    detector: Annotated[str, typer.Option(help="Who finds the persons, as `qurbani models list` names it.")] = "",
    as_json: AsJson = False,
) -> None:
    """A copy of VIDEO in which blood and wounds are blurred: NAME_blurred.mp4."""
    seen = _seen(video, detector) if bystanders else ()
    _make(video, target, Redaction(bystanders, seen), as_json)


def enhance(
    video: Original,
    target: Target = None,
    scale: Annotated[float, typer.Option(min=1, max=4, help="How many times as large.")] = 2.0,
    longest: Annotated[int, typer.Option(min=64, help="Pixels along the longer side at the most.")] = 1920,
    as_json: AsJson = False,
) -> None:
    """A copy of VIDEO without noise, and larger: NAME_enhanced.mp4."""
    _make(video, target, Enhancement(scale, longest), as_json)


def _make(video: Path, target: Path | None, recipe: Recipe, as_json: bool) -> None:
    name = f"{video.stem}{suffix(recipe)}.mp4"
    path = video.with_name(name) if target is None else target / name if target.is_dir() else target
    with Progress(console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty()) as bars:
        task = bars.add_task(path.name, total=1.0)
        made = copy(video, path, recipe, lambda done: bars.update(task, completed=done))
    if as_json:
        typer.echo(msgspec.json.encode(msgspec.to_builtins(made) | {"path": str(path)}))
    else:
        typer.echo(f"{path}: {made.width} x {made.height}, {made.seconds:.0f} s, {made.settings}")


def _seen(video: Path, name: str) -> tuple[Frame, ...]:
    detector = load_detector(Store.from_environ(os.environ), name)
    if detector is None:
        raise QurbaniError("no_model", "there is no detector here, so nobody can tell who stands by")
    events = sandbox.decode(video, detector.fit)
    return tuple(look(event, detector) for event in events if isinstance(event, Picture))
