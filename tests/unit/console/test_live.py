"""The stream of an open overview: it says when its figures are not those of now."""

from types import SimpleNamespace

from recovery.console import overview
from recovery.console.overview import Overview
from recovery.console.rendering import Rendering
from recovery.errors import Unavailable
from tests.support.console_alone import desk


class Routes:
    """Routes that let everybody in."""

    def __init__(self):
        self.rendering = Rendering(None)

    def page(self, *_route):
        """Enter no page."""

    act = page

    def viewer(self, _request):
        """Return a viewer of all shops."""
        return SimpleNamespace(shops=())


async def test_an_open_overview_is_told_while_the_database_is_away(monkeypatch):
    """Once, and once when it is back: what stands there meanwhile is old, and looks like now."""
    monkeypatch.setattr(overview, "EVERY", 0.001)
    pages = Overview(Routes(), desk())
    answers = iter([{"figures": "a"}, None, None, {"figures": "a"}])

    async def read(_shops):
        answer = next(answers)
        if answer is None:
            raise Unavailable("the database is away")
        return answer

    monkeypatch.setattr(pages._figures, "read", read)
    monkeypatch.setattr(pages, "_parts", lambda figures, _viewer: figures)
    told = []
    async for each in pages._events(None, SimpleNamespace(shops=())):
        told += [line for line in each.splitlines() if line.startswith("event")]
        if told[-1:] == ["event: fresh"]:
            break
    assert told == ["event: part", "event: stale", "event: fresh"]
