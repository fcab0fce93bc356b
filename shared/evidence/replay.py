"""An old video judged anew, by a newer model or newer rules: what would be said otherwise now. Changes nothing."""

from __future__ import annotations

from typing import Any

import msgspec

from shared.domain.verdict import Model, Verdict


class Change(msgspec.Struct, frozen=True):
    """One thing that differs. ``about`` is the name of the share where it is about one."""

    what: str
    before: Any
    after: Any
    about: str = ""


class Replay(msgspec.Struct, frozen=True):
    """A video (its name or id), its verdict then and now in a word, and every difference between the two."""

    video: str
    before: str
    after: str
    changes: tuple[Change, ...]


def compare(video: str, before: Verdict, after: Verdict) -> Replay:
    """Times and scores are left to the verdicts themselves: they differ in every model."""
    told = [
        Change("outcome", before.outcome, after.outcome),
        Change("reasons", _reasons(before), _reasons(after)),
        Change("together", before.together, after.together),
        Change("sampled", before.sampled, after.sampled),
        Change("detector", _name(before.detector), _name(after.detector)),
        Change("recogniser", _name(before.recogniser), _name(after.recogniser)),
        Change("rules", before.code, after.code),
    ]
    then, now = ({share.name: share.heard for share in verdict.shares} for verdict in (before, after))
    told += [Change("share", then.get(name), now.get(name), name) for name in {**then, **now}]
    return Replay(video, before.outcome, after.outcome, tuple(each for each in told if each.before != each.after))


def _reasons(verdict: Verdict) -> list[str]:
    return [" ".join(filter(None, (reason.code, reason.about, reason.instead))) for reason in verdict.reasons]


def _name(model: Model | None) -> str:
    return f"{model.name} {model.version}" if model else ""
