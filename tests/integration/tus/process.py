"""A tus server in a process of its own, to be killed: ``python process.py KIND ROOT`` prints its port.

What arrives is noted in ``ROOT/ledger``, once, durably, as a box notes it in its database. A file
``ROOT/die-before`` or ``ROOT/die-after`` makes the process kill itself at that side of the note, once.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from pathlib import Path

import uvicorn
from litestar import Litestar

sys.path.insert(0, str(Path(__file__).parents[3]))

from shared.clock import SystemClock
from shared.files import write_whole
from shared.ids import new_id
from shared.tus.routes import tus_routes
from shared.tus.server import Arrived, UploadServer
from tests.integration.tus.live import make_store, principal


def main(kind: str, root: Path) -> None:
    ledger = root / "ledger"

    def die(where: str) -> None:
        if (root / where).exists():
            (root / where).unlink()
            os.kill(os.getpid(), signal.SIGKILL)

    async def finished(arrived: Arrived) -> None:
        if arrived.path.exists():
            os.replace(arrived.path, root / arrived.blob.blob_id)
        die("die-before")
        noted = ledger.read_text() if ledger.exists() else ""
        if arrived.id not in noted:
            write_whole(ledger, [f"{noted}{arrived.id} {arrived.blob.blob_id}\n".encode()])
        die("die-after")

    async def serve() -> None:
        uploads = UploadServer(make_store(kind, root / "uploads"), finished, SystemClock(), new_id)
        await uploads.recover()
        routes = tus_routes(uploads, path="/files", principal=principal)
        app = Litestar([routes], openapi_config=None, logging_config=None)
        with socket.create_server(("127.0.0.1", 0)) as listening:
            listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            print(listening.getsockname()[1], flush=True)
            await uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="off")).serve([listening])

    asyncio.run(serve())


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
