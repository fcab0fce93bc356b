"""Makes enrolled boxes and their hub for a simulated world."""

from __future__ import annotations

import hashlib
from uuid import UUID

from commands.simulated.box import SEAL, SimulatedBox
from commands.simulated.cloud import CloudHub
from commands.simulated.hub import KEYS, SITES, CoreHub
from edge.node import Node
from shared.clock import Clock
from shared.crypto import SigningKey

CLOUD_SHARE = 100
"""One seed of so many plays against the hub's own services on SQLite; the others against the stand-in."""


class Makers:
    """Which hub a seed plays against."""

    def __init__(self, share: int = CLOUD_SHARE) -> None:
        self._share = share
        self._core, self._cloud = Maker(CoreHub), Maker(CloudHub)

    def __call__(self, seed: int) -> Maker:
        return self._cloud if seed % self._share == self._share - 1 else self._core


class Maker:
    """A :class:`sync.simulation.ports.Maker`. The n-th box of every world has the same key, so keys are made once."""

    def __init__(self, kind: type[CoreHub] | type[CloudHub] = CoreHub) -> None:
        self._kind = kind
        self._keys: dict[int, SigningKey] = {}

    def hub(self, clock: Clock) -> CoreHub | CloudHub:
        return self._kind(clock)

    def box(self, hub: CoreHub | CloudHub, index: int, site: int, clock: Clock) -> SimulatedBox:
        if index not in self._keys:
            self._keys[index] = SigningKey(hashlib.sha256(f"box {index}".encode()).digest())
        key, id = self._keys[index], UUID(int=0xB << 96 | index)
        hub.enrol(id, site, key.public, SEAL.public)
        node = Node(id, SITES[site].id, f"box {index}", "https://hub", KEYS.sign.public.raw, KEYS.unseal.public.raw)
        return SimulatedBox(node, key, clock, index + 1)
