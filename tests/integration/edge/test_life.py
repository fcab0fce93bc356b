"""From an empty folder to a stopped box, and days without the hub."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

from shared.ids import new_id
from tests.box import Box, running, until
from tests.hub import Hub, serving


def test_a_box_that_has_not_enrolled_says_so(tmp_path: Path) -> None:
    box = Box(tmp_path / "box", Hub())
    answer = box.command("serve", check=False)
    assert answer.returncode == 1
    assert "not_enrolled" in answer.stderr
    assert "not enrolled" in box.command("status").stdout
    examined = box.command("doctor", check=False)
    assert examined.returncode == 1
    assert "WRONG   enrolment" in examined.stdout


def test_enrolment(tmp_path: Path) -> None:
    with serving(Hub()) as hub:
        box, other = Box(tmp_path / "box", hub), Box(tmp_path / "other", hub)
        wrong = box.command("enrol", "--hub", hub.url, "--code", "0000-0000-0000-0001", check=False)
        assert "bad_code" in wrong.stderr
        box.enrol()
        box.enrol()
        assert "bad_code" in other.command("enrol", "--hub", hub.url, "--code", hub.code, check=False).stderr
    unreachable = box.command("enrol", "--hub", hub.url, "--code", hub.code, check=False)
    assert "unavailable" in unreachable.stderr
    assert "Traceback" not in wrong.stderr + unreachable.stderr
    assert {path.stat().st_mode & 0o777 for path in (box.folder / "keys").iterdir()} == {0o600}


def test_work_goes_on_without_the_hub_and_arrives_once(tmp_path: Path) -> None:
    hub = Hub()
    with ExitStack() as stack:
        with serving(hub):
            box, tablet, animals = stack.enter_context(running(tmp_path, hub, animals=3))
        sacrifices = [tablet.open_sacrifice(animal) for animal in animals]
        for sacrifice in sacrifices:
            tablet.upload(sacrifice, new_id(), b"some video" * 1000)
        assert all(tablet.verdicts(sacrifice)[0]["outcome"] == "review" for sacrifice in sacrifices)
        sync = until(lambda: (told := tablet.ask("GET", "/api/v1/status").json()["sync"])["error"] and told)
        assert sync["error"].startswith("unavailable")
        assert (sync["unsent_ops"], sync["unsent_videos"]) == (18, 3)
        with serving(hub):
            until(lambda: len(hub.arrived) == 3 and len(hub.ops) == 18)
            assert box.stop() == 0
        assert hub.entities() == {"sacrifice": 3, "video": 3, "verdict": 3, "manifest": 3}
        assert len(set(hub.arrived)) == 3
