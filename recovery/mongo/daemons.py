"""The daemons that are alive, by their heartbeats."""

from datetime import datetime, timedelta

from recovery.mongo.collections import DAEMONS, OPTIONS, Database
from recovery.mongo.errors import translated


class Daemons:
    """The heartbeats of all daemons on this database."""

    def __init__(self, database: Database) -> None:
        self._daemons = database.get_collection(DAEMONS, **OPTIONS)

    @translated
    async def beat(self, daemon: str, now: datetime) -> None:
        """Tell the others that this daemon is alive."""
        await self._daemons.update_one({"_id": daemon}, {"$set": {"beat_at": now}}, upsert=True)

    @translated
    async def alive(self, now: datetime, expiry: timedelta) -> frozenset[str]:
        """Return the daemons whose last heartbeat is younger than `expiry`."""
        query = self._daemons.find({"beat_at": {"$gt": now - expiry}}, {"_id": 1})
        return frozenset([document["_id"] async for document in query])

    @translated
    async def leave(self, daemon: str) -> None:
        """Take leave, so that the others need not wait for the expiry."""
        await self._daemons.delete_one({"_id": daemon})
