"""A real process while sending is paused, and afterwards."""

import asyncio
from datetime import UTC, datetime

import pytest

from recovery import Order
from recovery.domain.activity import Fate
from recovery.mongo.activity import Activity
from recovery.mongo.collections import CHECKOUTS
from recovery.mongo.pauses import Pauses
from tests.support.builders import report


async def _until(condition):
    async with asyncio.timeout(60):
        while not await condition():
            await asyncio.sleep(0.05)


@pytest.mark.parametrize("shop", [None, "shop.example"])
async def test_a_paused_daemon_sends_nothing_and_afterwards_everything_once(world, database, shop):
    """Reminders and confirmations wait; an order ends a reminder; it is said where operators look, and ready."""
    pauses, now = Pauses(database), datetime.now(UTC)
    async with world.daemon() as daemon:
        await pauses.pause(shop, "ada", "wrong prices", now)
        await world.recovery.checkout(report("1"))
        await world.recovery.checkout(report("2"))
        await world.recovery.order(Order(shop="shop.example", order_id="2"))
        await daemon.said("sending paused")

        async def due():
            return await database[CHECKOUTS].count_documents({"next_at": {"$lte": datetime.now(UTC)}}) == 2

        await asyncio.sleep(2.5)  # past the first reminder, and a sweep
        assert await due()
        assert world.relay.mails == []
        async with asyncio.timeout(60):
            while (ready := await daemon.http.get("/readyz")).status_code != 200:
                await asyncio.sleep(0.05)
        assert ready.json()["paused"] == ("all sending" if shop is None else "sending for 1 shop")
        assert "recovery_sending_paused 1.0" in (await daemon.http.get("/metrics")).text
        await pauses.resume(shop)
        await daemon.said("sending resumed")

        async def at_rest():
            return await database[CHECKOUTS].count_documents({"next_at": {"$type": "date"}}) == 0

        await _until(at_rest)
        assert (await daemon.http.get("/readyz")).json()["paused"] is None
        assert await daemon.terminate() == 0
    checkouts = {each["_id"]: each async for each in database[CHECKOUTS].find()}
    assert {name: each["state"] for name, each in checkouts["shop.example/1"]["messages"].items()} == {
        "reminder-1": "sent",
        "reminder-2": "sent",
    }
    assert set(checkouts["shop.example/2"]["messages"]) == {"confirmation"}
    assert len(world.relay.mails) == 3
    # What was sent is kept, though the daemon has ended.
    assert (await Activity(database).since(now)).total(Fate.SENT) == 3
