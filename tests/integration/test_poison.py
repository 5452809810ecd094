"""An invalid document is set aside alone, on a real mongod, and its neighbours are sent."""

import asyncio
from datetime import timedelta

import bson
import pytest
from bson.raw_bson import RawBSONDocument

from recovery.domain.state import Message, MessageState, Past
from recovery.engine.writes import Plan
from recovery.mongo.collections import CHECKOUTS, DEAD_LETTERS
from tests.builders import NOON, minutes, report, state
from tests.house import running

DUE = NOON + minutes(30)
ROOM = 16 * 1024 * 1024


@pytest.fixture
async def house(database):
    """A database with a running engine, and a valid checkout that is due."""
    async with running(database) as house:
        await house.put(state("good", next_at=DUE))
        house.clock.time = DUE
        yield house


async def sweep(house):
    async with asyncio.timeout(20):
        await house.sweep.due_now("start")
    await house.quiet()


def document(order_id, **changes):
    return state(order_id, next_at=DUE).model_dump(by_alias=True) | {"facts": report().facts()} | changes


async def put_raw(house, encoded):
    await house.database[CHECKOUTS].insert_one(RawBSONDocument(encoded), bypass_document_validation=True)


async def letter_of(house, order_id):
    return await house.database[DEAD_LETTERS].find_one({"_id": f"shop.example/{order_id}#"})


async def test_bytes_that_are_no_text_keep_nobody_waiting(house):
    """A name in Latin-1, written by another driver, is shown as far as possible, and the others are sent."""
    facts = report().facts() | {"customer": {"email": "ada@example.com", "name": "Zo_"}}
    await put_raw(house, bson.encode(document("bad", facts=facts)).replace(b"Zo_", b"Zo\xeb"))
    await sweep(house)
    assert sorted(house.relay.taken) == [("shop.example/bad", "reminder-1"), ("shop.example/good", "reminder-1")]


async def test_a_document_without_room_for_more_is_put_to_rest_alone(house):
    """A valid document 30 bytes below MongoDB's maximum size has no room for a claim or a record."""
    bare = document("huge", pad="")
    room = ROOM - 30 - len(bson.encode(bare))
    await put_raw(house, bson.encode(bare | {"pad": "x" * room}))
    await sweep(house)
    assert house.relay.taken == [("shop.example/good", "reminder-1")]
    huge = await house.database[CHECKOUTS].find_one({"_id": "shop.example/huge"}, {"pad": 0})
    assert (huge["next_at"], huge.get("claim")) == (None, None)
    assert huge["purge_at"] is not None
    assert "cannot be written" in (await letter_of(house, "huge"))["error"]


async def test_a_reply_that_cannot_be_encoded_costs_its_neighbours_nothing(house):
    """A record that the driver cannot send is set aside alone; the others of the batch are recorded."""
    await house.put(state("odd", next_at=DUE))
    odd, good = [(await house.checkouts.load([f"shop.example/{name}"]))[0][0] for name in ("odd", "good")]
    plans = [
        Plan(seen, seen.status, DUE + minutes(9), None, {}, (Past(at=NOON, decision="said", reason=reason),))
        for seen, reason in ((odd, "\udce4"), (good, "fine"))
    ]
    await house.checkouts.plan(plans)
    kept = {each["_id"]: each for each in await house.kept()}
    assert kept["shop.example/good"]["history"][-1]["reason"] == "fine"
    assert kept["shop.example/odd"]["next_at"] is None
    assert "surrogates not allowed" in (await letter_of(house, "odd"))["error"]


async def test_a_document_that_was_put_right_meanwhile_is_not_put_to_rest(house):
    """Only an unchanged document is set aside: a report in between wins, and no letter remains."""
    await put_raw(house, bson.encode(document("bad", status=7)))
    states, unreadable = await house.checkouts.load(["shop.example/bad"])
    assert states == []
    right = {"$set": {"status": "open"}, "$inc": {"revision": 1}}
    await house.database[CHECKOUTS].update_one({"_id": "shop.example/bad"}, right)
    written = await house.checkouts.set_aside(unreadable, NOON, NOON + timedelta(days=30))
    assert (written.next_at, written.letters) == ({}, [])
    assert await letter_of(house, "bad") is None
    kept = {each["_id"]: each for each in await house.kept()}
    assert kept["shop.example/bad"]["next_at"] == DUE


async def test_what_cannot_be_read_goes_one_day_and_holds_no_claim(house):
    """It is purged like everything else, and no other checkout of its address waits for its claim."""
    claim = {"token": "t", "owner": "o", "until": DUE}
    await put_raw(house, bson.encode(document("bad", status=7, claim=claim)))
    await sweep(house)
    bad = await house.database[CHECKOUTS].find_one({"_id": "shop.example/bad"})
    assert (bad["next_at"], bad.get("claim")) == (None, None)
    assert bad["purge_at"] == DUE + timedelta(days=30)
    assert (await letter_of(house, "bad"))["cause"] == "invalid document"
    assert house.relay.taken == [("shop.example/good", "reminder-1")]


async def test_a_message_given_up_and_its_letter_are_of_one_mind(house):
    """A message is dead if and only if it has a letter."""
    spent = state("spent", next_at=DUE, messages={"reminder-1": Message(state=MessageState.WAITING, attempts=5)})
    await house.put(spent)
    await sweep(house)
    letters = [each["_id"] async for each in house.database[DEAD_LETTERS].find()]
    assert letters == ["shop.example/spent#reminder-1"]
    assert (await house.database[DEAD_LETTERS].find_one())["address"] == "ada@example.com"
