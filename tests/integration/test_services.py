"""The daemon's services on a real MongoDB, one pass at a time."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from bson.datetime_ms import DatetimeMS

from recovery.checkout import MessageState
from recovery.daemon.expirer import Expirer
from recovery.daemon.heartbeat import Heartbeat
from recovery.daemon.share import EXPIRER, Share, owner
from recovery.daemon.sweep import Sweep
from recovery.engine import Engine
from recovery.mongo import collections, server
from recovery.mongo.addresses import MongoAddresses
from recovery.mongo.checkouts import MongoCheckouts
from recovery.mongo.clock import MongoClock
from recovery.mongo.collections import CHECKOUTS, COLLECTIONS, DEAD_LETTERS, SHADOWS
from recovery.mongo.daemons import Daemons
from recovery.mongo.shadows import MongoShadows
from recovery.mongo.suppressions import Suppressions
from recovery.per_shop import PerShop
from recovery.sealing import Pseudonyms
from tests.builders import NOON, Relay, SetClock, Witness, minutes, report, schedule, state

DUE = NOON + minutes(30)


class House:
    """An engine on a real database, with a clock that is set and a relay that remembers."""

    def __init__(self, database):
        self.database = database
        self.clock = SetClock()
        self.checkouts, self.shadows = MongoCheckouts(database), MongoShadows(database)
        self.relay, self.witness, self.share = Relay(), Witness(), Share("me")
        self.engine = Engine(
            checkouts=self.checkouts,
            shadows=self.shadows,
            addresses=MongoAddresses(database, Suppressions(database, Pseudonyms([]))),
            mailer=self.relay,
            clock=self.clock,
            observer=self.witness,
            schedules=PerShop(schedule()),
            owner="me",
        )
        self.repairs = 0
        self.sweep = Sweep(
            self.checkouts,
            self.shadows,
            self.engine,
            self.share.mine,
            self.clock,
            interval=timedelta(hours=1),
            grace=timedelta(seconds=5),
            repair=self.repair,
        )

    async def repair(self):
        self.repairs += 1

    async def put(self, *states):
        facts = {"facts": report().facts()}
        await self.database[CHECKOUTS].insert_many([each.model_dump(by_alias=True) | facts for each in states])

    async def kept(self):
        return [each async for each in self.database[CHECKOUTS].find()]

    async def quiet(self):
        async with asyncio.timeout(10):
            while self.engine.sender.in_flight:
                await asyncio.sleep(0.001)


@pytest.fixture
async def house(database):
    """A house whose engine runs."""
    house = House(database)
    running = asyncio.create_task(house.engine.sender.run())
    yield house
    running.cancel()


async def test_a_sweep_finds_what_nobody_told_of(house):
    """What is past its next look for longer than the grace is looked at, and the sweep says that it had to."""
    await house.put(*(state(str(n), next_at=DUE) for n in range(3)))
    house.clock.time = DUE + timedelta(seconds=4)
    await house.sweep.audit()
    assert (house.relay.taken, house.sweep.fault) == ([], None)
    house.clock.time = DUE + timedelta(seconds=6)
    await house.sweep.audit()
    await house.quiet()
    assert len(house.relay.taken) == 3
    assert "3 checkouts" in house.sweep.fault
    await house.sweep.audit()
    assert house.sweep.fault is None


async def test_a_missing_shadow_of_the_near_future_is_put_back(house):
    """A careless hand that empties the shadows is noticed by the next sweep, which says so and mends it."""
    far = state("far", next_at=DUE + timedelta(days=1))
    await house.put(state("near", next_at=DUE), far, state("has", next_at=DUE))
    await house.shadows.set({"shop.example/has": DUE})
    await house.sweep.audit()
    assert {each["_id"] async for each in house.database[SHADOWS].find()} == {"shop.example/near", "shop.example/has"}
    assert "1 checkouts whose shadow was missing" in house.sweep.fault
    assert house.witness.looks == [("no shadow", 1)]
    await house.sweep.audit()
    assert house.sweep.fault is None


async def test_a_sweep_drains_more_than_there_is_room_for(house):
    """All that is due is sent, in batches of what there is room for."""
    await house.put(*(state(str(n), next_at=DUE) for n in range(350)))
    house.clock.time = DUE
    await house.sweep.due_now("start")
    await house.quiet()
    assert len(set(house.relay.taken)) == len(house.relay.taken) == 350


async def test_a_sweep_leaves_others_their_share(house):
    """With two daemons alive each sweeps its own; together they sweep all."""
    await house.put(*(state(str(n), next_at=DUE) for n in range(40)))
    house.clock.time = DUE
    house.share.among({"other"})
    await house.sweep.due_now("start")
    await house.quiet()
    mine = {f"shop.example/{n}" for n in range(40) if house.share.mine(f"shop.example/{n}")}
    assert {id_ for id_, _ in house.relay.taken} == mine
    assert 5 < len(mine) < 35


async def test_what_cannot_be_read_is_buried_and_holds_nobody_up(house):
    """A document with wrong types becomes a dead letter that names it and the field, and rests."""
    await house.put(state("1", next_at=DUE))
    await house.database[CHECKOUTS].insert_one(
        {"_id": "shop.example/bad", "status": "open", "revision": "one", "next_at": DUE},
        bypass_document_validation=True,
    )
    await house.database[CHECKOUTS].insert_one({"_id": 7, "next_at": DUE}, bypass_document_validation=True)
    house.clock.time = DUE
    async with asyncio.timeout(10):
        await house.sweep.due_now("start")
    await house.quiet()
    assert house.relay.taken == [("shop.example/1", "reminder-1")]
    letter = await house.database[DEAD_LETTERS].find_one()
    assert (letter["checkout"], letter["cause"]) == ("shop.example/bad", "invalid document")
    assert "opened_at" in letter["error"]
    assert (await house.database[CHECKOUTS].find_one({"_id": "shop.example/bad"}))["next_at"] is None


@pytest.mark.parametrize(
    "changes",
    [
        {"touched_at": datetime(9999, 12, 31, 23, 59, tzinfo=UTC)},
        {"touched_at": DatetimeMS(10**15)},
        {"revision": 1.5},
        {"messages": {"reminder-1": {"state": "lost"}}},
        {"facts": {"customer": {"email": "nobody"}}},
        {"facts": {"items": [{"name": "x" * 5_000_000, "price": "1"}]}},
        {"claim": {"token": 7}},
        {"history": "none"},
    ],
    ids=lambda changes: next(iter(changes)),
)
async def test_whatever_is_put_there_by_hand_holds_nobody_up(house, changes):
    """One damaged document is buried, named, and put to rest; its neighbour gets its mail."""
    await house.put(state("good", next_at=DUE))
    bad = state("bad", next_at=DUE).model_dump(by_alias=True) | {"facts": report().facts()} | changes
    await house.database[CHECKOUTS].insert_one(bad, bypass_document_validation=True)
    house.clock.time = DUE
    async with asyncio.timeout(10):
        await house.sweep.due_now("start")
    await house.quiet()
    assert house.relay.taken == [("shop.example/good", "reminder-1")]
    assert [letter.checkout for letter in house.witness.letters] == ["shop.example/bad"]
    assert next(iter(changes)) in house.witness.letters[0].error or "decided" in house.witness.letters[0].error
    assert (await house.database[CHECKOUTS].find_one({"_id": "shop.example/bad"}, {"next_at": 1}))["next_at"] is None


async def test_a_damaged_shadow_does_not_stop_the_expirer(house):
    """Dates beyond all calendars are passed over, or go at once; the others go in time."""
    expirer = Expirer(house.shadows, house.share, house.clock)
    forced = [{"_id": "a/1", "expire_at": "soon"}, {"_id": "a/2", "expire_at": DatetimeMS(10**15)}]
    await house.database[SHADOWS].insert_many(forced, bypass_document_validation=True)
    assert await expirer.expire() == 0
    await house.shadows.set({"a/3": NOON})
    assert await expirer.expire() == 1


@pytest.mark.parametrize("between", [{"$lte": NOON}, {"$gt": NOON, "$lte": DUE}])
async def test_what_is_due_is_found_by_its_index(house, between):
    """The server reads what is due and not one checkout more, however many are pending."""
    await house.put(*(state(str(n), next_at=NOON + minutes(n)) for n in range(100)))
    plan = await house.checkouts._by_next_at(between).explain()
    stats = plan["executionStats"]
    assert stats["totalKeysExamined"] <= stats["nReturned"] + 1
    assert stats["totalDocsExamined"] == stats["nReturned"]


async def test_after_a_loss_the_house_is_repaired_before_it_is_swept(house):
    """A dropped collection takes its indexes along: they come first."""
    await house.put(state(next_at=DUE))
    house.clock.time = DUE
    await house.sweep.after_loss()
    assert house.repairs == 1
    assert house.witness.looks == [("lost", 1)]


async def test_a_look_and_a_shadow_go_together(house):
    """A planned checkout has a shadow at its next look; a checkout at rest has none."""
    await house.put(state())
    await house.engine.look(["shop.example/1"], "test")
    assert (await house.database[SHADOWS].find_one())["expire_at"] == DUE
    await house.database[CHECKOUTS].update_one({}, {"$set": {"status": "cancelled"}, "$inc": {"revision": 1}})
    await house.engine.look(["shop.example/1"], "test")
    assert await house.database[SHADOWS].find_one() is None
    (kept,) = await house.kept()
    assert kept["next_at"] is None
    assert kept["messages"] == {}


async def test_a_message_sent_is_kept_as_sent(house):
    """The whole way through a real database: due, claimed, sent, recorded."""
    await house.put(state(next_at=DUE))
    house.clock.time = DUE
    await house.engine.look(["shop.example/1"], "test")
    await house.quiet()
    (found,), _ = await house.checkouts.load(["shop.example/1"])
    assert found.messages["reminder-1"].state is MessageState.SENT
    assert found.next_at == NOON + timedelta(days=1)


async def test_the_expirer_deletes_what_is_due_and_knows_what_is_next(house):
    """What is due goes; what is not stays; the expirer sleeps until then."""
    expirer = Expirer(house.shadows, house.share, house.clock)
    future = NOON.replace(year=2200)
    await house.shadows.set({"a/1": future, "a/2": future + minutes(1)})
    house.clock.time = future
    assert await expirer.expire() == 1
    assert expirer._wake_at == future + minutes(1)
    assert await expirer.expire() == 0


async def test_the_expirer_wakes_for_a_shadow_set_earlier_than_all_others(house):
    """A shadow just set that is due before the one it sleeps for wakes it."""
    expirer = Expirer(house.shadows, house.share, house.clock)
    house.engine.alarms.on_set = expirer.wake_for
    await house.shadows.set({"a/1": NOON.replace(year=2200)})
    await expirer.expire()
    house.clock.time = NOON.replace(year=2190)
    await house.put(state("2", touched_at=house.clock.time, next_at=house.clock.time))
    await house.engine.look(["shop.example/2"], "test")
    assert expirer._wake_at == house.clock.time + minutes(30)


async def test_only_the_daemon_in_office_expires(house):
    """Of two daemons one deletes; when it is gone the other does."""
    expirer = Expirer(house.shadows, house.share, house.clock)
    await house.shadows.set({"a/1": NOON.replace(year=2200)})
    house.clock.time = NOON.replace(year=2201)
    other = next(name for n in range(100) if owner(EXPIRER, {"me", name := f"other-{n}"}) == name)
    house.share.among({other})
    assert await expirer.expire() == 0
    house.share.among(set())
    assert await expirer.expire() == 1


async def test_heartbeats_share_the_work(house):
    """A daemon that joins is shared with, one that is silent for too long no more, and each change asks for a sweep."""
    clock = house.clock
    clock.measure = lambda: asyncio.sleep(0)
    daemons = Daemons(house.database)
    beat = {"interval": timedelta(seconds=2), "expiry": timedelta(seconds=10)}
    heart = Heartbeat(daemons, house.share, house.engine.behind.set, clock, **beat)
    await heart.beat()
    assert not house.engine.behind.is_set()
    await daemons.beat("other", clock.now())
    await heart.beat()
    assert house.share.daemons == {"me", "other"}
    assert house.engine.behind.is_set()
    clock.time += timedelta(seconds=11)
    await heart.beat()
    assert house.share.daemons == {"me"}


async def test_the_clock_is_the_server_s(house):
    """Time is the server's, whatever this machine's wall clock says, and goes on by the monotonic one."""
    seconds = 5000.0
    clock = MongoClock(house.database, lambda: seconds)
    before = (await house.database.command("hello"))["localTime"].replace(tzinfo=UTC)
    await clock.measure()
    measured = clock.now()
    after = (await house.database.command("hello"))["localTime"].replace(tzinfo=UTC)
    assert before <= measured <= after
    seconds += 60
    assert clock.now() == measured + timedelta(seconds=60)


async def test_a_slow_answer_does_not_spoil_the_clock(house):
    """An answer that took long is not trusted over a quick one of a moment ago, but over one of long ago it is."""
    readings = []
    clock = MongoClock(house.database, lambda: readings.pop(0) if len(readings) > 1 else readings[0])

    async def measure(*round_trips, at):
        readings[:] = [moment for seconds in round_trips for moment in (at, at + seconds)]
        await clock.measure()
        readings[:] = [10.0]
        return clock.now()

    quick = await measure(0.001, 0.001, 0.001, at=0.0)
    assert await measure(4, 4, 4, at=5.0) == quick
    assert await measure(4, 4, 4, at=100_000.0) != quick


async def test_the_first_answer_may_be_slow(house):
    """The first answer comes over a connection that has to be made; a quicker one after it sets the clock right."""
    readings = [0.0, 8.0, 8.0, 8.0]
    clock = MongoClock(house.database, lambda: readings.pop(0) if len(readings) > 1 else readings[0])
    before = (await house.database.command("hello"))["localTime"].replace(tzinfo=UTC)
    await clock.measure()
    after = (await house.database.command("hello"))["localTime"].replace(tzinfo=UTC)
    assert before <= clock.now() <= after


async def test_a_database_is_made_ready_and_mended(database):
    """What is missing or wrong is found, named, mended, and then no more found."""
    assert await collections.faults(database) == []
    await database[SHADOWS].drop_index("expire_at")
    await database[SHADOWS].create_index("expire_at", name="expire_at", expireAfterSeconds=60)
    await database.command({"collMod": CHECKOUTS, "validator": {}})
    await database[DEAD_LETTERS].drop()
    assert sorted(await collections.faults(database)) == [
        "collection dead_letters is missing",
        "index shadows.expire_at differs from what it must be",
        "the validator of checkouts is missing or differs",
    ]
    assert len(await collections.ensure(database)) == 5
    assert await collections.faults(database) == []


@pytest.mark.parametrize("name", sorted(COLLECTIONS))
async def test_a_lost_collection_is_made_again(database, name):
    """Whichever collection is dropped, it comes back as it was."""
    await database[name].drop()
    await collections.ensure(database)
    assert await collections.faults(database) == []


async def test_a_fit_server_is_found_fit(database):
    """A replica set of one is all that is needed."""
    assert await server.fault(database) is None
