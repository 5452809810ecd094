"""The sums by day of what reminders bring: counted from the checkouts, and kept longer than they are.

A count may run again at any time, doubled, or be killed in between: it replaces the sums of whole days by what the
documents say. A day is counted as long as all its checkouts are certain to be stored; then its sums stay as they are.
"""

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

from bson.decimal128 import Decimal128
from pymongo import ASCENDING

from recovery.domain.results import Cell, Sums
from recovery.mongo.collections import BY_DAY, OPTIONS, RESULTS, Database, Document
from recovery.mongo.errors import translated
from recovery.mongo.results_pipelines import AMOUNTS, ARMS, COUNTS, KEYS, LONGEST_COUNT, MAILS

DAY = timedelta(days=1)
_MARK = dict.fromkeys(KEYS, "") | {"day": datetime(1970, 1, 1, tzinfo=UTC)}
"""The key of the mark of the last count that came to its end: sums of nothing, on a day before all others."""

_ZERO = dict.fromkeys(COUNTS, 0) | dict.fromkeys(AMOUNTS, Decimal128("0"))

MARGIN = timedelta(hours=2)
"""The time for which a day is still counted after its last window has ended."""


class MongoResults:
    """The sums by day. `left_out` are addresses, and domains such as `@shop.example`, whose checkouts do not count."""

    def __init__(
        self, database: Database, window: timedelta, retention: timedelta, left_out: Sequence[str] = ()
    ) -> None:
        self._database = database
        self._results = database.get_collection(RESULTS, **OPTIONS)
        self._window = window
        self._retention = retention
        self._left_out = tuple(left_out)

    @translated
    async def count(self, now: datetime) -> None:
        """Count the days whose sums can still change, and those that were not counted to their end.

        Raises `Unavailable`.
        """
        since = first_day(now, await self._last_count(), self._window, self._retention)
        for pipeline in (MAILS, ARMS):
            await pipeline.run(self._database, since, self._window, self._left_out)
        await self._results.update_one({"_id": _MARK}, {"$max": {"at": now}, "$setOnInsert": _ZERO}, upsert=True)

    async def _last_count(self) -> datetime | None:
        """Return the time of the last count that came to its end, or None before the first."""
        last = await self._results.find_one({"_id": _MARK}, {"at": 1})
        return None if last is None else last["at"]


class ResultsReader:
    """Reads the sums by day."""

    def __init__(self, database: Database) -> None:
        self._results = database.get_collection(RESULTS, **OPTIONS)

    @translated
    async def cells(self, since: date, until: date, shops: Sequence[str] = ()) -> list[Cell]:
        """Return the sums of these days, `until` included, of these shops or of all. Raises `Unavailable`."""
        query: Document = {"_id.day": {"$gte": _start(since), "$lte": _start(until)}}
        if shops:
            query["_id.shop"] = {"$in": list(shops)}
        found = self._results.find(query, hint=BY_DAY).sort("_id.day", ASCENDING)
        return [_cell(document) async for document in found]


def first_day(now: datetime, counted_at: datetime | None, window: timedelta, retention: timedelta) -> datetime:
    """Return the first day that is counted now.

    The sums of a day can change until the window after its last moment is over. Where nobody counted for a time, as
    the daemon was down, days are counted to their end as long as none of their checkouts can be deleted.
    """
    last = now if counted_at is None else min(counted_at, now)
    open_since = last - window - DAY - MARGIN if counted_at is not None else datetime.min.replace(tzinfo=UTC)
    kept_since = now - retention + LONGEST_COUNT
    first = max(open_since, kept_since)
    start = _start(first.date())
    # A day that began before `kept_since` may have lost checkouts; one that began before `open_since` may still change.
    return start + DAY if start < kept_since else start


def _start(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)


def _cell(document: Document) -> Cell:
    key: dict[str, Any] = dict(document["_id"])
    day: datetime = key.pop("day")
    return Cell(
        day=day.date(),
        sums=Sums(
            mails=document["mails"],
            checkouts=document["checkouts"],
            returned=document["returned"],
            returned_orders=document["returned_orders"],
            ordered=document["ordered"],
            open=document["open"],
            money=_amount(document["money"]),
            squares=_amount(document["squares"]),
            returned_money=_amount(document["returned_money"]),
        ),
        **key,
    )


def _amount(value: Decimal128) -> Decimal:
    return value.to_decimal()
