"""The daemons that are alive, by their heartbeats."""

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
        """Tell the others that this daemon is alive, and what it can do."""
        await self._daemons.replace_one({"_id": daemon}, {"beat_at": now, **says}, upsert=True)

    @translated
    async def alive(self, now: datetime, expiry: timedelta) -> Mapping[str, Mapping[str, Any]]:
        """Return what those daemons say whose last heartbeat is younger than `expiry`, by their names."""
        query = self._daemons.find({"beat_at": {"$gt": now - expiry}})
        return {document["_id"]: document async for document in query}

    @translated
    async def leave(self, daemon: str) -> None:
        """Take leave, so that the others need not wait for the expiry."""
        await self._daemons.delete_one({"_id": daemon})
