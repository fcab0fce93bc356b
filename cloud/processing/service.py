"""The door: what other services may ask of checks and reviews."""

from __future__ import annotations

from cloud.processing.checks import apply_verdicts, heard, naming
from cloud.processing.manifests import apply_manifests, captured
from cloud.processing.overrides import override, untimely
from cloud.processing.own import ask as ask_own
from cloud.processing.progress import coaching, progress
from cloud.processing.reviews import dispute, doubt, take, take_next, vote, waiting, was_approved
from cloud.processing.reviews import of as case
from cloud.processing.schemas import Case, Doubt, Doubted, HeardName, NewOverride, NewVote, Vote, Waiting
from cloud.processing.truth import as_told, is_done

__all__ = [
    "Case",
    "Doubt",
    "Doubted",
    "HeardName",
    "NewOverride",
    "NewVote",
    "Vote",
    "Waiting",
    "apply_manifests",
    "apply_verdicts",
    "as_told",
    "ask_own",
    "captured",
    "case",
    "coaching",
    "dispute",
    "doubt",
    "heard",
    "is_done",
    "naming",
    "override",
    "progress",
    "take",
    "take_next",
    "untimely",
    "vote",
    "waiting",
    "was_approved",
]
