"""A box at work while the power goes.

``python THIS images FOLDER SEED COUNT [careless]``, or ``python THIS kills FOLDER EVERY``.

Prints a JSON line for each image, or for each write, flush or change of a name at which it was killed: what was
acknowledged by then, and what is wrong afterwards.
"""

from __future__ import annotations

import asyncio
import ctypes
import json
import os
import random
import shutil
import sys
from pathlib import Path

from edge.settings import Settings
from shared.log import to_stderr
from tests.chaos.edge import at_work as box
from tests.chaos.edge import images

shim = ctypes.CDLL(None)
shim.power_begin.argtypes = [ctypes.c_char_p, ctypes.c_char_p, ctypes.c_long]
shim.power_note.argtypes = [ctypes.c_char_p]


def work(folder: Path, log: str, kill_at: int = 0) -> int:
    """Do it all; how many acts there were."""
    shim.power_begin(str(folder).encode(), log.encode(), kill_at)

    async def steps() -> None:
        at_work = box.Work(Settings(data=str(folder)))
        for step in box.STEPS:
            await at_work.do(step)
            shim.power_note(step.encode())

    asyncio.run(steps())
    return int(shim.power_count())


def tell(**facts: object) -> None:
    sys.stdout.write(json.dumps(facts) + "\n")
    sys.stdout.flush()


def wrong(folder: Path, acknowledged: list[str]) -> list[str]:
    """What is wrong when the box starts again, and when everything was asked for once more."""
    found = box.in_a_process(lambda: box.wrong(folder, acknowledged))
    again = box.in_a_process(lambda: [work(folder, ""), *box.wrong(folder, list(box.STEPS))][1:])
    return [str(each) for each in (*found, *again)]  # type: ignore[misc]


def cut(folder: Path, seed: int, count: int, *, is_careless: bool) -> None:
    """``count`` disks, each as it may be after the power went at some moment of the work.

    A careless box does not wait until the log of its database is on the disk.
    """
    template, live, log, luck = folder / "template", folder / "live", folder / "log", random.Random(seed)
    box.in_a_process(lambda: box.new_box(template))
    shutil.copytree(template, live)
    disk = images.Disk(live)
    total = box.in_a_process(lambda: work(live, str(log)))
    acts = list(images.read(log, live))
    if is_careless:
        acts = [act for act in acts if act.kind != "S" or not act.path.endswith("-wal")]
    moments = sorted(luck.randrange(len(acts) + 1) for _ in range(count))
    acknowledged, taken = list[str](), 0
    for number, moment in enumerate(moments):
        for act in acts[taken:moment]:
            acknowledged += [act.path] if act.kind == "N" else []
            disk.take(act)
        taken, image = moment, folder / f"image-{number}"
        images.lay(disk.image(luck), template, image)
        tell(act=moment, of=total, acknowledged=acknowledged, wrong=wrong(image, acknowledged))
        shutil.rmtree(image)


def kill(folder: Path, every: int) -> None:
    """Kill the process at each ``every``-th act."""
    template, log = folder / "template", folder / "log"
    box.in_a_process(lambda: box.new_box(template))
    counting = shutil.copytree(template, folder / "counting")
    total = int(str(box.in_a_process(lambda: work(counting, ""))))
    for k in range(1, total + 1, every):
        live = shutil.copytree(template, folder / f"box-{k}")
        log.unlink(missing_ok=True)
        if not (pid := os.fork()):
            work(live, str(log), k)
            os._exit(0)
        os.waitpid(pid, 0)
        acknowledged = [act.path for act in images.read(log, live) if act.kind == "N"]
        tell(act=k, of=total, acknowledged=acknowledged, wrong=wrong(live, acknowledged))
        shutil.rmtree(live)


if __name__ == "__main__":
    to_stderr()  # standard output is for what it tells
    if sys.argv[1] == "images":
        cut(Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]), is_careless="careless" in sys.argv)
    else:
        kill(Path(sys.argv[2]), int(sys.argv[3]))
