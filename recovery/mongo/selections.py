"""Selections: the ids that a person was asked about, kept until they say yes: an act touches these and no others."""

from collections.abc import AsyncIterable, AsyncIterator
from datetime import datetime
from secrets import token_hex

from pymongo import ASCENDING

from recovery.mongo.collections import OPTIONS, SELECTIONS, Database
from recovery.mongo.errors import translated, translating

CHUNK = 5_000
"""Ids in one document, which has at most 16 MB: an id has up to some 300 bytes."""

MOST = 1_000_000
"""Ids of one selection."""


class TooMany(ValueError):
    """More ids than a selection may have."""


class Selections:
    """The selections of a database. They go an hour after they were made. Every method raises `Unavailable`."""

    def __init__(self, database: Database) -> None:
        self._selections = database.get_collection(SELECTIONS, **OPTIONS)

    @translated
    async def keep(self, ids: AsyncIterable[str], by: str, now: datetime) -> tuple[str, int]:
        """Store these ids for a person; return the name of the selection, and how many there are. Raises `TooMany`."""
        name, count, chunk = token_hex(16), 0, 0
        gathered: list[str] = []

        async def store() -> None:
            nonlocal chunk
            key = f"{name}/{chunk:06}"
            await self._selections.insert_one({"_id": key, "by": by, "at": now, "ids": gathered})
            chunk += 1

        async for id_ in ids:
            count += 1
            if count > MOST:
                raise TooMany(f"more than {MOST:,} match: narrow the filter")
            gathered.append(id_)
            if len(gathered) == CHUNK:
                await store()
                gathered = []
        if gathered:
            await store()
        return name, count

    async def ids(self, name: str, by: str) -> AsyncIterator[list[str]]:
        """Yield the ids of a person's selection, up to `CHUNK` at a time; none if it has gone or is another's."""
        query = {"_id": {"$gte": f"{name}/", "$lt": f"{name}0"}, "by": by}  # "0" follows "/"
        with translating():
            async for document in self._selections.find(query).sort("_id", ASCENDING):
                yield document["ids"]
