"""Dead letters on the command line, on a real MongoDB."""

import pytest

from recovery import Order, Recovery
from recovery.domain.decision import Rest, Send, decide
from recovery.domain.state import Cause, Message, MessageState
from recovery.engine.writes import DeadLetter
from recovery.mongo.checkouts import MongoCheckouts
from recovery.mongo.collections import CHECKOUTS, DEAD_LETTERS
from recovery.mongo.dead_letters import DeadLetters, Filter
from tests.support.builders import NOON, minutes, report, schedule, state
from tests.support.stores import bury

LATER = NOON + minutes(3 * 24 * 60)


async def die(database, order_id, step="reminder-1", cause=Cause.DEAD_MESSAGE):
    """Store a checkout with one dead message, and its letter."""
    dead = Message(state=MessageState.DEAD, attempts=3, reason=cause)
    kept = state(order_id, messages={step: dead}, next_at=None).model_dump(by_alias=True)
    await database[CHECKOUTS].insert_one(kept | {"facts": report().facts()})
    await bury(database, [DeadLetter(f"shop.example/{order_id}", step, cause, "554 no", NOON, 3)])


async def load(database, order_id):
    (found,), _ = await MongoCheckouts(database).load([f"shop.example/{order_id}"])
    return found


async def test_a_replay_makes_a_message_due_anew(database):
    """A replayed message is due now, however old it is, with all its attempts again."""
    await die(database, "1")
    letters = DeadLetters(database)
    assert await letters.replay(await letters.find(Filter()), LATER) == 1
    now = await load(database, "1")
    assert (now.next_at, now.revision) == (LATER, 2), "a report of its own kind, so that the stream tells of it"
    decision = decide(now, schedule(), LATER)
    assert isinstance(decision, Send)
    assert (decision.step.name, decision.due_at) == ("reminder-1", LATER)
    assert await letters.find(Filter()) == []
    assert len(await letters.find(Filter(replayed=True))) == 1


async def test_a_replay_never_writes_to_someone_who_ordered(database, database_name):
    """The look after a replay sees the order: no reminder is sent."""
    await die(database, "1")
    await Recovery(database.client, database=database_name).order(Order(shop="shop.example", order_id="1"))
    letters = DeadLetters(database)
    await letters.replay(await letters.find(Filter()), LATER)
    assert isinstance(decide(await load(database, "1"), schedule(confirmation=None), LATER), Rest)


async def test_a_message_that_is_not_dead_any_more_is_left_alone(database):
    """Replay is idempotent: a second one of the same letter changes nothing."""
    await die(database, "1")
    letters = DeadLetters(database)
    found = await letters.find(Filter())
    await letters.replay(found, LATER)
    assert await letters.replay(found, LATER + minutes(1)) == 0
    assert (await load(database, "1")).next_at == LATER


async def test_a_letter_keeps_all_its_errors(database):
    """A message that dies again adds an error to its letter, which is then no longer replayed."""
    await die(database, "1")
    letters = DeadLetters(database)
    await letters.replay(await letters.find(Filter()), LATER)
    again = DeadLetter("shop.example/1", "reminder-1", Cause.ATTEMPTS, "450 still no", LATER, 5)
    await bury(database, [again])
    (letter,) = await letters.find(Filter())
    assert [error["error"] for error in letter.errors] == ["554 no", "450 still no"]
    assert letter.cause == Cause.ATTEMPTS


@pytest.mark.parametrize(
    ("which", "expected"),
    [
        (Filter(), {"1", "2", "3"}),
        (Filter(cause=Cause.LOST), {"2"}),
        (Filter(step="reminder-2"), {"3"}),
        (Filter(shop="shop.example"), {"1", "2", "3"}),
        (Filter(shop="shop"), set()),
        (Filter(ids=("shop.example/1#reminder-1",)), {"1"}),
        (Filter(before=NOON), set()),
        (Filter(before=LATER), {"1", "2", "3"}),
    ],
)
async def test_letters_are_found_by_what_they_are(database, which, expected):
    """Each filter selects by its own field."""
    await die(database, "1")
    await die(database, "2", cause=Cause.LOST)
    await die(database, "3", step="reminder-2")
    assert {letter.checkout.split("/")[1] for letter in await DeadLetters(database).find(which)} == expected


async def test_what_is_dropped_is_gone(database):
    """Dropping deletes the letter and not the checkout."""
    await die(database, "1")
    letters = DeadLetters(database)
    assert await letters.drop(await letters.find(Filter())) == 1
    assert await database[DEAD_LETTERS].count_documents({}) == 0
    assert (await load(database, "1")).messages["reminder-1"].state is MessageState.DEAD


async def test_a_document_that_was_mended_is_looked_at_again(database):
    """A letter of an unreadable document can be replayed once the document is fixed."""
    await die(database, "1")
    unread = DeadLetter("shop.example/1", None, Cause.INVALID, "total: not a number", NOON)
    await bury(database, [unread])
    letters = DeadLetters(database)
    assert await letters.replay(await letters.find(Filter(cause=Cause.INVALID)), LATER) == 1
    assert (await load(database, "1")).next_at == LATER
