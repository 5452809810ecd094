"""The backlog: how many checkouts are due and not looked at yet, and since when, by a few index seeks for each shop."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from pymongo import ASCENDING

from recovery.mongo.collections import CHECKOUTS, FORGIVING, Database
from recovery.mongo.errors import translated
from recovery.mongo.queues import Queues, waiting

MOST_COUNTED = 10_000
"""Due checkouts that are counted: an exact number of more would read that many keys of the index."""

MOST_SHOPS = 200
"""Shops that are asked."""


@dataclass(frozen=True, slots=True)
class Due:
    """Due checkouts: their number, at most `MOST_COUNTED + 1` for more than that; and since when the oldest is due."""

    count: int = 0
    oldest: datetime | None = None


class Backlog:
    """The due checkouts of a database."""

    def __init__(self, database: Database) -> None:
        self._checkouts = database.get_collection(CHECKOUTS, **FORGIVING)
        self._queues = Queues(self._checkouts)

    @translated
    async def due(self, now: datetime, shops: Sequence[str] = ()) -> Due:
        """Return the checkouts that are due now, of these shops or of all, by number. Raises `Unavailable`."""
        count, oldest = 0, None
        async for shop in self._asked(shops):
            query = waiting({"$lte": now}) | {"shop": shop}
            first = await self._checkouts.find_one(query, {"_id": 0, "next_at": 1}, sort=[("next_at", ASCENDING)])
            if first is None:
                continue
            count += await self._checkouts.count_documents(query, limit=MOST_COUNTED + 1)
            oldest = first["next_at"] if oldest is None else min(oldest, first["next_at"])
            if count > MOST_COUNTED:
                break
        return Due(min(count, MOST_COUNTED + 1), oldest)

    async def _asked(self, shops: Sequence[str]) -> AsyncIterator[str | None]:
        asked: Sequence[str | None] = shops or (await self._queues.shops())[:MOST_SHOPS]
        for shop in asked:
            yield shop
