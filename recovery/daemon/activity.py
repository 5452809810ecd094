"""The records of activity: stores at intervals what this daemon sent, skipped and gave up."""

import asyncio
from contextlib import suppress

from recovery.daemon.outage import Outage
from recovery.domain.activity import Tally
from recovery.engine.ports import Clock
from recovery.errors import Unavailable
from recovery.mongo.activity import Activity

STORED_EVERY = 5.0
"""Seconds between two writes: one bulk of what has changed, and none where nothing has."""

STORED_AT_ONCE = 200
"""Documents of one write; the rest comes with the next."""

LAST_STORE = 1.0
"""Seconds that the last writes may take."""


class ActivityRecords:
    """The records of the activity of the daemon with this name. `tally` is where it is counted."""

    def __init__(self, store: Activity, tally: Tally, clock: Clock, daemon: str) -> None:
        self._store = store
        self._tally = tally
        self._clock = clock
        self._daemon = daemon
        self._outage = Outage(task="activity")
        tally.turn(clock.now())

    async def run(self) -> None:
        """Store for ever, at intervals."""
        while True:
            await asyncio.sleep(STORED_EVERY)
            await self.store()

    async def finish(self) -> None:
        """Store what is left, unless that takes long: the daemon is to stop."""
        with suppress(TimeoutError):
            async with asyncio.timeout(LAST_STORE):
                while await self.store():
                    pass

    async def store(self) -> bool:
        """Store what has changed, up to a bound; return whether something was stored.

        While the database is unavailable, it is kept.
        """
        self._tally.turn(self._clock.now())
        entries = self._tally.taken(STORED_AT_ONCE)
        if not entries:
            return False
        try:
            await self._store.put(self._daemon, entries)
        except BaseException as exc:
            self._tally.give_back(entries)
            if not isinstance(exc, Unavailable):
                raise
            self._outage.tell(exc)
            return False
        self._outage.over()
        return True
