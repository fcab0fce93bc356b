"""The door: what other services may ask of checks and reviews."""

from __future__ import annotations

from cloud.processing.checks import apply_verdicts, heard, naming
from cloud.processing.manifests import apply_manifests, captured
from cloud.processing.own import ask as ask_own
from cloud.processing.reviews import of as case
from cloud.processing.reviews import take, take_next, vote, waiting, was_approved
from cloud.processing.schemas import Case, HeardName, NewVote, Vote, Waiting
from cloud.processing.truth import as_told, is_done

__all__ = [
    "Case",
    "HeardName",
    "NewVote",
    "Vote",
    "Waiting",
    "apply_manifests",
    "apply_verdicts",
    "as_told",
    "ask_own",
    "captured",
    "case",
    "heard",
    "is_done",
    "naming",
    "take",
    "take_next",
    "vote",
    "waiting",
    "was_approved",
]
