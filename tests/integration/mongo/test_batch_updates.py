"""Plans and records of a batch as one statement, on a real MongoDB."""

from dataclasses import replace
from datetime import timedelta

import bson
import pytest
from bson.int64 import Int64
from bson.raw_bson import RawBSONDocument
from pymongo import AsyncMongoClient

from recovery.domain.state import Cause, Claim, Message, MessageState, Past, Status
from recovery.engine.writes import Completion, DeadLetter, Plan
from recovery.mongo.collections import CHECKOUTS, DEAD_LETTERS
from recovery.mongo.feed import REPORTED
from recovery.mongo.updates import HISTORY_KEPT
from tests.support.builders import NOON, minutes, state
from tests.support.commands import Commands, statements
from tests.support.stores import LEASE_ENDS, Real, request

NEXT = NOON + timedelta(days=1)
ROOM = 16 * 1024 * 1024


@pytest.fixture
def commands():
    return Commands(lambda name, command: statements(name, command) if command.get(name) == CHECKOUTS else None)


@pytest.fixture
async def store(mongodb, database, commands):
    """The store, with a client whose statements are counted."""
    async with AsyncMongoClient(mongodb, tz_aware=True, event_listeners=[commands]) as client:
        yield Real(client[database.name])


async def put(store, *states):
    for each in states:
        await store.put(each)
    return states


async def stored(store, seen):
    return await store.database[CHECKOUTS].find_one({"_id": seen.id})


def past(reason="because", decision="rest"):
    return Past(at=NOON, decision=decision, reason=reason)


def plan(seen, reason="because", next_at=NEXT, **changes):
    return replace(Plan(seen, seen.status, next_at, None, {}, (past(reason),)), **changes)


def claimed(order_id="1", token="token", **changes):
    return state(order_id, claim=Claim(token=token, owner="me", until=LEASE_ENDS), next_at=LEASE_ENDS, **changes)


def sent(seen, reply="250 ok", **changes):
    """The record of a claim on a checkout, sent with this reply."""
    message = Message(state=MessageState.SENT, attempts=1, due_at=NOON, sent_at=NOON, reply=reply)
    completion = Completion(request(seen, seen.claim.token), message, seen.status, NEXT, None, (past(reply),))
    return replace(completion, **changes)


async def refusing(store, mode=None, **data):
    """Have the server execute the next update of checkouts, and answer with an error."""
    told = {"failCommands": ["update"], "namespace": f"{store.database.name}.{CHECKOUTS}", **data}
    await store.database.client.admin.command("configureFailPoint", "failCommand", mode=mode or {"times": 1}, data=told)


async def test_the_plans_of_a_batch_are_one_statement(store, commands):
    """Checkouts of different status, revision and due time get their own values by one statement."""
    seen = await put(
        store,
        state("1", next_at=NOON),
        state("2", next_at=NOON + minutes(1), revision=2),
        state("3", next_at=None, status=Status.FINISHED, revision=3),
    )
    plans = [plan(each, f"reason of {each.id}", NEXT + minutes(index)) for index, each in enumerate(seen)]
    written = await store.checkouts.plan(plans)
    assert written.next_at == {each.id: NEXT + minutes(index) for index, each in enumerate(seen)}
    assert commands.noted == [1]
    found = [await stored(store, each) for each in seen]
    assert [each["next_at"] for each in found] == [NEXT, NEXT + minutes(1), NEXT + minutes(2)]
    assert [each["status"] for each in found] == ["open", "open", "finished"]
    assert [each["history"][0]["reason"] for each in found] == [f"reason of {each.id}" for each in seen]


