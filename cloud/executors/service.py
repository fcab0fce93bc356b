"""The door: what other services may ask of sites, boxes, allocation and sacrifices."""

from __future__ import annotations

from cloud.donors.service import Order
from cloud.executors.allocation import allocate, animals_of, call_off, forget_shares, shares_on
from cloud.executors.boxes import (
    box_keys,
    enrol,
    heir,
    new_code,
    node,
    nodes,
    reinstate,
    renew,
    revoke,
    seen,
    trusted,
)
from cloud.executors.butchery import apply_batches, apply_hides, balance, batches, hides, tell_batches, tell_hides
from cloud.executors.day import day
from cloud.executors.feed import compare as feed_compare
from cloud.executors.feed import has_told as feed_has_told
from cloud.executors.feed import page as feed_page
from cloud.executors.feed import root as feed_root
from cloud.executors.feed import tell as feed_tell
from cloud.executors.freezing import freeze, thaw
from cloud.executors.intake import apply_animals, listed_tags, tell_animals
from cloud.executors.moons import every as moons
from cloud.executors.moves import fill, filling_of
from cloud.executors.moves import last_why as moved_why
from cloud.executors.news import write_news
from cloud.executors.sacrifices import (
    apply_sacrifices,
    reverse,
    sacrifice,
    sacrifice_sites,
    sacrifices_at,
    sacrifices_of,
    tell_donors,
    verified,
    verify,
)
from cloud.executors.schemas import (
    Animal,
    ApproveFilling,
    Executor,
    NewExecutor,
    NewMoon,
    NewPin,
    NewTeam,
    NewThaw,
    Node,
    Sacrifice,
    Site,
    SiteEid,
    Team,
)
from cloud.executors.sites import (
    add_animal,
    add_executor,
    add_site,
    animal,
    animals,
    executors,
    remove_executor,
    said_eid,
    set_eid,
    set_moon,
    set_price,
    site,
    sites,
)
from cloud.executors.teams import add_team, remove_team, set_pin, set_team, teams

__all__ = [
    "Animal",
    "ApproveFilling",
    "Executor",
    "NewExecutor",
    "NewMoon",
    "NewPin",
    "NewTeam",
    "NewThaw",
    "Node",
    "Order",
    "Sacrifice",
    "Site",
    "SiteEid",
    "Team",
    "add_animal",
    "add_executor",
    "add_site",
    "add_team",
    "allocate",
    "animal",
    "animals",
    "animals_of",
    "apply_animals",
    "apply_batches",
    "apply_hides",
    "apply_sacrifices",
    "balance",
    "batches",
    "box_keys",
    "call_off",
    "day",
    "enrol",
    "executors",
    "feed_compare",
    "feed_has_told",
    "feed_page",
    "feed_root",
    "feed_tell",
    "fill",
    "filling_of",
    "forget_shares",
    "freeze",
    "heir",
    "hides",
    "listed_tags",
    "moons",
    "moved_why",
    "new_code",
    "node",
    "nodes",
    "reinstate",
    "remove_executor",
    "remove_team",
    "renew",
    "reverse",
    "revoke",
    "sacrifice",
    "sacrifice_sites",
    "sacrifices_at",
    "sacrifices_of",
    "said_eid",
    "seen",
    "set_eid",
    "set_moon",
    "set_pin",
    "set_price",
    "set_team",
    "shares_on",
    "site",
    "sites",
    "teams",
    "tell_animals",
    "tell_batches",
    "tell_donors",
    "tell_hides",
    "thaw",
    "trusted",
    "verified",
    "verify",
    "write_news",
]
