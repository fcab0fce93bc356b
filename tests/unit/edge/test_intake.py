"""What a box wrote down of animals, beside and over what the hub tells of them."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import msgspec
import pytest

from edge.capture import Capture
from edge.claims import Claims
from edge.db import Database
from edge.intake import Entry, Intake
from edge.node import Keys, Node
from edge.outbox import Outbox
from edge.site import Site
from shared.clock import ManualClock
from shared.errors import QurbaniError
from shared.ids import new_id
from sync import merge, ops
from sync.messages import Change, Parked
from tests.unit.edge.conftest import ANIMAL, EXECUTOR

EWE = Entry("A 1", "sheep", weight_g=41_500, age_months=14, sex="female")


@pytest.fixture
def intake(capture: Capture) -> Intake:
    return Intake(capture)


@pytest.fixture
def outbox(db: Database, keys: Keys, capture: Capture, clock: ManualClock) -> Outbox:
    return Outbox(db, keys, capture, clock)


def told(db: Database) -> list[dict[str, Any]]:
    return [msgspec.msgpack.decode(row["patch"]) for row in db.rows("SELECT patch FROM op ORDER BY seq")]


def seen(db: Database, id: UUID) -> dict[str, Any]:
    return db.rows("SELECT * FROM animal WHERE id = ?", str(id))[0]


def change(id: UUID, node: Node, **fields: Any) -> Change:
    known = {"site_id": str(node.site_id), "tag": "A 1", "species": "sheep", "pen": ""}
    return Change(20, "animal", id, known | fields)


def test_a_new_animal_is_there_at_once_and_saying_it_again_changes_nothing(
    db: Database, intake: Intake, node: Node, outbox: Outbox, keys: Keys
) -> None:
    id = new_id()
    for _ in range(3):
        intake.write(id, EWE, EXECUTOR, is_new=True)
    (patch,) = told(db)
    reading = patch.pop("arrived")
    assert patch == {
        "site_id": str(node.site_id), "tag": "A 1", "species": "sheep", "weight_g": 41_500, "age_months": 14,
        "sex": "female",
    }  # fmt: skip
    assert reading["wall_ms"] == 1_780_000_000_000
    batch = outbox.batch(0, 10, 1 << 20)
    assert batch is not None
    for op, _ in ops.verify(batch, keys.sign.public):
        merge.check(op)
    (view,) = Site(db).animals(id)
    assert (view.tag, view.weight_g, view.capacity, view.state) == ("A 1", 41_500, 1, "waiting")
    assert len(Site(db).animals()) == 2


def test_what_is_put_right_tells_only_what_is_new(db: Database, intake: Intake) -> None:
    id = new_id()
    intake.write(id, EWE, EXECUTOR)
    better = msgspec.structs.replace(EWE, tag="A 2", defects=["lame"], weight_g=None)
    intake.write(id, better, EXECUTOR)
    assert told(db)[1].keys() == {"tag", "site_id", "defects", "weight_g"}
    assert seen(db, id)["weight_g"] is None
    with pytest.raises(QurbaniError, match="written down before"):
        intake.write(id, EWE, EXECUTOR, is_new=True)


def test_what_the_hub_listed_is_completed(db: Database, intake: Intake) -> None:
    intake.write(ANIMAL, Entry("17", "sheep", pen="A", weight_g=50_000), EXECUTOR)
    assert told(db)[0].keys() == {"weight_g", "arrived"}
    assert (seen(db, ANIMAL)["tag"], seen(db, ANIMAL)["weight_g"]) == ("17", 50_000)


def test_the_word_of_the_hub_counts_again_once_it_has_ours(
    db: Database, intake: Intake, capture: Capture, outbox: Outbox, node: Node
) -> None:
    intake.write(ANIMAL, Entry("17", "sheep", pen="B", weight_g=50_000), EXECUTOR)
    capture.apply_feed([change(ANIMAL, node, tag="17", pen="C", age_months=9)], 20)
    kept = seen(db, ANIMAL)
    assert (kept["pen"], kept["weight_g"], kept["age_months"]) == ("B", 50_000, 9), "ours is on its way"
    outbox.acknowledge(1, [Parked(1, "bad_op", "an older hub")])
    assert seen(db, ANIMAL)["pen"] == "B", "the hub could not take it in"
    outbox.acknowledge(1, [], whole=True)
    assert seen(db, ANIMAL)["pen"] == "C", "another box has said so since"
    intake.write(ANIMAL, Entry("17", "sheep", pen="C", weight_g=60_000, age_months=9), EXECUTOR)
    assert (seen(db, ANIMAL)["pen"], seen(db, ANIMAL)["weight_g"]) == ("C", 60_000)


def test_an_animal_of_this_box_stays_until_the_hub_tells_of_it(
    db: Database, intake: Intake, capture: Capture, outbox: Outbox, node: Node
) -> None:
    id = new_id()
    intake.write(id, EWE, EXECUTOR)
    outbox.acknowledge(1, [])
    assert seen(db, id)["tag"] == "A 1"
    capture.apply_feed([change(id, node, weight_g=41_500)], 20, b"m")
    assert len(db.rows("SELECT * FROM animal WHERE id = ?", str(id))) == 1
    assert seen(db, id)["age_months"] is None, "now it is as the hub tells"
    outbox.heir()
    outbox.take_over(new_id(), 0)
    assert seen(db, id)["age_months"] == 14, "under a new name it is told anew"


def test_a_tag_is_given_once(db: Database, intake: Intake) -> None:
    with pytest.raises(QurbaniError, match="tag_taken") as error:
        intake.write(new_id(), Entry("\u0661\u0667", "goat"), EXECUTOR)
    assert error.value.facts == {"animal_id": str(ANIMAL)}
    id = new_id()
    intake.write(id, EWE, EXECUTOR)
    with pytest.raises(QurbaniError, match="tag_taken"):
        intake.write(ANIMAL, Entry("a 1", "sheep", pen="A"), EXECUTOR)
    assert len(told(db)) == 1


def test_two_animals_of_one_tag_are_both_shown_as_that(
    db: Database, intake: Intake, capture: Capture, node: Node
) -> None:
    id, other = new_id(), new_id()
    intake.write(id, EWE, EXECUTOR)
    capture.apply_feed([change(other, node)], 20)
    assert {view.id for view in Site(db).animals() if view.same_tag} == {id, other}
    intake.write(id, msgspec.structs.replace(EWE, tag="A 2"), EXECUTOR)
    assert not [view for view in Site(db).animals() if view.same_tag]


def test_the_species_of_an_animal_with_names_is_settled(db: Database, intake: Intake) -> None:
    with pytest.raises(QurbaniError, match="as a sheep"):
        intake.write(ANIMAL, Entry("17", "cow", pen="A"), EXECUTOR)
    id = new_id()
    intake.write(id, EWE, EXECUTOR)
    intake.write(id, msgspec.structs.replace(EWE, species="goat"), EXECUTOR)
    assert Site(db).animals(id)[0].species == "goat"


def test_an_animal_that_does_not_count_is_not_claimed_unless_it_has_begun(
    db: Database, intake: Intake, capture: Capture, clock: ManualClock, node: Node
) -> None:
    claims, id = Claims(db, clock, 60), new_id()
    intake.write(id, msgspec.structs.replace(EWE, age_months=5, defects=["ill"]), EXECUTOR)
    with pytest.raises(QurbaniError, match="ineligible") as error:
        claims.take(id, EXECUTOR, "t")
    assert error.value.facts == {"reasons": ["too_young", "ill"]}
    intake.write(id, msgspec.structs.replace(EWE, age_months=7), EXECUTOR)
    claims.take(id, EXECUTOR, "t")
    capture.apply_feed([Change(21, "site", node.site_id, {"name": "Mirpur", "sheep_months": 12})], 21)
    with pytest.raises(QurbaniError, match="ineligible"):
        claims.take(id, EXECUTOR, "t")
    capture.open_sacrifice(new_id(), id, EXECUTOR)
    claims.take(id, EXECUTOR, "t")
    with pytest.raises(QurbaniError, match="not_found"):
        claims.take(new_id(), EXECUTOR, "t")
