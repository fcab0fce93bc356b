"""``python -m tests.apache_kafka COMMAND...``: run a command with ``QURBANI_KAFKA`` naming a real Apache Kafka.

The one that is named already, or else one out of ``KAFKA_HOME`` (an unpacked release), which lives as long as the
command. Where there is neither, it says so and runs nothing.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from demo.servers.kafka import answering
from demo.servers.server import HOST, Port, Server

CLUSTER = "4L6g3nShT-eMCtK--X86sw"  # any; the files are new each time

# https://kafka.apache.org/documentation/#kraft_config: broker and controller in one process.
PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@{host}:{controller}
controller.listener.names=CONTROLLER
listeners=PLAINTEXT://{host}:{port},CONTROLLER://{host}:{controller}
advertised.listeners=PLAINTEXT://{host}:{port}
log.dirs={folder}/log
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
group.initial.rebalance.delay.ms=0
"""


@contextmanager
def apache_kafka(home: Path) -> Iterator[str]:
    """``host:port`` of a new broker."""
    with TemporaryDirectory() as folder, Port() as port, Port() as controller:
        file = Path(folder) / "server.properties"
        file.write_text(PROPERTIES.format(host=HOST, port=port.number, controller=controller.number, folder=folder))
        scripts = home / "bin"
        subprocess.run([scripts / "kafka-storage.sh", "format", "-t", CLUSTER, "-c", file], check=True)
        broker = Server([scripts / "kafka-server-start.sh", file], Path(folder), answering(port))
        try:
            broker.wait()
            yield f"{HOST}:{port.number}"
        finally:
            broker.stop()


def main(command: list[str]) -> int:
    if os.environ.get("QURBANI_KAFKA"):
        return subprocess.call(command)
    home = os.environ.get("KAFKA_HOME", "")
    wanting = [what for what, is_there in (("Java", shutil.which("java")), ("KAFKA_HOME", home)) if not is_there]
    if wanting:
        print(f"Nothing was tested: no QURBANI_KAFKA, and to start one no {' and no '.join(wanting)}.")
        return 0
    with apache_kafka(Path(home)) as address:
        return subprocess.call(command, env={**os.environ, "QURBANI_KAFKA": address})


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
