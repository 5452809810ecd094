"""What each relay said about the messages to each receiver: counts of the last day, and which receivers are slowed."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from pymongo import UpdateOne

from recovery.domain.reputation import Day
from recovery.engine.receivers import Count, Slowed
from recovery.mongo.collections import FORGIVING, RECEIVERS, Database, Document
from recovery.mongo.errors import translated

HOUR = 3_600_000
"""Milliseconds of the slots that are counted in."""

HOURS = 24

ANSWERS = (Count.ACCEPTED, Count.DEFERRED, Count.BLOCKED, Count.UNKNOWN, Count.REFUSED)
"""What a relay said of messages at once. All else was said later, of messages that it had accepted."""

SLOWED_FOR = timedelta(minutes=5)
"""The age of what is stored of a slowed receiver up to which it counts: a daemon that lives renews it."""


@dataclass(frozen=True, slots=True)
class Reception:
    """What one relay said about the messages to one receiver within a day."""

    relay: str
    receiver: str
    counts: Mapping[Count, int] = field(default_factory=dict)
    slowed: Slowed | None = None
    busiest_hour: int = 0

    @property
    def day(self) -> Day:
        """What became of the messages."""
        counts = self.counts
        return Day(
            answered=sum(counts.get(each, 0) for each in ANSWERS),
            accepted=counts.get(Count.ACCEPTED, 0),
            unknown=counts.get(Count.UNKNOWN, 0) + counts.get(Count.HARD, 0),
            complaints=counts.get(Count.COMPLAINT, 0),
            busiest_hour=self.busiest_hour,
        )


class MongoReceivers:
    """The stored receivers, one document for each of each relay. Times are the database's."""

    def __init__(self, database: Database) -> None:
        self._receivers = database.get_collection(RECEIVERS, **FORGIVING)

    @translated
    async def add(
        self,
        relay: str,
        counts: Mapping[tuple[str, Count], int],
        slowed: Collection[Slowed] = (),
        freed: Mapping[str, datetime | None] | None = None,
    ) -> None:
        """Add counts, and store which receivers are slowed, or no more: one bulk write. Raises `Unavailable`.

        `freed` has the time at which each was last known to throttle us. If another daemon has stored that a receiver
        did so since, that stays.
        """
        freed = freed or {}
        by_receiver: dict[str, dict[Count, int]] = {}
        for receiver in (*(each.receiver for each in slowed), *freed):
            by_receiver[receiver] = {}
        for (receiver, count), number in counts.items():
            by_receiver.setdefault(receiver, {})[count] = number
        states = {receiver: _unless_since(limited_at, "$$REMOVE") for receiver, limited_at in freed.items()}
        states |= {each.receiver: _unless_since(each.limited_at, _state(each)) for each in slowed}
        updates = [
            UpdateOne(
                {"_id": _id(relay, receiver)},
                _added(relay, receiver, added, states.get(receiver)),
                upsert=True,
            )
            for receiver, added in by_receiver.items()
        ]
        if updates:
            await self._receivers.bulk_write(updates, ordered=False)

    @translated
    async def heard(self, relays: Collection[str], now: datetime, of: Collection[tuple[str, str]]) -> list[Reception]:
        """Return the receivers of these relays that a daemon has slowed of late, and those `of` relay and receiver.

        One query. Raises `Unavailable`.
        """
        asked = [{"slowed.at": {"$gt": now - SLOWED_FOR}, "relay": {"$in": list(relays)}}]
        if of:
            asked.append({"_id": {"$in": [_id(*each) for each in of]}})
        return await self._receptions({"$or": asked}, now)

    @translated
    async def last_day(self, now: datetime) -> list[Reception]:
        """Return all receivers of the last 24 hours, by relay and name. Raises `Unavailable`."""
        shown = [each for each in await self._receptions({}, now) if each.counts or each.slowed]
        return sorted(shown, key=lambda each: (each.relay, each.receiver))

    async def _receptions(self, query: Document, now: datetime) -> list[Reception]:
        since = int(now.timestamp() * 1000) - HOURS * HOUR
        found = [_reception(each, since, now) async for each in self._receivers.find(query)]
        return [each for each in found if each is not None]


def _id(relay: str, receiver: str) -> str:
    return f"{relay} {receiver}"


def _state(slowed: Slowed) -> Document:
    known = {"limit": slowed.limit, "limited_at": slowed.limited_at, "capped": slowed.capped or None}
    return {
        "since": slowed.since,
        "rate": float(slowed.rate),
        "reply": {"$literal": slowed.reply},
        "at": "$$NOW",
        **{name: value for name, value in known.items() if value is not None},
    }


def _unless_since(limited_at: datetime | None, state: Document | str) -> Document:
    """Return the expression for a state, unless another daemon has stored a throttling since."""
    return {"$cond": [{"$gt": ["$slowed.limited_at", limited_at]}, "$slowed", state]}


def _added(relay: str, receiver: str, counts: Mapping[Count, int], slowed: Document | None) -> Sequence[Document]:
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
        changes["slowed"] = slowed
    return [{"$set": changes}]


def _where(slots: Document, condition: Document) -> Document:
    return {"$filter": {"input": slots, "cond": condition}}


def _reception(document: Mapping[str, Any], since: int, now: datetime) -> Reception | None:
    """Return a stored receiver, or None if it cannot be read: a newer version may store it so, or somebody by hand."""
    try:
        return _read(document, since, now)
    except (ArithmeticError, AttributeError, KeyError, TypeError, ValueError):
        return None


def _read(document: Mapping[str, Any], since: int, now: datetime) -> Reception:
    hours = [hour for hour in document.get("hours", []) if hour["at"] > since - HOUR]
    counts = {count: sum(int(hour.get(count.value, 0)) for hour in hours) for count in Count}
    busiest = max((sum(int(hour.get(count.value, 0)) for count in ANSWERS) for hour in hours), default=0)
    is_slowed = (document.get("slowed") or {}).get("at", now - SLOWED_FOR) > now - SLOWED_FOR
    return Reception(
        document["relay"],
        document["receiver"],
        {count: number for count, number in counts.items() if number},
        _slowed(document) if is_slowed else None,
        busiest,
    )


def _slowed(document: Mapping[str, Any]) -> Slowed | None:
    """Return a stored slowed receiver, or None if it cannot be read."""
    try:
        slowed = document["slowed"]
        if not isinstance(slowed["since"], datetime):
            return None
        limit, limited_at = slowed.get("limit"), slowed.get("limited_at")
        return Slowed(
            str(document["receiver"]),
            float(slowed["rate"]),
            slowed["since"],
            str(slowed["reply"]),
            None if limit is None else float(limit),
            limited_at if isinstance(limited_at, datetime) else None,
            bool(slowed.get("capped")),
        )
    except (AttributeError, KeyError, TypeError, ValueError):
        return None
