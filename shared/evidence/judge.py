"""The facts to a verdict. Pure: the same facts give the same verdict, today and when they are replayed."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from shared.domain.verdict import CAUSES, GROUPS, Box, Frame, Outcome, Reason, ShareMatch, Stray, Verdict
from shared.evidence.phonetics import readable
from shared.evidence.scene import Rule, Sight, confirmed, together
from shared.evidence.speech import Hearing

RULES = "3"
"""The version of the code in this folder. Raised with every change that can change a verdict."""

_KEPT_FRAMES = 3
_KEPT_BOXES = 2  # of each group
_KEPT_WORDS = 150

_OVER_NOISE_DB = 10.0
_CONFIDENCE = 0.5
_READABLE = 0.5


class Facts(msgspec.Struct, frozen=True):
    """All that is known of a video. ``problems`` are the codes of what kept it from being read whole."""

    seconds: float
    problems: tuple[str, ...]
    has_picture: bool
    sight: Sight
    hearing: Hearing
    shares: tuple[ShareMatch, ...]
    spoken: tuple[str, ...] = ()
    """The languages of the site (ISO 639-1), when they are known."""
    strays: tuple[Stray, ...] = ()


def judge(facts: Facts) -> Verdict:
    """``authentic`` only if the three were seen together and every name was heard.

    Of a video that could not be read to its end nothing is concluded: the missing part may be the one that
    matters. Otherwise one thing that was checked and is not so makes it ``rejected``, and one that could not be
    checked ``review``.
    """
    if facts.problems:
        shares, reasons = _unclear(facts.shares, "not_heard"), [Reason(code) for code in dict.fromkeys(facts.problems)]
    else:
        shares, heard = _heard(facts)
        reasons = [*_seen(facts), *heard]
    frames, rule = facts.sight.frames, facts.sight.rule
    return Verdict(
        outcome=_outcome(reasons),
        code=version(facts.sight.rule),
        reasons=tuple(reasons),
        shares=shares,
        strays=facts.strays,
        frames=_best(frames, rule) if rule else (),
        sampled=len(frames),
        together=sum(together(frame, rule) for frame in frames) if rule else 0,
        words=facts.hearing.words[:_KEPT_WORDS],
        seconds=round(facts.seconds, 2),
        detector=facts.sight.detector,
        recogniser=facts.hearing.recogniser,
    )


def version(rule: Rule | None) -> str:
    """All that a verdict on given facts depends on: the code and, after a dot, the detector's thresholds and curves."""
    return f"{RULES}.{rule.version}" if rule else RULES


def _outcome(reasons: Sequence[Reason]) -> Outcome:
    outcomes = {CAUSES[reason.code].outcome for reason in reasons}
    if "rejected" in outcomes:
        return "rejected"
    return "review" if outcomes else "authentic"


def _seen(facts: Facts) -> list[Reason]:
    frames, rule = facts.sight.frames, facts.sight.rule
    if not facts.has_picture or (rule and not frames):
        return [Reason("no_picture")]
    if rule is None:
        return [Reason("no_detector")]
    if confirmed(frames, rule):
        return []
    reasons = []
    for group in GROUPS:
        best = max(frame.score(group) for frame in frames)
        if best < rule.thresholds[group].absent:
            reasons.append(Reason(f"no_{group}"))
        elif best < rule.thresholds[group].present:
            reasons.append(Reason(f"{group}_unsure"))
    if not reasons:
        reasons.append(Reason("scene_unsure" if _perhaps_together(frames, rule) else "not_together"))
    return reasons


def _perhaps_together(frames: Sequence[Frame], rule: Rule) -> bool:
    return any(all(frame.score(group) >= rule.thresholds[group].absent for group in GROUPS) for frame in frames)


def _heard(facts: Facts) -> tuple[tuple[ShareMatch, ...], list[Reason]]:
    hearing = facts.hearing
    if not facts.shares:
        return (), [Reason("no_names")]
    if hearing.silence:
        return _unclear(facts.shares), [Reason(hearing.silence)]
    if hearing.recogniser is None:
        return _unclear(facts.shares), [Reason("no_recogniser")]
    doubts = _doubts(hearing, facts.spoken)
    # What a recogniser cannot be trusted to have understood does not prove that a name was not said.
    shares = _unclear(facts.shares, "not_heard") if doubts else facts.shares
    reasons = [reason for share in shares if (reason := _name_reason(share))]
    return shares, [*(doubts if reasons else ()), *reasons]


def _unclear(shares: Sequence[ShareMatch], only: str = "") -> tuple[ShareMatch, ...]:
    return tuple(
        msgspec.structs.replace(share, heard="unclear") if only in ("", share.heard) else share for share in shares
    )


def _doubts(hearing: Hearing, spoken: Sequence[str]) -> list[Reason]:
    """Why silence about a name would prove nothing."""
    if hearing.languages and spoken and not set(hearing.languages) & set(spoken):
        return [Reason("wrong_language")]
    words = hearing.words
    confidence = sum(word.confidence for word in words) / max(len(words), 1)
    text = " ".join(word.text for word in words)
    if confidence < _CONFIDENCE or hearing.over_noise < _OVER_NOISE_DB or readable(text) < _READABLE:
        return [Reason("speech_unclear")]
    return []


def _name_reason(share: ShareMatch) -> Reason | None:
    match share.heard:
        case "heard":
            return None
        case "not_heard":
            return Reason("name_not_said", share.name)
        case "other_order":
            return Reason("other_name_said", share.name, share.which)
        case "unclear":
            return Reason("name_unclear", share.name)


def _best(frames: Sequence[Frame], rule: Rule) -> tuple[Frame, ...]:
    """The frames that show the most, in the order of time, each with the best boxes of each group."""

    def shown(frame: Frame) -> float:
        return min(frame.score(group) / rule.thresholds[group].present for group in GROUPS)

    best = sorted(sorted(frames, key=shown, reverse=True)[:_KEPT_FRAMES], key=lambda frame: frame.time)
    return tuple(msgspec.structs.replace(frame, boxes=_best_boxes(frame)) for frame in best)


def _best_boxes(frame: Frame) -> tuple[Box, ...]:
    return tuple(box for group in GROUPS for box in [box for box in frame.boxes if box.group == group][:_KEPT_BOXES])
