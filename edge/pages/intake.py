"""The form for an animal that arrives, and for putting right what was written down of one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any
from uuid import UUID

import msgspec
from litestar import Response, get, post
from litestar.params import FromPath, QueryParameter, URLEncodedBody
from litestar.response import Redirect

from edge.auth import Executor
from edge.bus import OP, Bell
from edge.capture import Capture
from edge.intake import Entry, Intake
from edge.pages.frame import MAX_FORM_BYTES, AnyRequest, Form, Page, number, page, several
from edge.site import AnimalView, Site
from shared.domain.animal import DEFECTS
from shared.domain.order import CAPACITY
from shared.errors import QurbaniError
from shared.ids import new_id

Last = Annotated[UUID | None, QueryParameter()]

_ANSWERED = ("bad_input", "conflict", "tag_taken")


@get("/intake", sync_to_thread=True)
def new_animal(request: AnyRequest, executor: Executor, site: Site, home: str, last: Last = None) -> Page:
    """The form for the next animal; ``last`` is the one that was just written down.

    The id is in the form, so sending it twice writes one animal down.
    """
    done = site.animals(last) if last else []
    return _form(request, home, executor, new_id(), {}, is_new=True, last=done[0] if done else None)


@get("/intake/{animal_id:uuid}", sync_to_thread=True)
def known_animal(request: AnyRequest, animal_id: FromPath[UUID], executor: Executor, site: Site, home: str) -> Page:
    """The form with what is known of an animal, to be put right."""
    found = site.animals(animal_id)
    if not found:
        raise QurbaniError("not_found", "no such animal at this site")
    return _form(request, home, executor, animal_id, _filled(found[0]), photo_id=found[0].photo_id)


@post("/intake/{animal_id:uuid}", request_max_body_size=MAX_FORM_BYTES, sync_to_thread=True)
def write_animal(
    request: AnyRequest,
    animal_id: FromPath[UUID],
    data: URLEncodedBody[Form],
    executor: Executor,
    capture: Capture,
    bell: Bell,
    home: str,
) -> Response[Any]:
    """Write it down; a form that cannot be taken comes back as it was filled in, and says what is wrong."""
    is_new = bool(data.get("is_new"))
    try:
        Intake(capture).write(animal_id, read_form(data), executor.id, is_new=is_new)
    except QurbaniError as error:
        if error.code not in _ANSWERED:
            raise
        refused = {"refused": error.code, "field": error.facts.get("field", "")}
        status = error.kind.status
        return _form(request, home, executor, animal_id, data, status_code=status, is_new=is_new, **refused)
    bell.ring(OP)
    to = f"{home}/intake?last={animal_id}" if is_new else f"{home}/animals/{animal_id}"
    return Redirect(to, status_code=303)


def read_form(form: Mapping[str, Any]) -> Entry:
    """What was typed in, also in Arabic digits and with a decimal comma. Raises ``bad_input`` with its ``field``."""
    weight = number(form, "weight", 1000)
    fields = {
        "tag": form.get("tag", ""), "species": form.get("species"), "pen": form.get("pen", "").strip(),
        "weight_g": weight, "age_months": number(form, "age_months"), "sex": form.get("sex") or None,
        "defects": several(form, "defects"), "vet_note": form.get("vet_note", "").strip(),
    }  # fmt: skip
    for name, value in fields.items():
        try:
            msgspec.convert(value, _TYPES[name])
        except msgspec.ValidationError as error:
            raise QurbaniError("bad_input", f"{name}: {error}", field=name) from error
    return msgspec.convert(fields, Entry)


_TYPES = {field.name: field.type for field in msgspec.structs.fields(Entry)}


def _filled(animal: AnimalView) -> Form:
    weight = "" if animal.weight_g is None else f"{animal.weight_g / 1000:g}"
    age = "" if animal.age_months is None else str(animal.age_months)
    return {
        "tag": animal.tag or "", "species": animal.species, "pen": animal.pen or "", "weight": weight,
        "age_months": age, "sex": animal.sex, "defects": animal.defects, "vet_note": animal.vet_note or "",
    }  # fmt: skip


def _form(
    request: AnyRequest,
    home: str,
    who: Executor,
    id: UUID,
    form: Form,
    *,
    status_code: int = 200,
    is_new: bool = False,
    **facts: Any,
) -> Page:
    rest = {"refused": "", "field": "", "last": None, "photo_id": None}
    filled = dict.fromkeys(("tag", "species", "weight", "age_months", "sex", "pen", "vet_note"), "") | form
    given = {"form": filled | {"defects": several(form, "defects")}, "id": id, "is_new": is_new}
    choices = {"all_species": tuple(CAPACITY), "all_defects": DEFECTS}
    return page(request, "intake.html", status_code, who=who, home=home, **rest | facts, **given, **choices)


PAGES = [new_animal, known_animal, write_animal]
