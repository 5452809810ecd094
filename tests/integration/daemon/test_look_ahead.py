"""The look ahead on a real database: what is asked of it before and after the instant at which a message is due."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from types import SimpleNamespace

import pytest
from pymongo import AsyncMongoClient, monitoring

from recovery.daemon.expirer import Expirer
from recovery.daemon.lanes import Lane, Lanes
from recovery.daemon.look_ahead import LookAhead
from recovery.daemon.share import ABLE
from recovery.daemon.watcher import Watcher
from recovery.domain.per_shop import PerShop
from recovery.engine import engine
from recovery.mongo.collections import OPTIONS, SHADOWS
from recovery.mongo.feed import GONE, Feed
from recovery.mongo.positions import Positions
from tests.support.builders import NOON, minutes, state
from tests.support.engine_world import EngineWorld, running

DUE = NOON + minutes(30)
SHOP = "shop.example"


class Commands(monitoring.CommandListener):
    """Notes the commands of a client, and when the relay got a message."""

    def __init__(self) -> None:
        self.noted: list[str] = []

    def started(self, event: monitoring.CommandStartedEvent) -> None:
        target = event.command[event.command_name]
        if target in ("checkouts", "shadows", "suppressions"):
            self.noted.append(f"{event.command_name} {target}")

    def succeeded(self, event: monitoring.CommandSucceededEvent) -> None:
        pass

    def failed(self, event: monitoring.CommandFailedEvent) -> None:
        pass


class Ahead:
    """An engine on a database that notes its commands, with a look ahead, an expirer and the stream of shadows."""

    def __init__(self, world: EngineWorld, commands: Commands) -> None:
        self.world, self.commands = world, commands
        self.lanes = Lanes(PerShop(Lane("relay", world.engine, SimpleNamespace()), {}))
        self.look_ahead = LookAhead(world.shadows, self.lanes, world.share, world.clock)
        self.expirer = Expirer(world.shadows, world.share, world.clock)

        async def noted(_: object) -> None:
            commands.noted.append("hand over")

        world.relay.slow = noted

    async def put(self, *names: str) -> None:
        """Put checkouts that are due at the same instant, each with its shadow, a moment before it."""
        await self.world.put(*(state(name, next_at=DUE) for name in names))
        await self.world.shadows.set({f"{SHOP}/{name}": DUE for name in names})
        self.world.clock.time = DUE - timedelta(milliseconds=100)
        self.commands.noted.clear()

    async def claim(self) -> None:
        async with asyncio.timeout(10):
            await self.world.engine.ahead.claim(await self.world.engine.ahead.due())
        await self.world.quiet()

    @asynccontextmanager
    async def followed(self) -> AsyncIterator[None]:
        """Follow the stream of shadows that are gone."""
        positions = Positions(self.world.database, "me")
        watcher = Watcher(
            GONE.name,
            Feed(self.world.database, GONE),
            positions,
            self.lanes,
            self.world.share,
            self.world.clock,
            expired=True,
            repair=lambda: asyncio.sleep(0),
        )
        task = asyncio.create_task(watcher.run())
        try:
            async with asyncio.timeout(10):
                while await positions.load(GONE.name) is None:
                    await asyncio.sleep(0.01)
            self.world.engine.behind.clear()  # set at the first start of a stream
            yield
        finally:
            task.cancel()
            await asyncio.wait([task])

    async def caught_up(self) -> None:
        """Wait until the stream has reported all that was deleted: the last of it is a shadow of no checkout."""
        looks = self.world.witness.looks.count((GONE.name, 1))
        await self.world.shadows.set({f"{SHOP}/nobody": DUE + minutes(1)})
        await self.world.shadows.set({f"{SHOP}/nobody": None})
        async with asyncio.timeout(10):
            while self.world.witness.looks.count((GONE.name, 1)) == looks:
                await asyncio.sleep(0.01)
        await self.world.quiet()


@pytest.fixture
async def ahead(mongodb, database):
    """An engine with a look ahead."""
    commands = Commands()
    async with (
        AsyncMongoClient(mongodb, event_listeners=[commands]) as client,
        running(client.get_database(database.name, **OPTIONS)) as world,
    ):
        yield Ahead(world, commands)


async def test_between_due_and_handed_over_there_is_one_wait_for_the_database(ahead, monkeypatch):
    """The load comes before the instant; the claim and the question about the address are asked together.

    The question is asked again after a claim that took long, which is not what is tested here.
    """
    monkeypatch.setattr(engine, "LOOKED_BESIDE_CLAIM", 60.0)
    await ahead.put("1")
    await ahead.look_ahead.load()
    assert ahead.commands.noted == ["find shadows", "find shadows", "find checkouts"]
    ahead.commands.noted.clear()
    ahead.world.clock.time = DUE
    await ahead.claim()
    noted = ahead.commands.noted
    assert sorted(noted[: noted.index("hand over")]) == ["aggregate suppressions", "update checkouts"]
    assert ahead.world.relay.taken == [(f"{SHOP}/1", "reminder-1")]


async def test_what_was_not_loaded_in_time_is_sent_by_its_event(ahead):
    """The expirer and the stream do their work as without a look ahead."""
    await ahead.put("1", "2")
    async with ahead.followed():
        await ahead.look_ahead.load()
        del ahead.world.engine.ahead._loaded[f"{SHOP}/2"]
        ahead.world.clock.time = DUE
        await ahead.claim()
        assert ahead.world.relay.taken == [(f"{SHOP}/1", "reminder-1")]
        assert await ahead.expirer.expire() == 1, "the shadow of the other was moved to its next step"
        await ahead.caught_up()
    assert ahead.world.relay.taken == [(f"{SHOP}/1", "reminder-1"), (f"{SHOP}/2", "reminder-1")]
    assert await ahead.world.database[SHADOWS].count_documents({"expire_at": {"$gt": DUE}}) == 2


async def test_the_event_of_what_was_claimed_ahead_costs_no_question(ahead):
    """A shadow that is deleted while its message is with the relay brings no load, and is not set again."""
    await ahead.put("1")
    gate = asyncio.Event()
    ahead.world.relay.before = lambda _: gate.wait()
    async with ahead.followed():
        await ahead.look_ahead.load()
        ahead.world.clock.time = DUE
        await ahead.world.engine.ahead.claim(await ahead.world.engine.ahead.due())
        assert await ahead.expirer.expire() == 1
        gate.set()
        await ahead.world.quiet()
        ahead.commands.noted.clear()
        await ahead.caught_up()
    assert ahead.world.witness.looks == [("ahead", 1), ("gone", 1)], "the last is the one of no checkout"
    assert ahead.commands.noted.count("insert shadows") == 1, "that of no checkout"
    assert await ahead.world.database[SHADOWS].count_documents({"expire_at": {"$gt": DUE}}) == 1


async def test_daemons_that_look_ahead_at_their_shares_lose_no_claim(ahead, database):
    """Each loads and claims its own, and together they claim all."""
    names = [str(n) for n in range(40)]
    await ahead.put(*names)
    async with running(database) as other:
        other.share.daemon = "other"
        other.clock.time = ahead.world.clock.time
        other.share.among({"me": ABLE})
        ahead.world.share.among({"other": ABLE})
        second = Ahead(other, ahead.commands)
        for each in (ahead, second):
            await each.look_ahead.load()
        loaded = len(ahead.world.engine.ahead) + len(other.engine.ahead)
        for each in (ahead, second):
            each.world.clock.time = DUE
            await each.claim()
    assert loaded == 40
    taken = ahead.world.relay.taken + other.relay.taken
    assert sorted(taken) == sorted((f"{SHOP}/{name}", "reminder-1") for name in names)
    assert 5 < len(other.relay.taken) < 35


async def test_a_claim_ahead_is_guarded_by_the_database(ahead, database):
    """What was claimed or reported since the load matches no more, and nothing is sent for it."""
    await ahead.put("claimed", "reported", "moved", "free")
    await ahead.look_ahead.load()
    changes = {
        "claimed": {"claim": {"token": "another's", "owner": "other", "until": DUE + minutes(1)}},
        "reported": {"revision": 2},
        "moved": {"next_at": DUE + minutes(1)},
    }
    for name, change in changes.items():
        await database["checkouts"].update_one({"_id": f"{SHOP}/{name}"}, {"$set": change})
    ahead.world.clock.time = DUE
    await ahead.claim()
    assert ahead.world.relay.taken == [(f"{SHOP}/free", "reminder-1")]
    everything = [f"{SHOP}/{name}" for name in ("claimed", "reported", "moved", "free")]
    assert await ahead.world.engine.ahead.unanswered(everything) == everything[:3]
