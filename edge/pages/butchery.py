"""The salting clock, the balance of meat, and the forms of both; and the same for programs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Annotated, Any
from uuid import UUID

import msgspec
from litestar import Response, get, post, put
from litestar.params import FromPath, QueryParameter, URLEncodedBody
from litestar.response import Redirect

from edge.auth import Executor
from edge.bus import OP, Bell
from edge.butchery import Bare, BatchEntry, Butchery, Day, HideEntry, HideView
from edge.events import EventLog
from edge.pages.frame import MAX_FORM_BYTES, AnyRequest, Form, Page, number, page, several
from edge.site import Site
from shared.clock import Reading
from shared.domain.hide import FAULTS, GRADES, HOT_C
from shared.errors import QurbaniError
from shared.ids import new_id

ReadClock = Callable[[], Reading]

AGO = (0, 15, 30, 60, 120, 240)
"""Minutes since flaying that are to be chosen from."""

MAX_ANIMALS_FORM_BYTES = 256 << 10
"""A batch may name thousands of animals, some forty bytes each."""


class Hides(msgspec.Struct, frozen=True):
    """``bare`` are the sacrificed animals of whose hide nobody has said anything."""

    hides: list[HideView]
    bare: list[Bare]


@get("/api/v1/hides", sync_to_thread=True)
def hides(executor: Executor, butchery: Butchery, read: ReadClock) -> Hides:
    return Hides(butchery.hides(read()), butchery.bare())


@put("/api/v1/hides/{hide_id:uuid}", status_code=204, sync_to_thread=True)
def write_hide(
    hide_id: FromPath[UUID], data: HideEntry, executor: Executor, butchery: Butchery, bell: Bell
) -> None:
    """A hide by an id that the tablet has made; or one that is put right."""
    butchery.write_hide(hide_id, data, executor.id)
    bell.ring(OP)


@post("/api/v1/hides/{hide_id:uuid}/salt", status_code=204, sync_to_thread=True)
def salt(hide_id: FromPath[UUID], executor: Executor, butchery: Butchery, bell: Bell) -> None:
    butchery.salt(hide_id, executor.id)
    bell.ring(OP)


@put("/api/v1/batches/{batch_id:uuid}", status_code=204, sync_to_thread=True)
def write_batch(
    batch_id: FromPath[UUID], data: BatchEntry, executor: Executor, butchery: Butchery, bell: Bell
) -> None:
    """Meat on the scales, by an id that the tablet has made; or a batch that is put right."""
    butchery.write_batch(batch_id, data, executor.id)
    bell.ring(OP)


@get("/api/v1/balance", sync_to_thread=True)
def balance(executor: Executor, butchery: Butchery) -> list[Day]:
    """What went in and what came out, day by day, the latest first."""
    return butchery.days()


@get("/hides", sync_to_thread=True)
def hides_page(
    request: AnyRequest, executor: Executor, butchery: Butchery, read: ReadClock, site: Site, events: EventLog,
    home: str,
) -> Page:
    """The salting clock: what must be salted now, and which animals nobody has brought a hide of."""
    after, found = events.head(), butchery.hides(read())
    facts = {
        "waiting": [hide for hide in found if hide.salted is None], "salted": [hide for hide in found if hide.salted],
        "bare": butchery.bare(), "grades": Counter(hide.grade for hide in found if hide.grade), "all_grades": GRADES,
        "faults": Counter(fault for hide in found for fault in hide.faults), "zone": site.zone(), "hot": HOT_C,
    }  # fmt: skip
    return page(request, "hides.html", who=executor, home=home, after=after, **facts)


@get("/hides/new", sync_to_thread=True)
def new_hide(
    request: AnyRequest, executor: Executor, site: Site, butchery: Butchery, read: ReadClock, home: str,
    animal: Annotated[UUID, QueryParameter()],
) -> Page:
    """The form for the hide of an animal, with the heat as it was last given."""
    heat = max((hide for hide in butchery.hides(read())), key=lambda hide: hide.flayed, default=None)
    form = {"animal_id": str(animal), "heat_c": _text(heat and heat.heat_c), "flayed_ago": "0", "is_new": "1"}
    return _hide_form(request, home, executor, site, new_id(), form)


@get("/hides/{hide_id:uuid}", sync_to_thread=True)
def known_hide(
    request: AnyRequest, hide_id: FromPath[UUID], executor: Executor, site: Site, butchery: Butchery, read: ReadClock,
    home: str,
) -> Page:
    """The form with what is known of a hide, to be put right."""
    hide = next((hide for hide in butchery.hides(read()) if hide.id == hide_id), None)
    if hide is None:
        raise QurbaniError("not_found", "there is no such hide")
    form = {
        "animal_id": str(hide.animal_id), "grade": hide.grade, "faults": hide.faults, "heat_c": _text(hide.heat_c),
        "is_salted": "1" if hide.salted else "",
    }  # fmt: skip
    return _hide_form(request, home, executor, site, hide_id, form, photo_id=hide.photo_id)


@post("/hides/{hide_id:uuid}", request_max_body_size=MAX_FORM_BYTES, sync_to_thread=True)
def send_hide(
    request: AnyRequest, hide_id: FromPath[UUID], data: URLEncodedBody[Form], executor: Executor, site: Site,
    butchery: Butchery, bell: Bell, home: str,
) -> Response[Any]:
    """Write it down; a form that cannot be taken comes back, and says what is wrong."""
    is_new = bool(data.get("is_new"))
    try:
        fields = {
            "animal_id": data.get("animal_id"), "grade": data.get("grade") or None, "faults": several(data, "faults"),
            "heat_c": number(data, "heat_c"), "flayed_ago_min": number(data, "flayed_ago"),
            "is_salted": None if is_new and not data.get("is_salted") else bool(data.get("is_salted")),
        }  # fmt: skip
        butchery.write_hide(hide_id, msgspec.convert(fields, HideEntry), executor.id, is_new=is_new)
    except (QurbaniError, msgspec.ValidationError) as error:
        code = error.code if isinstance(error, QurbaniError) else "bad_input"
        if code not in ("bad_input", "conflict"):
            raise
        status = 409 if code == "conflict" else 400
        return _hide_form(request, home, executor, site, hide_id, data, refused=code, status_code=status)
    bell.ring(OP)
    return Redirect(f"{home}/hides", status_code=303)


@post("/hides/{hide_id:uuid}/salt", request_max_body_size=MAX_FORM_BYTES, sync_to_thread=True)
def salted(hide_id: FromPath[UUID], executor: Executor, butchery: Butchery, bell: Bell, home: str) -> Redirect:
    """The button of the salting clock."""
    butchery.salt(hide_id, executor.id)
    bell.ring(OP)
    return Redirect(f"{home}/hides", status_code=303)


@get("/meat", sync_to_thread=True)
def meat(
    request: AnyRequest, executor: Executor, butchery: Butchery, site: Site, events: EventLog, home: str
) -> Page:
    """What was weighed, day by day, beside what the animals should give."""
    after = events.head()
    facts = {"days": butchery.days(), "unweighed": butchery.unweighed(), "zone": site.zone()}
    return page(request, "meat.html", who=executor, home=home, after=after, **facts)


@get("/meat/new", sync_to_thread=True)
def new_batch(request: AnyRequest, executor: Executor, butchery: Butchery, home: str) -> Page:
    """The form for meat on the scales; it may be of every animal that is on none yet."""
    return _batch_form(request, home, executor, new_id(), {}, butchery.unweighed())


@get("/meat/{batch_id:uuid}", sync_to_thread=True)
def known_batch(
    request: AnyRequest, batch_id: FromPath[UUID], executor: Executor, butchery: Butchery, home: str
) -> Page:
    """The form with what is known of a batch, to be put right."""
    batch, animals = butchery.batch(batch_id)
    ids = [str(each.id) for each in animals]
    form = {"weight": f"{batch.weight_g / 1000:g}", "packs": str(batch.packs), "animals": ids}
    return _batch_form(request, home, executor, batch_id, form, [*animals, *butchery.unweighed()])


@post("/meat/{batch_id:uuid}", request_max_body_size=MAX_ANIMALS_FORM_BYTES, sync_to_thread=True)
def send_batch(
    request: AnyRequest, batch_id: FromPath[UUID], data: URLEncodedBody[Form], executor: Executor,
    butchery: Butchery, bell: Bell, home: str,
) -> Response[Any]:
    """Write it down; a form that cannot be taken comes back, and says what is wrong."""
    try:
        fields = {"weight_g": number(data, "weight", 1000), "packs": number(data, "packs") or 0,
                  "animals": several(data, "animals")}  # fmt: skip
        butchery.write_batch(batch_id, msgspec.convert(fields, BatchEntry), executor.id)
    except (QurbaniError, msgspec.ValidationError) as error:
        if isinstance(error, QurbaniError) and error.code != "bad_input":
            raise
        return _batch_form(request, home, executor, batch_id, data, butchery.unweighed(), refused=True, status_code=400)
    bell.ring(OP)
    return Redirect(f"{home}/meat", status_code=303)


def _hide_form(
    request: AnyRequest, home: str, who: Executor, site: Site, id: UUID, form: Form, *, status_code: int = 200,
    refused: str = "", photo_id: UUID | None = None,
) -> Page:
    try:
        found = site.animals(UUID(form.get("animal_id", "")))
    except ValueError:
        found = []
    if not found:
        raise QurbaniError("not_found", "no such animal at this site")
    empty = dict.fromkeys(("grade", "heat_c", "flayed_ago", "is_salted", "is_new"), "")
    filled = empty | form | {"faults": several(form, "faults")}
    choices = {"all_grades": GRADES, "all_faults": FAULTS, "all_ago": AGO}
    facts = {"animal": found[0], "form": filled, "id": id, "refused": refused, "photo_id": photo_id}
    return page(request, "hide.html", status_code, who=who, home=home, **facts, **choices)


def _batch_form(
    request: AnyRequest, home: str, who: Executor, id: UUID, form: Form, animals: list[Bare], *, refused: bool = False,
    status_code: int = 200,
) -> Page:
    filled = {"weight": "", "packs": ""} | form | {"animals": several(form, "animals")}
    facts = {"id": id, "form": filled, "animals": animals, "refused": refused}
    return page(request, "batch.html", status_code, who=who, home=home, **facts)


def _text(value: int | None) -> str:
    return "" if value is None else str(value)


API = [hides, write_hide, salt, write_batch, balance]
PAGES = [hides_page, new_hide, known_hide, send_hide, salted, meat, new_batch, known_batch, send_batch]
