"""Where models lie, and whether they are what they should be."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path

from models_tflite.manifest import DetectorEntry, Entry, Manifest, manifest

SUMS = "SHA256SUMS"
"""Beside the files of a fetched recogniser, in the form of ``sha256sum``."""

_CHUNK = 1024 * 1024


class Store:
    """Looks for models in ``folders``, in that order, then beside the manifest, then in installed packages."""

    def __init__(self, folders: Sequence[Path], known: Manifest | None = None) -> None:
        self.known = known or manifest()
        self._folders = [*folders, Path(__file__).parent]

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> Store:
        """The folder named by ``QURBANI_MODELS``, the data folder (``QURBANI_DATA``), the user's own."""
        return cls(folders(environ))

    def find(self, entry: Entry) -> Path | None:
        """The detector's file or the recogniser's folder; None when it, or the one it stands beside, is not here."""
        if isinstance(entry, DetectorEntry):
            if entry.beside and self.find(self.known.entry(entry.beside)) is None:
                return None
            return next((path for folder in self._folders if (path := folder / entry.file).is_file()), None)
        places = [folder / entry.name for folder in self._folders]
        if entry.installed and not entry.join and (inside := installed(entry.installed)):
            places.append(inside)
        return next((place for place in places if all((place / file).is_file() for file in entry.files)), None)

    def version(self, entry: Entry, path: Path) -> str:
        """What tells two builds of one model apart: the start of the sha256 of its first known file."""
        for _, sha256 in _expected(entry, path):
            return sha256[:12]
        return "unpinned"

    def wrong(self, entry: Entry, path: Path) -> list[str]:
        """The files of the model at ``path`` whose content is not what the manifest or the pin says."""
        return [str(file) for file, sha256 in _expected(entry, path) if digest(file) != sha256]


def folders(environ: Mapping[str, str]) -> list[Path]:
    """Where models may lie on this machine; :func:`target` is the first."""
    found = [Path(environ["QURBANI_MODELS"])] if environ.get("QURBANI_MODELS") else []
    if environ.get("QURBANI_DATA"):
        found.append(Path(environ["QURBANI_DATA"]) / "models")
    home = Path(environ.get("XDG_DATA_HOME") or Path(environ.get("HOME", "/nonexistent")) / ".local/share")
    return [*found, home / "qurbani" / "models"]


def digest(path: Path) -> str:
    """The sha256 of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def installed(inside: str) -> Path | None:
    """A path inside an installed package, ``package/rest``; the package is not imported."""
    package, _, rest = inside.partition("/")
    spec = find_spec(package)
    roots = spec.submodule_search_locations if spec else None
    path = Path(roots[0]) / rest if roots else None
    return path if path and path.exists() else None


def _expected(entry: Entry, path: Path) -> Iterator[tuple[Path, str]]:
    if isinstance(entry, DetectorEntry):
        yield path, entry.sha256
        return
    yield from ((path / file, sha256) for file, sha256 in entry.sha256.items())
    pinned = path / SUMS
    if pinned.is_file():
        for line in pinned.read_text().splitlines():
            sha256, _, file = line.partition("  ")
            yield path / file, sha256
