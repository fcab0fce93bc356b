"""``qurbani demo``: the whole story on this machine with nothing installed."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.table import Table

from demo.servers import Servers
from demo.story import Access, Check, Story
from shared.errors import QurbaniError

LOG_LINES = 15

Once = Annotated[bool, typer.Option("--once", help="End after the story; exit 0 only if every check was true.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the checks as JSON, for a machine to read.")]
Media = Annotated[
    Path | None,
    typer.Option(envvar="QURBANI_MEDIA", file_okay=False, help="A folder with clips. Without: the demo films its own."),
]

app = typer.Typer()


@app.command()
def demo(once: Once = False, as_json: AsJson = False, media: Media = None) -> None:
    """A hub and a site box on this machine: orders, a cut link, recordings, sync, mail."""
    progress, result = Console(stderr=True), Console()
    started = time.monotonic()
    # SIGTERM ends the demo as Ctrl-C does: in order, with nothing left running.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with TemporaryDirectory(prefix="qurbani-demo-") as name, Servers.start() as servers, servers.room() as room:
        folder = Path(name)
        try:
            with Story(room, folder, media, progress.print) as story:
                story.tell()
                seconds = time.monotonic() - started
                if as_json:
                    print(msgspec.json.encode({"seconds": round(seconds, 1), "checks": _plain(story.checks)}).decode())  # noqa: T201
                else:
                    result.print(_checks(story.checks, seconds))
                if not once:
                    _show_doors(story.access, result)
                    _stay(result)
        except QurbaniError:
            _show_logs(folder, progress)
            raise
    if not all(check.is_true for check in story.checks):
        sys.exit(1)


def _plain(checks: Sequence[Check]) -> list[dict[str, object]]:
    return [{**msgspec.structs.asdict(check), "is_true": check.is_true} for check in checks]


def _checks(checks: Sequence[Check], seconds: float) -> Table:
    failed = sum(not check.is_true for check in checks)
    verdict = f"{failed} of {len(checks)} checks FAILED" if failed else f"all {len(checks)} checks are true"
    table = Table("", "check", "expected", "found", title=f"{verdict}, after {seconds:.0f} s")
    for check in checks:
        table.add_row("ok" if check.is_true else "NO", check.step, check.expected, check.found)
    return table


def _show_doors(doors: Sequence[Access], console: Console) -> None:
    console.print("Everything is up. These secrets were made for this run.\n")
    for door in doors:
        # Never cut or folded, however narrow the terminal: people copy from it.
        console.print(f"  {door.what:<8} {door.url}  {door.name}  {door.secret}", soft_wrap=True, highlight=False)


def _stay(console: Console) -> None:
    console.print("\nCtrl-C ends it.")
    try:
        signal.pause()
    except KeyboardInterrupt:
        console.print("Ending.")


def _show_logs(folder: Path, console: Console) -> None:
    """What the processes said last, before their logs go with the folder."""
    for log in sorted(folder.glob("*.log")):
        console.rule(log.name)
        last = log.read_text(errors="replace").splitlines()[-LOG_LINES:]
        console.print("\n".join(last), markup=False, highlight=False)
