"""What the hub makes of a box's verdict, knowing all sites: it may take trust away, never add it."""

from __future__ import annotations

from collections.abc import Collection

from shared.domain.verdict import Outcome, Verdict

SHARE_NOT_CHECKED = "share_not_checked"
"""A share of the animal was not among the names that the box listened for: it was allocated later."""
INCONSISTENT = "inconsistent"
"""The verdict claims more than the evidence in it shows."""

BEFORE = "act_seen_before"
"""An earlier video, of another sacrifice, shows the same act or has the same sound."""
NOT_COMPARED = "not_compared"
"""It could not be looked up among the earlier ones."""

OUTSIDE_EID = "outside_eid"
"""It was sacrificed before the prayer was over at its site, or after the days of Eid: whoever lets it pass says why."""
EID_UNSURE = "eid_unsure"
"""The box's clock cannot tell whether it was within the days and hours of Eid."""


def complete(verdict: Verdict, names: Collection[str], doubts: Collection[str] = ()) -> tuple[Outcome, tuple[str, ...]]:
    """The outcome for an animal whose shares are on behalf of ``names``, and the codes of the reasons.

    Only a verdict that is ``authentic`` can give that, and only with evidence for every share (person, animal and
    knife together, and each name heard), and without ``doubts``, which only the hub can have.
    """
    codes = tuple(reason.code for reason in verdict.reasons) + tuple(doubts)
    if verdict.outcome != "authentic":
        return verdict.outcome, codes
    heard = {share.name for share in verdict.shares if share.heard == "heard"}
    if not verdict.together or any(share.heard != "heard" for share in verdict.shares):
        return "review", (*codes, INCONSISTENT)
    if not names or not heard.issuperset(names):
        return "review", (*codes, SHARE_NOT_CHECKED)
    return "review" if doubts else "authentic", codes
