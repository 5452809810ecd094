"""The daemon's services on a real MongoDB, one pass at a time."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from bson.datetime_ms import DatetimeMS

from recovery.daemon.expirer import Expirer
from recovery.daemon.heartbeat import Heartbeat
from recovery.daemon.share import ABLE, EXPIRER, Ability, owner
from recovery.domain.state import MessageState
from recovery.errors import Refused, Unavailable
from recovery.mongo import collections, preflight
from recovery.mongo.clock import MongoClock
from recovery.mongo.collections import CHECKOUTS, COLLECTIONS, DEAD_LETTERS, SHADOWS
from recovery.mongo.daemons import Daemons
from tests.builders import NOON, minutes, report, state
from tests.house import failing, running

DUE = NOON + minutes(30)


@pytest.fixture
async def house(database):
    """A house whose engine runs."""
    async with running(database) as house:
        yield house


async def test_a_sweep_finds_what_nobody_told_of(house):
    """A checkout overdue by more than the grace is looked at, and the sweep reports the fault."""
    await house.put(*(state(str(n), next_at=DUE) for n in range(3)))
    house.clock.time = DUE + timedelta(seconds=4)
    await house.sweep.audit()
    assert (house.relay.taken, house.sweep.fault) == ([], None)
    house.clock.time = DUE + timedelta(seconds=6)
    await house.sweep.audit()
    await house.quiet()
    assert len(house.relay.taken) == 3
    assert "3 overdue checkouts" in house.sweep.fault
    await house.sweep.audit()
    assert house.sweep.fault is None


async def test_a_missing_shadow_of_the_near_future_is_put_back(house):
    """A careless hand that empties the shadows is noticed by the next sweep, which says so and mends it."""
    far = state("far", next_at=DUE + timedelta(days=1))
    await house.put(state("near", next_at=DUE), far, state("has", next_at=DUE))
    await house.shadows.set({"shop.example/has": DUE})
    await house.sweep.audit()
    assert {each["_id"] async for each in house.database[SHADOWS].find()} == {"shop.example/near", "shop.example/has"}
    assert "1 checkouts without a shadow" in house.sweep.fault
    assert house.witness.looks == [("no shadow", 1)]
    await house.sweep.audit()
    assert house.sweep.fault is None


async def test_a_shadow_that_is_about_to_be_set_is_not_missing(house):
    """A checkout is planned by one write and gets its shadow by the next: a sweep between the two finds no fault."""
    await house.put(state("near", next_at=DUE))
    sweeping = asyncio.create_task(house.sweep.audit())
    await asyncio.sleep(0.2)
    await house.shadows.set({"shop.example/near": DUE})
    await sweeping
    assert (house.sweep.fault, house.witness.looks) == (None, [])


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
    house.share.among({"other": ABLE})
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


async def test_an_audit_does_not_forget_what_has_just_come_back(house):
    """A message returned a moment ago is younger than the grace: the flag for due work must stay set for it."""
    await house.put(state(next_at=DUE))
    house.clock.time = DUE
    house.engine.behind.set()
    await house.sweep.audit()
    assert house.engine.behind.is_set()


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
    """Due shadows are deleted, others stay, and the expirer sleeps until the next one is due."""
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
    house.share.among({other: ABLE})
    assert await expirer.expire() == 0
    house.share.among({})
    assert await expirer.expire() == 1


async def test_a_daemon_whose_expirer_is_off_holds_no_office(house):
    """Otherwise nobody would expire anything, though others could."""
    expirer = Expirer(house.shadows, house.share, house.clock)
    await house.shadows.set({"a/1": NOON.replace(year=2200)})
    house.clock.time = NOON.replace(year=2201)
    other = next(name for n in range(100) if owner(EXPIRER, {"me", name := f"other-{n}"}) == name)
    house.share.among({other: Ability(expires=False)})
    assert await expirer.expire() == 1


async def test_what_its_daemon_cannot_send_falls_to_one_that_can(house):
    """A daemon that cannot reach the relay of some shops keeps its share of the others alone."""
    ids = [f"{shop}/{n}" for shop in ("a.example", "b.example") for n in range(40)]
    sick_for_b = Ability(sick=frozenset({"b.example"}))
    house.share.among({"other": sick_for_b})
    of_a, of_b = ([house.share.mine(id_) for id_ in ids if id_.startswith(shop)] for shop in "ab")
    assert all(of_b)
    assert not all(of_a)
    house.share.among({"other": Ability(sick=frozenset({"*"}), well=frozenset({"a.example"}))})
    assert [house.share.mine(id_) for id_ in ids if id_.startswith("a")] == of_a
    house.share.among({"other": sick_for_b}, own=sick_for_b)
    assert not all(house.share.mine(id_) for id_ in ids if id_.startswith("b")), "where nobody can, all share"
    house.share.among({}, own=sick_for_b)
    assert all(map(house.share.mine, ids)), "who is alone does what it can"


async def test_what_is_very_late_is_everybody_s(house):
    """A daemon that lives and does nothing keeps its share for no longer than twice the expiry of its heartbeat."""
    await house.put(*(state(str(n), next_at=DUE) for n in range(40)))
    house.sweep._everybodys = lambda _: True
    house.share.among({"other": ABLE})
    house.clock.time = DUE + timedelta(seconds=19)
    await house.sweep.audit()
    await house.quiet()
    assert 5 < len(house.relay.taken) < 35
    house.clock.time = DUE + timedelta(seconds=21)
    await house.sweep.audit()
    await house.quiet()
    assert len(house.relay.taken) == 40


async def test_a_heartbeat_says_what_lasts(house):
    """A fault of one moment moves no shares; one that is there at the next beat as well does, until it is over."""
    clock = house.clock
    clock.measure = lambda: asyncio.sleep(0)
    daemons = Daemons(house.database)
    ability = Ability(sick=frozenset({"*"}))
    beat = {"interval": timedelta(seconds=2), "expiry": timedelta(seconds=10)}
    heart = Heartbeat(daemons, house.share, lambda: None, clock, ability=lambda: ability, **beat)
    says = []
    for now in (ability, ability, Ability()):
        ability = now
        await heart.beat()
        says.append((await daemons.alive(clock.now(), timedelta(seconds=10)))["me"].get("sick"))
    assert says == [None, ["*"], None]


async def test_a_database_that_does_not_answer_at_all_is_told_of(house):
    """A frozen server raises nothing: that the last answer was long ago is the fault."""
    clock = house.clock
    clock.measure = lambda: asyncio.sleep(0)
    now = 0.0
    beat = {"interval": timedelta(seconds=2), "expiry": timedelta(seconds=10)}
    heart = Heartbeat(Daemons(house.database), house.share, lambda: None, clock, monotonic=lambda: now, **beat)
    await heart.beat()
    now = 9.0
    assert heart.fault is None
    now = 12.0
    assert heart.fault == "MongoDB has not answered for 12 s"


CODES = {"known": (134, 9001, 11600, 91, 365, 384, 202, 211, 317), "unknown": (8000, 424242)}


@pytest.mark.parametrize("code", [*CODES["known"], *CODES["unknown"]])
async def test_no_error_of_the_database_ends_a_sweep(house, code):
    """Temporary and unknown errors of the database: the service tries again, and is done when the database recovers."""
    await house.put(state("1", next_at=DUE))
    house.clock.time = DUE
    client = house.database.client
    async with failing(client, house.database.name, ["find"], errorCode=code):
        with pytest.raises(Unavailable) as raised:
            await house.sweep.audit()
        assert isinstance(raised.value, Refused) == (code in CODES["unknown"])
        with pytest.raises(Unavailable):
            [ids async for ids in house.checkouts.soon(NOON, DUE, 10, lambda _: True)]
    await house.sweep.due_now("start")
    await house.quiet()
    assert len(house.relay.taken) == 1


async def test_claims_in_flight_are_no_missing_shadows(house):
    """A claim waits for the end of its lease without a shadow: in steady traffic nothing is wrong with that."""
    await house.put(*(state(str(n), next_at=DUE) for n in range(3)))
    house.clock.time = DUE
    gate = asyncio.Event()

    async def hold(_):
        await gate.wait()

    house.relay.before = hold
    await house.engine.look([f"shop.example/{n}" for n in range(3)], "gone")
    house.sweep._interval = timedelta(minutes=5)
    await house.sweep.audit()
    assert house.sweep.fault is None
    gate.set()
    await house.quiet()


async def test_heartbeats_share_the_work(house):
    """A daemon that joins is shared with, one that is silent for too long no more, and each change asks for a sweep."""
    clock = house.clock
    clock.measure = lambda: asyncio.sleep(0)
    daemons = Daemons(house.database)
    beat = {"interval": timedelta(seconds=2), "expiry": timedelta(seconds=10)}
    heart = Heartbeat(daemons, house.share, house.engine.behind.set, clock, **beat)
    await heart.beat()
    assert not house.engine.behind.is_set()
    await daemons.beat("other", clock.now(), {})
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
    """A missing or wrong index or validator is found, named and repaired, and then not found again."""
    assert await collections.faults(database) == []
    await database[SHADOWS].drop_index("expire_at")
    await database[SHADOWS].create_index("expire_at", name="expire_at", expireAfterSeconds=60)
    await database.command({"collMod": CHECKOUTS, "validator": {}})
    await database[DEAD_LETTERS].drop()
    assert sorted(await collections.faults(database)) == [
        "collection dead_letters is missing",
        "index shadows.expire_at differs from its definition",
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
    assert await preflight.fault(database) is None
