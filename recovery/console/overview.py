"""The overview: what is due, what goes out, and whether anything is wrong; kept up to date while it is open."""

import asyncio
import json
from collections.abc import AsyncIterator

from fastapi import Request, Response
from fastapi.responses import StreamingResponse
from markupsafe import Markup
from pydantic import TypeAdapter, ValidationError

from recovery.console.charts import Bar, bars
from recovery.console.desk import Desk
from recovery.console.figures import Figures, FiguresReader
from recovery.console.forms import Form
from recovery.console.rendering import HEADERS
from recovery.console.routes import Ask, Done, Routes, is_sure
from recovery.console.sessions import PATH
from recovery.console.viewer import Viewer
from recovery.domain.fields import ShopKey
from recovery.domain.pauses import EVERYTHING
from recovery.errors import Unavailable
from recovery.http.problems import Problem
from recovery.mongo.pauses import Pauses

EVERY = 2.0
"""Seconds between two looks at the figures for open overviews."""

MOST_SHOPS = 50
"""Shops that are offered to be paused; others are typed."""

MOST_OPEN = 100
"""Overviews that are kept up to date at the same time."""

_SHOP: TypeAdapter[str] = TypeAdapter(ShopKey)

PARTS = {"pauses": "pauses.html", "figures": "figures.html", "state": "state.html"}
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
        routes.act("/pause", self.pause)
        routes.act("/resume", self.resume)

    async def page(self, request: Request, viewer: Viewer) -> Response:
        """Answer with the overview."""
        figures = await self._figures.read(viewer.shops)
        shops = viewer.shops or await self._desk.known_shops(MOST_SHOPS)
        return self._routes.rendering.page(
            request, viewer, "overview.html", current="overview", figures=figures, chart=chart(figures), shops=shops
        )

    async def pause(self, _request: Request, viewer: Viewer, form: Form) -> Ask | Done:
        """Pause a shop, or all sending."""
        shop, reason = _shop(form, viewer), form.one("reason") or ""
        await self._must_be_known(shop, viewer)
        if not is_sure(form):
            return Ask(
                f"Pause {_named(shop)}?",
                "Pause",
                PATH,
                (*form.only("shop"), ("reason", reason)),
                ("Nothing of it is sent, order confirmations neither, until somebody resumes it.",),
            )
        await Pauses(self._desk.database).pause(shop, viewer.name, reason, self._desk.clock.now())
        self._figures.forget()
        return Done(f"{_named(shop)[0].upper()}{_named(shop)[1:]} is paused.", PATH)

    async def resume(self, _request: Request, viewer: Viewer, form: Form) -> Ask | Done:
        """Resume a shop, or all sending."""
        shop = _shop(form, viewer)
        if not is_sure(form):
            details = ("What became due meanwhile is sent now, unless it is too late to be of use.",)
            return Ask(f"Resume {_named(shop)}?", "Resume", PATH, tuple(form.only("shop")), details, grave=False)
        found = await Pauses(self._desk.database).resume(shop)
        self._figures.forget()
        what = f"{_named(shop)[0].upper()}{_named(shop)[1:]}"
        return Done(f"{what} is resumed." if found else f"{what} was not paused.", PATH)

    async def _must_be_known(self, shop: str | None, viewer: Viewer) -> None:
        """Raise `Problem` for a shop of which there is nothing: its name is misspelt, and nothing would stop."""
        if shop is None or shop in self._desk.shops or shop in viewer.shops:
            return
        found = await self._desk.recovery.list(shop=shop, limit=1)
        if not (found.checkouts or found.unreadable):
            raise Problem(422, f"There is no shop {shop}, in the settings or among the checkouts: see the page Shops.")

    async def live(self, request: Request, viewer: Viewer) -> Response:
        """Answer with the parts of the overview that change, for as long as it is open."""
        if self._open >= MOST_OPEN:
            raise Problem(503, "Too many overviews are open: close some, or load the page again for new figures.")
        return StreamingResponse(self._events(request, viewer), media_type="text/event-stream", headers=HEADERS)

    async def _events(self, request: Request, viewer: Viewer) -> AsyncIterator[str]:
        self._open += 1
        shown: dict[str, str] = {}
        is_stale = False
        try:
            while not self._desk.closing.is_set() and self._routes.viewer(request) is not None:
                try:
                    figures = await self._figures.read(viewer.shops)
                except Unavailable:
                    if not is_stale:
                        yield "event: stale\ndata: the database does not answer\n\n"
                    is_stale = True
                else:
                    if is_stale:
                        yield "event: fresh\ndata: the database answers\n\n"
                    is_stale = False
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
        names = {"figures": figures, "viewer": viewer, "chart": chart(figures)}
        return {id_: rendering.html(template, **names) for id_, template in PARTS.items()}


def chart(figures: Figures) -> Markup:
    """Return the chart of the messages by hour."""
    data = [
        Bar(
            f"{hour:%H}",
            counts,
            f"{hour:%H}:00 UTC: " + ", ".join(f"{count:,} {fate}" for fate, count in counts.items()),
        )
        for hour, counts in figures.hours
    ]
    return bars(data, described="Messages that were sent, skipped and given up, by hour (UTC)", every=3)


def _shop(form: Form, viewer: Viewer) -> str | None:
    """Return the shop of a form, or None for all sending. Raises `Problem`."""
    given = form.one("shop")
    try:
        shop = None if given is None else _SHOP.validate_python(given)
    except ValidationError:
        shop = EVERYTHING
    if shop == EVERYTHING:
        raise Problem(422, f"{given} is not the name of a shop.")
    viewer.caller.needs_shop(shop)
    return shop


def _named(shop: str | None) -> str:
    return "all sending" if shop is None else f"sending for {shop}"
