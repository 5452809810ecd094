"""The allowance of a relay: how many messages its rates and its warm-up leave, counted once for all daemons."""

from collections.abc import Sequence
from datetime import timedelta
from typing import cast

from pymongo import ReturnDocument

from recovery.domain.rate import Rate
from recovery.domain.warmup import Warmup
from recovery.engine.ports import Grant
from recovery.mongo.collections import ALLOWANCES, OPTIONS, Database, Document
from recovery.mongo.errors import translated

DAY = timedelta(days=1)

SLOTS = 20
"""Slots that the period of a rate is counted in. A message counts for its period and the rest of its slot."""


class MongoAllowance:
    """The allowance of one relay: a sliding window for each rate, kept over restarts, by the database's clock."""

    def __init__(self, database: Database, relay: str, rates: Sequence[Rate], warmup: Warmup | None = None) -> None:
        """Count by these rates, all of which hold, and for the warm-up. `relay` names the relay and our account."""
        self._allowances = database.get_collection(ALLOWANCES, **OPTIONS)
        self._relay = relay
        self._rates = [_Window(str(rate), rate) for rate in rates]
        self._warmup = warmup

    @translated
    async def take(self, wanted: int, *, urgent: int = 0, limit: int | None = None) -> Grant:
        """Count up to `wanted` messages as sent, and return how many: one atomic update. Raises `Unavailable`.

        What was granted is not given back, even if no message is sent: a relay is rather sent too little.
        """
        warmup = None
        if self._warmup is not None and limit is not None:
            warmup = _Window(self._warmup.name, Rate(limit, DAY))
        if warmup is None and not self._rates:  # the warm-up is over
            return Grant(wanted)
        counted = await self._allowances.find_one_and_update(
            {"_id": self._relay},
            _taken(self._rates, warmup, wanted, urgent),
            upsert=True,
            return_document=ReturnDocument.AFTER,
        )
        document = cast("Document", counted)  # there always is one: `upsert`
        wait, put_off_for = (max(float(document[field]), 0.0) / 1000 for field in ("wait_ms", "put_off_ms"))
        return Grant(int(document["granted"]), wait, int(document["put_off"]), put_off_for)


def _taken(rates: Sequence["_Window"], warmup: "_Window | None", wanted: int, urgent: int) -> list[Document]:
    """Return the pipeline that drops what has left each window, grants what all windows leave, and counts it.

    `used` has a window for each rate, by its text, and for the warm-up: slots with their start `at`, in milliseconds,
    and their messages `n`, oldest first. The `urgent` messages count in the window of the warm-up, which may be
    overdrawn by them.
    """
    windows = [*rates, warmup] if warmup else rates
    warm = {"$min": [wanted, {"$max": [urgent, warmup.left]}]} if warmup else wanted
    granted = {"$max": [0, {"$min": [warm, *(rate.left for rate in rates)]}]}
    put_off_ms = {"$cond": [{"$gt": ["$put_off", 0]}, warmup.until_one_leaves, 0]} if warmup else 0
    asked = {
        "granted": granted,
        "wait_ms": {"$max": [0, *(rate.wait for rate in rates)]},
        "put_off": {"$subtract": [wanted, warm]},
        "at": "$$NOW",
    }
    return [
        {"$set": {"used": {window.name: window.kept for window in windows}}},
        {"$set": asked},
        {"$set": {"used": {window.name: window.counted for window in windows}}},
        {"$set": {"put_off_ms": put_off_ms}},
    ]


class _Window:
    """The expressions for the window of one rate."""

    def __init__(self, name: str, rate: Rate) -> None:
        period = int(rate.period.total_seconds() * 1000)
        slot = period // SLOTS
        now = {"$toLong": "$$NOW"}
        start = {"$subtract": [now, {"$mod": [now, slot]}]}
        self.name = name
        slots = {"$ifNull": [f"$used.{self.name}", []]}
        self.kept = _where(slots, {"$gt": ["$$this.at", {"$subtract": [now, period + slot]}]})
        self.left = {"$subtract": [rate.count, {"$sum": f"$used.{self.name}.n"}]}
        oldest = {"$first": f"$used.{self.name}.at"}
        self.until_one_leaves = {"$ifNull": [{"$subtract": [{"$add": [oldest, period + slot]}, now]}, period]}
        self.wait = {"$cond": [{"$gt": [self.left, 0]}, 0, self.until_one_leaves]}
        earlier = _where(slots, {"$ne": ["$$this.at", start]})
        here = _where(slots, {"$eq": ["$$this.at", start]})
        n = {"$add": ["$granted", {"$sum": {"$map": {"input": here, "in": "$$this.n"}}}]}
        self.counted = {"$concatArrays": [earlier, {"$cond": [{"$gt": [n, 0]}, [{"at": start, "n": n}], []]}]}


def _where(slots: Document, condition: Document) -> Document:
    return {"$filter": {"input": slots, "cond": condition}}
