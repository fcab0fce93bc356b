"""What a route may ask for by name: ``platform``, ``session``, ``reading``, ``paging``, ``now``, ``who``, ``groups``;
main.py provides them."""

from __future__ import annotations

from datetime import datetime

from litestar.di import NamedDependency
from sqlalchemy.ext.asyncio import AsyncSession

from cloud.platform import access, core, outbox, paging

Platform = NamedDependency[core.Platform]
Session = NamedDependency[AsyncSession]
"""A transaction that is committed after the route has returned and before its answer is sent."""
Reading = NamedDependency[core.Platform]
"""For routes that read together with others of the moment (:mod:`cloud.platform.together`) and need no transaction of
their own; the look is in the audit as with ``session``."""
Paging = NamedDependency[paging.Paging]
"""Which page of a list is asked for."""
Now = NamedDependency[datetime]
"""The moment of the request, UTC."""
Who = NamedDependency[access.Principal]
"""Who is asking; only where the route's ``roles`` let nobody in who has not signed in."""
Groups = NamedDependency[outbox.Groups]
"""The consumer groups of each topic, of all services."""
