"""A hub without the package that draws the reference says what to install."""

from __future__ import annotations

from typing import Any

import pytest

from cloud.pages import reference


def test_a_page_without_its_script_names_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: Any = None
    monkeypatch.setattr(reference, "PACKAGE", "not-installed")
    page = reference.Reference().render(asked, {}).decode()
    assert "pip install 'qurbani[api-docs]'" in page
    assert "<script" not in page
