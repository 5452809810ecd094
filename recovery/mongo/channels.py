"""The stored channels: when each shop last reported over each, and why reports were refused or ignored."""

from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from pymongo import ASCENDING, UpdateOne

from recovery.domain.channels import FAULTS, Answer, Heard
from recovery.mongo.collections import BY_STATUS, CHANNELS, CHECKOUTS, OPTIONS, Database, Document, of_shop
from recovery.mongo.errors import translated, translating
from recovery.mongo.listing import LISTED, Filters, needing, page


@dataclass(frozen=True, slots=True)
class Answered:
    """Reports that were answered alike: how many, when the last was, and the reason of its answer."""

    times: int
    at: datetime
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Channel:
    """A stored channel."""

    shop: str
    channel: str
    answers: Mapping[Answer, Answered] = field(default_factory=dict)

    @property
    def last(self) -> Answered | None:
        """What the last reports over it were answered."""
        return max(self.answers.values(), key=lambda each: each.at, default=None)

    @property
    def lost(self) -> bool:
        """Whether the last report over it was refused or not understood."""
        last = self.last
        return last is not None and any(self.answers.get(fault) is last for fault in FAULTS)


class Channels:
    """The channels of a database: one small document for each shop and channel. Times are the database's."""

    def __init__(self, database: Database) -> None:
        self._channels = database.get_collection(CHANNELS, **OPTIONS)
        self._checkouts = database.get_collection(CHECKOUTS, **LISTED)

    @translated
    async def add(self, heard: Sequence[Heard]) -> None:
        """Add counts by one bulk write; what was not proven makes no new channel. Raises `Unavailable`."""
        by_channel: dict[str, list[Heard]] = defaultdict(list)
        for each in heard:
            by_channel[f"{each.shop}/{each.channel}"].append(each)
        updates = [_added(id_, together) for id_, together in by_channel.items()]
        if updates:
            await self._channels.bulk_write(updates, ordered=False)

    @translated
    async def all(self) -> list[Channel]:
        """Return all channels, by shop and name. Raises `Unavailable`."""
        return [_channel(each) async for each in self._channels.find().sort("_id", ASCENDING)]

    @translated
    async def of(self, shops: Sequence[str]) -> list[Channel]:
        """Return the channels of these shops, by shop and name. Raises `Unavailable`."""
        query = {"$or": [{"_id": of_shop(shop)} for shop in shops]} if shops else {"_id": None}
        return [_channel(each) async for each in self._channels.find(query).sort("_id", ASCENDING)]

    @translated
    async def names(self, also: Iterable[str], limit: int, after: str = "") -> list[str]:
        """Return the next shops after a name, in order: those with channels or checkouts, and those of `also`.

        Raises `Unavailable`.
        """
        found = {*also, *await self._channels.distinct("shop")}
        last = after
        with needing(BY_STATUS):
            for _ in range(limit):
                seen = await self._next(last)
                if seen is None:
                    break
                last = seen
                found.add(seen)
        return sorted(shop for shop in found if shop > after)[:limit]

    @translated
    async def newest(self, shop: str) -> datetime | None:
        """Return when the newest checkout of a shop was opened, if it has any. Raises `Unavailable`."""
        return await self._newest(shop)

    async def opened(self) -> AsyncIterator[tuple[str, datetime]]:
        """Yield each shop that has checkouts, with the time at which the newest was opened, by a few index seeks each.

        Raises `Unavailable`.
        """
        last = ""
        with translating(), needing(BY_STATUS):
            while True:
                found = await self._next(last)
                if found is None:
                    return
                last = found
                newest = await self._newest(last)
                if newest is not None:
                    yield last, newest

    async def _next(self, shop: str) -> str | None:
        """Return the next shop with checkouts, in order, by one index seek."""
        query = {"shop": {"$gt": shop}}
        found = await self._checkouts.find_one(query, {"_id": 0, "shop": 1}, sort=[("shop", ASCENDING)], hint=BY_STATUS)
        return None if found is None else str(found["shop"])

    async def _newest(self, shop: str) -> datetime | None:
        newest = (await page(self._checkouts, Filters((shop,)), 1)).checkouts
        return newest[0].opened_at if newest else None


def _added(id_: str, heard: Sequence[Heard]) -> UpdateOne:
    changes: dict[str, Document] = {
        "$set": {"shop": heard[0].shop, "channel": heard[0].channel},
        "$inc": {},
        "$currentDate": {"at": True},
    }
    for each in heard:
        answer = f"answers.{each.answer.value}"
        changes["$set"][f"{answer}.reason"] = each.reason
        changes["$inc"][f"{answer}.times"] = each.times
        changes["$currentDate"][f"{answer}.at"] = True
    return UpdateOne({"_id": id_}, changes, upsert=any(each.proven for each in heard))


def _channel(document: Mapping[str, Any]) -> Channel:
    answers = document.get("answers", {})
    return Channel(
        document["shop"],
        document["channel"],
        {
            answer: Answered(int(said.get("times", 0)), said["at"], said.get("reason", ""))
            for answer in Answer
            if (said := answers.get(answer.value))
        },
    )