async def test_the_records_of_a_batch_are_one_statement(store, commands):
    """Records of several claims, tokens and steps are one statement, and each releases its own claim."""
    seen = await put(store, claimed("1", "first"), claimed("2", "second"), claimed("3", "first", revision=2))
    records = [sent(each, f"250 {each.id}") for each in seen]
    other = replace(records[2].request, step=replace(records[2].request.step, name="confirmation"))
    records[2] = replace(records[2], request=other, status=Status.FINISHED, purge_at=NEXT)
    assert (await store.checkouts.complete(records)).next_at == dict.fromkeys([each.id for each in seen], NEXT)
    assert commands.noted == [1]
    found = [await stored(store, each) for each in seen]
    replies = [(each.get("claim"), {step: told["reply"] for step, told in each["messages"].items()}) for each in found]
    assert replies == [
        (None, {"reminder-1": "250 shop.example/1"}),
        (None, {"reminder-1": "250 shop.example/2"}),
        (None, {"confirmation": "250 shop.example/3"}),
    ]
    assert [(each["status"], each.get("purge_at"), each.get("written_at")) for each in found] == [
        ("open", None, NOON),
        ("open", None, NOON),
        ("finished", NEXT, None),  # a confirmation does not count for the gap
    ]


async def test_a_single_update_is_left_to_the_driver_to_repeat(store, commands):
    """One plan is written by update_one: the driver repeats it after an error, and the history has it once."""
    (seen,) = await put(store, state("1"))
    await refusing(
        store, writeConcernError={"code": 91, "errmsg": "shutting down"}, errorLabels=["RetryableWriteError"]
    )
    assert (await store.checkouts.plan([plan(seen)])).next_at == {seen.id: NEXT}
    assert commands.noted == [1, 1]
    assert len((await stored(store, seen))["history"]) == 1


async def test_a_stale_one_does_not_disturb_its_neighbours(store):
    """A report since the look makes its own plan fail, also where neighbours differ in what they guard."""
    fresh, reported, later = await put(store, state("1"), state("2", revision=2), state("3", next_at=NOON + minutes(1)))
    await store.report(reported)
    before = await stored(store, reported)
    written = await store.checkouts.plan([plan(each) for each in (fresh, reported, later)])
    assert written.next_at == {fresh.id: NEXT, reported.id: before["next_at"], later.id: NEXT}
    assert await stored(store, reported) == before


async def test_the_token_of_a_neighbour_is_not_enough(store):
    """A record needs the token of its own claim: one that another record of the batch holds does not match."""
    taken_over, other = await put(store, claimed("1", "second"), claimed("2", "second"))
    late = sent(taken_over.model_copy(update={"claim": Claim(token="first", owner="me", until=LEASE_ENDS)}))
    await store.checkouts.complete([late, sent(other)])
    assert (await stored(store, taken_over))["claim"]["token"] == "second"
    assert "claim" not in await stored(store, other)


async def test_a_report_in_between_keeps_the_message_and_looks_at_once(store):
    """In a batch with others, a record after a report is written, and the time of the next look is the server's."""
    kept, reported = await put(store, claimed("1"), claimed("2"))
    await store.report(reported)
    written = await store.checkouts.complete([sent(kept), sent(reported)])
    found = await stored(store, reported)
    assert (found["messages"]["reminder-1"]["state"], found.get("claim")) == ("sent", None)
    assert written.next_at == {kept.id: NEXT, reported.id: found["next_at"]}
    assert found["next_at"] < NOON  # NOON is in another century


async def test_values_are_literal(store):
    """Texts and step names that look like expressions or paths are stored as they are."""
    odd = ["$$ROOT", "$claim.token", "{'$literal': 1}", "a.b", "\u0661\U0001f6d2"]
    seen = await put(store, *(claimed(f"${number}.$_id") for number, text in enumerate(odd)))
    await store.checkouts.complete([sent(each, text) for each, text in zip(seen, odd, strict=True)])
    found = [await stored(store, each) for each in seen]
    assert [(each["messages"]["reminder-1"]["reply"], each["history"][0]["reason"]) for each in found] == [
        (text, text) for text in odd
    ]


