"""Lists: a page by each filter, among a million checkouts of ten shops."""

import random
import time
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from pymongo.asynchronous.database import AsyncDatabase

from benchmarks.bench import Bench, checkouts, percentile, server_now
from benchmarks.figures import benchmark
from benchmarks.measured import Figure
from recovery.domain.state import MessageState, Status
from recovery.mongo import collections
from recovery.mongo.collections import CHECKOUTS
from recovery.mongo.listing import Position

SHOPS = 10
SPREAD_MS = 2_000
"""Milliseconds between two checkouts: a million of them are of three weeks."""

SENT = {"state": "sent", "attempts": 1}
LATE = "too late to be of use"


def _nth(number: Mapping[str, Any], every: int, then: object, otherwise: object) -> Mapping[str, Any]:
    """Return the expression for a value of every so many-th document, and of the others."""
    return {"$cond": [{"$eq": [{"$mod": [number, every]}, 0]}, then, otherwise]}


async def fill(database: AsyncDatabase, count: int, now: Any) -> None:
    """Have the server write finished, ordered, open and cancelled checkouts, with what became of their messages."""
    number: dict[str, Any] = {"$add": [{"$multiply": ["$_row", 1000]}, "$_column"]}
    shop = {"$concat": ["shop", {"$toString": {"$mod": ["$n", SHOPS]}}, ".example"]}
    opened_at = {"$subtract": [now, {"$multiply": ["$n", SPREAD_MS]}]}
    skipped = {"state": "skipped", "attempts": 0, "reason": LATE}
    dead = {"state": "dead", "attempts": 5, "reason": "attempts used up"}
    facts = next(checkouts(1, 1, lambda _: None)).facts()
    address = {"$concat": ["customer", {"$toString": {"$floor": {"$divide": ["$n", 3]}}}, "@example.com"]}
    document = {
        "_id": {"$concat": [shop, "/c", {"$toString": "$n"}]},
        "shop": shop,
        "address": address,
        "status": _nth("$n", 17, "open", _nth("$n", 13, "cancelled", _nth("$n", 4, "ordered", "finished"))),
        "facts": {"$literal": facts},
        "opened_at": opened_at,
        "touched_at": opened_at,
        "revision": {"$literal": 1},
        "next_at": None,
        "purge_at": None,
        "messages": {"reminder-1": _nth("$n", 1009, dead, _nth("$n", 53, skipped, SENT))},
        "settled": _nth(
            "$n",
            1009,
            ["reminder-1 dead", "reminder-1 dead: attempts used up"],
            _nth("$n", 53, ["reminder-1 skipped", f"reminder-1 skipped: {LATE}"], ["reminder-1 sent"]),
        ),
    }
    stages = [
        {"$documents": [{"_row": {"$range": [0, -(-count // 1000)]}}]},
        {"$unwind": "$_row"},
        {"$set": {"_column": {"$range": [0, 1000]}}},
        {"$unwind": "$_column"},
        {"$set": {"n": number}},
        {"$project": document},
        {"$out": CHECKOUTS},
    ]
    async with await database.aggregate(stages, allowDiskUse=True) as cursor:
        await cursor.to_list()
    await collections.ensure(database)


def _filters(rng: random.Random, count: int, now: Any) -> dict[str, dict[str, Any]]:
    """Return a filter of each kind, by its name, with values drawn anew."""
    shop = {"shop": f"shop{rng.randrange(SHOPS)}.example"}
    step = {"step": "reminder-1"}
    since = now - timedelta(milliseconds=rng.randrange(1, count) * SPREAD_MS)
    return {
        "shop": shop,
        "five shops": {"shop": [f"shop{number}.example" for number in range(5)]},
        "shop and status": shop | {"status": rng.choice(list(Status))},
        "shop and time": shop | {"since": since, "until": since + timedelta(hours=6)},
        "shop, message sent": shop | step | {"state": MessageState.SENT},
        "shop, message skipped, reason": shop | step | {"state": MessageState.SKIPPED, "reason": LATE},
        "shop, message dead": shop | step | {"state": MessageState.DEAD},
        "address": {"email": f"customer{rng.randrange(count // 3)}@example.com"},
    }


@benchmark("lists", "a page of 50 by each filter, among a million checkouts")
async def measure(bench: Bench) -> list[Figure]:
    """Pages from random places of the list, one at a time, by the Python API."""
    count, calls = bench.size(1_000_000, 20_000), bench.size(300, 100)
    rng = random.Random(bench.seed)
    took: dict[str, list[float]] = {}
    async with bench.database() as database:
        now = await server_now(database)
        bench.tell(f"lists: {count:,} checkouts")
        await fill(database, count, now)
        recovery = bench.recovery(database)
        bench.tell("lists: pages")
        for _ in range(calls):
            for name, filters in _filters(rng, count, now).items():
                at = int(now.timestamp() * 1000) - rng.randrange(count) * SPREAD_MS
                after = None if "email" in filters or "since" in filters else str(Position(at, "shop5.example/c5"))
                began = time.perf_counter()
                await recovery.list(**filters, after=after)
                took.setdefault(name, []).append(1000 * (time.perf_counter() - began))
    return [
        Figure(f"by {name}, p99", "ms", (percentile(sorted(each), 99),), 50, at_most=True, note=f"{count:,} checkouts")
        for name, each in took.items()
    ]
