"""A box at work on a disk that fails at the k-th write or flush, for one k after the other, each in its own process.

``python THIS FOLDER ERRNO STAYS EVERY [careless]``. Prints a JSON line for each k: what was acknowledged, what
was said instead, what is wrong afterwards, and whether the box goes on.
"""

from __future__ import annotations

import asyncio
import ctypes
import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

from edge import sqlite
from edge.db import Database, Tx
from edge.settings import Settings
from shared.errors import QurbaniError
from shared.log import to_stderr
from tests.chaos.edge.at_work import STEPS, Work, in_a_process, new_box, wrong

shim = ctypes.CDLL(None)
shim.disk_set.argtypes = [ctypes.c_char_p, *[ctypes.c_long] * 4]


def do(folder: Path, k: int, errno: int, stays: int) -> tuple[list[str], list[str], int]:
    """What was acknowledged, what was said instead, and how many writes and flushes there were."""
    shim.disk_set(str(folder).encode(), k, errno, stays, 0)
    return asyncio.run(_do(Settings(data=str(folder))))


async def _do(settings: Settings) -> tuple[list[str], list[str], int]:
    acknowledged, said, work = list[str](), list[str](), None
    for name in STEPS:
        for _ in range(2):  # a tablet asks again
            try:
                work = work or Work(settings)
                await work.do(name)
            except (OSError, QurbaniError, sqlite.library().OperationalError) as error:
                said.append(f"{name}: {error}")
            else:
                acknowledged.append(name)
                break
    return acknowledged, said, shim.disk_count()


def be_careless() -> None:
    """Take a transaction that failed for one that went well."""
    write = Database.write

    def careless(self: Database, work: Callable[[Tx], object]) -> object:
        try:
            return write(self, work)
        except QurbaniError as error:
            return None if error.code == "disk_fault" else _raise(error)

    Database.write = careless  # type: ignore[method-assign,assignment]


def _raise(error: QurbaniError) -> None:
    raise error


def main(folder: Path, errno: int, stays: int, every: int) -> None:
    template = folder / "template"
    in_a_process(lambda: new_box(template))
    k, total = 0, 1
    while k <= total:  # at first without a failure, to count
        box = folder / f"box-{k}"
        shutil.copytree(template, box)
        acknowledged, said, count = in_a_process(lambda k=k, box=box: do(box, k, errno, stays))  # type: ignore[misc]
        total = total if k else count
        found = in_a_process(lambda box=box, acknowledged=acknowledged: wrong(box, acknowledged))
        healed = in_a_process(lambda box=box: do(box, 0, 0, 0)[0])
        after = in_a_process(lambda box=box, healed=healed: wrong(box, healed))
        print(json.dumps({"k": k, "acknowledged": acknowledged, "said": said, "wrong": found, "healed": healed,
                          "after": after}), flush=True)  # fmt: skip
        shutil.rmtree(box)
        k += every


if __name__ == "__main__":
    to_stderr()  # standard output is for what it tells
    if sys.argv[5:] == ["careless"]:
        be_careless()
    main(Path(sys.argv[1]), *map(int, sys.argv[2:5]))
