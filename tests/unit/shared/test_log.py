from __future__ import annotations

import pytest
import structlog

from shared import log


def test_a_failure_tells_where_and_not_with_what(capsys: pytest.CaptureFixture[str]) -> None:
    """Variables hold names of donors, tokens and keys; a log may be read by anybody who helps."""
    before = structlog.get_config()
    log.to_stderr()
    try:
        secret = "Fatima-Zohra"
        try:
            raise ValueError(len(secret))
        except ValueError as error:
            structlog.get_logger("any").error("failed", exc_info=error)
    finally:
        structlog.configure(**before)
    told = capsys.readouterr().err
    assert "Traceback" in told
    assert "ValueError: 12" in told
    assert "Fatima-Zohra" not in told
