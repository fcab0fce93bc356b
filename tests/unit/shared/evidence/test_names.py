"""Which of the expected names were said."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.domain.verdict import Claim, ShareMatch, Word
from shared.evidence.names import match, roll_call

SITE = [
    Claim(name, order=str(1040 + at))
    for at, name in enumerate([
        "Ahmed Benali", "Khadija Mansouri", "Omar Farouk Bello", "Leila Benchaabane", "Moussa Keita", "Samira Toumi",
        "Tariq Aziz Khan", "Fatima Zohra Alaoui", "Mamadou Diallo", "Zeynep Yilmaz", "Youssef Haddad", "Aminata Traore",
        "Ibrahim Danjuma", "Noureddine Cherif", "Hassan Idrissi",
    ])
]  # fmt: skip
SEVEN = SITE[:7]
CARRIERS = [
    "In the name of God, God is great. This sacrifice is on behalf of {}.",
    "Au nom de Dieu, Dieu est grand. Ce sacrifice est au nom de {}.",
    "بسم الله والله أكبر هذه الأضحية عن {} تقبل الله",
    "{}",
]


def spoken(text: str) -> list[Word]:
    return [Word(word, at * 0.4, at * 0.4 + 0.3, 0.9) for at, word in enumerate(text.split())]


def heard(text: str, claims: list[Claim], cohort: list[Claim] | None = None) -> list[ShareMatch]:
    return list(match(spoken(text), claims, SITE if cohort is None else cohort))


@pytest.mark.parametrize("carrier", CARRIERS)
@pytest.mark.parametrize("claim", SITE, ids=lambda claim: claim.name)
def test_its_own_name_and_no_other(carrier: str, claim: Claim) -> None:
    said = carrier.format(claim.name)
    (share,) = heard(said, [claim])
    assert (share.heard, share.score, share.order) == ("heard", 1.0, claim.order)
    for other in SITE:
        if other != claim:
            (share,) = heard(said, [other])
            assert (share.which, share.which_order) == (claim.name, claim.order)
            # "Au nom de Dieu" is not so far from one of them that it could be ruled out.
            assert share.heard == "other_order" or (share.heard, other.name) == ("unclear", "Mamadou Diallo")


@pytest.mark.parametrize(
    ("said", "name"),
    [
        # What Whisper tiny and base really write for these names.
        ("Atmad-Binali.", "Ahmed Benali"),
        ("Ahmed Benelli,", "Ahmed Benali"),
        ("Atma bin Ali.", "Ahmed Benali"),
        ("Kata Jaman Sari,", "Khadija Mansouri"),
        ("Khadda Jamanzari,", "Khadija Mansouri"),
        ("God of Jamanzari.", "Khadija Mansouri"),
        ("Omar Farakvelo,", "Omar Farouk Bello"),
        ("Vail Ben-Chobane,", "Leila Benchaabane"),
        ("Lil' Ben Chabain,", "Leila Benchaabane"),
        ("Samir Atalmi,", "Samira Toumi"),
        ("Tarik Azas Khan.", "Tariq Aziz Khan"),
        # The same person, written by somebody else.
        ("أحمد بن علي", "Ahmed Benali"),
        ("خديجة المنصوري", "Khadija Mansouri"),
        ("فاطمة الزهراء العلوي", "Fatima Zohra Alaoui"),
        ("Nur al-Din Sharif", "Noureddine Cherif"),
        ("Yusuf Hadad", "Youssef Haddad"),
    ],
)
def test_what_recognisers_make_of_it(said: str, name: str) -> None:
    claim = next(claim for claim in SITE if claim.name == name)
    (share,) = heard(CARRIERS[0].format(said), [claim])
    assert share.heard == "heard"
    assert said.split()[-1] in share.said


@pytest.mark.parametrize(
    ("said", "claimed"),
    [
        ("Hussein Idrissi", "Hassan Idrissi"),
        ("Mohamed Benali", "Ahmed Benali"),
        ("Issa Keita", "Moussa Keita"),
        ("Amina Toumi", "Samira Toumi"),
        ("Fatima Mansouri", "Khadija Mansouri"),
        ("Ahmed Brahimi", "Ahmed Benali"),
    ],
)
def test_a_near_miss_that_nobody_of_the_site_bears(said: str, claimed: str) -> None:
    (share,) = heard(CARRIERS[0].format(said), [Claim(claimed)])
    assert share.heard in ("not_heard", "unclear")


def test_what_is_too_far_from_a_name_to_be_sure() -> None:
    """As near as "much accept are", which nobody meant for a name."""
    for said in ("Moscada.", "Masukeda.", "much accept are"):
        assert heard(CARRIERS[0].format(said), [SITE[4]])[0].heard in ("unclear", "not_heard")


def test_a_name_is_found_in_any_reading() -> None:
    """The recogniser is told the language, and still writes a name best in another."""
    words = spoken("the what her gas")
    words += [Word(word.text, word.start, word.end, 0.5, 1) for word in spoken("de Warda Ghazali")]
    claim = Claim("Warda Ghazali")
    assert match(words[:4], [claim])[0].heard != "heard"
    assert match(words, [claim])[0].heard == "heard"


def test_a_name_that_runs_into_the_word_before_it() -> None:
    """As Whisper wrote it for an Arabic sentence."""
    assert heard("Santidris Jabbar", [Claim("Idriss Djebbar")], SITE)[0].heard == "heard"


def test_seven_names_in_one_breath() -> None:
    shares = heard(CARRIERS[0].format(", ".join(claim.name for claim in SEVEN)), SEVEN)
    assert [share.name for share in shares] == [claim.name for claim in SEVEN]
    assert {share.heard for share in shares} == {"heard"}
    assert [share.start for share in shares] == sorted(share.start for share in shares)
    assert all(one.end < two.start for one, two in pairwise(shares))


def test_seven_names_of_which_one_is_missing() -> None:
    said = ", ".join(claim.name for claim in SEVEN if claim.name != "Moussa Keita")
    shares = heard(CARRIERS[0].format(said), SEVEN)
    assert [share.name for share in shares if share.heard != "heard"] == ["Moussa Keita"]
    assert next(share for share in shares if share.name == "Moussa Keita").heard == "not_heard"


def test_seven_names_of_which_one_belongs_to_another_order() -> None:
    said = ", ".join("Mamadou Diallo" if claim.name == "Moussa Keita" else claim.name for claim in SEVEN)
    shares = heard(CARRIERS[0].format(said), SEVEN)
    (wrong,) = (share for share in shares if share.heard != "heard")
    assert (wrong.name, wrong.heard, wrong.which, wrong.which_order) == (
        "Moussa Keita", "other_order", "Mamadou Diallo", "1048",
    )  # fmt: skip


def test_a_name_too_many_and_a_name_said_twice() -> None:
    said = "Ahmed Benali, Khadija Mansouri, Mamadou Diallo, Omar Farouk Bello, Khadija Mansouri"
    roll = roll_call(spoken(f"This is for {said}"), SEVEN[:3], SITE)
    assert {share.heard for share in roll.shares} == {"heard"}
    assert [(stray.kind, stray.name, stray.order) for stray in roll.strays] == [
        ("extra", "Mamadou Diallo", "1048"), ("repeated", "Khadija Mansouri", "1041"),
    ]  # fmt: skip
    assert [stray.said for stray in roll.strays] == ["Mamadou Diallo,", "Khadija Mansouri"]


def test_each_name_once_leaves_no_stray() -> None:
    roll = roll_call(spoken(CARRIERS[0].format(", ".join(claim.name for claim in SEVEN))), SEVEN, SITE)
    assert roll.strays == ()


def test_who_was_said_instead_is_no_stray() -> None:
    roll = roll_call(spoken("for Mamadou Diallo"), SITE[:1], SITE)
    assert roll.shares[0].which == "Mamadou Diallo"
    assert roll.strays == ()


@pytest.mark.parametrize("said", [SITE[0].name, SITE[1].name, "Ahmed Belkacem", "Ahmed", "nobody at all"])
def test_what_is_heard_is_beyond_what_it_needs_and_nothing_else_is(said: str) -> None:
    roll = roll_call(spoken(CARRIERS[0].format(said)), SITE[:1], SITE)
    assert (roll.shares[0].heard == "heard") == (roll.margins[0] >= 0) == (said == SITE[0].name)


def test_an_unclear_name_counts_between_its_neighbours_only() -> None:
    mumbled = "Katia Mansari,"
    between = heard(f"Ahmed Benali, {mumbled} Omar Farouk Bello", SEVEN[:3])
    alone = heard(mumbled, SEVEN[1:2])
    assert [share.heard for share in between] == ["heard"] * 3
    assert [share.heard for share in alone] == ["unclear"]


def test_what_hardly_sounds_like_a_name_is_no_proof_in_its_place_that_it_was_not_said() -> None:
    """Recognisers write a letter otherwise from one processor to the next; that must not refuse a family theirs."""
    mangled = "cottage of Mansari,"
    between = heard(f"Ahmed Benelli, {mangled} Omar Farakvelo", SEVEN[:3])
    assert [share.heard for share in between] == ["heard", "unclear", "heard"]
    assert heard(mangled, SEVEN[1:2])[0].heard == "not_heard"
    assert heard("Ahmed Benelli, a basket of oranges, Omar Farakvelo", SEVEN[:3])[1].heard == "not_heard"


def test_a_first_name_in_common_with_another_order() -> None:
    """Half of the claim was said, but all of the other name."""
    site = [Claim("Leila Mansouri", order="1"), Claim("Leila Benchaabane", order="2")]
    (share,) = heard("This is for Leila Benchaabane", site[:1], site)
    assert (share.heard, share.which_order) == ("other_order", "2")


def test_two_names_of_the_site_that_are_nearly_one() -> None:
    """The words must be nearer to the claim than to the other, by half of what sets the two apart."""
    brothers = [Claim("Salim Haddad", order="1"), Claim("Salem Haddad", order="2")]
    assert heard("for Salim Haddad", brothers[:1], brothers)[0].heard == "heard"
    assert heard("for Salem Haddad", brothers[:1], brothers)[0].heard == "other_order"
    assert heard("for Salom Haddad", brothers[:1], brothers)[0].heard != "heard"


def test_namesakes_are_not_rivals() -> None:
    """Two orders for one name: the name cannot tell them apart, the animal does."""
    namesakes = [Claim("Ahmed Benali", order="1"), Claim("Ahmad Ben Ali", order="2")]
    assert heard("for Ahmed Benali", namesakes[:1], namesakes)[0].heard == "heard"
    assert [share.heard for share in heard("for Ahmed Benali", namesakes, namesakes)] == ["heard", "heard"]


def test_other_spellings_of_a_claim_count() -> None:
    """A name whose bearer goes by another."""
    claim = Claim("Abdoul Karim Sawadogo", spellings=("Baba Sawadogo",))
    assert heard("for Baba Sawadogo", [claim], [])[0].heard == "heard"
    assert heard("for Baba Sawadogo", [Claim(claim.name)], [])[0].heard != "heard"


def test_titles_may_be_left_out() -> None:
    assert heard("on behalf of Moussa Keita", [Claim("El Hadj Moussa Keita")], [])[0].heard == "heard"


def test_no_name_across_a_pause() -> None:
    words = [Word("Ahmed", 0, 0.5, 0.9), Word("Benali", 10, 10.5, 0.9)]
    assert match(words, SITE[:1])[0].heard != "heard"


def test_nothing_said_and_nobody_claimed() -> None:
    assert heard("", SITE[:2])[0] == ShareMatch("Ahmed Benali", "not_heard", 0.0, order="1040")
    assert heard("some words", []) == []


def test_a_name_that_cannot_be_read_is_no_name_that_was_not_said() -> None:
    assert heard("아흐메드 베날리", SITE[:1])[0].heard == "not_heard"
    for words in ("anything", "", "on behalf of Omar Farouk Bello"):
        assert heard(words, [Claim("আহমেদ")])[0].heard == "unclear"
    assert heard("on behalf of Ahmed", [Claim("আহমেদ", spellings=("Ahmed",))], [])[0].heard == "heard"


SPEECH = (
    "the morning sheep water we are here and this one please accept from family thank you very much everyone bring "
    "them closer hold its head now ready camera good light wait until he comes with rope today is day of feast "
    "nous sommes ici ce matin avec le mouton merci beaucoup tout monde apportez eau tenez bien animal voilà "
    "الآن الخروف هنا اليوم عيد مبارك شكرا"
)


def test_unrelated_speech_hardly_ever_names_anybody() -> None:
    """Of so many words in any order some sound like a name; of a thousand names one may."""
    chance, words, times = random.Random(7), SPEECH.split(), 70
    said = [" ".join(chance.choices(words, k=chance.randrange(40))) for _ in range(times)]
    wrong = [share for each in said for share in heard(each, SITE) if share.heard not in ("not_heard", "unclear")]
    assert len(wrong) <= 0.001 * times * len(SITE), wrong


@settings(deadline=None)
@given(st.text(max_size=60), st.lists(st.text(max_size=15), max_size=4))
def test_any_words_and_any_names_get_an_answer(text: str, claimed: list[str]) -> None:
    shares = heard(text, [Claim(name) for name in claimed], [Claim(name) for name in claimed[::-1]])
    assert [share.name for share in shares] == claimed
    assert all(0 <= share.score <= 1 for share in shares)
