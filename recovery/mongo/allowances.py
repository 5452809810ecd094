"""The allowance of a relay: how many messages its configured rates leave, counted once for all daemons."""

from collections.abc import Sequence
from typing import cast

from pymongo import ReturnDocument

from recovery.domain.rate import Rate
from recovery.engine.ports import Grant
from recovery.mongo.collections import ALLOWANCES, OPTIONS, Database, Document
from recovery.mongo.errors import translated

SLOTS = 20
"""Slots that the period of a rate is counted in. A message counts for its period and the rest of its slot."""


class MongoAllowance:
    """The allowance of one relay: a sliding window for each rate, kept over restarts, by the database's clock."""

    def __init__(self, database: Database, relay: str, rates: Sequence[Rate]) -> None:
        """Count by these rates, all of which hold. `relay` names the relay and our account with it."""
        self._allowances = database.get_collection(ALLOWANCES, **OPTIONS)
        self._relay = relay
        self._rates = rates

    @translated
    async def take(self, wanted: int) -> Grant:
        """Count up to `wanted` messages as sent, and return how many: one atomic update. Raises `Unavailable`.

        What was granted is not given back, even if no message is sent: a relay is rather sent too little.
        """
        counted = await self._allowances.find_one_and_update(
            {"_id": self._relay},
            _taken(self._rates, wanted),
            upsert=True,
            return_document=ReturnDocument.AFTER,
        )
        document = cast("Document", counted)  # there always is one: `upsert`
        return Grant(int(document["granted"]), max(float(document["wait_ms"]), 0.0) / 1000)


def _taken(rates: Sequence[Rate], wanted: int) -> list[Document]:
    """Return the pipeline that drops what has left each window, grants what all windows leave, and counts it.

    `used` has a window for each rate, by its text: slots with their start `at`, in milliseconds, and their messages
    `n`, oldest first.
    """
    windows = [_Window(rate) for rate in rates]
    granted = {"$max": [0, {"$min": [wanted, *(window.left for window in windows)]}]}
    return [
        {"$set": {"used": {window.name: window.kept for window in windows}}},
        {"$set": {"granted": granted, "wait_ms": {"$max": [window.wait for window in windows]}, "at": "$$NOW"}},
        {"$set": {"used": {window.name: window.counted for window in windows}}},
    ]


class _Window:
    """The expressions for the window of one rate."""

    def __init__(self, rate: Rate) -> None:
        period = int(rate.period.total_seconds() * 1000)
        slot = period // SLOTS
        now = {"$toLong": "$$NOW"}
        start = {"$subtract": [now, {"$mod": [now, slot]}]}
        self.name = str(rate)
        slots = {"$ifNull": [f"$used.{self.name}", []]}
        self.kept = _where(slots, {"$gt": ["$$this.at", {"$subtract": [now, period + slot]}]})
        self.left = {"$subtract": [rate.count, {"$sum": f"$used.{self.name}.n"}]}
        oldest = {"$first": f"$used.{self.name}.at"}
        until_one_leaves = {"$subtract": [{"$add": [oldest, period + slot]}, now]}
        self.wait = {"$cond": [{"$gt": [self.left, 0]}, 0, until_one_leaves]}
        earlier = _where(slots, {"$ne": ["$$this.at", start]})
        here = _where(slots, {"$eq": ["$$this.at", start]})
        n = {"$add": ["$granted", {"$sum": {"$map": {"input": here, "in": "$$this.n"}}}]}
        self.counted = {"$concatArrays": [earlier, {"$cond": [{"$gt": [n, 0]}, [{"at": start, "n": n}], []]}]}


def _where(slots: Document, condition: Document) -> Document:
    return {"$filter": {"input": slots, "cond": condition}}
