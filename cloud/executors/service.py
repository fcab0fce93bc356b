"""The door: what other services may ask of sites, boxes, allocation and sacrifices."""

from __future__ import annotations

from cloud.executors.allocation import allocate, animals_of, shares_on
from cloud.executors.boxes import enrol, new_code, node, nodes, revoke, seen
from cloud.executors.feed import page as feed_page
from cloud.executors.sacrifices import apply_sacrifice, sacrifice, sacrifices_of, verify
from cloud.executors.schemas import Animal, Node, Sacrifice, Site
from cloud.executors.sites import (
    add_animal,
    add_executor,
    add_site,
    animal,
    animals,
    executors,
    remove_executor,
    site,
    sites,
)

__all__ = [
    "Animal",
    "Node",
    "Sacrifice",
    "Site",
    "add_animal",
    "add_executor",
    "add_site",
    "allocate",
    "animal",
    "animals",
    "animals_of",
    "apply_sacrifice",
    "enrol",
    "executors",
    "feed_page",
    "new_code",
    "node",
    "nodes",
    "remove_executor",
    "revoke",
    "sacrifice",
    "sacrifices_of",
    "seen",
    "shares_on",
    "site",
    "sites",
    "verify",
]
