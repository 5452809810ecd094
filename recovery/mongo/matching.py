"""Ids of checkouts: all open ones that match the filters of a list, and those with a given order id."""

from collections.abc import AsyncIterator, Sequence

from recovery.domain.checkout import checkout_id, shop_of
from recovery.domain.state import Status
from recovery.mongo.collections import BY_STATUS, CHECKOUTS, OPTIONS, Database, Document
from recovery.mongo.errors import translated, translating
from recovery.mongo.listing import LISTED, Filters, needing

MOST_NAMED = 50
"""Checkouts that are returned for one order id."""


class Matching:
    """Finds the ids of checkouts. Every method raises `Unavailable`."""

    def __init__(self, database: Database) -> None:
        self._checkouts = database.get_collection(CHECKOUTS, **OPTIONS)
        self._listed = self._checkouts.with_options(**LISTED)

    async def open(self, filters: Filters) -> AsyncIterator[str]:
        """Yield the ids of those that match and are open, as they are at one moment."""
        if filters.status not in (None, Status.OPEN):
            return
        query: Document = filters.query() | {"status": Status.OPEN.value}
        between = {"$gte": filters.since, "$lt": filters.until}
        if given := {operator: at for operator, at in between.items() if at is not None}:
            query["opened_at"] = given
        with translating(), needing(filters.index):
            async for document in self._listed.find(query, {"_id": 1}, hint=filters.index):
                yield document["_id"]

    @translated
    async def named(self, shops: Sequence[str], order_id: str) -> list[str]:
        """Return the ids of these shops' checkouts that are known by this order id, or by their whole key."""
        ids = [order_id, *(checkout_id(shop, order_id) for shop in shops)]
        found = [each["_id"] async for each in self._checkouts.find({"_id": {"$in": ids}}, {"_id": 1})]
        known = self._checkouts.find({"known_as": order_id}, {"_id": 1}).limit(MOST_NAMED)
        found += [each["_id"] async for each in known]
        return [id_ for id_ in dict.fromkeys(found) if shop_of(id_) in shops or id_ == order_id][:MOST_NAMED]

    @translated
    async def shops(self, limit: int) -> list[str]:
        """Return up to `limit` shops that have checkouts, by one index seek each."""
        shops: list[str] = []
        while len(shops) < limit:
            after = {"shop": {"$gt": shops[-1] if shops else ""}}
            with needing(BY_STATUS):
                found = await self._listed.find_one(after, {"_id": 0, "shop": 1}, sort=[("shop", 1)], hint=BY_STATUS)
            if found is None:
                break
            shops.append(found["shop"])
        return shops
