"""What every page of the hub has: its frame, its language, and an answer when something went wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from litestar import MediaType, Request, Response
from litestar.params import QueryParameter
from litestar.response import Redirect
from sqlalchemy.ext.asyncio import AsyncSession

from cloud.platform import audit, csrf
from shared.errors import QurbaniError
from shared.pages.look import Look
from shared.pages.visitor import here, language_of
from shared.problems import as_qurbani_error, problem_response

AnyRequest = Request[Any, Any, Any]
Page = Response[str]
To = Annotated[str, QueryParameter(name="to")]

MAX_FORM_BYTES = 16 << 10

FOLDER = Path(__file__).parent / "templates"

_look = Look(FOLDER)


def page(request: AnyRequest, template: str, status_code: int = 200, **facts: Any) -> Page:
    who = request.scope.get("user")
    token = csrf.token(request)
    facts |= {"who": who, "path": request.url.path, "csrf": token, "live": request.scope.get("live")}
    html = _look.render(template, language_of(request, who.language if who else None), **facts)
    cookies = [csrf.cookie(request.app.state.platform, token)]
    return Response(html, status_code=status_code, media_type=MediaType.HTML, cookies=cookies)


def again(
    request: AnyRequest, session: AsyncSession, template: str, error: QurbaniError, expected: tuple[str, ...],
    **facts: Any,
) -> Page:
    """A form is answered by the form, with what was typed, and not by a page about the problem.

    Raises ``error`` where it is none that the form has words for.
    """
    if error.code not in expected:
        raise error
    audit.about(session, outcome="refused", code=error.code)
    reason = error.facts.get("reason", error.code)
    return page(request, template, error.kind.status, refused=reason, **facts)


def problem(request: AnyRequest, error: Exception) -> Response[Any]:
    """A page for what went wrong; whoever must sign in first is sent there and comes back."""
    ours = as_qurbani_error(error)
    if ours.code == "not_signed_in":
        return Redirect("/sign-in", status_code=303, query_params={"to": request.url.path})
    if ours.code in ("second_factor_needed", "step_up_needed"):
        to = request.url.path if request.method == "GET" else "/home"
        return Redirect("/second-factor", status_code=303, query_params={"to": to})
    status = problem_response(request, error).status_code
    return page(request, "problem.html", status, status=status, code=ours.code)


def local(to: str) -> str:
    """A path of this site."""
    return here(to, "/home")
