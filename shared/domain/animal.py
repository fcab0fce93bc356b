"""Which animals count as a sacrifice, and what a site writes down of one when it arrives.

The ages are those of the hadith of the *musinna* ("sacrifice only a grown animal, unless that is hard for you, then a
*jadhaʿ* of sheep", Sahih Muslim 1963) as the schools read it: a camel of five years, cattle of two, a goat of one,
and a sheep of six months where it is as large as a yearling (Hanafi, Hanbali) or of a year (Maliki, Shafiʿi), so the
age of sheep is the site's to say. The first four defects are those of al-Baraʾ ibn ʿAzib (Sunan Abi Dawud 2802, Jamiʿ
at-Tirmidhi 1497): clearly one-eyed, clearly ill, clearly lame, and so thin that its bones have no marrow. The others
are those that most jurists add, beginning with ʿAli's report of the cut ear and the broken horn (Sunan Abi Dawud 2804
and 2805): a part that is lost for the most part. See *al-Mawsuʿa al-fiqhiyya* (Kuwait), volume 5, "udhiya". A year is
taken as twelve months; lunar or solar, that makes eleven days.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from typing import Annotated, Literal
from uuid import UUID, uuid5

import msgspec

Species = Literal["sheep", "goat", "cow", "buffalo", "camel"]
Sex = Literal["male", "female"]
Defect = Literal[
    "blind", "ill", "lame", "emaciated", "ear_lost", "tail_lost", "horn_lost", "teeth_lost"]  # fmt: skip
DEFECTS: tuple[Defect, ...] = ("blind", "ill", "lame", "emaciated", "ear_lost", "tail_lost", "horn_lost", "teeth_lost")

TOO_YOUNG = "too_young"
"""The reason beside the defects for which an animal does not count."""

MIN_MONTHS: dict[str, int] = {"goat": 12, "cow": 24, "buffalo": 24, "camel": 60}
"""Months of age from which an animal counts; for sheep the site says."""
SHEEP_MONTHS = 6
"""Where it has not."""

Tag = Annotated[str, msgspec.Meta(min_length=1, max_length=40)]
Grams = Annotated[int, msgspec.Meta(ge=500, le=2_000_000)]
Months = Annotated[int, msgspec.Meta(ge=0, le=600)]
Note = Annotated[str, msgspec.Meta(max_length=500)]
SheepMonths = Annotated[int, msgspec.Meta(ge=6, le=12)]


def ineligible(
    species: str | None, age_months: int | None, defects: Iterable[str], sheep_months: int | None = None
) -> list[str]:
    """Why an animal does not count: :data:`TOO_YOUNG` and its defects. What nobody wrote down is no reason."""
    least = (sheep_months or SHEEP_MONTHS) if species == "sheep" else MIN_MONTHS.get(species or "", 0)
    too_young = [TOO_YOUNG] if age_months is not None and age_months < least else []
    return too_young + [defect for defect in DEFECTS if defect in set(defects)]


def tidy_tag(tag: str) -> str:
    """As it is kept: ``١٧`` and ``17`` are one tag, and so are ``A  17`` and ``A 17``."""
    plain = unicodedata.normalize("NFKC", tag)
    return " ".join("".join(str(unicodedata.decimal(letter, letter)) for letter in plain).split())


def tag_id(site_id: UUID, tag: str) -> UUID:
    """What names a tag of a site; upper and lower case are one."""
    return uuid5(site_id, tidy_tag(tag).casefold())
