"""What each relay said about the messages to each receiver: counts of the last day, and which receivers are slowed."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from pymongo import UpdateOne

from recovery.engine.receivers import Count, Slowed
from recovery.mongo.collections import OPTIONS, RECEIVERS, Database, Document
from recovery.mongo.errors import translated

HOUR = 3_600_000
"""Milliseconds of the slots that are counted in."""

HOURS = 24

SLOWED_FOR = timedelta(minutes=5)
"""The age of what is stored of a slowed receiver up to which it counts: a daemon that lives renews it."""


@dataclass(frozen=True, slots=True)
class Reception:
    """What one relay said about the messages to one receiver within a day."""

    relay: str
    receiver: str
    counts: Mapping[Count, int] = field(default_factory=dict)
    slowed: Slowed | None = None


class MongoReceivers:
    """The stored receivers, one document for each of each relay. Times are the database's."""

    def __init__(self, database: Database) -> None:
        self._receivers = database.get_collection(RECEIVERS, **OPTIONS)

    @translated
    async def add(
        self,
        relay: str,
        counts: Mapping[tuple[str, Count], int],
        slowed: Collection[Slowed] = (),
        freed: Collection[str] = (),
    ) -> None:
        """Add counts, and store which receivers are slowed, or no more: one bulk write. Raises `Unavailable`."""
        by_receiver: dict[str, dict[Count, int]] = {}
        for receiver in (*(each.receiver for each in slowed), *freed):
            by_receiver[receiver] = {}
        for (receiver, count), number in counts.items():
            by_receiver.setdefault(receiver, {})[count] = number
        slow = {each.receiver: each for each in slowed}
        updates = [
            UpdateOne(
                {"_id": f"{relay} {receiver}"},
                _added(relay, receiver, added, slow.get(receiver), freed=receiver in freed),
                upsert=True,
            )
            for receiver, added in by_receiver.items()
        ]
        if updates:
            await self._receivers.bulk_write(updates, ordered=False)

    @translated
    async def slowed(self, relay: str, now: datetime) -> list[Slowed]:
        """Return the receivers of a relay that a daemon has slowed of late. Raises `Unavailable`."""
        found = self._receivers.find({"relay": relay, "slowed.at": {"$gt": now - SLOWED_FOR}})
        return [slowed async for document in found if (slowed := _slowed(document)) is not None]

    @translated
    async def last_day(self, now: datetime) -> list[Reception]:
        """Return all receivers of the last 24 hours, by relay and name. Raises `Unavailable`."""
        since = int(now.timestamp() * 1000) - HOURS * HOUR
        found = [_reception(each, since, now) async for each in self._receivers.find()]
        shown = [each for each in found if each.counts or each.slowed]
        return sorted(shown, key=lambda each: (each.relay, each.receiver))


def _added(
    relay: str, receiver: str, counts: Mapping[Count, int], slowed: Slowed | None, *, freed: bool
) -> Sequence[Document]:
    """Return the pipeline that adds counts to the slot of this hour, and drops those that are a day old."""
    now: Document = {"$toLong": "$$NOW"}
    start: Document = {"$subtract": [now, {"$mod": [now, HOUR]}]}
    slots: Document = {"$ifNull": ["$hours", []]}
    here = _where(slots, {"$eq": ["$$this.at", start]})
    old = {"$subtract": [start, HOURS * HOUR]}
    kept = _where(slots, {"$and": [{"$ne": ["$$this.at", start]}, {"$gte": ["$$this.at", old]}]})
    sums = {
        count.value: {"$add": [counts.get(count, 0), {"$sum": {"$map": {"input": here, "in": f"$$this.{count}"}}}]}
        for count in Count
    }
    changes: Document = {
        "relay": {"$literal": relay},
        "receiver": {"$literal": receiver},
        "at": "$$NOW",
        "hours": {"$concatArrays": [kept, [{"at": start, **sums}]]} if counts else slots,
    }
    if slowed is not None:
        state = {"since": slowed.since, "rate": float(slowed.rate), "reply": {"$literal": slowed.reply}, "at": "$$NOW"}
        changes["slowed"] = state
    return [{"$set": changes}, *([{"$unset": "slowed"}] if freed else [])]


def _where(slots: Document, condition: Document) -> Document:
    return {"$filter": {"input": slots, "cond": condition}}


def _reception(document: Mapping[str, Any], since: int, now: datetime) -> Reception:
    hours = [hour for hour in document.get("hours", []) if hour["at"] > since - HOUR]
    counts = {count: sum(int(hour.get(count.value, 0)) for hour in hours) for count in Count}
    is_slowed = (document.get("slowed") or {}).get("at", now - SLOWED_FOR) > now - SLOWED_FOR
    return Reception(
        document["relay"],
        document["receiver"],
        {count: number for count, number in counts.items() if number},
        _slowed(document) if is_slowed else None,
    )


def _slowed(document: Mapping[str, Any]) -> Slowed | None:
    """Return a stored slowed receiver, or None if it cannot be read: a newer version may store it so."""
    try:
        slowed = document["slowed"]
        return Slowed(str(document["receiver"]), float(slowed["rate"]), slowed["since"], str(slowed["reply"]))
    except (KeyError, TypeError, ValueError):
        return None
