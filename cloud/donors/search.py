"""Finding donors and their orders by a name in whichever script and spelling, although names lie sealed.

Of each word of a name the hub keeps what it sounds like (:func:`shared.evidence.phonetics.cores`), blind: as keyed
hashes, so that whoever has the database alone can try no name out. Their key is made from the hub's secret, which a
rotation of the master key leaves as it is.
"""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

from sqlalchemy import ColumnElement, delete, false, or_, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from cloud.auth import service as auth
from cloud.donors.models import Donor, Order, Sound
from cloud.platform import database, personal
from cloud.platform.keys import Keys
from cloud.platform.paging import Paging, page
from shared.evidence.phonetics import cores

SOUND = "sound/1"
"""Other rules for what a name sounds like take another number here, and every row written anew."""
PHONE = "phone"


def tokens(keys: Keys, names: Iterable[str], phone: str = "") -> set[bytes]:
    """What somebody is found by who is called by any of ``names``, and reached by ``phone``."""
    forms = {form for name in names for word in cores(name) for form in word}
    return {keys.blind(SOUND, form) for form in forms} | ({keys.blind(PHONE, phone)} if phone else set())


async def note(
    session: AsyncSession, donor_id: UUID, about: UUID, names: Iterable[str], phone: str = ""
) -> None:
    """Let a donor, or one of their shares, be found by this, and no more by what was said before."""
    await session.execute(delete(Sound).where(Sound.about == about))
    found_by = tokens(session.info[database.KEYS], names, phone)
    rows = [{"token": token, "about": about, "donor_id": donor_id} for token in found_by]
    if rows:
        await session.execute(insert(Sound), rows)


async def forget(session: AsyncSession, donor_id: UUID) -> None:
    """Nobody finds this donor any more."""
    await session.execute(delete(Sound).where(Sound.donor_id == donor_id))


async def look_up(session: AsyncSession, text: str, asked: Paging) -> list[Donor]:
    """A page of the donors, the newest first, for what somebody says on the phone.

    That may be a name, theirs or one that they gave for; a phone number; an address; or the number of an order.
    """
    query = select(Donor).where(await _meant(session, " ".join(text.split())))
    return [donor for donor, in await page(session, query, [Donor.id], asked, newest_first=True)]


async def _meant(session: AsyncSession, text: str) -> ColumnElement[bool]:
    if text.isdecimal() and len(text) < 10:
        return Donor.id.in_(select(Order.donor_id).where(Order.number == int(text)))
    if "@" in text:
        user = await auth.of_address(session, text)
        return Donor.id == user.id if user else false()
    if text.startswith("+"):
        return reached(session, text.replace(" ", ""))
    return _called(session, text)


def reached(session: AsyncSession, phone: str) -> ColumnElement[bool]:
    """The donors who gave this number, of their own or for somebody else who is to hear of a share."""
    token = personal.blind(session, PHONE, phone)
    return or_(Donor.phone_index == token, Donor.id.in_(select(Sound.donor_id).where(Sound.token == token)))


def _called(session: AsyncSession, name: str) -> ColumnElement[bool]:
    """The donors for whom each word of ``name`` sounds like one of the same name, theirs or that of one share."""
    words = cores(name)
    same = select(Sound.donor_id)
    for word in words:
        sounds = [personal.blind(session, SOUND, form) for form in word]
        same = same.where(Sound.about.in_(select(Sound.about).where(Sound.token.in_(sounds))))
    return Donor.id.in_(same) if words else false()
