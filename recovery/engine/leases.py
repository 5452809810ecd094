"""The renewal of leases while the relay is slow: a lease lasts as long as the work."""

import asyncio
from collections.abc import Iterable

from recovery.engine.flight import Flight
from recovery.engine.ports import Checkouts, Clock, Observer
from recovery.errors import Unavailable


class Leases:
    """Renews the leases of flights, each after a third of its duration."""

    def __init__(self, checkouts: Checkouts, clock: Clock, observer: Observer) -> None:
        self._checkouts = checkouts
        self._clock = clock
        self._observer = observer

    async def renew(self, flights: Iterable[Flight]) -> None:
        """Renew the leases among these that are old enough. One that fails is tried again with the next call."""
        now = asyncio.get_running_loop().time()
        old = [each for each in flights if now - each.leased_at > each.lease / 3]
        if not old:
            return
        at = self._clock.now()
        try:
            await self._checkouts.renew([each.renewed(at + each.request.schedule.lease, now) for each in old])
        except Unavailable:
            for each in old:
                each.leased_at = float("-inf")
        except Exception as exc:  # noqa: BLE001  a lease that is not renewed does less harm than no leases
            self._observer.failed("renew leases", exc)
