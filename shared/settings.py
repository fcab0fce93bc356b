"""Settings come from the environment, once, at start; a wrong one is named before anything runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

import msgspec

from shared.errors import QurbaniError

PREFIX = "QURBANI_"

S = TypeVar("S", bound=msgspec.Struct)


def load(kind: type[S], environ: Mapping[str, str], prefix: str = PREFIX) -> S:
    """Read ``QURBANI_<FIELD>`` for every field of ``kind``; absent ones keep their default.

    Raises ``misconfigured`` with the name of the variable that is missing or cannot be read.
    """
    found = {field.name: environ[prefix + field.name.upper()]
             for field in msgspec.structs.fields(kind)
             if environ.get(prefix + field.name.upper())}
    missing = [field.name for field in msgspec.structs.fields(kind) if field.required and field.name not in found]
    if missing:
        names = ", ".join(prefix + name.upper() for name in missing)
        raise QurbaniError("misconfigured", f"{names} must be set")
    try:
        return msgspec.convert(found, kind, strict=False)
    except msgspec.ValidationError as error:
        raise QurbaniError("misconfigured", f"{prefix}*: {error}") from error
