"""A box whose private keys are locked: it waits, starts, works and is killed, and its disk tells nothing of them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from edge import unlock, vault
from edge.node import Keys
from edge.settings import Settings
from edge.status import keys_status
from edge.vault import Vault, read_lock
from shared.errors import QurbaniError
from shared.ids import new_id
from tests.box import ROOT, running, until
from tests.hub import Hub, serving

WORDS = "correct horse battery"
FILM = b"the only film of it" * 5000


def waits(settings: Settings) -> bool:
    return keys_status(settings).is_waiting


def test_a_locked_box(tmp_path: Path) -> None:
    settings = Settings(data=str(tmp_path))
    settings.make_folders()
    password = vault.lock(Vault(settings.keys), "passphrase", WORDS).password
    assert password is not None
    with serving(Hub()) as hub, running(
        tmp_path, hub, QURBANI_EDGE_TLS="true", QURBANI_EDGE_KEY_PASSPHRASE=WORDS
    ) as (box, tablet, (animal,)):
        children = box.children()
        for pid in children.values():
            for told in ("cmdline", "environ"):
                seen = Path(f"/proc/{pid}/{told}").read_bytes()
                assert not any(secret in seen for secret in (WORDS.encode(), password))

        sacrifice = tablet.open_sacrifice(animal)
        os.kill(children["api"], signal.SIGKILL)
        until(lambda: box.children().get("api", children["api"]) != children["api"], what="a new api")
        tablet.upload(sacrifice, new_id(), FILM)
        assert tablet.verdicts(sacrifice)[0]["outcome"] == "review"

        # As after a boot: nobody has said the passphrase, and the first who does is wrong.
        box.kill()
        del box.environ[unlock.PASSPHRASE]
        assert "key_locked" in box.command("export-bundle", str(tmp_path), check=False).stderr
        log = (tmp_path / "log").open("ab")
        command = [sys.executable, "-m", "qurbani", "edge", "serve"]
        box.process = subprocess.Popen(command, cwd=ROOT, env=box.environ, stdout=log, stderr=log)
        log.close()
        until(lambda: waits(settings), what="a box that waits")
        said = box.command("status").stdout
        assert "WAITING for `qurbani edge unlock`, passphrase" in said.replace("\n", " ").replace("  ", "")
        with pytest.raises(QurbaniError, match="key_locked"):
            unlock.hand_over(settings, "wrong")
        box.kill()  # and what it leaves behind is no box that waits
        assert settings.unlock.exists()
        assert "WAITING" not in box.command("status").stdout
        box.process = subprocess.Popen(command, cwd=ROOT, env=box.environ, stdout=subprocess.DEVNULL)
        until(lambda: waits(settings), what="a box that waits")
        subprocess.run([*command[:-1], "unlock"], cwd=ROOT, env=box.environ, input=f"{WORDS}\n", text=True, check=True)
        until(settings.address.exists, what="the start")
        tablet.sign_in()
        assert tablet.sacrifice(sacrifice)["videos"]
        with pytest.raises(QurbaniError, match="not_waiting"):
            unlock.hand_over(settings, WORDS)

        lock = read_lock(settings.keys)
        assert lock is not None
        keys = Keys.load(lock.vault(settings.keys, WORDS))
        secrets = [WORDS.encode(), password, FILM[:100], *(key.pem().splitlines()[1] for key in (keys.sign, keys.seal))]
        files = [path for path in tmp_path.rglob("*") if path.is_file()]
        assert {"edge.db", "lock.json", "tls-authority.pem"} <= {path.name for path in files}
        for path in files:
            found = path.read_bytes()
            assert not any(secret in found for secret in secrets), f"{path} tells of it"
            assert b"-----BEGIN PRIVATE KEY-----" not in found, f"{path} is an open key"
