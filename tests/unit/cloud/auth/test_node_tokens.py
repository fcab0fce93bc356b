"""The tokens of boxes: ours, of this moment, whole, and nothing else."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import pytest

from cloud.auth import node_tokens
from cloud.auth.tokens import LIFE_S
from cloud.platform.access import NODE, Principal
from shared.clock import from_ms
from shared.errors import QurbaniError

SECRET, KEY, BOX = b"s" * 32, b"k" * 32, UUID(int=7)
NOW = from_ms(1_780_000_000_000)
GOOD = node_tokens.issue(SECRET, BOX, KEY, NOW)
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


def test_a_token_says_who_holds_which_key_until_it_ends() -> None:
    for seconds in (0, LIFE_S - 1):
        found = node_tokens.check(SECRET, GOOD, NOW + timedelta(seconds=seconds))
        assert found == Principal(BOX, NODE, "", KEY)
    with pytest.raises(QurbaniError, match=r"not_signed_in.*expired"):
        node_tokens.check(SECRET, GOOD, NOW + timedelta(seconds=LIFE_S))


def test_no_letter_of_it_can_be_changed() -> None:
    for at in range(2, len(GOOD)):
        other = LETTERS[(LETTERS.index(GOOD[at]) + 1) % 64]
        with pytest.raises(QurbaniError, match="not_signed_in"):
            node_tokens.check(SECRET, GOOD[:at] + other + GOOD[at + 1:], NOW)


@pytest.mark.parametrize("token", ["n.", "n.AAAA", GOOD[:-4], GOOD + "AAAA", "n.???", "n.\u00e9"])
def test_what_is_no_token_is_refused(token: str) -> None:
    with pytest.raises(QurbaniError, match="not_signed_in"):
        node_tokens.check(SECRET, token, NOW)


def test_another_hub_refuses_it() -> None:
    with pytest.raises(QurbaniError, match="not_signed_in"):
        node_tokens.check(b"x" * 32, GOOD, NOW)


def test_it_is_short() -> None:
    assert len(GOOD) <= 96
