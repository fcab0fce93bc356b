"""Practice runs through the same steps as the work, and nothing of it gets among what is real."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from uuid import UUID

from shared.ids import new_id
from tests.box import Box, Tablet, running, until
from tests.hub import Hub, serving


class Novice(Tablet):
    """A tablet upon which everything is asked of the practice yard."""

    def __init__(self, box: Box, tablet: Tablet) -> None:
        super().__init__(box, tablet.executor)
        self.http = tablet.http

    def ask(self, method: str, path: str, **request: Any) -> Any:
        return super().ask(method, path if path.startswith("/practice/") else f"/practice{path}", **request)


def test_practice_never_mixes_with_the_work(tmp_path: Path) -> None:
    with serving(Hub()) as hub, running(tmp_path, hub) as (box, tablet, (animal,)):
        novice = Novice(box, tablet)
        animals = novice.ask("GET", "/api/v1/animals").json()
        assert [each["tag"] for each in animals] == ["P1", "P2", "P3", "P4"]
        assert [share["name"] for share in animals[1]["shares"]] == ["خديجة المنصوري"]
        practised = UUID(animals[0]["id"])
        sacrifice = novice.open_sacrifice(practised)
        novice.upload(sacrifice, new_id(), b"some video" * 100)
        assert novice.verdicts(sacrifice)[0]["outcome"] == "review"

        real = tablet.open_sacrifice(animal)
        tablet.upload(real, new_id(), b"some video" * 200)
        tablet.verdicts(real)
        until(lambda: tablet.sacrifice(real)["videos"][0]["place"] == "in_cloud")
        assert {key for entity, key in hub.records if entity == "sacrifice"} == {real}
        assert len(hub.arrived) == 1
        assert [each["id"] for each in tablet.ask("GET", "/api/v1/animals").json()] == [str(animal)]
        for asking, other in ((tablet, practised), (novice, animal)):
            answer = asking.http.post(
                f"{box.url}{'/practice' if asking is novice else ''}/api/v1/sacrifices",
                json={"id": str(new_id()), "animal_id": str(other)},
            )
            assert answer.status_code == 404

        box.kill()
        box.start()
        assert {each["state"] for each in novice.ask("GET", "/api/v1/animals").json()} == {"waiting"}
        assert tablet.sacrifice(real)["videos"]
