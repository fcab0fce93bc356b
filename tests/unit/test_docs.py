"""The documents say what the code does."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest

import qurbani
from cloud.main import SERVICES
from cloud.platform.settings import Settings as HubSettings
from commands import cloud_events, cloud_routes
from edge.settings import Settings as BoxSettings

ROOT = Path(__file__).parents[2]
OPERATIONS = (ROOT / "docs" / "operations.md").read_text()


@pytest.mark.parametrize(("heading", "settings"), [("## A box", BoxSettings), ("## The hub", HubSettings)])
def test_every_setting_is_documented_and_no_other(heading: str, settings: type[msgspec.Struct]) -> None:
    section = OPERATIONS.split(heading)[1].split("\n## ")[0]
    rows = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
    told = {name for row in rows for name in re.findall(r"`([A-Z_]+)`", row)} - {"QURBANI_"}
    known = {field.name.upper() for field in msgspec.structs.fields(settings)}
    assert told - {"MODELS"} == known  # where models lie is read by models_tflite itself


def test_links_lead_somewhere() -> None:
    for page in [ROOT / "README.md", *ROOT.glob("docs/**/*.md"), ROOT / "sync" / "PROTOCOL.md"]:
        for link in re.findall(r"\]\(([^)#]+)", page.read_text()):
            if "://" not in link:
                assert (page.parent / link).exists(), f"{page.name} links to {link}"


def test_the_architecture_names_every_service_and_noun() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text() + (ROOT / "README.md").read_text()
    assert all(service in text for service in SERVICES)
    assert all(f"qurbani {noun}" in text or f"make {noun}" in text for noun in set(qurbani.NOUNS) - {"models", "bench"})


def test_the_events_are_documented_as_they_are() -> None:
    assert (ROOT / "docs" / "events.md").read_text() == cloud_events.page()


def test_who_may_do_what_is_documented_as_it_is() -> None:
    hint = "run `qurbani cloud routes --into docs/security.md`"
    assert cloud_routes.section() in (ROOT / "docs" / "security.md").read_text(), hint
