"""Which animals count, and which tags are one."""

from __future__ import annotations

from uuid import uuid4

import pytest

from shared.domain.animal import DEFECTS, ineligible, tag_id, tidy_tag
from shared.domain.order import CAPACITY


@pytest.mark.parametrize(("species", "least"), [
    ("sheep", 6), ("goat", 12), ("cow", 24), ("buffalo", 24), ("camel", 60),
])  # fmt: skip
def test_an_animal_counts_from_the_age_of_its_species(species: str, least: int) -> None:
    assert species in CAPACITY
    assert ineligible(species, least - 1, []) == ["too_young"]
    assert ineligible(species, least, []) == []


def test_the_age_of_sheep_is_the_sites_to_say_and_of_no_others() -> None:
    assert ineligible("sheep", 11, [], 12) == ["too_young"]
    assert ineligible("sheep", 12, [], 12) == []
    assert ineligible("goat", 12, [], 6) == []
    assert ineligible("goat", 11, [], 6) == ["too_young"]


def test_each_defect_is_a_reason_and_what_nobody_said_is_none() -> None:
    assert ineligible("sheep", None, []) == []
    assert ineligible(None, 1, []) == []
    for defect in DEFECTS:
        assert ineligible("cow", 30, [defect]) == [defect]
    assert ineligible("cow", 3, ["lame", "blind"]) == ["too_young", "blind", "lame"]


def test_one_tag_however_it_is_typed() -> None:
    site = uuid4()
    assert tidy_tag("  A \u0661\u0667 ") == "A 17"
    same = {tag_id(site, tag) for tag in ("A 17", "a  17", "\uff21 17", "A \u06f1\u06f7")}
    assert len(same) == 1
    assert tag_id(site, "A 18") not in same
    assert tag_id(uuid4(), "A 17") not in same
