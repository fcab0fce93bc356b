"""``qurbani cloud``: the hub."""

from __future__ import annotations

import asyncio
import logging
import os
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Annotated
from uuid import UUID

import msgspec
import structlog
import typer
import uvloop

from cloud import main
from cloud.admin import service as admin
from cloud.alembic import migrations
from cloud.platform.settings import Settings
from commands import cloud_audit, cloud_events, cloud_routes
from commands.moving import counting, moving
from shared import log, settings
from shared.errors import QurbaniError

app = typer.Typer(help="The hub. Its servers and folder are named by QURBANI_*.", no_args_is_help=True)

app.add_typer(cloud_audit.app, name="audit")

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for a machine to read.")]
Workers = Annotated[int, typer.Option(min=1, help="So many processes at one port; one that dies is replaced.")]
Services = Annotated[str, typer.Option(help="Only these services, separated by commas.")]

ALL = ",".join(main.SERVICES)


@app.command("run")
def run_all() -> None:
    """Everything in one process, migrated first: for small installations. Until SIGTERM."""
    asyncio.run(migrations.migrate(load()))
    _run(main.serve, main.consume, main.work, services=ALL)


@app.command()
def serve(services: Services = ALL, workers: Workers = 1) -> None:
    """Answer HTTP, and send the events that come of it to Kafka. Until SIGTERM."""
    if workers == 1:
        _run(main.serve, services=services)
        return
    found, chosen = load(), _chosen(services)
    _log_as_json()
    main.cluster(found, workers, partial(_one_of_many, found, chosen))


@app.command()
def consume(services: Services = ALL) -> None:
    """Take events from Kafka. Until SIGTERM."""
    _run(main.consume, services=services)


@app.command()
def work(services: Services = ALL) -> None:
    """Run jobs: videos, checks, messages. Until SIGTERM."""
    _run(main.work, services=services)


@app.command()
def migrate() -> None:
    """Bring the database to the schema of this release. Safe to repeat, and to run twice at once."""
    asyncio.run(migrations.migrate(load()))


@app.command()
def create_admin(
    email: Annotated[str, typer.Option(help="The address to sign in with.")], as_json: AsJson = False
) -> None:
    """Make an admin's account and print its password, which is not shown again."""
    password = asyncio.run(main.create_admin(load(), email))
    typer.echo(msgspec.json.encode({"email": email, "password": password}) if as_json else password)


@app.command()
def redrive(as_json: AsJson = False) -> None:
    """Take up what stands still: dead letters, events that a broker lost, parked jobs, parked ops."""
    found = asyncio.run(main.redrive(load()))
    if as_json:
        typer.echo(msgspec.json.encode(found))
    else:
        typer.echo(f"{found.events} events sent again, {found.jobs} jobs and {found.ops} ops taken up")


@app.command()
def archive(
    now: Annotated[datetime | None, typer.Option(help="As if it were the beginning of this day, UTC.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only tell what would go.")] = False,
    as_json: AsJson = False,
) -> None:
    """Bring to the archive what is old enough; the workers do the same every night. Safe to repeat and to interrupt."""
    moment = now and now.replace(tzinfo=UTC)
    found = asyncio.run(main.archive(load(), moment, dry_run))
    if as_json:
        typer.echo(msgspec.json.encode(found))
        return
    for each in found:
        typer.echo(f"{each.video_id} of {each.created:%Y-%m-%d}, due since {each.due:%Y-%m-%d}, {each.size} bytes")
    typer.echo(f"{len(found)} videos {'would go' if dry_run else 'are in the archive'}")


@app.command()
def rotate_keys(as_json: AsJson = False) -> None:
    """Change the master key of personal data while the hub runs. Cut anywhere, the next run goes on with it."""
    with counting("keys") as counted:
        done = asyncio.run(main.rotate_keys(load(), counted))
    said = f"{done} keys wrapped anew; the old master key is gone"
    typer.echo(msgspec.json.encode({"keys": done}) if as_json else said)


