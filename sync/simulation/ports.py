"""What a world needs of a box and of the hub: the production code over a disk that can be cut, copied and put back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol
from uuid import UUID

import msgspec

from shared.clock import Clock
from sync.bundle import Answer
from sync.calls import Call, Reply
from sync.merge import Cell
from sync.messages import Change
from sync.ops import Op
from sync.ports import Position
from sync.session import Session
from sync.simulation.power import Power
from sync.simulation.stick import Stick

Name = tuple[str, UUID]
"""A record: its entity and its key."""


class Held(msgspec.Struct, frozen=True):
    """An op as the hub holds it: the stamp by which it was merged, and why it could not be, if so."""

    op: Op
    hash: bytes
    stamp: int
    parked: str | None


class Box(Protocol):
    """A box at a site. Whatever writes may raise ``QurbaniError``, ``PowerCut`` or ``DiskFull``."""

    power: Power

    @property
    def node(self) -> UUID: ...

    def boot(self) -> None:
        """Start the programs of the box on what is on its disk."""
        ...

    def session(self) -> Session:
        """The running agent's session, as it was made at the boot."""
        ...

    # What people do there. The number chooses among what there is; without any, nothing happens and it is False.

    def open(self, n: int) -> bool: ...

    def film(self, n: int, size: int) -> bool: ...

    def judge(self, n: int) -> bool: ...

    def note(self, n: int) -> bool: ...

    def spoil(self, n: int) -> bool:
        """Write an op that the hub cannot apply, as a faulty box would."""
        ...

    # What carries it elsewhere, or away.

    def export(self, stick: Stick) -> None:
        """Take in the answer that lies on a stick, if there is one, and write a bundle."""
        ...

    def take_back(self, stick: Stick) -> None:
        """Take in the answer that lies on a stick. Raises ``no_bundle``, or what is wrong with it."""
        ...

    def tidy(self) -> None:
        """Let every video go that may go."""
        ...

    # What is on its disk.

    def position(self) -> Position: ...

    def ops(self, after: int) -> Sequence[tuple[Op, bytes]]:
        """The ops with a greater ``seq`` and their hashes, in order."""
        ...

    def fed(self) -> Mapping[Name, Mapping[str, Any]]:
        """The records of the site feed as the box has them."""
        ...

    def blobs(self) -> Mapping[str, bool]:
        """The blobs on the disk, and whether the box believes that the hub has each."""
        ...

    def wanted(self) -> set[str]:
        """Every blob that it has had, let go since or not."""
        ...

    def save(self) -> Any:
        """An image of the disk."""
        ...

    def restore(self, image: Any) -> None:
        """Put the disk back to an image, also to that of another box; boot afterwards."""
        ...

    def close(self) -> None: ...


class Taken(msgspec.Struct, frozen=True):
    """What the hub made of the bundle of one box: its ``answer``, or the ``code`` of why it took nothing."""

    node: UUID
    answer: Answer | None
    code: str = ""


class Hub(Protocol):
    """The hub behind its routes. ``answer`` commits before it returns; ``PowerCut`` says that no answer comes."""

    power: Power

    def answer(self, call: Call) -> Reply: ...

    def arrive_in_part(self, call: Call, size: int) -> None:
        """The connection was cut when ``size`` bytes of the body had come."""
        ...

    def tell(self, site: int, entity: str, n: int, fields: dict[str, Any] | None) -> None:
        """A person changes a record of a site's feed, or takes it away."""
        ...

    def redrive(self) -> None:
        """Try again what could not be applied."""
        ...

    def take(self, stick: Stick) -> list[Taken]:
        """Take in the bundles of all boxes on a stick and write the answers. Raises ``stick_gone``."""
        ...

    def shut_out(self, node: UUID) -> None:
        """A person trusts a box no longer."""
        ...

    def trust(self, node: UUID) -> None:
        """A person trusts a box again."""
        ...

    def shut(self) -> set[UUID]:
        """The boxes that are shut out."""
        ...

    # What happens to its events, of which there is one for each video of which record and bytes are there.

    def relay(self) -> None:
        """Send what is in the outbox to the broker."""
        ...

    def consume(self) -> int:
        """Let the consumer take what the broker has; how many events of it had come before."""
        ...

    def wipe(self) -> None:
        """The broker loses everything."""
        ...

    def reopen(self) -> None:
        """A person has what is not finished sent again."""
        ...

    def events(self) -> Mapping[UUID, int]:
        """How often each event in the outbox has had its effect."""
        ...

    def acked(self, node: UUID) -> int: ...

    def ops(self) -> Sequence[Held]:
        """All ops, by node and ``seq``."""
        ...

    def records(self) -> Mapping[Name, Mapping[str, Cell]]: ...

    def conflicts(self) -> set[tuple[str, UUID, str]]:
        """The fields that wait for a person, as entity, key and field."""
        ...

    def feed(self, site: int) -> Sequence[Change]:
        """Each record of the site at the cursor of its latest change."""
        ...

    def blobs(self) -> set[str]:
        """The blobs that the hub's records hold for arrived, after their hash was checked."""
        ...

    def files(self) -> set[str]:
        """The blobs whose bytes the hub has, whatever its records say."""
        ...

    def divergences(self) -> int:
        """How often a comparison found a box with other records than it had been told."""
        ...

    def save(self) -> Any: ...

    def restore(self, image: Any, *, files: bool) -> None:
        """Put the database back to an image, and the files too or not."""
        ...

    def close(self) -> None: ...


class Maker(Protocol):
    """Makes the machines of a world. Boxes are enrolled; ``index`` numbers them, ``site`` their sites."""

    def hub(self, clock: Clock) -> Hub: ...

    def box(self, hub: Hub, index: int, site: int, clock: Clock) -> Box: ...
