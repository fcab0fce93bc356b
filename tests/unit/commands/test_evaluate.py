"""Detectors judged from the command line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from commands.evidence import app
from models_tflite.manifest import manifest
from shared.errors import QurbaniError

OURS = [entry.name for entry in manifest().detector if entry.training and not entry.beside]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rng = np.random.default_rng(1)
    categories = [{"id": at, "name": name} for at, name in enumerate(("person", "animal", "knife"), 1)]
    images = [{"id": at, "file_name": f"{at}.png", "split": "val", "subset": "noise"} for at in range(3)]
    for image in images:
        Image.fromarray(rng.integers(0, 256, (60, 80, 3), np.uint8)).save(tmp_path / str(image["file_name"]))
    annotations = [{"image_id": 0, "category_id": 3, "bbox": [10, 10, 20, 20]}]
    document = {"categories": categories, "images": images, "annotations": annotations}
    (tmp_path / "annotations.json").write_text(json.dumps(document))
    return tmp_path


def test_bundled_detectors_are_judged_side_by_side(folder: Path) -> None:
    asked = [argument for name in OURS for argument in ("--model", name)]
    result = CliRunner().invoke(app, ["evaluate", "scenes", str(folder), "--json", *asked])
    assert result.exit_code == 0, result.output
    reports = json.loads(result.stdout)
    assert [report["model"] for report in reports] == OURS
    for report in reports:
        assert report["images"] == 3
        assert report["classes"]["knife"]["chosen"]["recall"]["total"] == 1
        assert report["subsets"]["noise"]["false_alarms"]["animal"]["total"] == 3


def test_a_table_is_shown_to_people(folder: Path) -> None:
    result = CliRunner().invoke(app, ["evaluate", "scenes", str(folder), "--model", OURS[0]])
    assert result.exit_code == 0, result.output
    assert "no case" in result.stdout


def test_an_unknown_model_is_an_error_of_ours(folder: Path) -> None:
    result = CliRunner().invoke(app, ["evaluate", "scenes", str(folder), "--model", "nobody"])
    assert isinstance(result.exception, QurbaniError)
    assert result.exception.code == "no_model"
