"""The hub's settings, from ``QURBANI_*`` in the environment; see ``docs/operations.md`` for what each is for."""

from __future__ import annotations

from pathlib import Path

import msgspec


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Where the servers are and how patient to be with them. Times are in seconds unless the name says ms."""

    database_url: str
    """PostgreSQL, ``postgresql://user:password@host:port/name``."""
    redis_url: str
    kafka: str
    """Kafka's bootstrap servers, ``host:port[,host:port]``."""

    data: str = "qurbani-data"
    """The folder for keys, for work in progress and, without another store, for blobs."""
    store: str = ""
    """Where videos lie: ``file:///FOLDER``, ``s3://BUCKET/PREFIX?...``, ``cloudinary://CLOUD``. Empty: in ``data``."""
    store_key: str = ""
    store_secret: str = ""
    cold_store: str = ""
    """Where videos go when they are old, an address as ``store``. Empty: they stay."""
    cold_store_key: str = ""
    cold_store_secret: str = ""
    archive_months: int = 3
    restored_days: int = 14
    """How long a video that was asked for stays at hand."""
    quota_bytes: int = 0
    """How much all videos may take; 0: as much as there is room for."""
    site_quota_bytes: int = 0
    secret: str = ""
    """32 bytes in hex from which every key is derived. Empty: made at first start and kept in the data folder."""

    masters: str = ""
    """The file with the master keys of personal data. Empty: ``master.keys`` in the data folder."""

    host: str = "127.0.0.1"
    port: int = 8000
    public_url: str = ""
    """How browsers and boxes reach the hub; ``https`` here makes cookies ``Secure``. Empty: host and port."""

    cors_origins: str = ""
    """Origins, separated by commas, whose pages may ask the API with a bearer token: ``https://example.org``."""
    trusted_proxies: str = ""
    """Addresses, separated by commas, whose ``X-Forwarded-For`` and ``-Proto`` are believed."""
    even_s: float = 1.0
    """How long registering and forgetting a password take, whether or not the address has an account."""
    rate_factor: float = 1.0
    """Multiplies every rate limit."""

    metrics_password: str = ""
    """With it anybody reads ``/metrics``; without, only this machine does."""
    open_docs: bool = False
    """Whether strangers may read ``/api-docs``, too; without it, admins and auditors."""

    kafka_prefix: str = ""
    """Put before every topic and group, so that several hubs may share a broker."""
    kafka_partitions: int = 3
    kafka_replicas: int = 1
    kafka_session_ms: int = 10_000
    """How soon a dead consumer is noticed. A small broker for one machine may hold every join half as long."""

    mqtt_url: str = ""
    elasticsearch_url: str = ""
    """The cluster that the log is shipped to; only ``/health`` asks for it."""
    smtp_url: str = ""
    mail_from: str = "Qurbani <no-reply@localhost>"

    pay_at: str = ""
    """Where donors pay by hand, as they read it: an address, an account."""
    stripe_key: str = ""
    stripe_secret: str = ""
    """That of the webhook endpoint. Without both, cards are not taken."""
    stripe_url: str = "https://api.stripe.com"

    sync_ops_s: float = 5000.0
    """How many ops of backlogs a process takes in a second; boxes that are live are not counted."""

    lease_s: float = 60.0
    """How long a silent worker keeps a job before another may take it."""
    sweep_s: float = 2.0
    """How soon work is found although its bell was lost."""

    @property
    def data_path(self) -> Path:
        return Path(self.data)

    @property
    def master_path(self) -> Path:
        return Path(self.masters) if self.masters else self.data_path / "master.keys"

    @property
    def base_url(self) -> str:
        return (self.public_url or f"http://{self.host}:{self.port}").rstrip("/")

    @property
    def https(self) -> bool:
        return self.base_url.startswith("https://")
