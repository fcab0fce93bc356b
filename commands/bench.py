"""``qurbani bench``: measure, beside the limit or the peer, in the same run."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.table import Table

import benchmarks
from shared.errors import QurbaniError

NAMES = sorted(path.stem for path in Path(benchmarks.__file__).parent.glob("[a-z]*.py"))

Name = Annotated[str, typer.Argument(help=f"One of {', '.join(NAMES)}. Without it: all of them.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for a machine to read.")]

app = typer.Typer()


@app.command()
def bench(name: Name = "", as_json: AsJson = False) -> None:
    """Run one benchmark, or all. Figures are this machine's, now; quote the ratios."""
    if name and name not in NAMES:
        raise QurbaniError("bad_input", f"there is no benchmark {name!r}; there are {', '.join(NAMES)}")
    with Console(stderr=True).status("") as status:
        rows = [row for each in ([name] if name else NAMES) for row in _run(each, status.update)]
    if as_json:
        found = [{**msgspec.structs.asdict(row), "ratio": row.ratio, "is_met": row.is_met} for row in rows]
        sys.stdout.write(msgspec.json.encode(found).decode() + "\n")
    else:
        Console().print(_table(rows))


def _run(name: str, say: benchmarks.Say) -> list[benchmarks.Row]:
    say(name)
    found: list[benchmarks.Row] = import_module(f"benchmarks.{name}").run(lambda news: say(f"{name}: {news}"))
    return found


def _table(rows: list[benchmarks.Row]) -> Table:
    table = Table("what", "unit", "ours", "beside", "beside what", "ratio", "goal")
    for row in rows:
        goal = f"{'≥' if row.more_is_better else '≤'} {row.goal:g} {'met' if row.is_met else 'MISSED'}"
        figures = f"{row.ours:.3g}", f"{row.beside:.3g}"
        table.add_row(row.what, row.unit, *figures, row.beside_what, f"{row.ratio:.2f}", goal)
    return table
