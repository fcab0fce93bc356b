"""Field types that the schemas of several services share, with their limits."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

MAX_PASSWORD = 256

Email = Annotated[str, Meta(pattern=r"^[^@\s]+@[^@\s]+$", max_length=254)]
Password = Annotated[str, Meta(max_length=MAX_PASSWORD)]
"""Which may be chosen, :func:`cloud.auth.passwords.check_new` says."""
Name = Annotated[str, Meta(min_length=1, max_length=200)]
Language = Annotated[str, Meta(pattern=r"^[a-z]{2,3}(-[A-Za-z0-9]{2,8})*$", max_length=35)]
"""A BCP 47 tag, such as ``ar`` or ``fr-DZ``."""
Phone = Annotated[str, Meta(pattern=r"^(\+[0-9]{6,15})?$")]
"""E.164, or empty."""

Currency = Annotated[str, Meta(pattern="^[A-Z]{3}$")]
"""ISO 4217."""
Minor = Annotated[int, Meta(gt=0, le=10**12)]
"""An amount in minor units (cents) of its currency."""
