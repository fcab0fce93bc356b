"""``qurbani evidence verify``, ``paper`` and ``sign``: where a file comes from, checked and stated."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated
from uuid import UUID

import msgspec
import typer

from shared import papers
from shared.clock import SystemClock, from_ms
from shared.crypto import SigningKey, load_key
from shared.errors import QurbaniError
from shared.evidence.manifest import (
    Broken,
    Capture,
    Derived,
    Manifest,
    Signer,
    Signers,
    measure,
    read,
    verify_chains,
)
from shared.evidence.manifest import sign as seal
from shared.evidence.manifest import verify as check

SUFFIX = ".manifest.json"
HUB = UUID(int=0)

UNVOUCHED = 3
"""The exit code where everything holds and nobody said whose key it is."""

Input = Annotated[Path, typer.Argument(help=f"A manifest, or a folder of NAME{SUFFIX} with the files NAME beside.")]
Video = Annotated[Path | None, typer.Argument(exists=True, dir_okay=False, help="The file that it is about.")]
Keys = Annotated[
    Path | None,
    typer.Option("--keys", exists=True, dir_okay=False, help="What the hub answers to GET /api/v1/signers, as a file."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for a machine to read.")]


def verify(manifest: Input, video: Video = None, keys: Keys = None, as_json: AsJson = False) -> None:
    """Whether MANIFEST holds and VIDEO is the file that it is about. Needs no network and no account.

    Of a folder also whether a number is missing. Exit code 0: all holds. 1: something does not, and what. 3: all holds,
    but without --keys nobody can say whose signature it is.
    """
    signers = _signers(keys) if keys else None
    if manifest.is_dir():
        named = [(path, path.with_name(path.name.removesuffix(SUFFIX))) for path in sorted(manifest.glob("*" + SUFFIX))]
    elif manifest.is_file():
        named = [(manifest, video)]
    else:
        raise QurbaniError("not_found", f"{manifest} is not here")
    broken, found = [], []
    for path, about in named:
        broken += _checked(path, about, signers, found)
    if manifest.is_dir():
        broken += verify_chains(found, signers)
    if as_json:
        typer.echo(msgspec.json.encode({"ok": not broken, "vouched": signers is not None, "manifests": found,
                                        "broken": broken}))  # fmt: skip
    else:
        _tell(found, broken, vouched=signers is not None)
    raise typer.Exit(1 if broken else UNVOUCHED if signers is None else 0)


def paper(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="A receipt, or a certificate as PDF.")],
    key: Annotated[str, typer.Option(help="The hub's public key in hex; without it nobody says whose it is.")] = "",
    keys: Keys = None,
) -> None:
    """Print what a paper of the hub says, and whether it says what was signed. Needs no network and no account.

    Whether a certificate still stands, the page says that it names. Exit code 0: it is the hub's, and as it was.
    3: it is as it was, but without --key or --keys nobody can say whose signature it is.
    """
    found = papers.read(file.read_bytes())
    signer = found.checked().raw.hex()
    known = {key.lower()} if key else set(_signers(keys).get(HUB, Signer(())).keys) if keys else None
    if known is not None and signer not in known:
        raise QurbaniError("bad_signature", f"it is signed by {signer}")
    typer.echo(msgspec.json.format(msgspec.json.encode({"kind": found.kind, **found.facts}), indent=1))
    raise typer.Exit(UNVOUCHED if known is None else 0)


def sign(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="The file that was made.")],
    parent: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="The manifest of what it was made of.")],
    tool: Annotated[str, typer.Option(help="What made it: redact, enhance, compress, ...")],
    key: Annotated[Path, typer.Option(exists=True, dir_okay=False, help="The private key of whoever vouches for it.")],
    setting: Annotated[list[str] | None, typer.Option(help="NAME=VALUE; once for each setting of the tool.")] = None,
    node: Annotated[UUID, typer.Option(help="Whose key that is; all zeros is the hub.")] = HUB,
    media_type: Annotated[str, typer.Option(help="Of the file.")] = "video/mp4",
) -> None:
    """State that FILE was made of another one. Prints the manifest; what captures say of themselves boxes sign."""
    original = read(parent.read_bytes()).manifest
    with file.open("rb") as content:
        size, sha256 = measure(content)
    settings = dict(_pair(text) for text in setting or ())
    made = Manifest(
        node=node,
        video=original.video,
        sha256=sha256,
        size=size,
        media_type=media_type,
        origin=Derived(original.sha256, tool, settings),
        versions={"software": original.versions.get("software", "")},
        signed_ms=SystemClock().read().wall_ms,
    )
    typer.echo(seal(load_key(key, SigningKey), made).decode(), nl=False)


def _checked(path: Path, about: Path | None, signers: Signers | None, found: list[Manifest]) -> list[Broken]:
    """What is wrong with one manifest and its file; what it says goes to ``found``."""
    try:
        signed = read(path.read_bytes())
    except QurbaniError as error:
        if error.code not in ("not_a_manifest", "bad_signature"):
            raise
        return [Broken("bad_signature" if error.code == "bad_signature" else "not_a_manifest", path.name, error.detail)]
    found.append(signed.manifest)
    with ExitStack() as stack:
        file = stack.enter_context(about.open("rb")) if about and about.is_file() else None
        return check(signed, path.name, file, signers)


def _tell(found: Sequence[Manifest], broken: Sequence[Broken], *, vouched: bool) -> None:
    for each in found:
        match each.origin:
            case Capture(number=number, captured=captured):
                off = "?" if captured.uncertain_ms is None else f"{captured.uncertain_ms / 1000:.0f}"
                time = f"{from_ms(captured.wall_ms):%Y-%m-%d %H:%M:%S} UTC +- {off} s"
                outcome = each.judged.outcome if each.judged else "not judged"
                typer.echo(f"{each.sha256[:16]}  number {number} of {each.node}, {time}, {outcome}")
            case Derived(parent=parent, tool=tool):
                typer.echo(f"{each.sha256[:16]}  {tool} of {parent[:16]}")
    for problem in broken:
        typer.echo(f"BROKEN {problem.code}: {problem.where}: {problem.detail}")
    if not broken:
        typer.echo("OK" if vouched else "whole, but nobody said whose key it is: give --keys")


def _signers(path: Path) -> Signers:
    try:
        return msgspec.json.decode(path.read_bytes(), type=dict[UUID, Signer])
    except msgspec.MsgspecError as error:
        raise QurbaniError("bad_input", f"{path.name}: {error}") from error


def _pair(text: str) -> tuple[str, str]:
    name, found, value = text.partition("=")
    if not found:
        raise QurbaniError("bad_input", f"--setting {text}: NAME=VALUE is wanted")
    return name, value
