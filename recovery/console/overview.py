"""The overview: what is due, what goes out, and whether anything is wrong; kept up to date while it is open."""

import asyncio
import json
from collections.abc import AsyncIterator

from fastapi import Request, Response
from fastapi.responses import StreamingResponse

from recovery.console.desk import Desk
from recovery.console.figures import Figures, FiguresReader
from recovery.console.rendering import HEADERS
from recovery.console.routes import Routes
from recovery.console.viewer import Viewer
from recovery.errors import Unavailable
from recovery.http.problems import Problem

EVERY = 2.0
"""Seconds between two looks at the figures for open overviews."""

MOST_OPEN = 100
"""Overviews that are kept up to date at the same time."""

PARTS = {"figures": "figures.html", "state": "state.html"}
"""The parts of the page that are kept up to date: their ids and templates."""


class Overview:
    """The page, and the stream of its parts (server-sent events)."""

    def __init__(self, routes: Routes, desk: Desk) -> None:
        self._routes = routes
        self._desk = desk
        self._figures = FiguresReader(desk)
        self._open = 0
        routes.rendering.pages.add("overview")
        routes.page("", self.page)
        routes.page("/live", self.live)

    async def page(self, request: Request, viewer: Viewer) -> Response:
        """Answer with the overview."""
        figures = await self._figures.read(viewer.shops)
        return self._routes.rendering.page(request, viewer, "overview.html", current="overview", figures=figures)

    async def live(self, request: Request, viewer: Viewer) -> Response:
        """Answer with the parts of the overview that change, for as long as it is open."""
        if self._open >= MOST_OPEN:
            raise Problem(503, "Too many overviews are open: close some, or load the page again for new figures.")
        return StreamingResponse(self._events(request, viewer), media_type="text/event-stream", headers=HEADERS)

    async def _events(self, request: Request, viewer: Viewer) -> AsyncIterator[str]:
        self._open += 1
        shown: dict[str, str] = {}
        try:
            while not self._desk.closing.is_set() and self._routes.viewer(request) is not None:
                try:
                    figures = await self._figures.read(viewer.shops)
                except Unavailable:
                    yield ": the database does not answer\n\n"
                else:
                    for id_, html in self._parts(figures, viewer).items():
                        if shown.get(id_) != html:
                            shown[id_] = html
                            yield f"event: part\ndata: {json.dumps({'id': id_, 'html': html})}\n\n"
                try:
                    async with asyncio.timeout(EVERY):
                        await self._desk.closing.wait()
                except TimeoutError:
                    yield ": still here\n\n"  # a reader that has gone is found by writing to it
        finally:
            self._open -= 1

    def _parts(self, figures: Figures, viewer: Viewer) -> dict[str, str]:
        rendering = self._routes.rendering
        return {id_: rendering.html(template, figures=figures, viewer=viewer) for id_, template in PARTS.items()}
