"""What is said, by whom, in what noise: the plan of the set, from one seed and without a sound."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

import msgspec

from benchmarks.speech.people import Person, near, site

Language = str

LANGUAGES = ("en", "fr", "ar")
SITE = 40
"""People expected at a site."""
WRONG, ABSENT = 6, 3
"""False claims for each recording: others of the site, and people of none."""
SNRS = (None, 20.0, 15.0, 10.0, 5.0)
"""Decibels between voice and noise; None is a quiet room."""

VOICES = {
    "tune": {
        "en": ("kokoro:af_bella", "kokoro:am_puck", "kokoro:bf_emma", "pico:en-US", "pico:en-US", "espeak:m1"),
        "fr": ("kokoro:ef_dora", "kokoro:im_nicola", "kokoro:pm_alex", "kokoro:pf_dora", "espeak:m1"),
        "ar": ("kokoro:ef_dora", "kokoro:im_nicola", "kokoro:hm_omega", "kokoro:pm_alex", "espeak:m1"),
    },
    "unseen": {
        "en": ("kokoro:af_heart", "kokoro:am_michael", "kokoro:bm_fable", "pico:en-GB", "pico:en-GB", "joe", "espeak:"),
        "fr": ("kokoro:ff_siwis", "kokoro:ff_siwis", "kokoro:em_alex", "pico:fr-FR", "pico:fr-FR", "espeak:"),
        "ar": ("kokoro:hf_alpha", "kokoro:if_sara", "kokoro:em_alex", "kokoro:hm_psi", "espeak:"),
    },
}
"""Nothing may be tuned by the unseen ones. One that stands there twice speaks twice as often."""

CARRIERS = {
    "en": (
        "I sacrifice on behalf of {}.",
        "In the name of God. This sacrifice is on behalf of {}.",
        "O God, accept this from {}.",
        "This sheep is for {}. God is great.",
    ),
    "fr": (
        "Je sacrifie au nom de {}.",
        "Au nom de Dieu. Ce sacrifice est au nom de {}.",
        "Seigneur, accepte ceci de {}.",
        "Ce mouton est pour {}. Dieu est grand.",
    ),
    "ar": (
        "أُضَحِّي عَنْ {}.",
        "بِسْمِ اللهْ، هَذِهِ الْأُضْحِيَةُ عَنْ {}.",
        "اللَّهُمَّ تَقَبَّلْ مِنْ {}.",
        "هَذَا الْخَرُوفُ عَنْ {}. اللهُ أَكْبَرْ.",
    ),
}

SMALL_TALK = {
    "en": (
        "In the name of God, God is great. Please accept this from us.",
        "Hold its head, and bring some water. The light is good now.",
        "This is the third sheep of this morning. Thank you very much, everyone.",
    ),
    "fr": (
        "Au nom de Dieu, Dieu est grand. Accepte ceci de notre part.",
        "Tenez bien la tête, et apportez de l'eau. La lumière est bonne.",
        "C'est le troisième mouton de la matinée. Merci beaucoup à tous.",
    ),
    "ar": (
        "بِسْمِ اللهْ، اللهُ أَكْبَرْ. اللَّهُمَّ تَقَبَّلْ مِنَّا.",
        "أَمْسِكْ رَأْسَهْ، وَهَاتِ الْمَاءْ. الضَّوْءُ جَيِّدٌ الْآنْ.",
        "هَذَا ثَالِثُ خَرُوفٍ هَذَا الصَّبَاحْ. شُكْراً لَكُمْ جَمِيعاً.",
    ),
}

# How often what happens. With seven names one may be left out, another put in, or one said twice.
CASES = {"one": 72, "several": 7, "missing": 4, "extra": 4, "repeated": 3, "no_name": 6, "no_speech": 4}


class Claim(msgspec.Struct, frozen=True):
    """``kind``: right; wrong (another of the site), near (nearly what was said), absent (nobody of the site),
    missing (of the shares the one that was left out)."""

    name: str
    true: bool
    kind: str


class Utterance(msgspec.Struct, frozen=True):
    """One recording and what is to be found in it. ``said`` is in the order of speech, as the cohort writes it."""

    file: str
    lang: Language
    claims: tuple[Claim, ...]
    cohort: tuple[str, ...]
    said: tuple[str, ...]
    case: str
    voice: str
    split: str
    snr: float | None
    text: str
    pace: float


def plan(count: int, seed: int) -> Iterator[Utterance]:
    """``count`` utterances; languages, voices and noise levels in turn, everything else by chance."""
    rng = random.Random(seed)
    sites = {
        (split, language): site(SITE, rng, arabic=language == "ar", half=half)
        for half, split in enumerate(VOICES)
        for language in LANGUAGES
    }
    for at in range(count):
        language = LANGUAGES[at % len(LANGUAGES)]
        split = ("unseen", "tune", "unseen")[at // len(LANGUAGES) % 3]
        case = rng.choices(list(CASES), list(CASES.values()))[0]
        voice = rng.choice(VOICES[split][language])
        people = sites[split, language]
        yield _utterance(f"{at:04}.flac", language, case, people, voice, split, rng.choice(SNRS), rng)


def _utterance(
    file: str, language: Language, case: str, people: Sequence[Person], voice: str, split: str,
    snr: float | None, rng: random.Random,
) -> Utterance:  # fmt: skip
    named = {"one": 1, "no_name": 0, "no_speech": 0}.get(case, rng.choice((2, 3, 4, 7)))
    *due, other = rng.sample(list(people), named + 1)
    said = list(due)
    if case == "missing":
        said.pop(rng.randrange(len(said)))
    elif case == "extra":
        said.insert(rng.randrange(1, len(said) + 1), other)
    elif case == "repeated":
        said.insert(rng.randrange(1, len(said) + 1), rng.choice(said))
    if case == "no_speech":
        text = ""
    elif said:
        text = rng.choice(CARRIERS[language]).format(_list([person.said(language) for person in said]))
    else:
        text = rng.choice(SMALL_TALK[language])
    written = _writer(language, rng)
    absent = rng.sample([person for person in people if person not in (*due, *said)], WRONG)
    claims = [Claim(written(person), person in said, "right" if person in said else "missing") for person in due]
    claims += [Claim(written(person), False, "wrong") for person in absent]
    claims += [Claim(written(person), False, "absent") for person in _strangers(people, said, rng, language)]
    claims += [Claim(written(person), False, "near") for one in said[:2] for person in near(one, rng)
               if person not in said]  # fmt: skip
    return Utterance(
        file, language, tuple(claims), tuple(map(written, people)), tuple(map(written, said)), case, voice, split, snr,
        text, rng.choice((0.9, 1.0, 1.1)),
    )  # fmt: skip


def _writer(language: Language, rng: random.Random):  # type: ignore[no-untyped-def]
    """How this site's list is written: in Arabic speech half of the lists are in Arabic letters."""
    arabic = language == "ar" and rng.random() < 0.5
    return lambda person: person.arabic if arabic else person.name


def _strangers(
    people: Sequence[Person], said: Sequence[Person], rng: random.Random, language: Language
) -> list[Person]:
    """People of no site here, who share no name with anybody who is said."""
    given, family = {one.given for one in said}, {one.family for one in said}
    others = [person for half in (0, 1) for person in site(ABSENT * 4, rng, arabic=language == "ar", half=half)
              if person not in people and person.given not in given and person.family not in family]  # fmt: skip
    return rng.sample(others, ABSENT)


def _list(names: Sequence[str]) -> str:
    return ", ".join(names)
