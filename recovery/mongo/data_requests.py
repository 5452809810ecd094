"""People's requests for their data (GDPR, article 15), for an operator to answer."""

from dataclasses import dataclass
from datetime import datetime

from pymongo import ASCENDING

from recovery.mongo.collections import DATA_REQUESTS, OPTIONS, Database
from recovery.mongo.errors import translated


@dataclass(frozen=True, slots=True)
class KeptRequest:
    """A stored request: its id with the shop, the person's address and orders, the times it was made and answered."""

    id: str
    address: str
    orders: tuple[str, ...]
    asked_at: datetime
    done_at: datetime | None


class DataRequests:
    """The requests of a database. Every method raises `Unavailable`."""

    def __init__(self, database: Database) -> None:
        self._requests = database.get_collection(DATA_REQUESTS, **OPTIONS)

    @translated
    async def find(self, *, done: bool) -> list[KeptRequest]:
        """Return the unanswered requests, oldest first; with `done`, the answered ones too."""
        cursor = self._requests.find({} if done else {"done_at": None}).sort("asked_at", ASCENDING)
        return [
            KeptRequest(
                each["_id"],
                each.get("address", ""),
                tuple(each.get("orders", ())),
                each["asked_at"],
                each.get("done_at"),
            )
            async for each in cursor
        ]

    @translated
    async def done(self, id_: str) -> bool:
        """Mark a request as answered; return whether it exists."""
        result = await self._requests.update_one({"_id": id_}, {"$currentDate": {"done_at": True}})
        return result.matched_count > 0
