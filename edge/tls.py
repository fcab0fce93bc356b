"""TLS on the site's own network: an authority that belongs to this box alone, and the certificate that tablets meet.

Tablets are told once to trust the authority. It may speak for private addresses and local names only (RFC 5280,
section 4.2.1.10), so whoever steals a box cannot use what its tablets trust to pose as anybody else.
"""

from __future__ import annotations

import re
import socket
import ssl
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from pathlib import Path
from typing import Self

import msgspec
import structlog
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from edge.vault import Vault
from shared.errors import QurbaniError

AUTHORITY, FRONT = "tls-authority.pem", "tls.pem"
"""Each holds a private key and its certificate."""

ZONES = ("localhost", "local", "lan", "home.arpa", "internal")
"""Names that no public authority signs: RFC 6761, RFC 6762, RFC 8375, and what routers and ICANN keep for this."""

NETWORKS = tuple(map(ip_network, (
    "127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16", "100.64.0.0/10",
    "::1/128", "fc00::/7", "fe80::/10",
)))  # fmt: skip
"""Addresses that no public authority signs: RFC 1918, 3927, 4193, 4291, 6598."""

AUTHORITY_LIFE = timedelta(days=3650)
LIFE = timedelta(days=390)
"""From its first moment to its last: below the 398 days that browsers put up with at most."""

BACKDATED = timedelta(days=30)
"""How long before it was made a certificate begins to be valid, for tablets whose clock is behind."""

RENEW_AT = 2 / 3
"""The share of its life after which a certificate is made anew."""

RENEW_S = 10.0
"""How often that, and what the box is called, is looked at."""

BELIEVED = timedelta(days=366)
"""How far the clock of the box may be ahead of the last time that the hub has told, and still be believed."""

BELIEVED_UNTOLD = 5 * BELIEVED
"""The same for a box that the hub has told nothing yet, ahead of the first release."""

FIRST_RELEASE = datetime(2026, 11, 1, tzinfo=UTC)
"""No box is older, whatever its clock says."""

# TLS 1.2 only with forward secrecy and authenticated encryption (RFC 9325); those of TLS 1.3 are all of that kind.
_CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"

_log = structlog.get_logger(__name__)

Address = IPv4Address | IPv6Address


class Names(msgspec.Struct, frozen=True):
    """What a box is called on its network."""

    hosts: frozenset[str]
    addresses: frozenset[Address]


