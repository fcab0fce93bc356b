from __future__ import annotations

import subprocess
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509

from edge.tls import (
    AUTHORITY,
    BACKDATED,
    FIRST_RELEASE,
    FRONT,
    LIFE,
    Authority,
    Front,
    Names,
    believable,
    certificate,
    is_private,
    own_names,
)
from edge.vault import Vault
from shared.errors import QurbaniError

NOW = datetime(2027, 5, 16, 6, 0, tzinfo=UTC)
YARD = Names(frozenset({"yard.local"}), frozenset({ip_address("192.168.7.1")}))


class Yard:
    """The names and the time of a box, which may change."""

    def __init__(self) -> None:
        self.named, self.now = YARD, NOW

    def front(self, folder: Path) -> Front:
        return Front(Vault(folder), lambda: self.named, lambda: self.now)


def openssl(folder: Path, authority: Authority, *arguments: str) -> str:
    """What OpenSSL says of the certificate that tablets meet."""
    (folder / "ca.pem").write_bytes(authority.pem)
    command = ["openssl", "verify", "-x509_strict", "-attime", str(int(NOW.timestamp())), *arguments]
    done = subprocess.run(
        [*command, "-CAfile", folder / "ca.pem", folder / FRONT], capture_output=True, text=True, check=False
    )
    return done.stdout + done.stderr


def test_a_peer_that_knows_the_authority_trusts_the_box(tmp_path: Path) -> None:
    front = Yard().front(tmp_path)
    assert ": OK" in openssl(tmp_path, front.authority, "-verify_hostname", "yard.local")
    assert ": OK" in openssl(tmp_path, front.authority, "-verify_ip", "192.168.7.1")
    assert "mismatch" in openssl(tmp_path, front.authority, "-verify_hostname", "other.local")


@pytest.mark.parametrize("stolen", [
    Names(frozenset({"bank.example"}), frozenset()),
    Names(frozenset({"yard.local", "example.com"}), frozenset()),
    Names(frozenset({"local.example"}), frozenset()),
    Names(frozenset(), frozenset({ip_address("8.8.8.8")})),
    Names(frozenset(), frozenset({ip_address("2001:4860:4860::8888")})),
])  # fmt: skip
def test_a_stolen_authority_speaks_for_nobody_else(
    tmp_path: Path, stolen: Names, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The thief signs what our own code never would; peers refuse it all the same."""
    monkeypatch.setattr(Authority, "permits", lambda _, names: names)
    yard = Yard()
    yard.named = stolen
    assert "permitted subtree violation" in openssl(tmp_path, yard.front(tmp_path).authority)


def test_names_that_it_may_not_sign_are_left_out(tmp_path: Path) -> None:
    asked = Names(frozenset({"yard.local", "yard.example.com"}), frozenset({ip_address("8.8.8.8")}))
    assert Authority.of(Vault(tmp_path), NOW).permits(asked) == Names(frozenset({"yard.local"}), frozenset())


def test_the_authority_stays_and_the_certificate_changes_in_time(tmp_path: Path) -> None:
    yard = Yard()
    front = yard.front(tmp_path)
    authority, first = front.authority.pem, certificate(tmp_path / FRONT)
    assert first.not_valid_before_utc == NOW - BACKDATED
    yard.now = first.not_valid_before_utc + 2 / 3 * LIFE - timedelta(hours=1)
    assert not front.renew()
    yard.now += timedelta(hours=2)
    assert front.renew()
    assert yard.front(tmp_path).authority.pem == authority
    assert certificate(tmp_path / FRONT).not_valid_after_utc > first.not_valid_after_utc + LIFE / 2


def test_a_clock_that_went_back_makes_no_older_certificate(tmp_path: Path) -> None:
    yard = Yard()
    front = yard.front(tmp_path)
    yard.now -= timedelta(days=200)
    assert not front.renew()


def test_an_address_that_the_network_gives_anew_is_signed(tmp_path: Path) -> None:
    yard = Yard()
    front = yard.front(tmp_path)
    yard.named = Names(frozenset({"yard.local"}), frozenset({ip_address("10.0.0.9")}))
    assert front.renew()
    assert ": OK" in openssl(tmp_path, front.authority, "-verify_ip", "10.0.0.9")


def test_browsers_put_up_with_its_length(tmp_path: Path) -> None:
    Yard().front(tmp_path)
    found = certificate(tmp_path / FRONT)
    assert found.not_valid_after_utc - found.not_valid_before_utc < timedelta(days=398)
    usage = found.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert x509.ExtendedKeyUsageOID.SERVER_AUTH in usage


def test_private_keys_are_for_the_owner_only(tmp_path: Path) -> None:
    Yard().front(tmp_path)
    assert [(tmp_path / name).stat().st_mode & 0o077 for name in (AUTHORITY, FRONT)] == [0, 0]


def test_a_damaged_certificate_is_made_anew_and_a_damaged_authority_is_named(tmp_path: Path) -> None:
    """Whoever makes a new authority has to walk to every tablet."""
    Yard().front(tmp_path)
    (tmp_path / FRONT).write_bytes(b"not this")
    Yard().front(tmp_path)
    certificate(tmp_path / FRONT)
    (tmp_path / AUTHORITY).write_bytes(b"not this")
    with pytest.raises(QurbaniError, match="misconfigured"):
        Yard().front(tmp_path)


@pytest.mark.parametrize(("wall", "known", "believed"), [
    (datetime(1970, 1, 1, tzinfo=UTC), None, FIRST_RELEASE),
    (datetime(1970, 1, 1, tzinfo=UTC), NOW, NOW),
    (datetime(2038, 1, 19, tzinfo=UTC), None, FIRST_RELEASE),
    (datetime(2038, 1, 19, tzinfo=UTC), NOW, NOW),
    (NOW + timedelta(days=9), NOW, NOW + timedelta(days=9)),
    (NOW, None, NOW),
])  # fmt: skip
def test_a_clock_is_believed_as_far_as_it_can_be(wall: datetime, known: datetime | None, believed: datetime) -> None:
    assert believable(wall, known) == believed


def test_the_names_of_this_machine() -> None:
    found = own_names(["yard.lan"])
    assert {"localhost", "yard.lan"} <= found.hosts
    assert ip_address("127.0.0.1") in found.addresses
    assert not is_private(ip_address("8.8.8.8"))
