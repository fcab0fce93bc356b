"""What can be set on a box, all of it as ``QURBANI_<NAME>`` in the environment."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """``data`` is the one folder that a box owns; everything else has a default.

    Where models lie is for ``models_tflite.store`` to find: in ``QURBANI_MODELS``, or in ``data/models``.
    """

    data: str
    edge_host: str = "127.0.0.1"
    edge_port: int = 8443
    """0 takes a free one; which one stands in ``data/run/api.json``."""
    edge_door_port: int = 8080
    """Where a tablet learns, over plain HTTP, how to trust the box, and nothing else."""
    edge_names: str = ""
    """Names that the site's network gives the box, separated by commas, beside those it knows of itself."""
    edge_tls: bool = True
    """Without it the box speaks plain HTTP, and to its own machine only."""
    engine: Literal["", "vosk", "whisper"] = ""
    """Which speech recogniser listens; empty: the best that is here for the site's language."""
    detector: str = ""
    """Which model looks, as `qurbani models list` names it; empty: the first that may be taken unasked."""
    hub_url: str = ""
    """Empty: the hub at which the box enrolled."""

    edge_reserve_bytes: int = 2 << 30
    """Below this much free space no further video is taken in, so that records and the queue go on."""
    edge_low_bytes: int = 8 << 30
    """Below this much free space videos that the hub has confirmed go, the oldest first."""
    edge_ballast_bytes: int = 256 << 20
    """Room that is held for records, for when something else has filled the disk."""
    edge_max_video_bytes: int = 8 << 30
    edge_session_hours: float = 12.0
    """How long an executor stays signed in."""
    edge_people_hours: float = 72.0
    """How long the list of people is believed without a word of the hub: see :mod:`edge.people`."""

    edge_replica: str = ""
    """A folder on another disk, or of another machine, where a replica of the box is kept up to date."""
    edge_replica_key: str = ""
    """Whoever holds the private half of this key can open the replica: see `qurbani edge replica-key`."""

    edge_key_file: str = ""
    """What opens the private keys, where they are locked with a key file: see :mod:`edge.vault`."""

    edge_release_key: str = ""
    """Whose updates this box takes: see `qurbani edge release-key`. Empty: nobody's."""

    edge_claim_s: float = 120.0
    """How long an animal stays with a tablet that is not heard of any more."""

    edge_cameras: str = ""
    """The box's own cameras, as :mod:`edge.recorder.address` reads them. May hold passwords."""
    edge_preroll_s: float = 10.0
    """How long before it was asked for a recording of theirs begins."""
    edge_ring_bytes: int = 64 << 20
    """Memory for the pictures that may yet be asked for, per camera."""
    edge_recording_s: float = 600.0
    """After so long a recording of theirs ends by itself; what is longer than a quarter of an hour is not checked."""

    sync_interval_s: float = 60.0
    """Between exchanges with the hub when no bell rings."""
    sync_retry_max_s: float = 300.0
    """The longest wait after a failure; the first ones are about a second. A bell ends any wait."""
    sync_cap_kbit_s: float = 0
    """How much of the line videos may take; 0: all of it."""
    sync_windows: str = ""
    """When videos may go, in the site's time: ``22:00-06:00,13:00-14:30``. Empty: always."""
    sync_metered: bool = False
    """Every byte of the line is paid for: videos wait for another one, or for a stick."""
    sync_connect_timeout_s: float = 10.0
    sync_read_timeout_s: float = 30.0
    sync_write_timeout_s: float = 30.0
    sync_pool_timeout_s: float = 10.0

    @property
    def folder(self) -> Path:
        return Path(self.data).absolute()

    @property
    def database(self) -> Path:
        return self.folder / "edge.db"

    @property
    def queue(self) -> Path:
        return self.folder / "queue.db"

    @property
    def keys(self) -> Path:
        return self.folder / "keys"

    @property
    def blobs(self) -> Path:
        return self.folder / "blobs"

    @property
    def uploads(self) -> Path:
        return self.folder / "uploads"

    @property
    def recordings(self) -> Path:
        """What the box's own cameras are recording; each becomes a blob in the end."""
        return self.folder / "recordings"

    @property
    def stages(self) -> Path:
        """What models have found in videos so far. Can be found again from the videos."""
        return self.folder / "stages"

    @property
    def ballast(self) -> Path:
        return self.folder / "ballast"

    @property
    def replica_state(self) -> Path:
        """How the replica of the running box stands: see :mod:`edge.replicator`."""
        return self.run / "replica.json"

    @property
    def run(self) -> Path:
        """Sockets, the lock and the address of the running box; nothing in it outlives a boot."""
        return self.folder / "run"

    @property
    def address(self) -> Path:
        """Tells where the running box listens: ``{"url": ..., "door": ..., "authority": FILE, "pid": ...}``."""
        return self.run / "api.json"

    @property
    def unlock(self) -> Path:
        """Where a box waits for what opens its keys: see :mod:`edge.unlock`."""
        return self.run / "unlock.sock"

    @property
    def opened_by(self) -> Path:
        """What opened the keys of the running box, in words."""
        return self.run / "opened-by"

    @property
    def authority(self) -> Path:
        """The certificate that whoever calls the box has to trust."""
        return self.run / "authority.pem"

    def make_folders(self) -> None:
        for folder in (self.folder, self.keys, self.blobs, self.uploads, self.recordings, self.run):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
