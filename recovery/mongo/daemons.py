"""The live daemons, by their heartbeats: the membership list for leader election and shares."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from recovery.mongo.collections import DAEMONS, OPTIONS, Database
from recovery.mongo.errors import translated


class Daemons:
    """The heartbeats of all daemons on this database."""

    def __init__(self, database: Database) -> None:
        self._daemons = database.get_collection(DAEMONS, **OPTIONS)

    @translated
    async def beat(self, daemon: str, now: datetime, says: Mapping[str, Any]) -> None:
        """Write a heartbeat: this daemon is alive, and `says` what it can do."""
        await self._daemons.replace_one({"_id": daemon}, {"beat_at": now, **says}, upsert=True)

    @translated
    async def alive(self, now: datetime, expiry: timedelta) -> Mapping[str, Mapping[str, Any]]:
        """Return the heartbeats younger than `expiry`, by name of the daemon."""
        query = self._daemons.find({"beat_at": {"$gt": now - expiry}})
        return {document["_id"]: document async for document in query}

    @translated
    async def leave(self, daemon: str) -> None:
        """Deregister this daemon, so that the others need not wait for its heartbeat to expire."""
        await self._daemons.delete_one({"_id": daemon})
