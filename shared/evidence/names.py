"""Which of the expected names were said: by sound, aligned within the words, against the other names of the site."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Literal

import msgspec
import numpy as np
from numpy.typing import NDArray
from rapidfuzz import process
from rapidfuzz.distance import Levenshtein

from shared.domain.verdict import Claim, Heard, ShareMatch, Stray, Word
from shared.evidence.phonetics import parts, readable, sound

_UNSURE = 0.1
"""This far below what would do, a name may have been said."""

_MARGIN = 0.05
"""By this much a claim must beat every other name of the site (less where the two sound nearly alike)."""

_DECOY_MARGIN = 0.08
_PLAIN = 0.85
"""From this likeness on there is little doubt which name was said. Below it, of many common names one will always
fit better by chance."""

_IN_PLACE = 0.06
"""A name that stands right between the two that belong before and after it needs this much less."""

_READABLE = 0.5
"""Of a name, this share of letters must be of a script whose sound is known."""

_PAUSE_S = 1.5
"""No name is said across a pause this long."""

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


class _Stretch(msgspec.Struct, frozen=True):
    """Consecutive words, ``first`` to ``last``, and what of them is compared."""

    first: int
    last: int
    text: str

    def overlaps(self, other: _Stretch) -> bool:
        return self.first <= other.last and other.first <= self.last


class _Fit(msgspec.Struct, frozen=True):
    """How like a name the best stretch for it is."""

    score: float
    stretch: _Stretch


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
    """Which names were said. ``cohort`` are the names of the site, claims among them or not.

    A claim is ``heard`` when some stretch of the words sounds enough like it and less like every other name of
    the site; ``other_order`` when one of those was said instead; ``unclear`` also when it is written in letters
    that cannot be read here. Two claims never use the same words, unless they sound the same.
    """
    roll = _called(words, claims, cohort)
    shares = (
        share if _can_be_read(claim) else msgspec.structs.replace(share, heard="unclear")
        for claim, share in zip(claims, roll.shares, strict=True)
    )
    return msgspec.structs.replace(roll, shares=tuple(shares))


def _called(words: Sequence[Word], claims: Sequence[Claim], cohort: Sequence[Claim]) -> Roll:
    stretches = list(_stretches(words, longest=3 + max((len(parts(claim.name)) for claim in claims), default=0)))
    if not stretches:
        silent = tuple(ShareMatch(claim.name, "not_heard", 0.0, order=claim.order) for claim in claims)
        return Roll(silent, tuple(-enough(claim.name) for claim in claims))
    ours = {sound(claim.name) for claim in claims}
    others = [other for other in cohort if sound(other.name) and sound(other.name) not in ours]
    likeness = _likeness([*claims, *others], stretches)
    fits = _assigned(likeness[: len(claims)], claims, stretches)
    rivals = _Rivals(others, likeness[len(claims) :], stretches)
    needed = [enough(claim.name) for claim in claims]
    matches = [_judged(*each, rivals, words) for each in zip(claims, fits, needed, strict=True)]
    for at in _in_place(matches, fits):
        needed[at] -= _IN_PLACE
        matches[at] = _judged(claims[at], fits[at], needed[at], rivals, words)
    shares = _with_others(matches, fits, rivals, words)
    return Roll(
        shares=shares,
        margins=tuple(_margin(*each, rivals) for each in zip(claims, fits, needed, strict=True)),
        strays=_strays(shares, claims, fits, likeness, stretches, rivals, words),
    )


def enough(name: str) -> float:
    """The likeness that a name needs. Short names sound like many things, so they need more."""
    return 0.64 + 1.4 / max(len(sound(name)), 4)


def _stretches(words: Sequence[Word], longest: int) -> Iterator[_Stretch]:
    """Every run of up to ``longest`` words without a pause, also with the fillers inside it left out."""
    breaks = {at for at, (one, two) in enumerate(pairwise(words)) if two.start - one.end > _PAUSE_S}
    for first in range(len(words)):
        for last in range(first, min(first + longest, len(words))):
            run = [word.text for word in words[first : last + 1]]
            yield _Stretch(first, last, " ".join(run))
            kept = [text for text in run if text.casefold() not in _FILLERS]
            if len(kept) < len(run) and kept[:1] == run[:1] and kept[-1:] == run[-1:]:
                yield _Stretch(first, last, " ".join(kept))
            if last in breaks:
                break


def _can_be_read(claim: Claim) -> bool:
    return any(readable(name) >= _READABLE for name in (claim.name, *claim.spellings))


def _spellings(claim: Claim) -> list[str]:
    written = [claim.name, *claim.spellings]
    untitled = (" ".join(word for word in parts(name) if word not in _TITLES) for name in written)
    return [form for form in dict.fromkeys(sound(name) for name in (*written, *untitled)) if form]


def _likeness(claims: Sequence[Claim], stretches: Sequence[_Stretch]) -> NDArray[np.float32]:
    """``[claims, stretches]``: 1 is the same sound, 0 has nothing in common; of several spellings the best."""
    forms = [_spellings(claim) for claim in claims]
    heard = [sound(stretch.text) for stretch in stretches]
    flat = process.cdist(
        [form for spellings in forms for form in spellings],
        heard,
        scorer=Levenshtein.normalized_similarity,
        dtype=np.float32,
    )
    likeness = np.zeros((len(claims), len(stretches)), np.float32)
    row = 0
    for at, spellings in enumerate(forms):
        if spellings:
            likeness[at] = flat[row : row + len(spellings)].max(axis=0)
        row += len(spellings)
    return likeness


def _assigned(
    likeness: NDArray[np.float32], claims: Sequence[Claim], stretches: Sequence[_Stretch]
) -> list[_Fit]:
    """The words of each claim, best pairs first; a claim whose words are taken makes do with the next best."""
    fits: list[_Fit | None] = [None] * len(claims)
    for pair in np.argsort(-likeness, axis=None, kind="stable"):
        at, column = divmod(int(pair), len(stretches))
        taken = (fit.stretch for other, fit in enumerate(fits)
                 if fit and sound(claims[other].name) != sound(claims[at].name))  # fmt: skip
        if fits[at] is None and not any(stretches[column].overlaps(stretch) for stretch in taken):
            fits[at] = _Fit(float(likeness[at, column]), stretches[column])
            if all(fits):
                break
    nothing = _Fit(0.0, _Stretch(-1, -1, ""))
    return [fit or nothing for fit in fits]


class _Rivals:
    """The other names of the site, and how like each of them the stretches are."""

    def __init__(self, others: Sequence[Claim], likeness: NDArray[np.float32], stretches: Sequence[_Stretch]) -> None:
        self._others = others
        self._likeness = likeness
        self._stretches = stretches

    def best(self, within: _Stretch) -> tuple[Claim | None, float]:
        """The other name that words overlapping ``within`` sound most like."""
        columns = [at for at, stretch in enumerate(self._stretches) if stretch.overlaps(within)]
        if not self._others:
            return None, 0.0
        scores = self._likeness[:, columns].max(axis=1)
        return self._others[int(scores.argmax())], float(scores.max())

    def said(self, taken: Sequence[_Stretch]) -> list[tuple[Claim, _Fit]]:
        """Other names that were plainly said in words nobody else has, in the order in which they were said."""
        found = []
        for other, row in zip(self._others, self._likeness, strict=True):
            column = int(row.argmax())
            stretch = self._stretches[column]
            if row[column] >= enough(other.name) and not any(stretch.overlaps(used) for used in taken):
                found.append((other, _Fit(float(row[column]), stretch)))
        return sorted(found, key=lambda pair: (pair[1].stretch.first, -pair[1].score))


def _judged(claim: Claim, fit: _Fit, needed: float, rivals: _Rivals, words: Sequence[Word]) -> ShareMatch:
    if fit.score < needed - _UNSURE:
        return ShareMatch(claim.name, "not_heard", round(fit.score, 3), order=claim.order)
    other, score = rivals.best(fit.stretch)
    if other and score >= max(fit.score + _apart(claim, other), enough(other.name)):
        return _share(claim, "other_order", fit, words, other)
    if fit.score < needed:
        return _share(claim, "unclear", fit, words)
    if other and score > fit.score - _apart(claim, other):
        return _share(claim, "unclear", fit, words, other)
    if _decoy(claim, fit.stretch) >= max(fit.score + _DECOY_MARGIN, _PLAIN):
        return _share(claim, "not_heard", fit, words)
    return _share(claim, "heard", fit, words)


def _margin(claim: Claim, fit: _Fit, needed: float, rivals: _Rivals) -> float:
    """The least of what the claim is beyond: the likeness it needs, and every other name that fits the same words."""
    if fit.score < needed:
        return round(fit.score - needed, 4)
    other, score = rivals.best(fit.stretch)
    decoy = _decoy(claim, fit.stretch)
    return round(min(
        fit.score - needed,
        fit.score - score - _apart(claim, other) if other else 1.0,
        fit.score + _DECOY_MARGIN - decoy if decoy >= _PLAIN else 1.0,
    ), 4)  # fmt: skip


def _apart(claim: Claim, other: Claim) -> float:
    """By how much one of the two must be the better one."""
    return min(_MARGIN, (1 - _alike(claim, other)) / 2)


def _in_place(matches: Sequence[ShareMatch], fits: Sequence[_Fit]) -> list[int]:
    """Claims not yet heard whose words touch those of both neighbours on the list, which were."""
    return [
        at
        for at in range(1, len(matches) - 1)
        if [match.heard for match in matches[at - 1 : at + 2]] == ["heard", "unclear", "heard"]
        and fits[at - 1].stretch.last + 1 == fits[at].stretch.first
        and fits[at].stretch.last + 1 == fits[at + 1].stretch.first
    ]


def _with_others(
    matches: Sequence[ShareMatch], fits: Sequence[_Fit], rivals: _Rivals, words: Sequence[Word]
) -> tuple[ShareMatch, ...]:
    """Tell of each name that was said instead: first of the claims that were not heard, then of the unclear ones."""
    settled = [fit.stretch for fit, share in zip(fits, matches, strict=True) if share.heard != "not_heard"]
    result = list(matches)
    wanting = [at for at, share in enumerate(result) if share.heard == "not_heard"]
    wanting += [at for at, share in enumerate(result) if share.heard == "unclear" and not share.which]
    for at, (other, fit) in zip(wanting, rivals.said(settled), strict=False):
        share = result[at]
        if share.heard == "not_heard":
            result[at] = _share(Claim(share.name, order=share.order), "other_order", fit, words, other)
        else:
            result[at] = msgspec.structs.replace(share, which=other.name, which_order=other.order)
    return tuple(result)


def _strays(
    shares: Sequence[ShareMatch],
    claims: Sequence[Claim],
    fits: Sequence[_Fit],
    likeness: NDArray[np.float32],
    stretches: Sequence[_Stretch],
    rivals: _Rivals,
    words: Sequence[Word],
) -> tuple[Stray, ...]:
    """What was plainly said in words that no claim has, in the order in which it was said."""
    taken = [fit.stretch for fit, share in zip(fits, shares, strict=True) if share.heard != "not_heard"]
    told = {share.which for share in shares}
    found: list[tuple[Literal["extra", "repeated"], Claim, _Fit]] = [
        ("extra", other, fit) for other, fit in rivals.said(taken) if other.name not in told
    ]
    taken += [fit.stretch for _, _, fit in found]
    for at, (claim, share) in enumerate(zip(claims, shares, strict=True)):
        free = [column for column, stretch in enumerate(stretches)
                if likeness[at, column] >= max(enough(claim.name), _PLAIN)
                and not any(stretch.overlaps(used) for used in taken)]  # fmt: skip
        if share.heard == "heard" and free:
            best = max(free, key=lambda column: float(likeness[at, column]))
            found.append(("repeated", claim, _Fit(float(likeness[at, best]), stretches[best])))
            taken.append(stretches[best])
    plain = [each for each in found if each[2].score >= _PLAIN]
    return tuple(
        Stray(kind, named.name, share.said, share.start, share.end, named.order)
        for kind, named, fit in sorted(plain, key=lambda each: each[2].stretch.first)
        for share in [_share(named, "heard", fit, words)]
    )


def _share(
    claim: Claim, heard: Heard, fit: _Fit, words: Sequence[Word], other: Claim | None = None
) -> ShareMatch:
    return ShareMatch(
        name=claim.name,
        heard=heard,
        score=round(fit.score, 3),
        said=" ".join(word.text for word in words[fit.stretch.first : fit.stretch.last + 1]),
        start=words[fit.stretch.first].start,
        end=words[fit.stretch.last].end,
        order=claim.order,
        which=other.name if other else "",
        which_order=other.order if other else "",
    )


def _alike(one: Claim, two: Claim) -> float:
    pairs = ((a, b) for a in _spellings(one) for b in _spellings(two))
    return max((Levenshtein.normalized_similarity(a, b) for a, b in pairs), default=0.0)


def _decoy(claim: Claim, stretch: _Stretch) -> float:
    """The best likeness of ``stretch`` to the claim with one of its parts replaced by a common name like it."""
    words = parts(claim.name)
    heard = sound(stretch.text)
    replaced = (
        sound(" ".join([*words[:at], common, *words[at + 1 :]]))
        for at, part in enumerate(words)
        for common in _COMMON
        if 0.4 < Levenshtein.normalized_similarity(sound(part), sound(common)) < 0.95
    )
    return max((Levenshtein.normalized_similarity(form, heard) for form in replaced), default=0.0)
