"""What a benchmark works with: a database, a relay, daemons, and checkouts made from a seed."""

import asyncio
import random
import re
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

from pymongo import AsyncMongoClient
from pymongo.asynchronous.database import AsyncDatabase

from recovery import Checkout, Recovery
from recovery.mongo import collections
from recovery.mongo.collections import CHECKOUTS, OPTIONS, SHADOWS
from tests.chaos.daemons import Daemon, started

DELAY = timedelta(minutes=30)
"""The delay of the first step of the default schedule."""

FILLED = "shop.example/p"
"""How the ids of checkouts begin that `fill` writes."""

WARM_UP = 20
"""Checkouts that are reported first: some of them in each language that reports have."""

SETTLED = 6.0
"""Seconds within which a daemon has compiled their mails."""

_GOODS = ("Desk lamp", "Garden chair", "Wool blanket", "Espresso cups, set of four", "Bicycle bell", "Kleiderbügel")
_NAMES = ("Ada Lovelace", "Jürgen Müller", "Zoë Brontë", "Ivan Petrov", "Maria Rossi", "Grace Hopper")


@dataclass(slots=True)
class Bench:
    """The servers of a run. `rounds` is how often each figure is taken; `tell` hears how far it is.

    `pending` is how many checkouts there are where it is measured that they cost nothing.
    """

    uri: str
    client: AsyncMongoClient
    relay_port: int
    seed: int
    rounds: int
    quick: bool
    pending: int
    tell: Callable[[str], None]
    data: dict[str, Any]
    """What pictures are made of."""
    relay_pid: int = 0
    tree: Path | None = None
    """The tree whose daemons are run, if it is not this one."""

    def size(self, whole: int, quick: int) -> int:
        """Return a number by the form that is asked for."""
        return quick if self.quick else whole

    @asynccontextmanager
    async def database(self, pending: int = 0) -> AsyncIterator[AsyncDatabase]:
        """Give a database as Recovery wants it, empty or with so many checkouts pending from tomorrow on."""
        made = self.client.get_database(f"bench-{uuid4().hex[:10]}", **OPTIONS)
        if pending:
            now = await server_now(made)
            await fill(made, pending, touched_at=now, next_at=now + timedelta(days=1), pending=True)
        await collections.ensure(made)
        try:
            yield made
        finally:
            await self.client.drop_database(made.name)

    def recovery(self, database: AsyncDatabase) -> Recovery:
        """Return the ingestion API on a database."""
        return Recovery(self.client, database=database.name)

    @asynccontextmanager
    async def daemon(self, database: AsyncDatabase, *, follows: bool = True, **settings: str) -> AsyncIterator[Daemon]:
        """Run a daemon in a process of its own, with the default settings but for what is told here.

        Wait until it follows its streams, unless told otherwise: at its first start it sweeps once.
        """
        environment = {
            "RECOVERY_MONGODB__URI": self.uri,
            "RECOVERY_MONGODB__DATABASE": database.name,
            "RECOVERY_SMTP__PORT": str(self.relay_port),
            "RECOVERY_HTTP__PORT": "0",
            **settings,
        }
        async with started(environment, python_path=str(self.tree or "")) as daemon:
            if follows:
                await _following(database)
            yield daemon
            await daemon.terminate()


async def _following(database: AsyncDatabase) -> None:
    async with asyncio.timeout(20):
        while await database["positions"].count_documents({}) < 2:
            await asyncio.sleep(0.05)


def checkouts(count: int, seed: int, touched_at: Callable[[random.Random], datetime | None]) -> Iterator[Checkout]:
    """Yield checkouts of one to four items, the same for the same seed."""
    rng = random.Random(seed)
    for number in range(count):
        items = [
            {
                "name": rng.choice(_GOODS),
                "price": f"{rng.randrange(100, 20000) / 100:.2f}",
                "quantity": rng.choice((1, 1, 1, 2)),
                "url": f"https://shop.example/goods/{rng.randrange(10000)}",
            }
            for _ in range(rng.choice((1, 1, 2, 2, 3, 4)))
        ]
        total = sum(float(item["price"]) * item["quantity"] for item in items)
        yield Checkout.model_validate(
            {
                "shop": "shop.example",
                "order_id": f"c{number}",
                "customer": {"email": f"customer{number}@example.com", "name": rng.choice(_NAMES)},
                "items": items,
                "total": f"{total:.2f}",
                "currency": "EUR",
                "checkout_url": f"https://shop.example/checkout/{rng.randrange(16**8):08x}",
                "locale": rng.choice(("en", "de")),
                "touched_at": touched_at(rng),
            }
        )


