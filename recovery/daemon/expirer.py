"""The expirer: deletes shadows the moment they are due. MongoDB's TTL deletes them too, within about a minute."""

import asyncio
from datetime import datetime, timedelta

from recovery.daemon.outage import AGAIN_AFTER, Outage
from recovery.daemon.share import Share
from recovery.engine.ports import Clock
from recovery.errors import Unavailable
from recovery.mongo.shadows import MongoShadows

LONGEST_SLEEP = timedelta(seconds=1)
"""Longest delay until the expirer notices a shadow that another daemon set and that is due before all others."""


class Expirer:
    """Sleeps until the next shadow is due, and deletes it.

    Of several daemons only the leader deletes: the one elected by rendezvous hashing (`Share.expires`).
    """

    def __init__(self, shadows: MongoShadows, share: Share, clock: Clock) -> None:
        self._shadows = shadows
        self._share = share
        self._clock = clock
        self._wake_at: datetime | None = None
        self._woken = asyncio.Event()
        self._outage = Outage(task="expirer")

    def wake_for(self, at: datetime) -> None:
        """Wake up in time for a shadow that was just set: it may be due before all others."""
        if self._wake_at is None or at < self._wake_at:
            self._wake_at = at
            self._woken.set()

    async def run(self) -> None:
        """Delete due shadows for ever."""
        while True:
            try:
                await self.expire()
                await self._sleep()
                self._outage.over()
            except Unavailable as exc:
                self._outage.tell(exc)
                await asyncio.sleep(AGAIN_AFTER)

    async def expire(self) -> int:
        """Delete the due shadows if this daemon is the leader, and find the next due time; return the number deleted.

        It is called when a shadow is due, so it deletes first and asks for the next due time afterwards.
        """
        gone = 0
        self._woken.clear()
        self._wake_at = None
        if self._share.expires:
            gone = await self._shadows.expire(self._clock.now())
            next_expiry = await self._shadows.next_expiry()
            if next_expiry is not None:
                self.wake_for(next_expiry)
        return gone

    async def _sleep(self) -> None:
        """Sleep until the next shadow is due, an earlier one is set, or other daemons may have set one."""
        while True:
            self._woken.clear()
            now = self._clock.now()
            until = now + LONGEST_SLEEP if self._wake_at is None else min(self._wake_at, now + LONGEST_SLEEP)
            if until <= now:
                return
            try:
                async with asyncio.timeout((until - now).total_seconds()):
                    await self._woken.wait()
            except TimeoutError:
                return
