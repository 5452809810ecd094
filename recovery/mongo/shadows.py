"""Shadows: one TTL document per waiting checkout; its expiry is the alarm."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from pymongo import ASCENDING, UpdateOne
from pymongo.errors import BulkWriteError

from recovery.mongo.collections import FORGIVING, SHADOWS, Database
from recovery.mongo.errors import temporary, translated

DUPLICATE_KEY = 11000

DISTANT_PAST = datetime(1, 1, 1, tzinfo=UTC)


class MongoShadows:
    """The port `Shadows` on MongoDB, with the queries of the expirer."""

    def __init__(self, database: Database) -> None:
        self._shadows = database.get_collection(SHADOWS, **FORGIVING)

    @translated
    async def set(self, alarms: Mapping[str, datetime | None]) -> None:
        """Set each checkout's shadow to its time, or delete it if the time is None."""
        resting = [id_ for id_, at in alarms.items() if at is None]
        if resting:
            await self._shadows.delete_many({"_id": {"$in": resting}})
        # Most have none at that moment: it has just expired, or the checkout is new. Inserts are cheaper than upserts.
        documents = [{"_id": id_, "expire_at": at} for id_, at in alarms.items() if at is not None]
        if not documents:
            return
        try:
            await self._shadows.insert_many(documents, ordered=False)
        except BulkWriteError as exc:
            errors = exc.details["writeErrors"] if exc.details else []
            if exc.details is None or temporary(exc) or any(error["code"] != DUPLICATE_KEY for error in errors):
                raise
            standing = [documents[error["index"]] for error in errors]
            await self._shadows.bulk_write(
                [
                    UpdateOne({"_id": each["_id"]}, {"$set": {"expire_at": each["expire_at"]}}, upsert=True)
                    for each in standing
                ],
                ordered=False,
            )

    @translated
    async def missing(self, ids: Sequence[str]) -> list[str]:
        """Return the ids of checkouts without a shadow."""
        found = self._shadows.find({"_id": {"$in": list(ids)}}, {"_id": 1}, batch_size=len(ids) + 1)
        present = {each["_id"] async for each in found}
        return [id_ for id_ in ids if id_ not in present]

    @translated
    async def next_expiry(self) -> datetime | None:
        """Return the time of the next expiry, by one index seek: its cost does not grow with the number of shadows."""
        dated = {"expire_at": {"$type": "date"}}
        first = await self._shadows.find_one(dated, {"_id": 0, "expire_at": 1}, sort=[("expire_at", ASCENDING)])
        if first is None:
            return None
        expire_at = first["expire_at"]
        if isinstance(expire_at, datetime):
            return expire_at
        return DISTANT_PAST if int(expire_at) < 0 else None  # edited by hand: before year 1, or after 9999

    @translated
    async def due_between(self, after: datetime, until: datetime, limit: int) -> dict[str, datetime]:
        """Return the expiries between these times, by checkout id: the first `limit` of them, the earliest first."""
        between = {"expire_at": {"$gt": after, "$lte": until}}
        found = self._shadows.find(between, sort=[("expire_at", ASCENDING)], limit=limit, batch_size=limit + 1)
        return {each["_id"]: each["expire_at"] async for each in found if isinstance(each["_id"], str)}

    @translated
    async def expire(self, now: datetime) -> int:
        """Delete the expired shadows, as TTL would; return how many."""
        return (await self._shadows.delete_many({"expire_at": {"$lte": now}})).deleted_count
