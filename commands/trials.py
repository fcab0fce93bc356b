"""``qurbani evidence evaluate redaction | enhancement | fingerprints``: on films of our own, of which the truth is
known."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from shared.evidence.trials import enhancement as enhanced
from shared.evidence.trials import fingerprints as found
from shared.evidence.trials import redaction as redacted
from shared.evidence.trials.scenery import Grounds, made

Films = Annotated[int, typer.Option(min=1, help="How many films on each kind of ground.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for a machine to read.")]
Clips = Annotated[
    Path | None, typer.Option(exists=True, file_okay=False, help="A folder of clips to paint on as well.")
]

_SIZE = (320, 180)


def redaction(
    films: Films = 12,
    seconds: Annotated[float, typer.Option(min=0.2, help="The length of each.")] = 2.0,
    media: Clips = None,
    as_json: AsJson = False,
) -> None:
    """How much painted blood is blurred, how much else, and how still, beside the usual rule of hue."""
    folder = media or (Path(os.environ["QURBANI_MEDIA"]) if os.environ.get("QURBANI_MEDIA") else None)
    grounds: dict[str, Grounds] = {"made": made}
    if folder:
        grounds["clips"] = redacted.clips([path for path in sorted(folder.glob("*.mp4")) if redacted.shows(path)])
    seeds = range(redacted.JUDGED, redacted.JUDGED + films)
    reports = []
    for name, ground in grounds.items():
        with _bar(name) as say:
            reports.append(redacted.judge(name, ground, seeds, _SIZE, seconds, say))
    if as_json:
        typer.echo(msgspec.json.encode(reports))
        return
    columns = ("ground", "", "blood covered", "shown", "other covered", "worst", "cloth", "skin", "soil", "flips/s")
    table = Table(*columns, box=None)
    for report in reports:
        for way, score in (("ours", report.ours), ("rule of hue", report.rule)):
            shares = (score.recall, score.shown, score.other, score.worst, *score.of.values())
            table.add_row(report.grounds, way, *(f"{share:.3f}" for share in shares), f"{score.flips:.2f}")
    Console(width=120).print(table)


def enhancement(films: Films = 4, pictures: Annotated[int, typer.Option(min=3)] = 10, as_json: AsJson = False) -> None:
    """What enhancement gives back of a halved, noisy, compressed film, beside plain enlarging."""
    seeds = range(enhanced.JUDGED, enhanced.JUDGED + films)
    reports = []
    for noise, crf in product(enhanced.NOISES, (12, 24)):
        with _bar(f"{noise} noise, crf {crf}") as say:
            reports.append(enhanced.judge(made, seeds, (640, 360), pictures, crf, noise, say))
    if as_json:
        typer.echo(msgspec.json.encode(reports))
        return
    table = Table("noise", "compressed at crf", "way", "PSNR, dB", "SSIM", box=None)
    for report in reports:
        for way, quality in report.ways.items():
            table.add_row(report.noise, str(report.crf), way, f"{quality.psnr:.2f}", f"{quality.ssim:.3f}")
    Console().print(table)
    typer.echo(f"{reports[0].cost:.2f} s of work for a second of film of 320 x 180 pixels")


def fingerprints(
    places: Annotated[int, typer.Option(min=1)] = 8,
    kept: Annotated[int, typer.Option(min=1, help="Known acts at each place.")] = 3,
    strangers: Annotated[int, typer.Option(min=1, help="New acts at each place.")] = 3,
    seconds: Annotated[float, typer.Option(min=6, help="The length of each film.")] = 16.0,
    videos: Annotated[int, typer.Option(min=0, help="Made-up videos among which a lookup is timed.")] = 0,
    as_json: AsJson = False,
) -> None:
    """How many copies are found, and how many other acts at the same places are taken for them."""
    with _bar("films") as say:
        report = found.judge(range(1, places + 1), kept, strangers, seconds, say)
    cost = None
    if videos:
        with TemporaryDirectory() as folder:
            cost = found.cost(str(Path(folder) / "acts.db"), videos, 20)
    if as_json:
        typer.echo(msgspec.json.encode({"report": report, "cost": cost}))
        return
    table = Table("copy", "found", "of", "others named", box=None)
    for change, each in report.changes.items():
        table.add_row(change, str(each.right), str(each.copies), str(each.wrong))
    Console().print(table)
    typer.echo(f"{report.mistaken} of {report.strangers} new acts at known places were taken for one of {report.kept}")
    typer.echo(f"{report.print_s:.3f} s of work for a second of film")
    if cost:
        typer.echo(
            f"one lookup among {cost.videos} videos of {cost.seconds} s: {1000 * cost.lookup_s:.0f} ms; reading every "
            f"mark once: {1000 * cost.scan_s:.0f} ms; {cost.bytes / 1e6:.0f} MB; {cost.found} of {cost.asked} found"
        )


@contextmanager
def _bar(name: str) -> Iterator[redacted.Say]:
    """A bar, on a terminal only."""
    with Progress(console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty()) as bars:
        task = bars.add_task(name, total=1.0)
        yield lambda done: bars.update(task, completed=done)
