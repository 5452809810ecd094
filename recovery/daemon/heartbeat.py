"""The heartbeat: tells the other daemons of this one, learns of them, and keeps the clock."""

import asyncio
from collections.abc import Callable
from datetime import timedelta

import structlog

from recovery.daemon.share import Share
from recovery.mongo.clock import MongoClock
from recovery.mongo.daemons import Daemons
from recovery.ports import StoreUnavailable

log = structlog.get_logger()


class Heartbeat:
    """Beats every `interval`; a daemon not heard of for `expiry` is taken for dead, and its share is shared out.

    `on_shared` is called whenever the work is shared anew.
    """

    def __init__(
        self,
        daemons: Daemons,
        share: Share,
        on_shared: Callable[[], None],
        clock: MongoClock,
        *,
        interval: timedelta,
        expiry: timedelta,
    ) -> None:
        self._daemons = daemons
        self._share = share
        self._on_shared = on_shared
        self._clock = clock
        self._interval = interval
        self._expiry = expiry
        self.fault: str | None = None

    async def run(self) -> None:
        """Beat for ever."""
        while True:
            try:
                await self.beat()
                self.fault = None
            except StoreUnavailable as exc:
                self.fault = f"MongoDB is not available: {exc}"
                log.warning("the heartbeat is not heard", error=str(exc))
            await asyncio.sleep(self._interval.total_seconds())

    async def beat(self) -> None:
        """Beat once, and share the work with the daemons that are alive."""
        await self._clock.measure()
        now = self._clock.now()
        await self._daemons.beat(self._share.daemon, now)
        if self._share.among(await self._daemons.alive(now, self._expiry)):
            log.info("the work is shared anew", daemons=len(self._share.daemons))
            self._on_shared()  # what the daemons that went had in hand is looked at now

    async def leave(self) -> None:
        """Take leave of the others. If the database is not there, they will notice by the silence."""
        try:
            await self._daemons.leave(self._share.daemon)
        except StoreUnavailable as exc:
            log.warning("left without a word", error=str(exc))
