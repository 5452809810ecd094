"""The sweep: overdue checkouts, missing shadows, documents that cannot be read."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from bson.datetime_ms import DatetimeMS

from recovery.daemon.expirer import Expirer
from recovery.daemon.share import ABLE
from recovery.domain.state import MessageState
from recovery.errors import Refused, Unavailable
from recovery.mongo.collections import CHECKOUTS, DEAD_LETTERS, SHADOWS
from tests.support.builders import NOON, report, state
from tests.support.engine_world import failing
from tests.support.services import DUE


async def test_a_sweep_finds_what_nobody_told_of(engine_world):
    """A checkout overdue by more than the grace is looked at, and the sweep reports the fault."""
    await engine_world.put(*(state(str(n), next_at=DUE) for n in range(3)))
    engine_world.clock.time = DUE + timedelta(seconds=4)
    await engine_world.sweep.audit()
    assert (engine_world.relay.taken, engine_world.sweep.fault) == ([], None)
    engine_world.clock.time = DUE + timedelta(seconds=6)
    await engine_world.sweep.audit()
    await engine_world.quiet()
    assert len(engine_world.relay.taken) == 3
    assert "3 overdue checkouts" in engine_world.sweep.fault
    await engine_world.sweep.audit()
    assert engine_world.sweep.fault is None


async def test_a_missing_shadow_of_the_near_future_is_put_back(engine_world):
    """The next sweep finds that shadows were deleted by an operator, reports it and sets them again."""
    far = state("far", next_at=DUE + timedelta(days=1))
    await engine_world.put(state("near", next_at=DUE), far, state("has", next_at=DUE))
    await engine_world.shadows.set({"shop.example/has": DUE})
    await engine_world.sweep.audit()
    assert {each["_id"] async for each in engine_world.database[SHADOWS].find()} == {
        "shop.example/near",
        "shop.example/has",
    }
    assert "1 checkouts without a shadow" in engine_world.sweep.fault
    assert engine_world.witness.looks == [("no shadow", 1)]
    await engine_world.sweep.audit()
    assert engine_world.sweep.fault is None


async def test_a_shadow_that_is_about_to_be_set_is_not_missing(engine_world):
    """A checkout is planned by one write and gets its shadow by the next: a sweep between the two finds no fault."""
    await engine_world.put(state("near", next_at=DUE))
    sweeping = asyncio.create_task(engine_world.sweep.audit())
    await asyncio.sleep(0.2)
    await engine_world.shadows.set({"shop.example/near": DUE})
    await sweeping
    assert (engine_world.sweep.fault, engine_world.witness.looks) == (None, [])


async def test_a_sweep_drains_more_than_there_is_room_for(engine_world):
    """All that is due is sent, in batches of what there is room for."""
    await engine_world.put(*(state(str(n), next_at=DUE) for n in range(350)))
    engine_world.clock.time = DUE
    await engine_world.sweep.due_now("start")
    await engine_world.quiet()
    assert len(set(engine_world.relay.taken)) == len(engine_world.relay.taken) == 350


async def test_a_sweep_leaves_others_their_share(engine_world):
    """With two daemons alive each sweeps its own; together they sweep all."""
    await engine_world.put(*(state(str(n), next_at=DUE) for n in range(40)))
    engine_world.clock.time = DUE
    engine_world.share.among({"other": ABLE})
    await engine_world.sweep.due_now("start")
    await engine_world.quiet()
    mine = {f"shop.example/{n}" for n in range(40) if engine_world.share.mine(f"shop.example/{n}")}
    assert {id_ for id_, _ in engine_world.relay.taken} == mine
    assert 5 < len(mine) < 35


async def test_what_cannot_be_read_is_buried_and_holds_nobody_up(engine_world):
    """A document with wrong types becomes a dead letter that names it and the field, and rests."""
    await engine_world.put(state("1", next_at=DUE))
    await engine_world.database[CHECKOUTS].insert_one(
        {"_id": "shop.example/bad", "status": "open", "revision": "one", "next_at": DUE},
        bypass_document_validation=True,
    )
    await engine_world.database[CHECKOUTS].insert_one({"_id": 7, "next_at": DUE}, bypass_document_validation=True)
    engine_world.clock.time = DUE
    async with asyncio.timeout(30):
        await engine_world.sweep.due_now("start")
    await engine_world.quiet()
    assert engine_world.relay.taken == [("shop.example/1", "reminder-1")]
    letter = await engine_world.database[DEAD_LETTERS].find_one()
    assert (letter["checkout"], letter["cause"]) == ("shop.example/bad", "invalid document")
    assert "opened_at" in letter["error"]
    assert (await engine_world.database[CHECKOUTS].find_one({"_id": "shop.example/bad"}))["next_at"] is None


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
async def test_whatever_is_put_there_by_hand_holds_nobody_up(engine_world, changes):
    """One damaged document is buried, named, and put to rest; its neighbour gets its mail."""
    await engine_world.put(state("good", next_at=DUE))
    bad = state("bad", next_at=DUE).model_dump(by_alias=True) | {"facts": report().facts()} | changes
    await engine_world.database[CHECKOUTS].insert_one(bad, bypass_document_validation=True)
    engine_world.clock.time = DUE
    async with asyncio.timeout(30):
        await engine_world.sweep.due_now("start")
    await engine_world.quiet()
    assert engine_world.relay.taken == [("shop.example/good", "reminder-1")]
    assert [letter.checkout for letter in engine_world.witness.letters] == ["shop.example/bad"]
    assert (
        next(iter(changes)) in engine_world.witness.letters[0].error
        or "decided" in engine_world.witness.letters[0].error
    )
    assert (await engine_world.database[CHECKOUTS].find_one({"_id": "shop.example/bad"}, {"next_at": 1}))[
        "next_at"
    ] is None


async def test_a_damaged_shadow_does_not_stop_the_expirer(engine_world):
    """Dates beyond all calendars are passed over, or go at once; the others go in time."""
    expirer = Expirer(engine_world.shadows, engine_world.share, engine_world.clock)
    forced = [{"_id": "a/1", "expire_at": "soon"}, {"_id": "a/2", "expire_at": DatetimeMS(10**15)}]
    await engine_world.database[SHADOWS].insert_many(forced, bypass_document_validation=True)
    assert await expirer.expire() == 0
    await engine_world.shadows.set({"a/3": NOON})
    assert await expirer.expire() == 1


async def test_an_audit_does_not_forget_what_has_just_come_back(engine_world):
    """A message returned a moment ago is younger than the grace: the flag for due work must stay set for it."""
    await engine_world.put(state(next_at=DUE))
    engine_world.clock.time = DUE
    engine_world.engine.behind.set()
    await engine_world.sweep.audit()
    assert engine_world.engine.behind.is_set()


async def test_a_look_and_a_shadow_go_together(engine_world):
    """A planned checkout has a shadow at its next look; a checkout at rest has none."""
    await engine_world.put(state())
    await engine_world.engine.look(["shop.example/1"], "test")
    assert (await engine_world.database[SHADOWS].find_one())["expire_at"] == DUE
    await engine_world.database[CHECKOUTS].update_one({}, {"$set": {"status": "cancelled"}, "$inc": {"revision": 1}})
    await engine_world.engine.look(["shop.example/1"], "test")
    assert await engine_world.database[SHADOWS].find_one() is None
    (kept,) = await engine_world.kept()
    assert kept["next_at"] is None
    assert kept["messages"] == {}


async def test_a_message_sent_is_kept_as_sent(engine_world):
    """The whole way through a real database: due, claimed, sent, recorded."""
    await engine_world.put(state(next_at=DUE))
    engine_world.clock.time = DUE
    await engine_world.engine.look(["shop.example/1"], "test")
    await engine_world.quiet()
    (found,), _ = await engine_world.checkouts.load(["shop.example/1"])
    assert found.messages["reminder-1"].state is MessageState.SENT
    assert found.next_at == NOON + timedelta(days=1)


CODES = {"known": (134, 9001, 11600, 91, 365, 384, 202, 211, 317), "unknown": (8000, 424242)}


@pytest.mark.parametrize("code", [*CODES["known"], *CODES["unknown"]])
async def test_no_error_of_the_database_ends_a_sweep(engine_world, code):
    """Temporary and unknown errors of the database: the service tries again, and is done when the database recovers."""
    await engine_world.put(state("1", next_at=DUE))
    engine_world.clock.time = DUE
    client = engine_world.database.client
    async with failing(client, engine_world.database.name, ["find"], errorCode=code):
        with pytest.raises(Unavailable) as raised:
            await engine_world.sweep.audit()
        assert isinstance(raised.value, Refused) == (code in CODES["unknown"])
        with pytest.raises(Unavailable):
            [ids async for ids in engine_world.checkouts.soon(NOON, DUE, 10, lambda _: True)]
    await engine_world.sweep.due_now("start")
    await engine_world.quiet()
    assert len(engine_world.relay.taken) == 1


async def test_claims_in_flight_are_no_missing_shadows(engine_world):
    """A claim waits for the end of its lease without a shadow: in steady traffic nothing is wrong with that."""
    await engine_world.put(*(state(str(n), next_at=DUE) for n in range(3)))
    engine_world.clock.time = DUE
    gate = asyncio.Event()

    async def hold(_):
        await gate.wait()

    engine_world.relay.before = hold
    await engine_world.engine.look([f"shop.example/{n}" for n in range(3)], "gone")
    engine_world.sweep._interval = timedelta(minutes=5)
    await engine_world.sweep.audit()
    assert engine_world.sweep.fault is None
    gate.set()
    await engine_world.quiet()