class Authority:
    """Signs what this box shows to tablets."""

    def __init__(self, key: EllipticCurvePrivateKey, certificate: x509.Certificate) -> None:
        self._key = key
        self.certificate = certificate

    @classmethod
    def of(cls, vault: Vault, now: datetime) -> Self:
        """The authority in ``vault``; made at the first call, and then the same for the life of the box."""
        if not vault.has(AUTHORITY):
            key = generate_private_key(SECP256R1())
            _save(vault, AUTHORITY, key, _authority(key, now))
        return cls(*_load(vault, AUTHORITY))

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(Encoding.PEM)

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the certificate, as devices show it: ``AB:CD:…``."""
        return self.certificate.fingerprint(SHA256()).hex(":").upper()

    def permits(self, names: Names) -> Names:
        """Those of ``names`` that it may sign; a host that was renamed since is reached by its address."""
        constraints = self.certificate.extensions.get_extension_for_class(x509.NameConstraints).value
        zones = [each.value for each in constraints.permitted_subtrees or () if isinstance(each, x509.DNSName)]
        hosts = {host for host in names.hosts if any(f".{host}".endswith(f".{zone}") for zone in zones)}
        return Names(frozenset(hosts), frozenset(filter(is_private, names.addresses)))

    def sign(self, key: EllipticCurvePrivateKey, names: Names, now: datetime) -> x509.Certificate:
        """A certificate for ``names``, all of which it permits."""
        hosts = [x509.DNSName(host) for host in sorted(names.hosts)]
        addresses = [x509.IPAddress(address) for address in sorted(names.addresses, key=str)]
        usage = [ExtendedKeyUsageOID.SERVER_AUTH]
        issuer = self.certificate
        return (
            _certificate("Qurbani box", key, now, LIFE)
            .issuer_name(issuer.subject)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(digital_signature=True), critical=True)
            .add_extension(x509.ExtendedKeyUsage(usage), critical=False)
            .add_extension(x509.SubjectAlternativeName([*hosts, *addresses]), critical=False)
            .add_extension(_identified_by(issuer), critical=False)
            .sign(self._key, SHA256())
        )


class Front:
    """The certificate that tablets meet, in ``context``; :meth:`renew` changes it for connections to come."""

    def __init__(self, vault: Vault, names: Callable[[], Names], now: Callable[[], datetime]) -> None:
        """``now`` is the time as far as it can be believed: see :func:`believable`."""
        self._vault = vault
        self._names = names
        self._now = now
        self.authority = Authority.of(vault, now())
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.minimum_version = ssl.TLSVersion.TLSv1_2
        self.context.set_ciphers(_CIPHERS)
        if not self.renew():
            self._show()

    def renew(self) -> bool:
        """Make a new certificate where the old one grows old or lacks a name of the box; tells whether it did."""
        now, names = self._now(), self.authority.permits(self._names())
        if self._is_good(names, now):
            return False
        key = generate_private_key(SECP256R1())
        made = self.authority.sign(key, names, now)
        _save(self._vault, FRONT, key, made)
        self._show()
        _log.info("certificate_made", until=made.not_valid_after_utc.isoformat(), names=sorted(names.hosts))
        return True

    def _show(self) -> None:
        self.context.load_cert_chain(self._vault.folder / FRONT, password=self._vault.password)

    def _is_good(self, names: Names, now: datetime) -> bool:
        """Whether the old one will do. One from the future will: the clock went back, and tablets know better."""
        try:
            _, found = _load(self._vault, FRONT)
        except (FileNotFoundError, QurbaniError):
            return False
        told = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        hosts, addresses = told.get_values_for_type(x509.DNSName), told.get_values_for_type(x509.IPAddress)
        begins, ends = found.not_valid_before_utc, found.not_valid_after_utc
        is_young = now < begins + RENEW_AT * (ends - begins)
        return is_young and names.hosts <= set(hosts) and names.addresses <= set(addresses)


def believable(wall: datetime, known: datetime | None) -> datetime:
    """The time by the clock of the box, unless it cannot be: boxes wake up in 1970, and sometimes in 2038.

    ``known`` is the last time that the hub has told. A certificate of a wrong year would shut every tablet out.
    """
    least = known or FIRST_RELEASE
    return wall if least <= wall <= least + (BELIEVED if known else BELIEVED_UNTOLD) else least


def own_names(extra: Iterable[str] = ()) -> Names:
    """What this machine is called and where it is reached just now, and ``extra`` names that its network gives it."""
    name = socket.gethostname().lower()
    short = name.partition(".")[0]
    return Names(frozenset({"localhost", name, short, f"{short}.local", *extra}), frozenset(_addresses()))


def reached_at(host: str) -> str:
    """Where tablets reach a box that listens at the address ``host``, to be put into a URL."""
    if not ip_address(host).is_unspecified:
        return f"[{host}]" if ":" in host else host
    outer = (each for each in _addresses() if each.version == 4 and is_private(each) and not each.is_loopback)
    return str(next(outer, "127.0.0.1"))


def is_private(address: Address) -> bool:
    return any(address in network for network in NETWORKS if network.version == address.version)


def certificate(path: Path) -> x509.Certificate:
    """The one in a file, also beside a key that is locked. Raises ``misconfigured`` when there is none."""
    try:
        return x509.load_pem_x509_certificate(path.read_bytes())
    except ValueError as error:
        raise _damaged(path) from error


def _authority(key: EllipticCurvePrivateKey, now: datetime) -> x509.Certificate:
    host = socket.gethostname().lower().partition(".")[0]
    name = f"Qurbani box {host}, {now:%Y-%m-%d}"
    hosts = [x509.DNSName(zone) for zone in dict.fromkeys((*ZONES, host))]
    constraints = x509.NameConstraints([*hosts, *map(x509.IPAddress, NETWORKS)], None)
    return (
        _certificate(name, key, now, AUTHORITY_LIFE)
        .issuer_name(_named(name))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(key_cert_sign=True), critical=True)
        .add_extension(constraints, critical=True)
        .sign(key, SHA256())
    )


def _certificate(name: str, key: EllipticCurvePrivateKey, now: datetime, life: timedelta) -> x509.CertificateBuilder:
    begins = now - BACKDATED
    return (
        x509.CertificateBuilder()
        .subject_name(_named(name))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(begins + life)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name[:64])])


def _usage(*, digital_signature: bool = False, key_cert_sign: bool = False) -> x509.KeyUsage:
    return x509.KeyUsage(digital_signature, False, False, False, False, key_cert_sign, key_cert_sign, False, False)


def _identified_by(issuer: x509.Certificate) -> x509.AuthorityKeyIdentifier:
    found = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(found)


def _save(vault: Vault, name: str, key: EllipticCurvePrivateKey, certificate: x509.Certificate) -> None:
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    vault.write(name, private + certificate.public_bytes(Encoding.PEM))


def _load(vault: Vault, name: str) -> tuple[EllipticCurvePrivateKey, x509.Certificate]:
    pem = vault.read(name)
    try:
        key, found = load_pem_private_key(pem, None), x509.load_pem_x509_certificate(pem)
    except ValueError as error:
        raise _damaged(vault.folder / name) from error
    assert isinstance(key, EllipticCurvePrivateKey)
    return key, found


def _damaged(path: Path) -> QurbaniError:
    return QurbaniError("misconfigured", f"{path} is no key and certificate; remove it, and it is made anew")


def _addresses() -> Iterable[Address]:
    """Where this machine is reached: what the kernel delivers to itself."""
    routes = Path("/proc/net/fib_trie").read_text()
    yield from (ip_address(found) for found in re.findall(r"\|-- (\S+)\n\s+/32 host LOCAL", routes))
    six = Path("/proc/net/if_inet6")
    for line in six.read_text().splitlines() if six.exists() else ():
        yield ip_address(bytes.fromhex(line.split()[0]))
