"""Which of the expected names were said: by sound, aligned within the words, against the other names of the site."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Literal

import msgspec
import numpy as np

from shared.domain.verdict import Claim, Heard, ShareMatch, Stray, Word
from shared.evidence.alignment import by_part, perfect, spot
from shared.evidence.phonetics import parts, phones, readable

# Scores are logarithms of odds (see alignment); a likeness is a score as a share of the best that the name can have.
# The five numbers that follow were chosen on the split `tune` of benchmarks/speech: other voices and other names than
# those of docs/evaluation.md.

_ENOUGH = 0.35
"""The likeness that a name needs, and ``_SHORT`` more for a short one, which sounds like many things."""
_SHORT = 3.0
_PART = -0.1
"""The likeness that each part of a name needs by itself: who hears the family name has not heard the first name."""

_UNSURE = 0.1
"""This far below what would do, a name may have been said."""

_MARGIN = 1.5
"""By this much a claim must beat every other name of the site (less where the two sound nearly alike)."""

_DECOY_MARGIN = 8.0
"""A common name must fit this much better than the one that is claimed, or of so many one always does by chance;"""
_PLAIN_MARGIN, _PLAIN_DECOY = 2.0, 0.95
"""by this much where it fits plainly."""

_SAME = 0.8
"""From this likeness on two parts of names are one name in two spellings."""

_TOLD = 0.5
"""From this likeness on a name of the site may be told as the one that was said instead."""
_PLAIN = 0.75
"""From this likeness on there is little doubt which name was said."""

_IN_PLACE = 0.08
"""A name that stands right between the two that belong before and after it needs this much less."""

_READABLE = 0.5
"""Of a name, this share of letters must be of a script whose sound is known."""

_FEWEST = 0.25
"""Below this likeness a place is not looked at."""

_PAUSE_S = 1.5
"""No name is said across a pause this long."""
_NEXT_S = 1.0
"""Names of a list follow one another within this."""
_SHARED = 0.3
"""Two names may share this much of the shorter one's time: recognisers are vague about where a word ends."""

# What an English or French recogniser writes for a syllable of a name that it does not know.
_FILLERS = {"of", "the", "a", "in", "is", "and", "to", "de", "la", "le", "du", "et", "est", "au"}

# Said or left out as people like; a claim is also tried without.
_TITLES = {"hadj", "hajj", "haj", "haji", "hadja", "hajja", "hajia", "alhaji", "sheikh", "cheikh", "shaykh", "sidi",
           "lalla", "imam", "mr", "mrs", "ms", "mme", "mlle", "dr"}  # fmt: skip

# Common first names: what was said may be one of them although nobody of the site bears it.
_COMMON = (
    "abdallah", "abdelkader", "abderrahmane", "abdou", "adam", "adel", "ahmed", "aicha", "ali", "alpha", "amadou",
    "amina", "aminata", "amine", "amira", "anis", "anwar", "asma", "awa", "ayoub", "aziz", "bilal", "binta",
    "boubacar", "brahim", "dalila", "daoud", "djamel", "djamila", "emine", "fadila", "farid", "farida", "farouk",
    "fatima", "fatoumata", "fouad", "ghani", "habib", "hafsa", "hakim", "halima", "hamid", "hamza", "hana", "hasan",
    "hatice", "houda", "hussein", "ibrahim", "idris", "ikram", "ilyas", "imane", "imran", "ismail", "issa", "jaber",
    "kader", "kamel", "karim", "karima", "khadija", "khaled", "khalil", "lamia", "latifa", "leila", "loubna",
    "malik", "mamadou", "mariama", "maryam", "mehmet", "mohamed", "mourad", "moussa", "mustafa", "nabil", "nadia",
    "nasir", "nassima", "noureddine", "omar", "osman", "rachid", "rahim", "rashida", "rokia", "said", "saida",
    "salah", "salem", "salim", "salima", "samir", "samira", "sami", "sani", "sara", "sekou", "sofiane", "souad",
    "souleymane", "taher", "tariq", "usman", "walid", "yacine", "yahya", "yasmina", "younes", "youssef", "zahra",
    "zainab", "zakaria", "zeynep", "zineb", "zohra",
)  # fmt: skip