async def fill(
    database: AsyncDatabase, count: int, *, touched_at: datetime, next_at: datetime, pending: bool = False
) -> None:
    """Have the server write so many checkouts as intake would leave them.

    Those `pending` are as planning would leave them: spread over a day from `next_at` on, each with its shadow, in a
    database that has nothing yet, so that its indexes are built at once.
    """
    spread_ms = 86_400_000 if pending else 1
    number = {"$add": [{"$multiply": ["$_row", 1000]}, "$_column"]}
    made = [
        {"$documents": [{"_row": {"$range": [0, -(-count // 1000)]}}]},
        {"$unwind": "$_row"},
        {
            "$set": {
                "_column": {"$range": [0, {"$min": [1000, {"$subtract": [count, {"$multiply": ["$_row", 1000]}]}]}]}
            }
        },
        {"$unwind": "$_column"},
        {
            "$set": {
                "_number": number,
                "next_at": {"$add": [next_at, {"$mod": [{"$multiply": [number, 7919]}, spread_ms]}]},
            }
        },
    ]
    email = {"$concat": ["customer", {"$toString": "$_number"}, "@example.com"]}
    facts = next(checkouts(1, 1, lambda _: None)).facts()
    checkout = {
        "_id": {"$concat": [FILLED, {"$toString": "$_number"}]},
        "status": "open",
        "facts": {"$mergeObjects": [{"$literal": facts}, {"customer": {"email": email, "name": "Ada Lovelace"}}]},
        "address": email,
        "opened_at": touched_at,
        "touched_at": touched_at,
        "revision": {"$literal": 1},
        "next_at": "$next_at",
        "purge_at": None,
    }
    shadow = {"_id": checkout["_id"], "expire_at": "$next_at"}
    for name, document in ((CHECKOUTS, checkout), (SHADOWS, shadow))[: 1 + pending]:
        end = {"$out": name} if pending else {"$merge": {"into": name, "whenMatched": "fail"}}
        async with await database.aggregate([*made, {"$project": document}, end], allowDiskUse=True) as cursor:
            await cursor.to_list()


async def settle(bench: Bench, database: AsyncDatabase) -> int:
    """Report a few checkouts, and wait until the daemon has compiled their mails; return how many.

    It does so once, in a thread, in each language: in the seconds after its first reports, not for each of them.
    """
    reports = [
        report.model_copy(update={"order_id": f"first{number}"})
        for number, report in enumerate(checkouts(WARM_UP, bench.seed, lambda _: None))
    ]
    await report_all(bench.recovery(database), reports)
    await asyncio.sleep(SETTLED)
    return len(reports)


async def report_all(recovery: Recovery, reports: list[Checkout], callers: int = 64) -> float:
    """Report checkouts, one call each, `callers` at a time; return how many seconds it took."""
    loop = asyncio.get_running_loop()
    waiting = iter(reports)

    async def work() -> None:
        for report in waiting:
            await recovery.checkout(report)

    began = loop.time()
    async with asyncio.TaskGroup() as group:
        for _ in range(callers):
            group.create_task(work())
    return loop.time() - began


async def server_now(database: AsyncDatabase) -> datetime:
    """Return the time by the database's clock."""
    return (await database.command("hello"))["localTime"].replace(tzinfo=UTC)


async def planned(database: AsyncDatabase, count: int, ids: str = "shop.example/", within: float = 120) -> None:
    """Wait until every checkout has been looked at, and so many shadows stand of those whose ids begin so."""
    await moved_on(database, count, await server_now(database), ids, within)


async def moved_on(
    database: AsyncDatabase, count: int, after: datetime, ids: str = "shop.example/", within: float = 120
) -> None:
    """Wait until no checkout is to be looked at before that time: what was due is recorded, and its next alarm set.

    Asked of the first entries in the index of the queues, by shop and without one, as `fill` writes them; and at the
    end of no shadows but those meant. So asking costs the server nothing to speak of.
    """
    due = {"shop": {"$in": [ids.partition("/")[0], None]}, "next_at": {"$type": "date", "$lte": after}}
    alarms = {"_id": {"$regex": f"^{re.escape(ids)}"}, "expire_at": {"$gt": after}}
    async with asyncio.timeout(within):
        while await database[CHECKOUTS].find_one(due, {"_id": 1}) is not None:
            await asyncio.sleep(0.05)
        while await database[SHADOWS].count_documents(alarms) < count:
            await asyncio.sleep(0.05)


async def lateness(database: AsyncDatabase) -> list[float]:
    """Return how late each reminder was recorded as accepted, in seconds, in order."""
    step = "messages.reminder-1"
    sent = database[CHECKOUTS].find({f"{step}.state": "sent"}, {f"{step}.sent_at": 1, f"{step}.due_at": 1})
    messages = [document["messages"]["reminder-1"] async for document in sent]
    return sorted((message["sent_at"] - message["due_at"]).total_seconds() for message in messages)


def percentile(ordered: list[float], percent: float) -> float:
    """Return the value that so many per cent are not above."""
    return ordered[max(0, -(-len(ordered) * percent // 100).__int__() - 1)]
