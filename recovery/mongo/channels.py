"""The stored channels: when each shop last reported over each, and why reports were refused or ignored."""

from collections import defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from pymongo import ASCENDING, UpdateOne

from recovery.domain.channels import Answer, Heard
from recovery.mongo.collections import BY_STATUS, CHANNELS, CHECKOUTS, OPTIONS, Database, Document
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

    async def opened(self) -> AsyncIterator[tuple[str, datetime]]:
        """Yield each shop that has checkouts, with the time at which the newest was opened, by a few index seeks each.

        Raises `Unavailable`.
        """
        last = ""
        with translating(), needing(BY_STATUS):
            while True:
                found = await self._checkouts.find_one(
                    {"shop": {"$gt": last}}, {"_id": 0, "shop": 1}, sort=[("shop", ASCENDING)], hint=BY_STATUS
                )
                if found is None:
                    return
                last = found["shop"]
                newest = await self._newest(last)
                if newest is not None:
                    yield last, newest

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