class _Piece(msgspec.Struct, frozen=True):
    """Words of one reading without a pause, and their sounds: of which word each is, and when it is heard."""

    words: tuple[Word, ...]
    signs: str
    owners: tuple[int, ...]
    starts: tuple[float, ...]
    ends: tuple[float, ...]

    @property
    def borders(self) -> list[int]:
        """Before which sounds a word begins or ends."""
        inner = [at for at, (one, two) in enumerate(pairwise(self.owners), 1) if one != two]
        return [0, *inner, len(self.signs)]


class _Fit(msgspec.Struct, frozen=True):
    """A place for a name: the sounds ``first`` to before ``last`` of a piece."""

    score: float
    likeness: float
    form: tuple[str, ...]
    piece: _Piece
    first: int
    last: int

    @property
    def start(self) -> float:
        return self.piece.starts[self.first]

    @property
    def end(self) -> float:
        return self.piece.ends[self.last - 1]

    @property
    def signs(self) -> str:
        return self.piece.signs[self.first : self.last]

    @property
    def words(self) -> tuple[Word, ...]:
        return self.piece.words[self.piece.owners[self.first] : self.piece.owners[self.last - 1] + 1]

    def overlaps(self, other: _Fit) -> bool:
        shared = min(self.end, other.end) - max(self.start, other.start)
        return shared > _SHARED * min(self.end - self.start, other.end - other.start)


class Roll(msgspec.Struct, frozen=True):
    """How each claim fared, in the order of the claims, and the names that were said beside them.

    ``margins`` tell by how much each claim is beyond what it needs: from 0 on it is heard, below it is not.
    """

    shares: tuple[ShareMatch, ...]
    margins: tuple[float, ...]
    strays: tuple[Stray, ...] = ()


def match(words: Sequence[Word], claims: Sequence[Claim], cohort: Sequence[Claim] = ()) -> tuple[ShareMatch, ...]:
    """How each claim fared, in the order of ``claims``. See :func:`roll_call`."""
    return roll_call(words, claims, cohort).shares


def roll_call(words: Sequence[Word], claims: Sequence[Claim], cohort: Sequence[Claim] = ()) -> Roll:
    """Which names were said. ``words`` may hold several readings; ``cohort`` are the names of the site.

    A claim is ``heard`` when some part of a reading sounds enough like it and less like every other name of the
    site; ``other_order`` when one of those was said instead; ``unclear`` also when it is written in letters that
    cannot be read here. Two claims never use the same stretch of time, unless they sound the same.
    """
    pieces = list(_pieces(words))
    ours = {_sound(claim) for claim in claims}
    others = [other for other in cohort if _sound(other) and _sound(other) not in ours]
    places = _places([*claims, *others], pieces)
    rivals = _Rivals(others, places[len(claims) :])
    fits = _assigned(claims, places[: len(claims)])
    judged = [_judged(claim, fit, rivals, pieces) for claim, fit in zip(claims, fits, strict=True)]
    for at in _in_place(judged, fits):
        judged[at] = _judged(claims[at], fits[at], rivals, pieces, _IN_PLACE)
    matches = _with_others([share for share, _ in judged], fits, rivals)
    return Roll(
        shares=tuple(
            share if _can_be_read(claim) else msgspec.structs.replace(share, heard="unclear")
            for claim, share in zip(claims, matches, strict=True)
        ),
        margins=tuple(margin for _, margin in judged),
        strays=_strays(matches, claims, fits, places, rivals),
    )


