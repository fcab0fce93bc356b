"""What every page of the tablet is put into, and the page for what went wrong."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from litestar import MediaType, Request, Response
from litestar.response import Redirect

from shared.errors import QurbaniError
from shared.pages.look import Look
from shared.pages.visitor import language_of
from shared.problems import as_qurbani_error, problem_response

AnyRequest = Request[Any, Any, Any]
Page = Response[str]
Form = dict[str, Any]
"""What a form was filled in with: a text, or several where a name comes several times."""

THEMES = ("sunlight", "dark")
MAX_FORM_BYTES = 16 << 10

_look = Look(Path(__file__).parent / "templates")


def page(request: AnyRequest, template: str, status_code: int = 200, **facts: Any) -> Page:
    """The ``template`` with these facts, in the reader's language and light."""
    who = facts.get("who")
    chosen = request.cookies.get("theme")
    theme = chosen if chosen in THEMES else ""
    frame = {"who": None, "home": "", "after": None, "path": request.url.path, "theme": theme}
    html = _look.render(template, language_of(request, who.language if who else None), **frame | facts)
    return Response(html, status_code=status_code, media_type=MediaType.HTML)


def problem(request: AnyRequest, error: Exception) -> Response[Any]:
    """A page for what went wrong; whoever must sign in first is sent there and comes back."""
    ours = as_qurbani_error(error)
    if ours.code == "not_signed_in":
        return Redirect("/sign-in", status_code=303, query_params={"to": request.url.path})
    status = problem_response(request, error).status_code
    return page(request, "problem.html", status, status=status, code=ours.code)


def number(form: Mapping[str, Any], name: str, scale: int = 1) -> int | None:
    """What was typed in, also in Arabic digits and with a decimal comma. Raises ``bad_input`` with the ``field``."""
    text = form.get(name) or ""
    if not text.strip():
        return None
    try:
        return round(float(text.replace(",", ".").replace("\u066b", ".")) * scale)
    except (ValueError, OverflowError) as error:
        raise QurbaniError("bad_input", f"{name} is a number", field=name) from error


def several(form: Mapping[str, Any], name: str) -> list[str]:
    """All that was ticked under a name."""
    value = form.get(name)
    return [value] if isinstance(value, str) else value or []
