"""The expirer: it deletes shadows the moment they are due. TTL would, too, within about a minute."""

import asyncio
from datetime import datetime, timedelta

from recovery.daemon.outage import Outage
from recovery.daemon.share import Share
from recovery.engine.ports import Clock
from recovery.errors import Unavailable
from recovery.mongo.shadows import MongoShadows

LONGEST_SLEEP = timedelta(seconds=1)
"""How long a shadow that another daemon set, due before all others, may be overlooked."""

AGAIN_AFTER = 0.5


class Expirer:
    """Sleeps until the next shadow is due and deletes it. Of several daemons, one is in office."""

    def __init__(self, shadows: MongoShadows, share: Share, clock: Clock) -> None:
        self._shadows = shadows
        self._share = share
        self._clock = clock
        self._wake_at: datetime | None = None
        self._woken = asyncio.Event()
        self._outage = Outage(task="expirer")

    def wake_for(self, at: datetime) -> None:
        """Take note of a shadow just set: it may be due before all others."""
        if self._wake_at is None or at < self._wake_at:
            self._wake_at = at
            self._woken.set()

    async def run(self) -> None:
        """Expire for ever."""
        while True:
            try:
                await self.expire()
                await self._sleep()
                self._outage.over()
            except Unavailable as exc:
                self._outage.tell(exc)
                await asyncio.sleep(AGAIN_AFTER)

    async def expire(self) -> int:
        """Delete what is due, if this daemon is in office, and find out when the next is; return how many went.

        It is called when something is due, so it deletes before it looks: those who wait are sooner served.
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
        """Sleep until the next shadow is due, an earlier one is set, or it is time to see what others have set."""
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