async def test_the_history_keeps_its_newest_entries(store):
    """A full history loses its oldest entry, also where the history of a neighbour is empty or absent."""
    full = tuple(past(str(number)) for number in range(HISTORY_KEPT))
    seen = await put(store, state("full", history=full), state("empty"), state("absent"))
    await store.database[CHECKOUTS].update_one({"_id": seen[2].id}, {"$unset": {"history": "", "messages": ""}})
    skipped = {"reminder-1": Message(state=MessageState.SKIPPED, reason="late")}
    await store.checkouts.plan([plan(each, "new", messages=skipped) for each in seen])
    found = [await stored(store, each) for each in seen]
    reasons = [[entry["reason"] for entry in each["history"]] for each in found]
    assert reasons == [[*map(str, range(1, HISTORY_KEPT)), "new"], ["new"], ["new"]]
    assert [each["messages"]["reminder-1"]["state"] for each in found] == ["skipped"] * 3


async def test_numbers_are_compared_by_value(store):
    """A revision that another driver has stored as a 64-bit number is the same revision."""
    seen = await put(store, state("1"), state("2", revision=2))
    await store.database[CHECKOUTS].update_one({"_id": seen[0].id}, {"$set": {"revision": Int64(1)}})
    await store.checkouts.plan([plan(each) for each in seen])
    assert [(await stored(store, each))["next_at"] for each in seen] == [NEXT, NEXT]


async def test_two_plans_of_one_checkout_are_taken_in_order(store):
    """Of two plans of the same checkout in one batch the first is written, and the second is stale."""
    twice, other = await put(store, state("1"), state("2"))
    plans = [plan(twice, "first"), plan(other, "other"), plan(twice, "second", NEXT + minutes(1))]
    written = await store.checkouts.plan(plans)
    assert written.next_at == {twice.id: NEXT, other.id: NEXT}
    assert [entry["reason"] for entry in (await stored(store, twice))["history"]] == ["first"]


async def test_a_stale_plan_does_not_hide_another_of_its_checkout(store):
    """Of two plans of the same checkout in one batch, the second is written where the first is stale."""
    twice, other = await put(store, state("1", revision=2), state("2", revision=2))
    stale = twice.model_copy(update={"revision": 1})
    await store.checkouts.plan([plan(stale, "stale", NEXT + minutes(1)), plan(other), plan(twice, "fresh")])
    assert [entry["reason"] for entry in (await stored(store, twice))["history"]] == ["fresh"]


@pytest.mark.parametrize("fault", ["not acknowledged", "not reached"])
async def test_what_was_not_acknowledged_is_written_once(store, fault):
    """After an error of the network or an election, with or without the update made, each record is there once."""
    seen = await put(store, *(claimed(str(number), f"token-{number % 2}") for number in range(4)))
    reached = {"writeConcernError": {"code": 91, "errmsg": "shutting down"}}
    await refusing(store, **(reached if fault == "not acknowledged" else {"closeConnection": True}))
    written = await store.checkouts.complete([sent(each) for each in seen])
    assert written.next_at == {each.id: NEXT for each in seen}
    found = [await stored(store, each) for each in seen]
    assert [(each.get("claim"), len(each["history"])) for each in found] == [(None, 1)] * 4


async def test_plans_that_match_again_are_left_to_the_driver_to_repeat(store, commands):
    """A plan that still matches once it is written is made alone, so that an error does not double its history."""
    seen = await put(store, state("1"), state("2"), state("3"))
    given_up = {"reminder-1": Message(state=MessageState.SKIPPED, reason="late")}
    plans = [plan(each, next_at=each.next_at + timedelta(microseconds=7), messages=given_up) for each in seen]
    await refusing(
        store, writeConcernError={"code": 91, "errmsg": "shutting down"}, errorLabels=["RetryableWriteError"]
    )
    await store.checkouts.plan(plans)
    assert [len((await stored(store, each))["history"]) for each in seen] == [1] * 3
    assert commands.noted == [3, 3]


