"""How a box becomes a node."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.crypto import SigningKey, UnsealKey
from shared.errors import QurbaniError
from sync import enrolment
from sync.messages import Enrol, from_wire, to_wire
from tests.unit.sync.chains import KEY, NODE

SEAL = UnsealKey(b"s" * 32).public
CODE = enrolment.new_code(bytes(range(10)))
GOOD = enrolment.enrol(CODE, KEY, SEAL, "Box of the north gate")


@given(st.binary(min_size=10, max_size=10))
def test_a_code_keeps_all_of_its_randomness_and_survives_being_typed(entropy: bytes) -> None:
    code = enrolment.new_code(entropy)
    tidy = enrolment.tidy_code(code)
    number = int(tidy.translate(str.maketrans("ABCDEFGHJKMNPQRSTVWXYZ", "abcdefghijklmnopqrstuv")), 32)
    assert number.to_bytes(10) == entropy
    assert enrolment.tidy_code(f" {code.lower().replace('-', ' ').replace('0', 'o').replace('1', 'l')} ") == tidy


@pytest.mark.parametrize("typed", ["", "ABCD", CODE + "A", CODE.replace(CODE[0], "U"), "é" * 16])
def test_what_cannot_be_a_code_is_refused_before_anything_is_sent(typed: str) -> None:
    with pytest.raises(QurbaniError) as refused:
        enrolment.enrol(typed, KEY, SEAL, "box")
    assert refused.value.code == "bad_code"


def test_who_holds_the_key_may_enrol_it() -> None:
    enrolment.check(from_wire(to_wire(GOOD), Enrol))
    again = enrolment.enrol(CODE, KEY, SEAL, "Box of the north gate", NODE)
    enrolment.check(from_wire(to_wire(again), Enrol))
    with pytest.raises(QurbaniError, match="bad_signature"):
        enrolment.check(msgspec.structs.replace(again, node=None))


@pytest.mark.parametrize(("change", "code"), [
    ({"code": enrolment.new_code(bytes(10))}, "bad_signature"),
    ({"name": "another"}, "bad_signature"),
    ({"seal_key": UnsealKey(b"t" * 32).public.raw}, "bad_signature"),
    ({"sign_key": SigningKey(b"x" * 32).public.raw}, "bad_signature"),
    ({"proof": b""}, "bad_signature"),
    ({"node": NODE}, "bad_signature"),
    ({"sign_key": b"short"}, "bad_input"),
    ({"seal_key": b"short"}, "bad_input"),
    ({"name": ""}, "bad_input"),
    ({"name": "x" * 101}, "bad_input"),
    ({"code": "nonsense"}, "bad_code"),
])
def test_nothing_in_the_request_can_be_swapped(change: dict[str, Any], code: str) -> None:
    with pytest.raises(QurbaniError) as refused:
        enrolment.check(msgspec.structs.replace(GOOD, **change))
    assert refused.value.code == code
