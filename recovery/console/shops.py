"""Shops: when each last reported, over which channel, what was not accepted and why, and its settings in short."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from fastapi import Request, Response

from recovery.console.desk import Desk, Sending
from recovery.console.forms import asked, query
from recovery.console.routes import Routes
from recovery.console.sessions import PATH
from recovery.console.viewer import Viewer
from recovery.domain.channels import API, Answer
from recovery.domain.schedule import Schedule
from recovery.mongo.channels import Channel, Channels

LIST = f"{PATH}/shops"
PAGE = 20
TAGS = {Answer.ACCEPTED: "good", Answer.IGNORED: "", Answer.UNMAPPED: "bad", Answer.REFUSED: "bad"}


@dataclass(frozen=True, slots=True)
class Seen:
    """What is known of a shop. `opened` is when its newest checkout was opened."""

    name: str
    channels: Sequence[Channel]
    opened: datetime | None
    sending: Sending
    schedule: Schedule
    has_settings: bool

    @property
    def last(self) -> datetime | None:
        """When it was last heard of."""
        heard = [channel.last.at for channel in self.channels if channel.last is not None]
        return max([*heard, *([self.opened] if self.opened else [])], default=None)

    @property
    def lost(self) -> bool:
        """Whether the last report over any channel was refused or not understood."""
        return any(channel.lost for channel in self.channels)


class Shops:
    """The page of all shops, by name."""

    def __init__(self, routes: Routes, desk: Desk) -> None:
        self._routes = routes
        self._desk = desk
        self._channels = Channels(desk.database)
        routes.rendering.pages.add("shops")
        routes.page("/shops", self.page)

    async def page(self, request: Request, viewer: Viewer) -> Response:
        """Answer with a page of the shops that the viewer sees."""
        after = asked(request).one("after") or ""
        names = await self._names(viewer, after)
        shops = await self._seen(names[:PAGE])
        return self._routes.rendering.page(
            request,
            viewer,
            "shops.html",
            current="shops",
            shops=shops,
            answers=list(Answer),
            tags=TAGS,
            api=API,
            delays=delays,
            checkouts=f"{PATH}/checkouts",
            first=LIST if after else None,
            older=query(LIST, [("after", names[PAGE - 1])]) if len(names) > PAGE else None,
            now=self._desk.clock.now(),
        )

    async def _names(self, viewer: Viewer, after: str) -> Sequence[str]:
        if viewer.shops:
            return [shop for shop in viewer.shops if shop > after][: PAGE + 1]
        return await self._channels.names(self._desk.shops, PAGE + 1, after)

    async def _seen(self, names: Sequence[str]) -> list[Seen]:
        channels, *opened = await asyncio.gather(
            self._channels.of(names), *(self._channels.newest(name) for name in names)
        )
        by_shop: dict[str, list[Channel]] = {name: [] for name in names}
        for channel in channels:
            by_shop[channel.shop].append(channel)
        return [
            Seen(
                name,
                by_shop[name],
                at,
                self._desk.sending.of_shop(name),
                self._desk.schedules.of_shop(name),
                name in self._desk.shops,
            )
            for name, at in zip(names, opened, strict=True)
        ]


def delays(schedule: Schedule) -> list[tuple[str, timedelta]]:
    """Return the steps of a schedule, with the delay of each."""
    return [(step.name, step.delay) for step in schedule.steps]
