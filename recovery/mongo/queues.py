"""The order of due checkouts: confirmations first, then the shops in turn (round robin).

Each shop has its own queue in the index, a bulkhead: a busy shop does not hold up the others, and the shops of a relay
that is down cost those of another nothing.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import chain, zip_longest
from typing import Any

from pymongo import ASCENDING

from recovery.domain.state import Status
from recovery.mongo.collections import Document
from recovery.mongo.documents import SCHEMA

SHOPS_KNOWN_FOR = 5.0
"""Seconds for which the list of shops with waiting checkouts is cached."""

SHOPS_AT_ONCE = 32
"""Shops that are queried concurrently."""

LEAST_OF_A_SHOP = 8


@dataclass(frozen=True, slots=True)
class Shops:
    """A set of shops: those of `only`, or all but those of `but`, and in either case without those that are `paused`.

    Documents without a shop are in every set.
    """

    only: frozenset[str] | None = None
    but: frozenset[str] = field(default_factory=frozenset)
    paused: frozenset[str] = field(default_factory=frozenset)

    def have(self, shop: str | None) -> bool:
        """Return True if a shop is in the set."""
        if shop is None:
            return True
        return shop not in self.paused and (shop not in self.but if self.only is None else shop in self.only)


ALL = Shops()


class Queues:
    """The waiting checkouts, by shop. Raises PyMongo's errors."""

    def __init__(self, checkouts: Any, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._checkouts = checkouts
        self._monotonic = monotonic
        self._known: list[str | None] = []
        self._known_until = float("-inf")
        self._turn = 0

    async def due(self, before: datetime, limit: int, mine: Callable[[str], bool], shops: Shops) -> list[str]:
        """Return up to `limit` ids that are due before that time."""
        until = {"$lte": before}
        ordered = {**waiting(until), "status": Status.ORDERED.value}
        if shops.paused:  # their confirmations may be many, and the server passes over them at less cost
            ordered["shop"] = {"$nin": sorted(shops.paused)}
        found = await self._ids(ordered, limit, mine, shops)
        if len(found) < limit:
            known, is_old = await self._shops()
            found = await self._in_turn(found, until, limit, mine, [shop for shop in known if shops.have(shop)])
            if len(found) < limit and is_old:  # other shops may have due checkouts by now
                self._known_until = float("-inf")
                known, _ = await self._shops()
                found = await self._in_turn(found, until, limit, mine, [shop for shop in known if shops.have(shop)])
        return found[:limit]

    async def _in_turn(
        self,
        found: Sequence[str],
        until: Document,
        limit: int,
        mine: Callable[[str], bool],
        shops: Sequence[str | None],
    ) -> list[str]:
        """Return `found`, followed by the due checkouts of these shops, one of each in turn."""
        each = limit
        if len(shops) > 1:
            each = max(limit // len(shops), LEAST_OF_A_SHOP)
            self._turn = (self._turn + SHOPS_AT_ONCE) % len(shops)
            shops = [*shops[self._turn :], *shops[: self._turn]]
        ids = list(found)
        for start in range(0, len(shops), SHOPS_AT_ONCE):
            asked = shops[start : start + SHOPS_AT_ONCE]
            queues = await asyncio.gather(
                *(self._ids(waiting(until) | {"shop": shop}, each, mine, ALL) for shop in asked)
            )
            in_turn = (id_ for id_ in chain.from_iterable(zip_longest(*queues)) if id_ is not None)
            ids = list(dict.fromkeys([*ids, *in_turn]))
            if len(ids) >= limit:
                break
        return ids

    async def soon(
        self, after: datetime, before: datetime, limit: int, mine: Callable[[str], bool], shops: Shops
    ) -> AsyncIterator[list[str]]:
        """Yield, up to `limit` at a time, unclaimed ids that become due between these times."""
        known, _ = await self._shops()
        wanted = [shop for shop in known if shops.have(shop)]
        ids: list[str] = []
        for start in range(0, len(wanted), SHOPS_AT_ONCE):
            asked = {"shop": {"$in": wanted[start : start + SHOPS_AT_ONCE]}, "claim.token": {"$exists": False}}
            query = waiting({"$gt": after, "$lte": before}) | asked
            async with self._checkouts.find(query, {"_id": 1}).batch_size(limit) as cursor:
                async for document in cursor:
                    if mine(document["_id"]):
                        ids.append(document["_id"])
                    if len(ids) == limit:
                        yield ids
                        ids = []
        if ids:
            yield ids

    async def _ids(self, query: Document, limit: int, mine: Callable[[str], bool], shops: Shops) -> list[str]:
        found: list[str] = []
        cursor = self._checkouts.find(query, {"_id": 1, "shop": 1}).sort("next_at", ASCENDING).batch_size(limit)
        async with cursor:
            async for document in cursor:
                if mine(document["_id"]) and shops.have(document.get("shop")):
                    found.append(document["_id"])
                if len(found) >= limit:
                    break
        return found

    async def shops(self) -> Sequence[str | None]:
        """Return the shops with waiting checkouts, as they were within the last seconds."""
        return (await self._shops())[0]

    async def _shops(self) -> tuple[Sequence[str | None], bool]:
        """Return the shops with waiting checkouts, by one index seek each, and whether that list is from the cache."""
        began = self._monotonic()
        if began < self._known_until:
            return self._known, True
        self._known = [shop async for shop in self._seek_shops()]
        now = self._monotonic()
        self._known_until = now + max(SHOPS_KNOWN_FOR, 20 * (now - began))
        return self._known, False

    async def _seek_shops(self) -> AsyncIterator[str | None]:
        dated = {"next_at": {"$type": "date"}}
        # Written by an older version, or by hand.
        if await self._checkouts.find_one({"shop": None, **dated}, {"_id": 1}) is not None:
            yield None
        last = ""
        while True:
            query = {"shop": {"$gt": last}, **dated}
            found = await self._checkouts.find_one(query, {"_id": 0, "shop": 1}, sort=[("shop", ASCENDING)])
            if found is None:
                return
            last = found["shop"]
            yield last


def waiting(between: Document) -> Document:
    """Match checkouts that wait between these times, except those written by a newer version.

    `$type` is needed for the server to use the partial index: without it, it reads every checkout.
    """
    ours = {"_id": {"$type": "string"}, "schema": {"$not": {"$gt": SCHEMA}}}
    return {"next_at": between | {"$type": "date"}, **ours}
