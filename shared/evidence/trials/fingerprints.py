"""How many copies are found, how many strangers are taken for them, and what a lookup costs among very many."""

from __future__ import annotations

import io
import sqlite3
import time
from collections.abc import Callable, Sequence

import msgspec
import numpy as np

from shared.evidence.act_store import SqliteActs
from shared.evidence.acts import find
from shared.evidence.decode import decode
from shared.evidence.fingerprint import BITS, FIT, STEP_S, Fingerprint, Marks, fingerprint
from shared.evidence.trials.copies import CHANGES, act, copied, encoded

Say = Callable[[float], None]


class Found(msgspec.Struct, frozen=True):
    """Of ``copies``, in how many the right original was found, and in how many another film was named as well."""

    copies: int
    right: int
    wrong: int


class Report(msgspec.Struct, frozen=True):
    """``changes`` by name; of ``strangers`` (new acts at places of which the index holds others) ``mistaken`` were
    taken for an earlier one; ``kept`` films are in the index; ``print_s`` is the work of one fingerprint for each
    second of film."""

    changes: dict[str, Found]
    strangers: int
    mistaken: int
    compared: int
    kept: int
    print_s: float


def judge(places: Sequence[int], kept: int, strangers: int, seconds: float, say: Say = lambda done: None) -> Report:
    """At each place ``kept`` acts are known and ``strangers`` are new; the first known one is copied every way."""
    acts = SqliteActs(sqlite3.connect(":memory:"))
    originals: dict[str, bytes] = {}
    for place in places:
        for number in range(kept):
            film = encoded(act(place, number, seconds))
            acts.add(f"{place}/{number}", _print(film))
            if number == 0:
                originals[f"{place}/0"] = film
    changes: dict[str, Found] = {}
    for order, change in enumerate(CHANGES):
        found = [{match.video for match in find(acts, _print(copied(film, change, place * 100 + order)))}
                 for place, film in zip(places, originals.values(), strict=True)]  # fmt: skip
        right = sum(name in names for name, names in zip(originals, found, strict=True))
        wrong = sum(bool(names - {name}) for name, names in zip(originals, found, strict=True))
        changes[change] = Found(len(found), right, wrong)
        say((order + 1) / (len(CHANGES) + 1))
    mistaken, spent = 0, 0.0
    for place in places:
        for number in range(kept, kept + strangers):
            film = encoded(act(place, number, seconds))
            begun = time.process_time()
            new = _print(film)
            spent += time.process_time() - begun
            mistaken += bool(find(acts, new))
    say(1.0)
    new_films = len(places) * strangers
    total = len(places) * kept
    return Report(changes, new_films, mistaken, new_films * total, total, spent / max(new_films * seconds, 1))


def _print(film: bytes) -> Fingerprint:
    return fingerprint(decode(io.BytesIO(film), FIT))


class Cost(msgspec.Struct, frozen=True):
    """Among ``videos`` of ``seconds`` each: median seconds of one lookup, of reading every mark once, and bytes."""

    videos: int
    seconds: int
    lookup_s: float
    scan_s: float
    bytes: int
    found: int
    asked: int


def cost(path: str, videos: int, seconds: int, asked: int = 20, seed: int = 1) -> Cost:
    """Fill a database at ``path`` with ``videos`` made-up fingerprints and ask for copies of some of them, in whose
    marks the eighth of the bits that is least sure is wrong.

    Their marks are those of a hundred made-up films with one bit in four turned, so that keys crowd as real ones do.
    """
    rng = np.random.default_rng(seed)
    bits = rng.integers(0, 1 << BITS, (100, round(seconds / STEP_S)), np.uint32)
    connection = sqlite3.connect(path)
    acts = SqliteActs(connection)
    wanted = {int(number): None for number in rng.choice(videos, asked, replace=False)}
    prints: dict[int, Fingerprint] = {}
    for first in range(0, videos, _AT_ONCE):
        some = {}
        for number in range(first, min(first + _AT_ONCE, videos)):
            some[str(number)] = _made_up(rng, bits, seconds)
            if number in wanted:
                prints[number] = some[str(number)]
        acts.add_all(some.items())
        connection.commit()
    spent, found = [], 0
    for number, original in prints.items():
        new = Fingerprint(*(_worn(marks) for marks in (original.picture, original.cropped, original.sound)))
        begun = time.perf_counter()
        matches = find(acts, new)
        spent.append(time.perf_counter() - begun)
        found += [match.video for match in matches] == [str(number)]
    begun = time.perf_counter()
    connection.execute("SELECT sum(key), sum(tick) FROM act_marks").fetchone()
    scan = time.perf_counter() - begun
    sizes = "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()"
    size = connection.execute(sizes).fetchone()[0]
    connection.close()
    return Cost(videos, seconds, float(np.median(spent)), scan, int(size), found, asked)


_AT_ONCE = 5_000


def _made_up(rng: np.random.Generator, bits: np.ndarray, seconds: int) -> Fingerprint:
    times = np.arange(0, seconds, STEP_S).astype(np.float32)
    whose = rng.integers(len(bits), size=(3, len(times)))
    turned = _some(rng, whose.shape, 2)
    margins = rng.random((len(times), BITS), np.float32)
    return Fingerprint(*(Marks(times, bits[of, np.arange(len(times))] ^ turn, margins)
                         for of, turn in zip(whose, turned, strict=True)))  # fmt: skip


def _worn(marks: Marks) -> Marks:
    unsure = marks.margins < 1 / 8
    turned = (unsure.astype(np.uint32) << np.arange(BITS, dtype=np.uint32)).sum(axis=1, dtype=np.uint32)
    return Marks(marks.times, marks.bits ^ turned, marks.margins)


def _some(rng: np.random.Generator, shape: tuple[int, ...], rare: int) -> np.ndarray:
    """Numbers in which one bit in 2 ** ``rare`` is set."""
    found = rng.integers(0, 1 << BITS, shape, np.uint32)
    for _ in range(rare - 1):
        found &= rng.integers(0, 1 << BITS, shape, np.uint32)
    return found
