"""The command. Loads the noun that was asked for and nothing else: a box has no need of the cloud's libraries."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module, metadata

from shared import log
from shared.errors import QurbaniError

NOUNS = {
    "demo": "the whole story on this machine with nothing installed",
    "edge": "the box at a site",
    "cloud": "the hub",
    "sync": "the protocol between them, tried against bad luck",
    "models": "the models that look and listen",
    "evidence": "check a video, or run one stage of the check alone",
    "bench": "measure, beside the limit or the peer, in the same run",
}

# The extra of pyproject.toml that a noun needs, to name it when it is not installed.
EXTRAS = {
    "models": "evidence",
    "bench": "demo",
    "sync": "demo",
    **{noun: noun for noun in ("edge", "cloud", "evidence", "demo")},
}

USAGE = "\n".join([
    "Usage: qurbani NOUN VERB ...      (qurbani NOUN --help tells the verbs)",
    "",
    "Sacrifices recorded offline, proven, and told to their donors.",
    "",
    *(f"  {noun:<10} {what}" for noun, what in NOUNS.items()),
])  # fmt: skip

_OURS = {"commands", "shared", "sync", "models_tflite", "edge", "cloud", "demo", "benchmarks"}


def run(noun: str, arguments: Sequence[str]) -> None:
    """Run one noun's command. Raises ``missing_extra`` when its libraries are not installed."""
    try:
        module = import_module(f"commands.{noun}")
    except ModuleNotFoundError as error:
        package = (error.name or "").split(".")[0]
        if package in _OURS:
            raise
        command = f"pip install 'qurbani[{EXTRAS[noun]}]'"
        raise QurbaniError("missing_extra", f"qurbani {noun} needs {package}: {command}") from error
    module.app(args=list(arguments), prog_name=f"qurbani {noun}")


def main() -> None:
    """An error of ours is one line on standard error and exit code 1, never a traceback."""
    log.to_stderr()
    noun, *arguments = sys.argv[1:] or ["--help"]
    if noun in NOUNS:
        try:
            run(noun, arguments)
        except QurbaniError as error:
            sys.exit(f"qurbani: {error.line()}")
    elif noun in {"-h", "--help"}:
        print(USAGE)  # noqa: T201
    elif noun == "--version":
        print(metadata.version("qurbani"))  # noqa: T201
    else:
        print(f"qurbani: there is no noun {noun!r}\n\n{USAGE}", file=sys.stderr)  # noqa: T201
        sys.exit(2)


if __name__ == "__main__":
    main()
