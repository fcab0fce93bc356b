"""How a box that starts comes by what opens its keys: from a key file, from a person, or by waiting for either."""

from __future__ import annotations

import base64
import binascii
import socket
from collections.abc import Callable, MutableMapping
from contextlib import suppress
from pathlib import Path

import structlog

from edge.settings import Settings
from edge.vault import Lock, Vault, key_file_secret, read_lock
from shared.errors import QurbaniError

PASSPHRASE = "QURBANI_EDGE_KEY_PASSPHRASE"  # noqa: S105 - the name of a variable
"""Taken out of the environment when it is read: neither the processes of the box nor its replica get it."""

LOOK_S = 1.0
"""How often a box that waits looks whether its key file is there."""

MAX_SECRET = 4096
ANSWER_S = 30.0

# How a credential begins that systemd has sealed by the TPM: CRED_AES256_GCM_BY_... in its src/shared/creds-util.h.
_BY_TPM = {bytes.fromhex(each) for each in (
    "0c7cc07b117645919c4b0bea08bc20fe", "faf7eb9341e3412ca1a436f95a29362f", "93a894094874449090caf2fc93cab553",
    "ef4ac13679a9480ea7db68897f9f165d", "af4950a849134eb1a73846304ff30c05", "adbc4ca3efb64201ba881b6f2e4095ea",
)}  # fmt: skip

Ask = Callable[[], str | None]
"""Asks a person for the passphrase; None where there is nobody."""

_log = structlog.get_logger(__name__)


def nobody() -> None:
    return None


def given(lock: Lock, settings: Settings, environ: MutableMapping[str, str]) -> str | None:
    """What opens the keys, as far as it is there without asking anybody. Raises ``key_locked`` for a bad key file."""
    passphrase = environ.pop(PASSPHRASE, None)
    if lock.kind == "passphrase":
        return passphrase
    path = key_file(settings)
    return key_file_secret(path) if path is not None and path.exists() else None


def secret(lock: Lock, settings: Settings, environ: MutableMapping[str, str], ask: Ask) -> str:
    """As :func:`given`, or else the passphrase for which somebody was asked. Raises ``key_locked``."""
    found = given(lock, settings, environ)
    if found is None and lock.kind == "passphrase":
        found = ask()
    if found is None:
        raise QurbaniError("key_locked", f"the keys of this box are locked, and its {lock.kind} is not here")
    return found


def vault(settings: Settings, environ: MutableMapping[str, str], ask: Ask = nobody) -> Vault:
    """The keys of the box, opened. Raises ``key_locked``."""
    lock = read_lock(settings.keys)
    if lock is None:
        return Vault(settings.keys)
    return lock.vault(settings.keys, secret(lock, settings, environ, ask))


def wait(settings: Settings, environ: MutableMapping[str, str], ask: Ask = nobody) -> Vault:
    """As :func:`vault`, and where nothing is here that opens them, wait for the key file, or for :func:`hand_over`."""
    try:
        return vault(settings, environ, ask)
    except QurbaniError as error:
        if error.code != "key_locked":
            raise
        _log.warning("waits_for_its_keys", why=error.detail, do="qurbani edge unlock")
    lock = read_lock(settings.keys)
    assert lock is not None, "only locked keys are waited for"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as door:
        door.bind(str(settings.unlock))
        door.listen()
        door.settimeout(LOOK_S)
        try:
            while True:
                found = _asked(door, lock, settings) or _found(lock, settings)
                if found is not None:
                    return found
        finally:
            settings.unlock.unlink()


def hand_over(settings: Settings, held: str) -> None:
    """Give a box that waits what opens its keys. Raises ``key_locked`` when it is not that, ``not_waiting``."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as talk:
            talk.settimeout(ANSWER_S)
            talk.connect(str(settings.unlock))
            talk.sendall(held.encode())
            talk.shutdown(socket.SHUT_WR)
            answer = talk.makefile("rb").read().decode()
    except OSError as error:
        raise QurbaniError("not_waiting", f"no box in {settings.folder} waits for its keys") from error
    if answer:
        raise QurbaniError("key_locked", answer)


def tell(settings: Settings) -> None:
    """Note for whoever asks how the keys of the box lie on its disk."""
    settings.opened_by.write_text(described(read_lock(settings.keys), key_file(settings)))


def told(settings: Settings) -> str:
    """What :func:`tell` noted when the box started; else what can be seen from here."""
    lock = read_lock(settings.keys)
    with suppress(OSError):
        if (noted := settings.opened_by.read_text()).startswith(described(lock, None)):
            return noted
    return described(lock, None)


def key_file(settings: Settings) -> Path | None:
    return Path(settings.edge_key_file) if settings.edge_key_file else None


def described(lock: Lock | None, path: Path | None) -> str:
    """How the keys lie on the disk, in words: ``open files``, ``passphrase``, ``key file``, or whose seal it has.

    A credential of systemd that is sealed lies, as it is sealed, beside what systemd has opened for this service.
    """
    if lock is None:
        return "open files"
    if lock.kind == "key file" and path is not None:
        with suppress(OSError, binascii.Error):
            sealed = base64.b64decode(path.with_name(f"{path.name}.sealed").read_bytes())
            return f"key file sealed by {'TPM' if sealed[:16] in _BY_TPM else 'a key on this disk'} (systemd)"
    return lock.kind


def _asked(door: socket.socket, lock: Lock, settings: Settings) -> Vault | None:
    """Whoever can open the socket may write to the folder of the box; each gets one try, and the reason."""
    try:
        talk, _ = door.accept()
    except TimeoutError:
        return None
    with talk:
        try:
            talk.settimeout(LOOK_S)
            return lock.vault(settings.keys, talk.makefile("rb").read(MAX_SECRET).decode())
        except QurbaniError as error:
            with suppress(OSError):
                talk.sendall(error.detail.encode())
        except (OSError, UnicodeDecodeError):
            pass
    return None


def _found(lock: Lock, settings: Settings) -> Vault | None:
    with suppress(QurbaniError):
        held = given(lock, settings, {})
        return None if held is None else lock.vault(settings.keys, held)
    return None
