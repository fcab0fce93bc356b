"""What the box's own records say for the plan of the day (:mod:`shared.domain.day`)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from edge import eligible
from edge.db import Tx
from edge.eid import its_window
from edge.node import its_site, its_zone
from shared.clock import from_ms
from shared.domain.day import Plan, Where, Work, plan


def read(tx: Tx, now: datetime) -> Plan:
    site = its_site(tx)
    return plan(_work(tx, site), _where(site), its_window(tx), site.get("per_hour"), its_zone(tx), now)


def _where(site: Mapping[str, Any]) -> Where | None:
    known = [site.get(name) for name in Where.__struct_fields__]
    return None if None in known else Where(*known)  # type: ignore[arg-type]


def _work(tx: Tx, site: Mapping[str, Any]) -> Work:
    rows = tx.query("""
        SELECT opened ->> 'wall_ms' AS opened, (
            SELECT min(captured ->> 'wall_ms') FROM video WHERE video.sacrifice_id = sacrifice.id) AS done
        FROM sacrifice""")
    times = [(from_ms(row["opened"]), from_ms(row["done"]) if row["done"] else None) for row in rows]
    return Work([opened for opened, _ in times], [done for _, done in times if done], _remaining(tx, site))


def _remaining(tx: Tx, site: Mapping[str, Any]) -> int:
    rows = tx.query("""
        SELECT species, age_months, defects FROM animal
        WHERE EXISTS (SELECT 1 FROM share WHERE share.animal_id = animal.id)
        AND NOT EXISTS (SELECT 1 FROM sacrifice WHERE sacrifice.animal_id = animal.id AND state <> 'opened')""")
    return sum(not eligible.reasons(site, row) for row in rows)
