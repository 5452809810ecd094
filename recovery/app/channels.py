"""The records of channels: stores at intervals how each shop's reports over HTTP were answered."""

import asyncio
from contextlib import suppress

from recovery.daemon.outage import Outage
from recovery.errors import Unavailable
from recovery.http.channels import ChannelCounts
from recovery.mongo.channels import Channels

STORED_EVERY = 10.0
"""Seconds between two writes: one bulk of everything since the last, and none without a report."""

LAST_STORE = 1.0
"""Seconds that the last write may take."""


class ChannelRecords:
    """The records of channels. `counts` is where the HTTP application notes each report."""

    def __init__(self, store: Channels, counts: ChannelCounts) -> None:
        self.counts = counts
        self._store = store
        self._outage = Outage(task="channels")

    async def run(self) -> None:
        """Store for ever, at intervals."""
        while True:
            await asyncio.sleep(STORED_EVERY)
            await self.store()

    async def finish(self) -> None:
        """Store what is left, unless that takes long: the daemon is to stop."""
        with suppress(TimeoutError):
            async with asyncio.timeout(LAST_STORE):
                await self.store()

    async def store(self) -> None:
        """Store the counts since the last time; while the database is unavailable, keep it."""
        heard = self.counts.taken()
        if not heard:
            return
        try:
            await self._store.add(heard)
        except Unavailable as exc:
            self.counts.count_again(heard)
            self._outage.tell(exc)
        else:
            self._outage.over()
