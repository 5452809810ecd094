"""People's requests for their data (GDPR, article 15), for an operator to answer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pymongo import ASCENDING, DESCENDING

from recovery.mongo.collections import DATA_REQUESTS, OPTIONS, Database, Document, of_shop
from recovery.mongo.errors import translated


@dataclass(frozen=True, slots=True)
class KeptRequest:
    """A stored request: its id with the shop, the person's address and orders, the times it was made and answered.

    `done_by` is who answered it, if that is known.
    """

    id: str
    address: str
    orders: tuple[str, ...]
    asked_at: datetime
    done_at: datetime | None
    done_by: str | None = None

    @property
    def shop(self) -> str:
        """The shop that was asked."""
        return self.id.partition("/")[0]


class DataRequests:
    """The requests of a database. Every method raises `Unavailable`."""

    def __init__(self, database: Database) -> None:
        self._requests = database.get_collection(DATA_REQUESTS, **OPTIONS)

    @translated
    async def find(self, *, done: bool) -> list[KeptRequest]:
        """Return the unanswered requests, oldest first; with `done`, the answered ones too."""
        cursor = self._requests.find({} if done else {"done_at": None}).sort("asked_at", ASCENDING)
        return [_read(each) async for each in cursor]

    @translated
    async def open(self, shops: Sequence[str], limit: int) -> list[KeptRequest]:
        """Return unanswered requests to these shops, or to all, the oldest first."""
        cursor = self._requests.find({"done_at": None} | _to(shops)).sort("asked_at", ASCENDING).limit(limit)
        return [_read(each) async for each in cursor]

    @translated
    async def answered(self, shops: Sequence[str], limit: int) -> list[KeptRequest]:
        """Return answered requests to these shops, or to all, the newest first."""
        query = {"done_at": {"$ne": None}} | _to(shops)
        return [_read(each) async for each in self._requests.find(query).sort("asked_at", DESCENDING).limit(limit)]

    @translated
    async def get(self, id_: str) -> KeptRequest | None:
        """Return a request, or None."""
        found = await self._requests.find_one({"_id": id_})
        return None if found is None else _read(found)

    @translated
    async def done(self, id_: str, by: str = "an operator") -> bool:
        """Mark a request as answered by somebody; return whether it exists."""
        update = {"$currentDate": {"done_at": True}, "$set": {"done_by": by}}
        return (await self._requests.update_one({"_id": id_}, update)).matched_count > 0


def _to(shops: Sequence[str]) -> Document:
    return {"$or": [{"_id": of_shop(shop)} for shop in shops]} if shops else {}


def _read(document: Mapping[str, Any]) -> KeptRequest:
    return KeptRequest(
        document["_id"],
        document.get("address", ""),
        tuple(document.get("orders", ())),
        document["asked_at"],
        document.get("done_at"),
        document.get("done_by"),
    )