async def test_a_document_without_room_fails_alone_in_a_batch(store):
    """A document at the maximum size is set aside with a letter; the records of its neighbours are written."""
    seen = claimed("1"), claimed("huge"), claimed("3")
    await put(store, seen[0], seen[2])
    bare = seen[1].model_dump(by_alias=True) | {"facts": {}, "pad": ""}
    whole = bare | {"pad": "x" * (ROOM - 30 - len(bson.encode(bare)))}
    raw = RawBSONDocument(bson.encode(whole))
    await store.database[CHECKOUTS].insert_one(raw, bypass_document_validation=True)
    long = "250 " + "x" * 200
    written = await store.checkouts.complete([sent(each, long) for each in seen])
    assert written.next_at == {seen[0].id: NEXT, seen[1].id: None, seen[2].id: NEXT}
    letter = await store.database[DEAD_LETTERS].find_one({"_id": f"{seen[1].id}#"})
    assert "cannot be written" in letter["error"]
    assert [len((await stored(store, each))["history"]) for each in (seen[0], seen[2])] == [1, 1]


async def test_a_document_of_another_form_fails_alone_in_a_batch(store):
    """Where a foreign hand made the messages a number, that checkout alone is set aside."""
    seen = await put(store, state("1"), state("odd"), state("3"))
    broken = {"$set": {"messages": 7}}
    await store.database[CHECKOUTS].update_one({"_id": seen[1].id}, broken, bypass_document_validation=True)
    skipped = {"reminder-1": Message(state=MessageState.SKIPPED, reason="late")}
    written = await store.checkouts.plan([plan(each, messages=skipped) for each in seen])
    assert written.next_at == {seen[0].id: NEXT, seen[1].id: None, seen[2].id: NEXT}
    assert [len((await stored(store, each))["history"]) for each in (seen[0], seen[2])] == [1, 1]


async def test_a_batch_too_large_for_one_statement_is_written_one_by_one(store):
    """Values that exceed 16 MB together are no fault of any of them: all are written."""
    seen = await put(store, *(state(str(number)) for number in range(4)))
    await store.checkouts.plan([plan(each, "x" * (5 * 1024 * 1024)) for each in seen])
    assert [len((await stored(store, each))["history"]) for each in seen] == [1] * 4
    assert await store.letters() == []


async def test_dead_messages_in_a_mixed_batch_have_their_letters(store):
    """Some records of a batch give up their message: these have a letter, and no others."""
    seen = await put(store, claimed("1"), claimed("2"), claimed("3"))
    dead = Message(state=MessageState.DEAD, attempts=1, due_at=NOON, reason=Cause.DEAD_ADDRESS)
    letter = DeadLetter(seen[1].id, "reminder-1", Cause.DEAD_ADDRESS, "550", NOON, 1, "ada@example.com")
    records = [sent(seen[0]), sent(seen[1], message=dead, letter=letter, history=()), sent(seen[2])]
    assert (await store.checkouts.complete(records)).letters == [letter]
    assert await store.letters() == [(seen[1].id, "reminder-1", "dead address")]


async def test_the_stream_of_reports_does_not_hear_of_plans_and_records(store):
    """Only reports change a revision: a batch wakes nobody, also where its change is as large as the document."""
    full = tuple(past("x" * 20) for _ in range(HISTORY_KEPT))
    seen = [claimed(str(number), history=full, facts={}) for number in range(3)]
    async with await store.database[CHECKOUTS].watch(list(REPORTED.pipeline), max_await_time_ms=200) as stream:
        await store.database[CHECKOUTS].insert_many(
            [each.model_dump(by_alias=True, exclude_none=True) | {"facts": {}} for each in seen]
        )
        await store.checkouts.complete([sent(each) for each in seen])
        planned = [each.model_copy(update={"claim": None, "next_at": NEXT}) for each in seen]
        await store.checkouts.plan([plan(each, next_at=NEXT + minutes(1)) for each in planned])
        await store.report(seen[0])
        events = [await stream.next() for _ in range(4)]
    assert [each["operationType"] for each in events] == ["insert", "insert", "insert", "update"]
