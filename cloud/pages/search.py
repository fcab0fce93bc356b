"""Finding a donor and their orders for somebody on the phone."""

from __future__ import annotations

from datetime import UTC
from typing import Annotated

import msgspec
from litestar import get, post
from litestar.params import URLEncodedBody

from cloud.donors import service as donors
from cloud.pages.frame import MAX_FORM_BYTES, AnyRequest, Page, page
from cloud.platform import given
from cloud.platform.paging import Paging

A_PAGE = 20


class LookUp(msgspec.Struct, frozen=True):
    """The form: what is looked for, and where its list goes on."""

    text: Annotated[str, msgspec.Meta(max_length=200)] = ""
    cursor: str = ""


@get("/search", roles=("admin",))
async def search_form(request: AnyRequest, session: given.Session) -> Page:
    """The form."""
    return page(request, "search.html", text="", found=None, next="", utc=UTC)


@post("/search", roles=("admin",), status_code=200, request_max_body_size=MAX_FORM_BYTES)
async def search(data: URLEncodedBody[LookUp], request: AnyRequest, session: given.Session) -> Page:
    """Who may be meant; sent as a form, so that no address and no history has what was typed."""
    asked = Paging(A_PAGE, data.cursor)
    found = await donors.look_up(session, data.text, asked)
    return page(request, "search.html", text=data.text, found=found, next=asked.next, utc=UTC)


HANDLERS = [search_form, search]
