"""``qurbani sync``: try the protocol against bad luck."""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from itertools import repeat
from pathlib import Path
from typing import Annotated

import msgspec
import structlog
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

import edge  # noqa: F401 - before anything opens SQLite
from commands.simulated.maker import CLOUD_SHARE, Maker, Makers
from commands.simulated.mutants import MUTANTS, plant, planted, share_of
from shared.errors import QurbaniError
from sync.simulation.run import Report, Result, play, play_seeds, shortest
from sync.simulation.tape import LARGE, SMALL, Size, Tape, draw

SIZES = {"small": SMALL, "large": LARGE}
CHUNK = 20
"""Seeds that a process plays before it tells of them."""

app = typer.Typer(help="The sync protocol.", no_args_is_help=True)


@app.callback()
def sync() -> None:
    """The sync protocol."""


@app.command()
def simulate(
    seeds: Annotated[int, typer.Option(min=1, help="How many worlds to play, each with bad luck of its own.")] = 1_000,
    seed: Annotated[int, typer.Option(min=0, help="The first one.")] = 0,
    size: Annotated[str, typer.Option(help="small: up to 3 boxes; large: 20 boxes and some 400 ops.")] = "small",
    mutant: Annotated[str, typer.Option(help=f"Plant a mistake and see it caught: {', '.join(MUTANTS)}.")] = "",
    tape: Annotated[Path | None, typer.Option(help="Play this tape instead, and print its trace.")] = None,
    keep: Annotated[Path | None, typer.Option(help="Cut the first failure down and write its tape here.")] = None,
    workers: Annotated[int, typer.Option(min=1, help="Processes.")] = os.cpu_count() or 1,
    own: Annotated[bool, typer.Option("--own-hub", help="All against the hub's own services; else one of "
                                      f"{CLOUD_SHARE}, and a tape not.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for a machine to read.")] = False,
) -> None:
    """Boxes, a hub and bad luck on a simulated clock: the production code, checked after every step.

    Exit code 1 when a promise was broken, or when a planted mistake was not noticed.
    """
    if size not in SIZES:
        raise QurbaniError("bad_input", f"a world is {' or '.join(SIZES)}, not {size!r}")
    if mutant and mutant not in MUTANTS:
        raise QurbaniError("bad_input", f"there is no mutant {mutant!r}; there are {', '.join(MUTANTS)}")
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    share = 1 if own else share_of(mutant)
    makers = Makers(share)
    if tape:
        _play_tape(tape, makers(0), mutant)
        return
    began = time.monotonic()
    report = Report()
    for number, result in _played(range(seed, seed + seeds), SIZES[size], mutant, share, workers):
        report.add(number, result)
        if mutant and report.failures:
            break
    seconds = time.monotonic() - began
    if keep and report.failures:
        failed = report.failures[0].seed
        _keep(keep, draw(failed, SIZES[size]), makers(failed), mutant)
    sys.stdout.write(_as_json(report, seconds, mutant) if as_json else _as_text(report, seconds, mutant))
    if bool(report.failures) != bool(mutant):
        raise typer.Exit(1)


def _played(seeds: range, size: Size, mutant: str, share: int, workers: int) -> Iterator[tuple[int, Result]]:
    """The results in the order of the seeds, while several processes work ahead."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with (
        Progress(*columns, console=Console(stderr=True), disable=not sys.stderr.isatty()) as bar,
        ProcessPoolExecutor(workers, initializer=_start, initargs=(mutant,)) as pool,
    ):
        task = bar.add_task("seeds", total=len(seeds))
        chunks = (seeds[start : start + CHUNK] for start in range(0, len(seeds), CHUNK))
        try:
            for results in pool.map(_play_chunk, chunks, repeat(size), repeat(share)):
                bar.advance(task, len(results))
                yield from results
        finally:
            pool.shutdown(cancel_futures=True)


def _start(mutant: str) -> None:
    """In a process that plays."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    if mutant:
        plant(mutant)


def _play_chunk(seeds: range, size: Size, share: int) -> list[tuple[int, Result]]:
    return play_seeds(seeds, Makers(share), size)


def _play_tape(path: Path, maker: Maker, mutant: str) -> None:
    try:
        tape = msgspec.json.decode(path.read_bytes(), type=Tape)
    except (OSError, msgspec.MsgspecError) as error:
        raise QurbaniError("bad_input", f"{path} is not a tape: {error}") from error
    lines: list[str] = []
    with planted(mutant):
        result = play(tape, maker, lines)
    sys.stdout.write("".join(f"{line}\n" for line in [*lines, result.failure or f"clean, trace {result.trace}"]))
    if bool(result.failure) != bool(mutant):
        raise typer.Exit(1)


def _keep(path: Path, tape: Tape, maker: Maker, mutant: str) -> None:
    with planted(mutant):
        path.write_bytes(msgspec.json.format(msgspec.json.encode(shortest(tape, maker)), indent=1))


def _as_json(report: Report, seconds: float, mutant: str) -> str:
    found = {
        **msgspec.structs.asdict(report), "never": report.never, "mutant": mutant or None,
        "seconds": round(seconds, 1), "seeds_a_minute": round(report.seeds / seconds * 60),
    }  # fmt: skip
    return msgspec.json.encode(found).decode() + "\n"


def _as_text(report: Report, seconds: float, mutant: str) -> str:
    lines = [f"{report.seeds} seeds in {seconds:.1f} s ({report.seeds / seconds * 60:.0f} a minute)"]
    lines += [f"  {count:6} {state}" for state, count in sorted(report.states.items())]
    lines += [f"  never: {state}" for state in report.never]
    lines += [f"seed {each.seed}: {each.what}" for each in report.failures[:10]]
    if mutant:
        lines.append(f"{mutant}: {'noticed' if report.failures else 'NOT NOTICED'} after {report.seeds} seeds")
    else:
        lines.append(f"{len(report.failures)} seeds broke a promise; trace {report.trace[:16]}")
    return "".join(f"{line}\n" for line in lines)
