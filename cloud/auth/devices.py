"""Device cookies: a browser from which somebody has signed in before, so that strangers' guesses do not lock it out.

Whoever guesses at an account shares one limit with all other strangers; a device that the account knows has a limit of
its own (OWASP, "Slow Down Online Guessing Attacks with Device Cookies"). The cookie lets nobody in.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from hmac import compare_digest, digest
from uuid import UUID

from litestar.datastructures import Cookie

from cloud.platform import limits
from cloud.platform.core import Platform

YEAR_S = 365 * 24 * 3600

# Most browsers also claim to be those further down.
_BROWSERS = (("Edg", "Edge"), ("OPR", "Opera"), ("SamsungBrowser", "Samsung Internet"), ("Firefox", "Firefox"),
             ("FxiOS", "Firefox"), ("Chrome", "Chrome"), ("CriOS", "Chrome"), ("Safari", "Safari"))  # fmt: skip
_SYSTEMS = (("iPhone", "iPhone"), ("iPad", "iPad"), ("Android", "Android"), ("Windows", "Windows"),
            ("Mac OS X", "macOS"), ("Linux", "Linux"))  # fmt: skip


def cookie_name(platform: Platform) -> str:
    return "__Host-device" if platform.settings.https else "device"


def device(platform: Platform, cookies: Mapping[str, str]) -> str:
    """The device cookie among a browser's cookies."""
    return cookies.get(cookie_name(platform), "")


def label(agent: str) -> str:
    """A few words by which its owner knows a browser again, from its ``User-Agent``: ``Firefox, Android``.

    Nothing else of it is kept. A program is its first word.
    """
    words = [next((name for sign, name in signs if sign in agent), "") for signs in (_BROWSERS, _SYSTEMS)]
    return ", ".join(filter(None, words)) or agent.partition("/")[0][:40]


def remember(platform: Platform, user: UUID) -> Cookie:
    """Makes the browser a known device of this account."""
    id = platform.new_id()
    return Cookie(
        key=cookie_name(platform), value=f"{id}.{_mac(platform, id, user)}", max_age=YEAR_S, path="/", httponly=True,
        secure=platform.settings.https, samesite="strict",
    )  # fmt: skip


async def count_guess(platform: Platform, account: str, user: UUID | None, cookie: str) -> None:
    """Count one try at the password of ``account``, an address, whether or not it has a ``user``.

    Raises ``too_many_requests`` and ``unavailable`` as :func:`cloud.platform.limits.spend` does.
    """
    id, _, mac = cookie.partition(".")
    known = user is not None and compare_digest(mac, _mac(platform, id, user))
    await limits.spend(platform, ("guess", f"{_blind(platform, account)}/{id if known else 'stranger'}"))


async def count_letter(platform: Platform, address: str) -> None:
    """Count one letter that a stranger has us send to ``address``. Raises ``too_many_requests``."""
    await limits.spend(platform, ("letter", _blind(platform, address)))


def _blind(platform: Platform, address: str) -> str:
    return digest(platform.keys.derive("guess/1"), address.lower().encode(), hashlib.sha256).hex()


def _mac(platform: Platform, id: object, user: UUID) -> str:
    return digest(platform.keys.derive("device/1"), f"{id}/{user}".encode(), hashlib.sha256).hex()
