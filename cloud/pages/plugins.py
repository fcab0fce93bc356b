"""What the pages add to the whole application."""

from __future__ import annotations

from typing import Any

from litestar import Response
from litestar.config.app import AppConfig
from litestar.exceptions import NotFoundException
from litestar.plugins import InitPlugin

from cloud.pages.frame import AnyRequest, problem
from cloud.platform.core import Platform
from shared.problems import problem_response


class MissingPages(InitPlugin):
    """Shows people a page where no route has the address; programs get the problem document that they expect."""

    def __init__(self, platform: Platform) -> None:
        pass

    def on_app_init(self, app_config: AppConfig) -> AppConfig:
        app_config.exception_handlers[NotFoundException] = as_asked
        return app_config


def as_asked(request: AnyRequest, error: Exception) -> Response[Any]:
    """A page for people, the problem document for programs."""
    for_people = "text/html" in request.headers.get("accept", "")
    return problem(request, error) if for_people else problem_response(request, error)


PLUGINS = [MissingPages]
