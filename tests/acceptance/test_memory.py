"""What a daemon holds in memory while large checkouts come in, and while it finds them at its start."""

import asyncio
from uuid import uuid4

import pytest
from pymongo import AsyncMongoClient

from recovery import Item, Recovery
from tests.chaos.daemons import started
from tests.chaos.relay import Relay
from tests.support.builders import report

COUNT = 1200
MOST = 250 * 1024
"""Kilobytes."""

LARGE = tuple(
    Item(name="x" * 300, variant="y" * 300, price="1.00", url=f"https://shop.example/{'z' * 600}") for _ in range(200)
)
"""Some 248 KiB, which is what a report over HTTP may have."""


async def planned(checkouts) -> None:
    """Wait until nothing is due any more: every checkout waits for its first reminder."""
    async with asyncio.timeout(120):
        while await checkouts.count_documents({"history": {"$exists": True}}) < COUNT:
            await asyncio.sleep(0.5)


@pytest.mark.timeout(240)
async def test_large_checkouts_are_looked_at_in_parts(mongodb):
    """1,200 of the largest, reported by the stream and found by a sweep at the start, fit into a small container."""
    name = f"memory-{uuid4().hex[:10]}"
    async with Relay() as relay, AsyncMongoClient(mongodb) as client:
        environment = {
            "RECOVERY_MONGODB__URI": mongodb,
            "RECOVERY_MONGODB__DATABASE": name,
            "RECOVERY_SMTP__PORT": str(relay.port),
            "RECOVERY_HTTP__PORT": "0",
        }
        # 300 MB are written: what a disk takes to keep up with that is not what is tested.
        recovery, checkouts = Recovery(client, database=name, timeout=60), client[name]["checkouts"]
        large = report("large").model_copy(update={"items": LARGE})

        async def tell(first: int) -> None:
            for number in range(first, COUNT, 8):
                await recovery.checkout(large.model_copy(update={"order_id": f"c{number}"}))

        async with started(environment) as daemon:
            await asyncio.gather(*map(tell, range(8)))
            await planned(checkouts)
            by_stream = daemon.peak()
        await checkouts.update_many({}, [{"$set": {"next_at": "$$NOW"}}, {"$unset": "history"}])
        async with started(environment) as daemon:
            await planned(checkouts)
            by_sweep = daemon.peak()
        await client.drop_database(name)
    assert (by_stream < MOST, by_sweep < MOST) == (True, True), (by_stream, by_sweep)
