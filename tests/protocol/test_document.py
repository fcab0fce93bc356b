"""PROTOCOL.md says what the code does: its tables are read and compared."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

import pytest

from shared.domain.fields import Policy
from shared.errors import TABLE
from sync import backoff, calls, digest, feed, hlc, merge, messages, ops, session, tokens

TEXT = (Path(__file__).parents[2] / "sync" / "PROTOCOL.md").read_text("utf-8")


def rows(section: str) -> list[list[str]]:
    """The cells of the table in the section of that number, without its head."""
    part = re.split(r"^## ", TEXT, flags=re.MULTILINE)[int(section)]
    lines = [line for line in part.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def test_errors_have_the_status_that_the_document_gives() -> None:
    assert len(rows("9")) > 10
    for names, statuses, _ in rows("9"):
        codes = re.findall(r"`(\w+)`", names)
        expected = [int(status) for status in re.findall(r"\d+", statuses)]
        if len(expected) == 1:
            expected *= len(codes)
        assert expected == [TABLE[code].status for code in codes] or (codes, expected) == (["bad_op"], [])


def test_every_merge_policy_is_described() -> None:
    described = [name for names, _ in rows("6") for name in re.findall(r"`(\w+)`", names)]
    assert sorted(described) == sorted(get_args(Policy))


@pytest.mark.parametrize(("what", "values"), [
    ("message", [messages.MAX_MESSAGE_BYTES >> 20]),
    ("ops in a batch", [ops.MAX_BATCH_OPS]),
    ("canonical bytes of a patch", [ops.MAX_PATCH_BYTES >> 10]),
    ("depth of a value", [merge.MAX_DEPTH]),
    ("page of the feed", [feed.PAGE_ROWS, feed.PAGE_BYTES >> 10]),
    ("life of an assertion", [tokens.LIFE_S, 600]),
    ("clock difference", [tokens.SKEW_MS // 1000]),
    ("ops, prefixes in a comparison", [digest.MAX_ASKS]),
])
def test_limits_are_those_of_the_code(what: str, values: list[int]) -> None:
    (limit,) = (limit for name, limit in rows("8") if name.startswith(what))
    assert [int(number) for number in re.findall(r"\d+", limit.replace("\u00a0", "").replace(" 000", "000"))] == values


@pytest.mark.parametrize("said", [
    f"at most {backoff.CAP_S:.0f} s", f"every {session.POLL_MS // 1000} s", f"about {session.CALL_S:.0f} s",
    f"+ {hlc.MAX_LEAD_MS // 1000} 000", f"× {1 << hlc.COUNTER_BITS}", messages.MEDIA_TYPE, tokens.TYPE,
    tokens.ASSERTION_TYPE, f"{merge.MAX_DEPTH} deep", "at most an hour is heeded",
    *(f"`POST {path}`" for path in (messages.ENROL, messages.TOKEN, messages.EXCHANGE, messages.DIGEST,
                                        messages.RENEW)), f"`{messages.BLOBS}`",
    f"for {session.CHECK_MS // 60_000} minutes", f"at most {digest.LEAF} records", f"first {digest.SIZE} bytes",
    f"{feed.MARK_BYTES} random bytes", f"proof for {tokens.PROOF_LIFE_MS // 1000} s",
])
def test_what_the_text_says_is_in_the_code(said: str) -> None:
    assert said in TEXT.replace("\u00a0", " ")


def test_an_hour_is_an_hour() -> None:
    assert calls.MAX_RETRY_AFTER_S == 3600
