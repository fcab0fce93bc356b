"""When a scene counts: the three in one frame, in enough frames that are neighbours."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from shared.domain.verdict import GROUPS, Frame
from shared.evidence.scene import Calibration, Rule, Threshold, belief, confirmed, together

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


def test_a_calibrated_score_is_a_probability() -> None:
    curve = Calibration(slope=2.0, offset=1.0)
    assert curve.probability(0.5) == pytest.approx(0.7311, abs=1e-4)  # log odds 0: the logistic function of the offset
    assert curve.probability(0.9) == pytest.approx(0.9955, abs=1e-4)
    assert curve.probability(0.0) == curve.probability(0.001) < 0.001


def test_what_is_present_must_be_believed_together() -> None:
    curves = {group: Calibration(1.0, 0.0) for group in GROUPS}
    strict = replace(RULE, calibration=curves, believed=0.25)
    sure, weak = Frame(0, 0.9, 0.8, 0.3), Frame(0, 0.99, 0.99, 0.22)
    assert belief(sure, strict) == pytest.approx(0.3)  # the weakest of the three counts
    assert together(sure, strict)
    assert not together(weak, strict)
    assert together(weak, RULE)
    assert confirmed([sure, weak, sure], strict)
    assert not confirmed([sure, weak, weak], strict)
