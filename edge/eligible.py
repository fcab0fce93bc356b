"""Which animals of this site count as a sacrifice, by what was written down of them. Others are not claimed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from edge.db import Tx, one
from edge.node import its_site
from shared.domain.animal import ineligible
from shared.errors import QurbaniError


def reasons(site: Mapping[str, Any], animal: Mapping[str, Any]) -> list[str]:
    """Of rows of both: see :func:`shared.domain.animal.ineligible`."""
    defects = json.loads(animal["defects"] or "[]")
    return ineligible(animal["species"], animal["age_months"], defects, site.get("sheep_months"))


def make_sure(tx: Tx, animal_id: UUID) -> None:
    """Raise ``not_found``, or ``ineligible`` with the ``reasons``.

    What has begun goes on: what happened is recorded, also where it does not count.
    """
    animal = one(tx, "SELECT * FROM animal WHERE id = ?", animal_id)
    if animal is None:
        raise QurbaniError("not_found", "no such animal at this site")
    found = reasons(its_site(tx), animal)
    if found and one(tx, "SELECT 1 FROM sacrifice WHERE animal_id = ?", animal_id) is None:
        raise QurbaniError("ineligible", f"animal {animal['tag']}: {', '.join(found)}", reasons=found)