def _pieces(words: Sequence[Word]) -> Iterator[_Piece]:
    """Each reading up to a pause; and the same without the fillers."""
    for number in sorted({word.reading for word in words}):
        run: list[Word] = []
        for word in [word for word in words if word.reading == number]:
            if run and word.start - run[-1].end > _PAUSE_S:
                yield from _both(run)
                run = []
            run.append(word)
        yield from _both(run)


def _both(run: Sequence[Word]) -> Iterator[_Piece]:
    kept = [word for word in run if word.text.casefold() not in _FILLERS]
    for some in (run, kept) if len(kept) < len(run) else (run,):
        owners, signs, starts, ends = [], "", [], []
        for at, word in enumerate(some):
            spelled = "".join(phones(word.text))
            each = (word.end - word.start) / max(len(spelled), 1)
            signs += spelled
            owners += [at] * len(spelled)
            starts += [word.start + place * each for place in range(len(spelled))]
            ends += [word.start + (place + 1) * each for place in range(len(spelled))]
        if signs:
            yield _Piece(tuple(some), signs, tuple(owners), tuple(starts), tuple(ends))


def _can_be_read(claim: Claim) -> bool:
    return any(readable(name) >= _READABLE for name in (claim.name, *claim.spellings))


@lru_cache(maxsize=4096)
def _forms(claim: Claim) -> tuple[tuple[str, ...], ...]:
    """The sounds of the parts of each way to write a name, the usual one first; titles may be left out."""
    written = [claim.name, *claim.spellings]
    untitled = (" ".join(word for word in parts(name) if word not in _TITLES) for name in written)
    return tuple(form for form in dict.fromkeys(phones(name) for name in (*written, *untitled)) if form)


def _sound(claim: Claim) -> str:
    return "".join(next(iter(_forms(claim)), ()))


def enough(form: Sequence[str]) -> float:
    """The likeness that a name needs."""
    return _ENOUGH + _SHORT / perfect("".join(form))


def _places(claims: Sequence[Claim], pieces: Sequence[_Piece]) -> list[list[_Fit]]:
    """Where each name may have been said, best first."""
    forms = [(at, form) for at, claim in enumerate(claims) for form in _forms(claim)]
    found: list[list[_Fit]] = [[] for _ in claims]
    for piece in pieces:
        spots = spot(["".join(form) for _, form in forms], piece.signs, piece.borders)
        for (at, form), scores, starts in zip(forms, spots.scores, spots.starts, strict=True):
            best = perfect("".join(form))
            taken: list[tuple[int, int]] = []
            for last in np.argsort(-scores, kind="stable").tolist():
                first, score = int(starts[last]), float(scores[last])
                if score < _FEWEST * best:
                    break
                if first < last and all(last <= begin or first >= end for begin, end in taken):
                    taken.append((first, last))
                    found[at].append(_Fit(score, score / best, form, piece, first, last))
    return [sorted(fits, key=lambda fit: -fit.likeness) for fits in found]


def _assigned(claims: Sequence[Claim], places: Sequence[Sequence[_Fit]]) -> list[_Fit | None]:
    """The place of each claim, best ones first; a claim whose place is taken makes do with its next best."""
    fits: list[_Fit | None] = [None] * len(claims)
    ranked = sorted(
        ((fit, at) for at, some in enumerate(places) for fit in some), key=lambda pair: -pair[0].likeness
    )
    for fit, at in ranked:
        taken = (other for claim, other in zip(claims, fits, strict=True)
                 if other and _sound(claim) != _sound(claims[at]))  # fmt: skip
        if fits[at] is None and not any(fit.overlaps(other) for other in taken):
            fits[at] = fit
    return fits