@app.command()
def reconcile(
    patience_h: Annotated[float, typer.Option(help="Hours for what takes its time: boxes without a network.")] = 24,
    as_json: AsJson = False,
) -> None:
    """Follow every order to its notice and name what does not fit together. Changes nothing; exit code 1 for breaks."""
    found = 0

    def tell(each: admin.Break) -> None:
        nonlocal found
        found += 1
        line = f"{each.kind} {each.subject} {each.detail} (mended by: {each.owner})"
        typer.echo(msgspec.json.encode(each) if as_json else line)

    asyncio.run(main.reconcile(load(), timedelta(hours=patience_h), tell))
    if not as_json:
        typer.echo(f"{found} breaks")
    if found:
        raise typer.Exit(1)


@app.command()
def quarantine(
    node: Annotated[UUID | None, typer.Option(help="Only of this box.")] = None,
    seq: Annotated[int | None, typer.Option(help="Only this op of the box; for --redrive.")] = None,
    redrive: Annotated[bool, typer.Option("--redrive", help="Try them again first.")] = False,
    as_json: AsJson = False,
) -> None:
    """What boxes sent that could not be applied, and why. Exit code 1 while there is any."""
    chosen = load()
    applied = asyncio.run(main.retry(chosen, main.ops.Redrive(node, seq))) if redrive else 0
    left = asyncio.run(main.quarantine(chosen, node))
    if as_json:
        typer.echo(msgspec.json.encode({"applied": applied, "quarantined": left}))
    else:
        for op in left:
            typer.echo(f"{op.node} {op.seq} {op.entity} {op.key} by {op.actor}: {op.detail} [{op.code}]")
        typer.echo(f"{len(left)} ops in quarantine" + (f", {applied} applied now" if redrive else ""))
    if left:
        raise typer.Exit(1)


@app.command()
def events() -> None:
    """Print what the services tell each other over Kafka: topics, schemas, who listens."""
    typer.echo(cloud_events.page(), nl=False)


@app.command()
def routes(
    page: Annotated[Path | None, typer.Option("--into", help="Write it into this page instead.")] = None,
) -> None:
    """Print who may call what at the hub, by its routes."""
    if page:
        cloud_routes.into(page)
    else:
        typer.echo(cloud_routes.section(), nl=False)


@app.command()
def import_bundle(
    stick: Annotated[Path, typer.Argument(exists=True, file_okay=False, help="Where the stick is mounted.")],
    as_json: AsJson = False,
) -> None:
    """Take in what boxes wrote on a stick, and write the answers for them. Safe to repeat; goes on where it was cut.

    Exit code 1 when something on it was refused; the reason is printed, and stands in the answer.
    """
    with moving("from the stick") as moved:
        taken = asyncio.run(main.import_bundle(load(), stick, moved))
    if as_json:
        typer.echo(msgspec.json.encode(taken))
    for box in [] if as_json else taken:
        here = f" ({box.known_blobs} were here)" if box.known_blobs else ""
        typer.echo(f"box {box.node}: {box.ops} new records, up to {box.acked}; {box.blobs} new files{here}")
        for refused in box.refused:
            typer.echo(f"  refused {refused.what}: {refused.detail} [{refused.code}]", err=True)
    if not all(box.is_whole for box in taken):
        raise typer.Exit(1)


def load() -> Settings:
    return settings.load(Settings, os.environ)


def _one_of_many(found: Settings, chosen: list[str]) -> main.OneOfMany:
    _log_as_json()
    return main.OneOfMany(found, chosen)


def _chosen(services: str) -> list[str]:
    chosen = services.split(",")
    if unknown := set(chosen) - set(main.SERVICES):
        raise QurbaniError("bad_input", f"there is no service {', '.join(sorted(unknown))}; there are {ALL}")
    return chosen


def _run(*programs: main.Program, services: str) -> None:
    found, chosen = load(), _chosen(services)
    _log_as_json()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main.run(found, programs, chosen))


def _log_as_json() -> None:
    """One JSON object a line on standard error, from our log and from the libraries'."""
    steps = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    render = structlog.processors.JSONRenderer(serializer=lambda found, **_: msgspec.json.encode(found).decode())
    log.to_stderr([*steps, render])
    handler = logging.StreamHandler()
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, render], foreign_pre_chain=steps,
    ))  # fmt: skip
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
