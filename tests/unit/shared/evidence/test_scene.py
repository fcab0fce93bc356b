"""When a scene counts: the three in one frame, in enough frames that are neighbours."""

from __future__ import annotations

import pytest

from shared.domain.verdict import Frame
from shared.evidence.scene import Rule, Threshold, confirmed, together

RULE = Rule(
    {"person": Threshold(0.4, 0.1), "animal": Threshold(0.3, 0.05), "knife": Threshold(0.2, 0.01)}, frames=2, within=3
)


def frames(shown: str) -> list[Frame]:
    """``x`` shows all three, ``p`` a person and an animal, ``k`` only a knife."""
    scores = {"x": (0.4, 0.3, 0.2), "p": (0.9, 0.9, 0.19), "k": (0.0, 0.0, 0.9)}
    return [Frame(float(time), *scores[letter]) for time, letter in enumerate(shown)]


def test_all_three_and_in_one_frame() -> None:
    assert [together(frame, RULE) for frame in frames("xpk")] == [True, False, False]


@pytest.mark.parametrize(
    ("shown", "answer"),
    [
        ("ppxxpp", True),
        ("ppxpxp", True),
        ("xppxpp", False),  # two, but no neighbours
        ("pppppx", False),
        ("pkpkpk", False),  # all three, never together
        ("xx", True),
        ("xp", False),
        ("x", True),  # of a video of one picture, one is all there can be
        ("p", False),
        ("", False),
    ],
)
def test_confirmed_by_its_neighbours(shown: str, answer: bool) -> None:
    assert confirmed(frames(shown), RULE) is answer