class _Rivals:
    """The other names of the site, and where they may have been said."""

    def __init__(self, others: Sequence[Claim], places: Sequence[Sequence[_Fit]]) -> None:
        self._all = list(zip(others, places, strict=True))

    def best(self, within: _Fit) -> tuple[Claim | None, float]:
        """The other name that fits the same time best."""
        ranked = ((fit.score, at) for at, (_, fits) in enumerate(self._all) for fit in fits if fit.overlaps(within))
        score, at = max(ranked, default=(0.0, -1))
        return (self._all[at][0], score) if at >= 0 else (None, 0.0)

    def said(self, taken: Sequence[_Fit], most: int = 99) -> list[tuple[Claim, _Fit]]:
        """The likeliest of the other names that were said at a time nobody else has, in the order of speech."""
        ranked = sorted(
            ((fit, at) for at, (_, fits) in enumerate(self._all) for fit in fits if fit.likeness >= _TOLD),
            key=lambda pair: -pair[0].score,
        )
        found: dict[int, _Fit] = {}
        for fit, at in ranked:
            if len(found) == most:
                break
            if at not in found and not any(fit.overlaps(used) for used in (*taken, *found.values())):
                found[at] = fit
        return [(self._all[at][0], fit) for at, fit in sorted(found.items(), key=lambda pair: pair[1].start)]


def _judged(
    claim: Claim, fit: _Fit | None, rivals: _Rivals, pieces: Sequence[_Piece], less: float = 0.0
) -> tuple[ShareMatch, float]:
    """How a claim fared at its place, and by how much it is beyond what it needs (in likeness)."""
    if fit is None:
        return ShareMatch(claim.name, "not_heard", 0.0, order=claim.order), -1.0
    best = perfect("".join(fit.form))
    needed = enough(fit.form)
    weakest = min(score - _PART * perfect(part)
                  for score, part in zip(by_part(fit.form, fit.signs), fit.form, strict=True)) / best  # fmt: skip
    beyond = min(fit.likeness - needed, weakest)
    other, score = rivals.best(fit)
    if other:
        beyond = min(beyond, (fit.score - score - _apart(fit.form, other)) / best)
    if beyond >= -_UNSURE:
        beyond = min(beyond, (fit.score - _decoy(fit, pieces)) / best)
    beyond = round(beyond + less, 4)
    if fit.likeness < needed - less - _UNSURE:
        return _share(claim, "not_heard", fit), beyond
    if other and score >= fit.score + _apart(fit.form, other):
        return _share(claim, "other_order", fit, other), beyond
    if beyond >= 0:
        return _share(claim, "heard", fit), beyond
    return _share(claim, "unclear" if beyond >= -_UNSURE else "not_heard", fit), beyond


def _apart(form: Sequence[str], other: Claim) -> float:
    """By how much one of the two must be the better one."""
    name = "".join(form)
    alike = max(float(spot(["".join(each)], name).scores.max()) for each in _forms(other))
    return min(_MARGIN, max(perfect(name) - alike, 0.0) / 2)


def _in_place(judged: Sequence[tuple[ShareMatch, float]], fits: Sequence[_Fit | None]) -> list[int]:
    """Claims not yet heard that lie right between both neighbours on the list, which were.

    What seems not to have been said is among them: in its place it becomes at most unclear.
    """
    return [
        at
        for at in range(1, len(judged) - 1)
        if (judged[at - 1][0].heard, judged[at + 1][0].heard) == ("heard", "heard")
        and judged[at][0].heard in ("unclear", "not_heard")
        and all(one and two and abs(two.start - one.end) < _NEXT_S for one, two in pairwise(fits[at - 1 : at + 2]))
    ]


def _with_others(matches: Sequence[ShareMatch], fits: Sequence[_Fit | None], rivals: _Rivals) -> list[ShareMatch]:
    """Tell of each name that was said instead: first of the claims that were not heard, then of the unclear ones."""
    settled = [fit for fit, share in zip(fits, matches, strict=True) if fit and share.heard != "not_heard"]
    result = list(matches)
    wanting = [at for at, share in enumerate(result) if share.heard == "not_heard"]
    wanting += [at for at, share in enumerate(result) if share.heard == "unclear" and not share.which]
    for at, (other, fit) in zip(wanting, rivals.said(settled, len(wanting)), strict=False):
        share = result[at]
        if share.heard == "not_heard":
            result[at] = _share(Claim(share.name, order=share.order), "other_order", fit, other)
        else:
            result[at] = msgspec.structs.replace(share, which=other.name, which_order=other.order)
    return result


