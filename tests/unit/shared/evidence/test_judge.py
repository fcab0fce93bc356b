"""The facts to a verdict."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.verdict import CAUSES, Box, Frame, Heard, Model, ShareMatch, Verdict, Word
from shared.evidence.judge import RULES, Facts, judge
from shared.evidence.scene import Rule, Sight, Threshold
from shared.evidence.speech import Hearing

RULE = Rule(
    {"person": Threshold(0.4, 0.1), "animal": Threshold(0.3, 0.05), "knife": Threshold(0.2, 0.01)}, frames=2, within=3
)
LOOKED, LISTENED = Model("looks", "1"), Model("listens", "1")
CLEAR = tuple(Word(word, at, at + 0.5, 0.9) for at, word in enumerate(("this", "is", "for", "Ahmed", "Benali")))


def sight(*scores: tuple[float, float, float]) -> Sight:
    return Sight(tuple(Frame(float(time), *row) for time, row in enumerate(scores)), LOOKED, RULE)


def share(heard: Heard = "heard", which: str = "") -> ShareMatch:
    return ShareMatch("Ahmed Benali", heard, 0.9, "Ahmed Benali", 3, 4.5, which=which)


FACTS = Facts(
    seconds=5.0,
    problems=(),
    has_picture=True,
    sight=sight((0.9, 0.8, 0.5), (0.9, 0.8, 0.5)),
    hearing=Hearing(CLEAR, None, 30.0, LISTENED, ("en",)),
    shares=(share(),),
    spoken=("en",),
)


def verdict(**changes: object) -> Verdict:
    return judge(msgspec.structs.replace(FACTS, **changes))


def codes(found: Verdict) -> tuple[str, list[str]]:
    return found.outcome, [reason.code for reason in found.reasons]


def test_the_version_follows_whatever_decides_the_verdict() -> None:
    moved = msgspec.structs.replace(RULE, thresholds={**RULE.thresholds, "knife": Threshold(0.21, 0.01)})
    rules = [RULE, msgspec.structs.replace(RULE, frames=1), msgspec.structs.replace(RULE, believed=0.5), moved]
    said = [verdict(sight=Sight(FACTS.sight.frames, LOOKED, rule)).code for rule in rules]
    assert len({*said, verdict(sight=Sight()).code}) == 5
    assert {code.split(".")[0] for code in said} == {RULES}
    again = msgspec.convert(msgspec.to_builtins(RULE), Rule)
    assert verdict(sight=Sight(FACTS.sight.frames, LOOKED, again)).code == said[0]


def test_shown_and_said_is_authentic() -> None:
    found = verdict()
    assert codes(found) == ("authentic", [])
    assert (found.together, found.sampled, found.detector, found.recogniser) == (2, 2, LOOKED, LISTENED)


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        (sight((0.9, 0.8, 0.0), (0.9, 0.8, 0.0)), ("rejected", ["no_knife"])),
        (sight((0.9, 0.8, 0.1), (0.9, 0.8, 0.0)), ("review", ["knife_unsure"])),
        (sight((0.9, 0.0, 0.5), (0.9, 0.0, 0.5)), ("rejected", ["no_animal"])),
        (sight((0.0, 0.8, 0.5), (0.09, 0.8, 0.5)), ("rejected", ["no_person"])),
        (sight((0.0, 0.2, 0.0), (0.0, 0.2, 0.0)), ("rejected", ["no_person", "animal_unsure", "no_knife"])),
        (sight((0.9, 0.8, 0.0), (0.9, 0.0, 0.5)), ("rejected", ["not_together"])),
        (sight((0.9, 0.8, 0.1), (0.9, 0.2, 0.5)), ("review", ["scene_unsure"])),
        (sight((0.9, 0.8, 0.5), (0.9, 0.8, 0.1), (0.9, 0.8, 0.1)), ("review", ["scene_unsure"])),
        (Sight(), ("review", ["no_detector"])),
    ],
)
def test_what_is_seen(seen: Sight, expected: tuple[str, list[str]]) -> None:
    assert codes(verdict(sight=seen)) == expected


@pytest.mark.parametrize(
    ("heard", "expected"),
    [
        (share("not_heard"), ("rejected", ["name_not_said"])),
        (share("other_order", "Omar Bello"), ("rejected", ["other_name_said"])),
        (share("unclear"), ("review", ["name_unclear"])),
    ],
)
def test_what_is_heard(heard: ShareMatch, expected: tuple[str, list[str]]) -> None:
    found = verdict(shares=(heard,))
    assert codes(found) == expected
    assert found.reasons[0].about == "Ahmed Benali"
    assert found.reasons[0].instead == heard.which


def test_every_share_counts() -> None:
    assert verdict(shares=(share(), share(), share("not_heard"))).outcome == "rejected"
    assert verdict(shares=(share(), share("unclear"), share())).outcome == "review"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"hearing": Hearing(silence="no_sound")}, "no_sound"),
        ({"hearing": Hearing(silence="muted")}, "muted"),
        ({"hearing": Hearing(silence="no_speech")}, "no_speech"),
        ({"hearing": Hearing(over_noise=30.0)}, "no_recogniser"),
        ({"shares": ()}, "no_names"),
        ({"has_picture": False, "sight": sight()}, "no_picture"),
    ],
)
def test_what_cannot_be_checked_is_never_more_than_review(changes: dict[str, object], code: str) -> None:
    found = verdict(**({"shares": (share("not_heard"),)} | changes))
    assert found.outcome in ("review", "rejected")
    assert code in codes(found)[1]
    if "hearing" in changes:
        assert codes(found) == ("review", [code])
        assert [match.heard for match in found.shares] == ["unclear"]


@pytest.mark.parametrize(
    ("hearing", "doubt"),
    [
        (msgspec.structs.replace(FACTS.hearing, languages=("ko",)), "wrong_language"),
        (msgspec.structs.replace(FACTS.hearing, over_noise=6.0), "speech_unclear"),
        (msgspec.structs.replace(FACTS.hearing, words=tuple(
            msgspec.structs.replace(word, confidence=0.3) for word in CLEAR)), "speech_unclear"),
        (msgspec.structs.replace(FACTS.hearing, words=(Word("아흐메드", 0, 1, 0.9),)), "speech_unclear"),
        (msgspec.structs.replace(FACTS.hearing, words=()), "speech_unclear"),
    ],
)  # fmt: skip
def test_a_recogniser_in_doubt_cannot_refute_but_can_confirm(hearing: Hearing, doubt: str) -> None:
    missed = verdict(hearing=hearing, shares=(share("not_heard"),))
    assert codes(missed) == ("review", [doubt, "name_unclear"])
    assert verdict(hearing=hearing).outcome == "authentic"


def test_nothing_is_concluded_from_a_damaged_file() -> None:
    found = verdict(
        problems=("file_damaged", "file_damaged"), sight=sight((0.9, 0.8, 0.0)), shares=(share("not_heard"), share())
    )
    assert codes(found) == ("review", ["file_damaged"])
    assert [match.heard for match in found.shares] == ["unclear", "heard"]
    assert verdict(problems=("file_damaged",)).outcome == "review"


def test_one_refutation_outweighs_what_could_not_be_checked() -> None:
    found = verdict(sight=sight((0.9, 0.8, 0.0)), hearing=Hearing(silence="no_sound"))
    assert codes(found) == ("rejected", ["no_knife", "no_sound"])


def test_keeps_the_best_frames_with_the_best_boxes_of_each_group() -> None:
    boxes = tuple(Box("person", "person", 0.9 - at / 10, 0, 0, 1, 1) for at in range(5))
    boxes += (Box("knife", "knife", 0.3, 0, 0, 1, 1),)
    seen = [Frame(float(time), 0.9, 0.9, knife, boxes) for time, knife in enumerate((0.1, 0.5, 0.2, 0.6, 0.7, 0.0))]
    found = verdict(sight=Sight(tuple(seen), LOOKED, RULE))
    assert [frame.time for frame in found.frames] == [1.0, 3.0, 4.0]
    assert [box.group for box in found.frames[0].boxes] == ["person", "person", "knife"]
    assert found.sampled == 6


scores = st.floats(0, 1)


@given(
    st.lists(st.tuples(scores, scores, scores), max_size=8),
    st.lists(st.sampled_from(["heard", "not_heard", "other_order", "unclear"]), max_size=4),
    st.sets(st.sampled_from(["file_damaged", "decoder_crashed", "too_long"])),
    st.sampled_from([None, "no_sound", "muted", "no_speech"]),
    st.booleans(),
)
def test_authentic_needs_everything(
    rows: list[tuple[float, float, float]], heard: list[Heard], problems: set[str], silence: str | None, looks: bool
) -> None:
    facts = msgspec.structs.replace(
        FACTS,
        problems=tuple(problems),
        sight=sight(*rows) if looks else Sight(),
        shares=tuple(share(status, "X" if status == "other_order" else "") for status in heard),
        hearing=msgspec.structs.replace(FACTS.hearing, silence=silence),
    )
    found = judge(facts)
    shown = sum(p >= 0.4 and a >= 0.3 and k >= 0.2 for p, a, k in rows)
    if found.outcome == "authentic":
        assert looks
        assert shown >= min(2, len(rows)) > 0
        assert set(heard) == {"heard"}
        assert not problems
        assert silence is None
        assert not found.reasons
    else:
        assert found.reasons
        assert all(reason.code in CAUSES for reason in found.reasons)
    assert judge(msgspec.msgpack.decode(msgspec.msgpack.encode(facts), type=Facts)) == found
