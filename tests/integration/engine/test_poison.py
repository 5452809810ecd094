"""An invalid document is set aside alone, on a real mongod, and its neighbours are sent."""

import asyncio
from datetime import timedelta

import bson
import pytest
from bson.raw_bson import RawBSONDocument

from recovery.domain.state import Message, MessageState, Past
from recovery.engine.writes import Plan
from recovery.mongo.collections import CHECKOUTS, DEAD_LETTERS
from tests.support.builders import NOON, minutes, report, state
from tests.support.engine_world import running

DUE = NOON + minutes(30)
ROOM = 16 * 1024 * 1024


@pytest.fixture
async def engine_world(database):
    """A database with a running engine, and a valid checkout that is due."""
    async with running(database) as engine_world:
        await engine_world.put(state("good", next_at=DUE))
        engine_world.clock.time = DUE
        yield engine_world


async def sweep(engine_world):
    async with asyncio.timeout(30):
        await engine_world.sweep.due_now("start")
    await engine_world.quiet()


def document(order_id, **changes):
    return state(order_id, next_at=DUE).model_dump(by_alias=True) | {"facts": report().facts()} | changes


async def put_raw(engine_world, encoded):
    await engine_world.database[CHECKOUTS].insert_one(RawBSONDocument(encoded), bypass_document_validation=True)


async def letter_of(engine_world, order_id):
    return await engine_world.database[DEAD_LETTERS].find_one({"_id": f"shop.example/{order_id}#"})


async def test_bytes_that_are_no_text_keep_nobody_waiting(engine_world):
    """A name in Latin-1, written by another driver, is shown as far as possible, and the others are sent."""
    facts = report().facts() | {"customer": {"email": "ada@example.com", "name": "Zo_"}}
    await put_raw(engine_world, bson.encode(document("bad", facts=facts)).replace(b"Zo_", b"Zo\xeb"))
    await sweep(engine_world)
    assert sorted(engine_world.relay.taken) == [("shop.example/bad", "reminder-1"), ("shop.example/good", "reminder-1")]


async def test_a_document_without_room_for_more_is_put_to_rest_alone(engine_world):
    """A valid document 30 bytes below MongoDB's maximum size has no room for a claim or a record."""
    bare = document("huge", pad="")
    room = ROOM - 30 - len(bson.encode(bare))
    await put_raw(engine_world, bson.encode(bare | {"pad": "x" * room}))
    await sweep(engine_world)
    assert engine_world.relay.taken == [("shop.example/good", "reminder-1")]
    huge = await engine_world.database[CHECKOUTS].find_one({"_id": "shop.example/huge"}, {"pad": 0})
    assert (huge["next_at"], huge.get("claim")) == (None, None)
    assert huge["purge_at"] is not None
    assert "cannot be written" in (await letter_of(engine_world, "huge"))["error"]


async def test_a_reply_that_cannot_be_encoded_costs_its_neighbours_nothing(engine_world):
    """A record that the driver cannot send is set aside alone; the others of the batch are recorded."""
    await engine_world.put(state("odd", next_at=DUE))
    odd, good = [(await engine_world.checkouts.load([f"shop.example/{name}"]))[0][0] for name in ("odd", "good")]
    plans = [
        Plan(seen, seen.status, DUE + minutes(9), None, {}, (Past(at=NOON, decision="said", reason=reason),))
        for seen, reason in ((odd, "\udce4"), (good, "fine"))
    ]
    await engine_world.checkouts.plan(plans)
    kept = {each["_id"]: each for each in await engine_world.kept()}
    assert kept["shop.example/good"]["history"][-1]["reason"] == "fine"
    assert kept["shop.example/odd"]["next_at"] is None
    assert "surrogates not allowed" in (await letter_of(engine_world, "odd"))["error"]


async def test_a_document_that_was_put_right_meanwhile_is_not_put_to_rest(engine_world):
    """Only an unchanged document is set aside: a report in between wins, and no letter remains."""
    await put_raw(engine_world, bson.encode(document("bad", status=7)))
    states, unreadable = await engine_world.checkouts.load(["shop.example/bad"])
    assert states == []
    right = {"$set": {"status": "open"}, "$inc": {"revision": 1}}
    await engine_world.database[CHECKOUTS].update_one({"_id": "shop.example/bad"}, right)
    written = await engine_world.checkouts.set_aside(unreadable, NOON, NOON + timedelta(days=30))
    assert (written.next_at, written.letters) == ({}, [])
    assert await letter_of(engine_world, "bad") is None
    kept = {each["_id"]: each for each in await engine_world.kept()}
    assert kept["shop.example/bad"]["next_at"] == DUE


async def test_what_cannot_be_read_goes_one_day_and_holds_no_claim(engine_world):
    """It is purged like everything else, and no other checkout of its address waits for its claim."""
    claim = {"token": "t", "owner": "o", "until": DUE}
    await put_raw(engine_world, bson.encode(document("bad", status=7, claim=claim)))
    await sweep(engine_world)
    bad = await engine_world.database[CHECKOUTS].find_one({"_id": "shop.example/bad"})
    assert (bad["next_at"], bad.get("claim")) == (None, None)
    assert bad["purge_at"] == DUE + timedelta(days=30)
    assert (await letter_of(engine_world, "bad"))["cause"] == "invalid document"
    assert engine_world.relay.taken == [("shop.example/good", "reminder-1")]


async def test_a_message_given_up_and_its_letter_are_of_one_mind(engine_world):
    """A message is dead if and only if it has a letter."""
    spent = state("spent", next_at=DUE, messages={"reminder-1": Message(state=MessageState.WAITING, attempts=5)})
    await engine_world.put(spent)
    await sweep(engine_world)
    letters = [each["_id"] async for each in engine_world.database[DEAD_LETTERS].find()]
    assert letters == ["shop.example/spent#reminder-1"]
    assert (await engine_world.database[DEAD_LETTERS].find_one())["address"] == "ada@example.com"
