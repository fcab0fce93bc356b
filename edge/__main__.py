"""One process of the box: ``python -m edge api FD [FD]``, or the name of another. The supervisor starts them."""

from __future__ import annotations

import os
import socket
import sys
import threading

import structlog

from edge import main
from edge.settings import Settings
from edge.supervisor import die_with_parent, told_by_parent
from edge.vault import Vault
from shared import log, settings


def run(name: str, *arguments: str) -> None:
    threading.excepthook = _end
    password = told_by_parent()
    die_with_parent()
    log.to_stderr()
    found = settings.load(Settings, os.environ)
    vault = Vault(found.keys, password or None)
    if name == "api":
        main.api(found, vault, *(socket.socket(fileno=int(number)) for number in arguments))
    else:
        processes = {"worker": main.work, "agent": main.sync, "recorder": main.record, "replica": main.replicate}
        processes[name](found, vault)


def _end(failure: threading.ExceptHookArgs) -> None:
    """A process that has lost one of its threads is deaf on one ear: let the supervisor start it anew."""
    structlog.get_logger(__name__).error("thread_died", exc_info=failure.exc_value)
    os._exit(1)


if __name__ == "__main__":
    run(*sys.argv[1:])
