"""What the hub makes of a box's verdict: it may take trust away, never add it."""

from __future__ import annotations

from collections.abc import Collection

from shared.domain.verdict import Outcome, Verdict

SHARE_NOT_CHECKED = "share_not_checked"
"""A share of the animal was not among the names that the box listened for: it was allocated later."""
INCONSISTENT = "inconsistent"
"""The verdict claims more than the evidence in it shows."""


def complete(verdict: Verdict, names: Collection[str]) -> tuple[Outcome, tuple[str, ...]]:
    """The outcome for an animal whose shares are on behalf of ``names``, and the codes of the reasons.

    Only a verdict that is ``authentic`` can give that, and only with evidence for every share: person, animal
    and knife together, and each name heard.
    """
    codes = tuple(reason.code for reason in verdict.reasons)
    if verdict.outcome != "authentic":
        return verdict.outcome, codes
    heard = {share.name for share in verdict.shares if share.heard == "heard"}
    if not verdict.together or any(share.heard != "heard" for share in verdict.shares):
        return "review", (*codes, INCONSISTENT)
    if not names or not heard.issuperset(names):
        return "review", (*codes, SHARE_NOT_CHECKED)
    return "authentic", codes
