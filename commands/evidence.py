"""``qurbani evidence``: check a video, or run one stage of the check alone."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from commands import provenance
from commands.copies import enhance, redact
from commands.evaluate import app as evaluate
from models_tflite.loader import load_detector, load_transcriber
from models_tflite.store import Store
from shared import settings
from shared.domain.verdict import Claim, Frame, ShareMatch, Stray, Verdict, Word, hint
from shared.errors import QurbaniError
from shared.evidence import names, pipeline, sandbox
from shared.evidence.decode import Event, Problem
from shared.evidence.frames import Fit, Picture
from shared.evidence.judge import Facts
from shared.evidence.judge import judge as decide
from shared.evidence.media import Probe
from shared.evidence.preflight import preflight as look_ahead
from shared.evidence.replay import compare
from shared.evidence.scene import Detector, look
from shared.evidence.sound import Sound
from shared.evidence.speech import Hearing, Silence, hear
from shared.evidence.stages import Stages

app = typer.Typer(help="Check a video, or run one stage of the check alone.", no_args_is_help=True)
app.add_typer(evaluate, name="evaluate")
app.command()(provenance.verify)
app.command()(provenance.paper)
app.command()(provenance.sign)
app.command()(redact)
app.command()(enhance)

EXIT = {"authentic": 0, "review": 3, "rejected": 4}

Video = Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="The video file.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for a machine to read.")]
Names = Annotated[list[str], typer.Option("--name", help="A name that must be said; once for each share.")]
Cohort = Annotated[
    Path | None,
    typer.Option(exists=True, dir_okay=False, help="The other names of the site: JSON, or one name a line."),
]
Engine = Annotated[str, typer.Option(help="vosk or whisper; else the best that is here.")]
ModelName = Annotated[str, typer.Option("--model", help="The recogniser, as `qurbani models list` names it.")]
DetectorName = Annotated[str, typer.Option("--detector", help="The detector, as `qurbani models list` names it.")]
Language = Annotated[str, typer.Option(help="The language spoken at the site (ISO 639-1: ar, fr, en, ...).")]
Threads = Annotated[int, typer.Option(min=1, help="Threads for each model.")]


@app.command()
def validate(
    video: Video,
    name: Names,
    cohort: Cohort = None,
    engine: Engine = "",
    model: ModelName = "",
    detector: DetectorName = "",
    language: Language = "",
    threads: Threads = 1,
    as_json: AsJson = False,
) -> None:
    """Whether VIDEO shows a sacrifice and every name is said.

    Exit code 0: authentic. 3: review, something could not be checked. 4: rejected, it was checked and is not so.
    """
    _tell(video.name, decide(_examined(video, name, cohort, engine, model, detector, language, threads)), as_json)


@app.command()
def preflight(video: Video, detector: DetectorName = "", threads: Threads = 1, as_json: AsJson = False) -> None:
    """Whether a short clip, taken before the act, is bright, sharp and loud enough, with the animal in it.

    Exit code 0: ready. 3: something should be put right first.
    """
    found = look_ahead(video, load_detector(Store.from_environ(os.environ), detector, threads))
    if as_json:
        typer.echo(msgspec.json.encode(found))
    else:
        typer.echo("\n".join(f"{fault.code}: {fault.hints['en']}" for fault in found.faults) or "ready")
        if not found.framed:
            typer.echo("nobody looked for the animal")
    raise typer.Exit(EXIT["authentic" if found.ready else "review"])


@app.command()
def probe(video: Video, as_json: AsJson = False) -> None:
    """What the file says of itself: container, length, picture, sound."""
    found = next(event for event in _events(video, None) if isinstance(event, Probe))
    if as_json:
        typer.echo(msgspec.json.encode(found))
        return
    for field, value in msgspec.structs.asdict(found).items():
        typer.echo(f"{field:<10} {value}")


@app.command()
def sample(video: Video, as_json: AsJson = False) -> None:
    """The times at which a picture is taken, in seconds."""
    small = Fit(64, 64, "rgb24")
    times = [round(event.time, 3) for event in _events(video, small) if isinstance(event, Picture)]
    typer.echo(msgspec.json.encode(times) if as_json else "\n".join(map(str, times)))


@app.command()
def detect(video: Video, detector: DetectorName = "", threads: Threads = 1, as_json: AsJson = False) -> None:
    """What is seen in each picture, with boxes in the JSON."""
    model = _detector(detector, threads)
    frames = [look(event, model) for event in _events(video, model.fit) if isinstance(event, Picture)]
    if as_json:
        typer.echo(msgspec.json.encode(frames))
    else:
        Console().print(_frames(frames))


@app.command()
def transcribe(
    video: Video,
    engine: Engine = "",
    model: ModelName = "",
    language: Language = "",
    threads: Threads = 1,
    as_json: AsJson = False,
) -> None:
    """The words that are said, with times and confidence."""
    transcriber = load_transcriber(Store.from_environ(os.environ), engine, model, language, threads)
    if transcriber is None:
        raise QurbaniError("no_model", "there is no recogniser here")
    with _progress("transcribe") as told:
        pieces = [event.samples() for event in _events(video, None) if isinstance(event, Sound)]
        hearing = hear(pieces, transcriber, lambda done: told("transcribe", done))
    if as_json:
        typer.echo(msgspec.json.encode(hearing))
    else:
        _show_words(hearing)


@app.command()
def match(
    words: Annotated[str, typer.Argument(help="What was said, as a recogniser writes it.")],
    name: Names,
    cohort: Cohort = None,
    as_json: AsJson = False,
) -> None:
    """Whether the names are among the WORDS, by their sound."""
    said = [Word(text, float(at), float(at + 1), 1.0) for at, text in enumerate(words.split())]
    roll = names.roll_call(said, [Claim(text) for text in name], read_cohort(cohort) if cohort else ())
    if as_json:
        typer.echo(msgspec.json.encode(roll.shares))
    else:
        Console().print(_shares(roll.shares))
        _show_strays(roll.strays)


@app.command()
def examine(
    video: Video,
    name: Names,
    cohort: Cohort = None,
    engine: Engine = "",
    model: ModelName = "",
    detector: DetectorName = "",
    language: Language = "",
    threads: Threads = 1,
) -> None:
    """All stages but the last: the facts about VIDEO as JSON, for `judge`, today or later."""
    typer.echo(msgspec.json.encode(_examined(video, name, cohort, engine, model, detector, language, threads)))


@app.command()
def judge(
    facts: Annotated[typer.FileText, typer.Argument(help="What `examine` printed; - reads it from standard input.")],
    as_json: AsJson = False,
) -> None:
    """The verdict on FACTS, by the rules of this version. Exit codes as of `validate`."""
    try:
        verdict = decide(msgspec.json.decode(facts.read(), type=Facts))
    except msgspec.MsgspecError as error:
        raise QurbaniError("bad_input", f"{facts.name}: {error}") from error
    _tell(facts.name, verdict, as_json)


@app.command()
def replay(
    detector: DetectorName = "",
    engine: Engine = "",
    as_json: AsJson = False,
) -> None:
    """Judge every video of the box in QURBANI_DATA anew and tell what would be said otherwise. Rewrites nothing.

    Done stages are not done again, so a second run with the same models takes no time.
    """
    # Only where there is a box: it brings a database of its own.
    from edge import unlock
    from edge.check import Checker
    from edge.main import Box
    from edge.settings import Settings
    from edge.site import Site

    found = settings.load(Settings, os.environ)
    box = Box.open(found, unlock.vault(found, os.environ))
    site = Site(box.db)
    check = Checker(site, box.blobs, Store.from_environ(os.environ), Stages(found.stages), engine, detector)
    try:
        told = [compare(str(id), before, check(id)) for id, before in site.judged()]
    finally:
        box.db.close()
    if as_json:
        typer.echo(msgspec.json.encode(told))
        return
    for each in told:
        typer.echo(f"{each.video}  {each.before} -> {each.after}")
        for change in each.changes:
            typer.echo(f"    {change.what} {change.about}: {change.before} -> {change.after}".replace(" :", ":"))


def read_cohort(path: Path) -> list[Claim]:
    """The names of the site: a JSON list of names or of ``{name, spellings, order}``, or one name a line."""
    text = path.read_text()
    if not text.lstrip().startswith("["):
        return [Claim(line.strip()) for line in text.splitlines() if line.strip()]
    try:
        rows = msgspec.json.decode(text, type=list[str | Claim])
    except msgspec.MsgspecError as error:
        raise QurbaniError("bad_input", f"{path.name}: {error}") from error
    return [Claim(row) if isinstance(row, str) else row for row in rows]


def _examined(
    video: Path, name: Sequence[str], cohort: Path | None,
    engine: str, model: str, detector: str, language: str, threads: int,
) -> Facts:  # fmt: skip
    store = Store.from_environ(os.environ)
    with _progress("detect", "transcribe") as told:
        return pipeline.examine(
            video,
            [Claim(text) for text in name],
            read_cohort(cohort) if cohort else (),
            detector=load_detector(store, detector, threads),
            transcriber=load_transcriber(store, engine, model, language, threads),
            spoken=(language,) if language else (),
            progress=told,
        )


def _events(video: Path, fit: Fit | None) -> Iterator[Event]:
    """The events of the video; a problem with it is an error here, after all that could be read."""
    problem = None
    for event in sandbox.decode(video, fit):
        if isinstance(event, Problem):
            problem = problem or event
        else:
            yield event
    if problem:
        raise QurbaniError(problem.code, problem.detail)


def _detector(name: str, threads: int) -> Detector:
    detector = load_detector(Store.from_environ(os.environ), name, threads)
    if detector is None:
        raise QurbaniError("no_model", "there is no detector here")
    return detector


@contextmanager
def _progress(*stages: str) -> Iterator[pipeline.Progress]:
    """A bar for each stage, on a terminal only."""
    with Progress(console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty()) as bars:
        tasks = {stage: bars.add_task(stage, total=1.0) for stage in stages}
        yield lambda stage, done: bars.update(tasks[stage], completed=done)


def _tell(name: str, verdict: Verdict, as_json: bool) -> None:
    """Print the verdict and end with the status that stands for it."""
    if as_json:
        hints = [hint(reason) for reason in verdict.reasons]
        typer.echo(msgspec.json.encode(msgspec.to_builtins(verdict) | {"hints": hints}))
    else:
        _show(name, verdict)
    raise typer.Exit(EXIT[verdict.outcome])


def _show(name: str, verdict: Verdict) -> None:
    console = Console()
    console.print(f"[bold]{verdict.outcome}[/]  {name}, {verdict.seconds:.0f} s")
    for reason in verdict.reasons:
        console.print(f"  {reason.code}: {hint(reason)}", markup=False, soft_wrap=True)
    if verdict.detector:
        console.print(f"\n{verdict.together} of {verdict.sampled} pictures show all three ({verdict.detector.name})")
        console.print(_frames(verdict.frames))
    if verdict.recogniser:
        said = " ".join(word.text for word in verdict.words)
        console.print(f"\nheard by {verdict.recogniser.name}: {said}", markup=False, soft_wrap=True)
    if verdict.shares:
        console.print(_shares(verdict.shares))
    _show_strays(verdict.strays)


def _frames(frames: Sequence[Frame]) -> Table:
    table = Table("second", "person", "animal", "knife", box=None)
    for frame in frames:
        table.add_row(f"{frame.time:.1f}", *(f"{score:.2f}" for score in (frame.person, frame.animal, frame.knife)))
    return table


def _shares(shares: Sequence[ShareMatch]) -> Table:
    table = Table("name", "", "score", "said", "at second", "rather", box=None)
    for share in shares:
        at = f"{share.start:.1f}" if share.said else ""
        table.add_row(share.name, share.heard, f"{share.score:.2f}", share.said, at, share.which)
    return table


def _show_strays(strays: Sequence[Stray]) -> None:
    told = {"extra": "also said", "repeated": "said again"}
    for stray in strays:
        typer.echo(f"{told[stray.kind]}: {stray.name} ({stray.said}, at second {stray.start:.1f})")


def _show_words(hearing: Hearing) -> None:
    if hearing.silence:
        silence: dict[Silence, str] = {
            "no_sound": "there is no sound",
            "muted": "there is only silence",
            "no_speech": "nobody speaks",
        }
        typer.echo(silence[hearing.silence])
    for word in hearing.words:
        typer.echo(f"{word.start:7.2f} {word.end:7.2f}  {word.confidence:.2f}  {word.text}")
