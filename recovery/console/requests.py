"""Requests for data: people who ask what is kept of them; the export to answer with, and the mark that it was done."""

import json
import re

import structlog
from fastapi import Request, Response

from recovery.console.desk import Desk
from recovery.console.forms import Form
from recovery.console.rendering import HEADERS
from recovery.console.routes import Ask, Done, Routes, is_sure
from recovery.console.sessions import PATH
from recovery.console.viewer import Viewer
from recovery.domain.scopes import Scope
from recovery.http.problems import Problem
from recovery.mongo.data_requests import DataRequests, KeptRequest

LIST = f"{PATH}/requests"
MOST_OPEN, MOST_DONE = 200, 50

log = structlog.get_logger()


class Requests:
    """The list, and its acts."""

    def __init__(self, routes: Routes, desk: Desk) -> None:
        self._routes = routes
        self._desk = desk
        self._requests = DataRequests(desk.database)
        routes.rendering.pages.add("requests")
        routes.page("/requests", self.page)
        routes.act("/requests/export", self.export, Scope.PRIVACY)
        routes.act("/requests/done", self.done)

    async def page(self, request: Request, viewer: Viewer) -> Response:
        """Answer with the open requests, the oldest first, and the last that were answered."""
        waiting = await self._requests.open(viewer.shops, MOST_OPEN + 1)
        return self._routes.rendering.page(
            request,
            viewer,
            "requests.html",
            current="requests",
            waiting=waiting[:MOST_OPEN],
            more=len(waiting) > MOST_OPEN,
            answered=await self._requests.answered(viewer.shops, MOST_DONE),
            list=LIST,
            now=self._desk.clock.now(),
        )

    async def export(self, _request: Request, viewer: Viewer, form: Form) -> Response:
        """Answer with all that is kept of the person at that shop, as a JSON file."""
        asked = await self._asked(form, viewer)
        found = await self._desk.recovery.export(asked.address, shop=asked.shop)
        log.info("person exported", key=viewer.name, shop=asked.shop)
        name = re.sub(r"[^A-Za-z0-9._-]+", "-", asked.id)
        return Response(
            json.dumps(found, ensure_ascii=False, indent=2),
            media_type="application/json",
            headers=HEADERS | {"Content-Disposition": f'attachment; filename="{name}.json"'},
        )

    async def done(self, _request: Request, viewer: Viewer, form: Form) -> Done | Ask:
        """Mark a request as answered."""
        asked = await self._asked(form, viewer)
        if asked.done_at is not None:
            return Done("The request was marked as answered already.", LIST, 0)
        if not is_sure(form):
            return Ask(
                f"Mark 1 request as answered, that of {asked.address} to {asked.shop}?",
                "Mark it as answered",
                LIST,
                (("id", asked.id),),
                ("Send them the export first: this only takes the request off the list.",),
                grave=False,
            )
        await self._requests.done(asked.id, f"{viewer.name} in the console")
        return Done("The request is marked as answered.", LIST)

    async def _asked(self, form: Form, viewer: Viewer) -> KeptRequest:
        asked = await self._requests.get(form.one("id") or "")
        if asked is None or not viewer.sees(asked.shop):
            raise Problem(404, "There is no such request: it is older than 90 days, or the person was erased.")
        return asked