def _strays(
    shares: Sequence[ShareMatch],
    claims: Sequence[Claim],
    fits: Sequence[_Fit | None],
    places: Sequence[Sequence[_Fit]],
    rivals: _Rivals,
) -> tuple[Stray, ...]:
    """What was plainly said at a time that no claim has, in the order in which it was said."""
    taken = [fit for fit, share in zip(fits, shares, strict=True) if fit and share.heard != "not_heard"]
    told = {share.which for share in shares}
    found: list[tuple[Literal["extra", "repeated"], Claim, _Fit]] = [
        ("extra", other, fit) for other, fit in rivals.said(taken) if other.name not in told
    ]
    taken += [fit for _, _, fit in found]
    for claim, share, some in zip(claims, shares, places, strict=False):
        free = (fit for fit in some if not any(fit.overlaps(used) for used in taken))
        if share.heard == "heard" and (again := next(free, None)):
            found.append(("repeated", claim, again))
            taken.append(again)
    plain = [each for each in found if each[2].likeness >= max(_PLAIN, enough(each[2].form))]
    return tuple(
        Stray(kind, named.name, share.said, share.start, share.end, named.order)
        for kind, named, fit in sorted(plain, key=lambda each: each[2].start)
        for share in [_share(named, "heard", fit)]
    )


def _share(claim: Claim, heard: Heard, fit: _Fit, other: Claim | None = None) -> ShareMatch:
    return ShareMatch(
        name=claim.name,
        heard=heard,
        score=round(min(max(fit.likeness, 0.0), 1.0), 3),
        said=" ".join(word.text for word in fit.words),
        start=fit.words[0].start,
        end=fit.words[-1].end,
        order=claim.order,
        which=other.name if other else "",
        which_order=other.order if other else "",
    )


def _decoy(fit: _Fit, pieces: Sequence[_Piece]) -> float:
    """The score that a name needs beside those that come of replacing one of its parts by a common name.

    They are looked for in every reading of the same time.
    """
    decoys = ["".join((*fit.form[:at], other, *fit.form[at + 1 :]))
              for at, part in enumerate(fit.form) for other in _others(part)]  # fmt: skip
    start, end = fit.words[0].start, fit.words[-1].end
    heard = [spot(decoys, *part).scores.max(axis=1) for piece in pieces if (part := _during(piece, start, end))]
    if not heard or not decoys:
        return 0.0
    scores = np.max(heard, axis=0)
    is_plain = scores >= _PLAIN_DECOY * np.array([perfect(decoy) for decoy in decoys])
    return float((scores - np.where(is_plain, _PLAIN_MARGIN, _DECOY_MARGIN)).max())


@lru_cache(maxsize=1024)
def _others(part: str) -> tuple[str, ...]:
    """Common names that are not this one in another spelling."""
    scores = spot(_common(), part, [0, len(part)]).scores[:, -1]
    return tuple(common for common, score in zip(_common(), scores.tolist(), strict=True)
                 if score < _SAME * max(perfect(common), perfect(part)))  # fmt: skip


@lru_cache(maxsize=1)
def _common() -> tuple[str, ...]:
    return tuple(dict.fromkeys("".join(phones(name)) for name in _COMMON))


def _during(piece: _Piece, start: float, end: float) -> tuple[str, list[int]] | None:
    """The sounds of the words that are mostly said from ``start`` to ``end``, and their borders."""
    inside = [at for at, owner in enumerate(piece.owners)
              if start <= (piece.words[owner].start + piece.words[owner].end) / 2 <= end]  # fmt: skip
    if not inside:
        return None
    first, last = inside[0], inside[-1] + 1
    return piece.signs[first:last], [at - first for at in piece.borders if first <= at <= last]
