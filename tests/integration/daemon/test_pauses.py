"""Pauses of sending, heeded by engine, sweep and heartbeat on a real database."""

import asyncio
import time
from datetime import timedelta

from recovery.daemon.heartbeat import Heartbeat
from recovery.domain.state import MessageState, Status
from recovery.mongo.clock import MongoClock
from recovery.mongo.daemons import Daemons
from recovery.mongo.pauses import Pauses
from recovery.mongo.queues import Shops
from tests.support.builders import NOON, state
from tests.support.services import DUE

SHOP = "shop.example"


async def test_a_sweep_leaves_alone_what_is_paused(engine_world):
    """Nothing is looked at, written or called a fault of the streams; afterwards everything is sent once."""
    await engine_world.put(*(state(str(n), next_at=DUE) for n in range(3)))
    engine_world.clock.time = DUE + timedelta(seconds=6)
    before = await engine_world.kept()
    for name in (SHOP, "*"):
        engine_world.engine.pauses.hear({name})
        engine_world.engine.behind.set()
        async with asyncio.timeout(10):
            assert await engine_world.sweep.due_now("behind") == 0
        assert not engine_world.engine.behind.is_set()  # or the sweep would go round and round
        await engine_world.sweep.audit()
    assert (engine_world.relay.taken, engine_world.witness.looks, engine_world.sweep.fault) == ([], [], None)
    assert await engine_world.kept() == before
    engine_world.engine.pauses.hear(())
    await engine_world.sweep.due_now("behind")
    await engine_world.quiet()
    assert sorted(engine_world.relay.taken) == [(f"{SHOP}/{n}", "reminder-1") for n in range(3)]


async def test_a_paused_shop_is_in_no_queue(engine_world):
    """Neither its reminders nor its confirmations are found due; those of others are."""
    ordered = state("2", status=Status.ORDERED, ordered_at=DUE, confirm=True, next_at=DUE)
    other = [each.model_copy(update={"id": f"other.example/{n}"}) for n, each in enumerate((state(), ordered))]
    await engine_world.put(state("1", next_at=DUE), ordered, *other)
    for name in (SHOP, "other.example"):
        query = {"_id": {"$regex": f"^{name}"}}
        await engine_world.database["checkouts"].update_many(query, {"$set": {"shop": name, "next_at": DUE}})
    shops = Shops(paused=frozenset({SHOP}))
    found = await engine_world.checkouts.due(DUE, 100, lambda _: True, shops)
    assert found == ["other.example/1", "other.example/0"]


async def test_a_pause_between_load_and_claim_is_heeded(engine_world):
    """What was decided on before the pause is claimed after it: it goes back, unsent, without an attempt."""
    await engine_world.put(state("1", next_at=DUE))
    engine_world.clock.time = DUE
    load = engine_world.checkouts.load

    async def load_and_pause(ids):
        found = await load(ids)
        await Pauses(engine_world.database).pause(SHOP, "ada", "", NOON)
        return found

    engine_world.checkouts.load = load_and_pause
    await engine_world.engine.look([f"{SHOP}/1"], "test")
    await engine_world.quiet()
    assert engine_world.relay.taken == []
    (kept,), _ = await load([f"{SHOP}/1"])
    message = kept.messages["reminder-1"]
    assert (message.state, message.attempts, kept.claim, kept.next_at) == (MessageState.WAITING, 0, None, DUE)


async def test_a_heartbeat_hears_of_a_pause_and_of_its_end(engine_world):
    """So a daemon that claims nothing learns that it may go on."""
    heard = []
    pauses = Pauses(engine_world.database)
    clock = MongoClock(engine_world.database, time.monotonic)
    await clock.measure()
    heart = Heartbeat(
        Daemons(engine_world.database),
        engine_world.share,
        lambda: None,
        clock,
        interval=timedelta(seconds=1),
        expiry=timedelta(seconds=3),
        pauses=pauses,
        on_paused=heard.append,
    )
    await heart.beat()
    await pauses.pause(SHOP, "ada", "", NOON)
    await heart.beat()
    await pauses.resume(SHOP)
    await heart.beat()
    assert heard == [frozenset(), {SHOP}, frozenset()]
