"""What operators do with checkouts, on a real mongod, also while a message is being claimed."""

from datetime import timedelta

import pytest

from recovery.domain.operations import NotPossible, Operator, pause, resume, send_now, skip
from recovery.domain.state import MessageState, Status
from recovery.errors import Damaged
from recovery.mongo.checkouts import MongoCheckouts
from recovery.mongo.collections import CHECKOUTS
from recovery.mongo.operations import Operations
from tests.support.builders import NOON, minutes, schedule, state
from tests.support.stores import Real, only, request

OLGA = Operator("olga", "in the console")
LATER = NOON + minutes(5)


@pytest.fixture
def store(database):
    """The stored checkouts."""
    return Real(database)


@pytest.fixture
def operations(database):
    """What is tested."""
    return Operations(database)


def _sent_now(seen):
    return send_now(seen, schedule(), None, LATER)


async def test_an_operation_moves_the_revision_and_says_who_did_it(store, operations):
    """A look follows at once."""
    await store.put(state())
    await operations.change(state().id, _sent_now, OLGA, LATER)
    kept = await only(store, state())
    assert (kept.revision, kept.next_at) == (state().revision + 1, LATER)
    assert kept.messages["reminder-1"].replayed_at == LATER
    (past,) = kept.history
    assert (past.decision, past.reason) == ("send reminder-1 now", "requested by olga in the console")


async def test_a_skipped_message_is_found_by_its_reason(store, operations, database):
    """The list reads it from its index."""
    await store.put(state())
    await operations.change(state().id, lambda seen: skip(seen, schedule(), None, OLGA, LATER), OLGA, LATER)
    document = await database[CHECKOUTS].find_one({"_id": state().id})
    assert document["settled"] == ["reminder-1 skipped", "reminder-1 skipped: skipped by olga"]


async def test_a_claim_of_what_was_there_before_fails(store, operations, database):
    """Of a daemon and an operator that act at once, one sees the other."""
    await store.put(state())
    seen = await only(store, state())
    await operations.change(seen.id, lambda seen: skip(seen, schedule(), None, OLGA, LATER), OLGA, LATER)
    assert await MongoCheckouts(database).claim([request(seen, "theirs")]) == set()


async def test_a_message_that_is_claimed_meanwhile_is_not_touched(store, operations, database):
    """The operation is decided on again, and refused."""
    await store.put(state())
    claimed = False

    def decide(seen):
        nonlocal claimed
        change = _sent_now(seen)
        claimed = True
        return change

    checkouts = MongoCheckouts(database)
    load = operations._kept.load

    async def load_then_claim(ids):
        found = await load(ids)
        if not claimed:
            assert await checkouts.claim([request(found[0][0], "theirs")])
        return found

    operations._kept.load = load_then_claim
    with pytest.raises(NotPossible, match="is being sent at this moment"):
        await operations.change(state().id, decide, OLGA, LATER)
    kept = await only(store, state())
    assert kept.claim.token == "theirs"
    assert kept.messages["reminder-1"].state is MessageState.SENDING
    assert kept.history == ()


async def test_an_operation_on_what_keeps_changing_is_given_up(store, operations, database):
    """It is not tried for ever, and says so."""
    await store.put(state())
    load = operations._kept.load

    async def load_then_change(ids):
        found = await load(ids)
        await database[CHECKOUTS].update_one({"_id": ids[0]}, {"$inc": {"revision": 1}})
        return found

    operations._kept.load = load_then_change
    with pytest.raises(NotPossible, match="changing all the time"):
        await operations.change(state().id, _sent_now, OLGA, LATER)


async def test_a_pause_is_ended_without_a_trace_but_the_history(store, operations, database):
    """The checkout is open again."""
    await store.put(state(status=Status.FINISHED))
    await operations.change(state().id, lambda seen: pause(seen, OLGA, LATER), OLGA, LATER)
    assert (await only(store, state())).pause is not None
    await operations.change(state().id, resume, OLGA, LATER)
    document = await database[CHECKOUTS].find_one({"_id": state().id})
    assert "paused" not in document
    assert document["status"] == "open"
    assert [past["decision"] for past in document["history"]] == ["pause", "resume"]


async def test_what_is_gone_or_damaged_is_told(operations, database):
    """Neither is written."""
    assert await operations.change("shop.example/none", _sent_now, OLGA, LATER) is None
    damaged = {"_id": "shop.example/1", "status": "nonsense", "revision": 1}
    await database[CHECKOUTS].insert_one(damaged, bypass_document_validation=True)
    with pytest.raises(Damaged):
        await operations.change("shop.example/1", _sent_now, OLGA, LATER)


async def test_only_those_in_a_wanted_status_are_cancelled(store, operations):
    """An order stays one."""
    for number, status in enumerate(Status):
        await store.put(state(str(number), status=status))
    ids = [state(str(number)).id for number in range(len(Status))]
    assert await operations.cancel(ids, OLGA, LATER, [Status.OPEN]) == 1
    assert await operations.cancel(ids, OLGA, LATER) == 1  # the finished one
    assert await operations.cancel(ids, OLGA, LATER) == 0
    kept = await only(store, state("0"))
    assert (kept.status, kept.next_at, kept.purge_at) == (Status.CANCELLED, LATER, None)
    assert [past.reason for past in kept.history] == ["requested by olga in the console"]
    assert (await only(store, state("1"))).status is Status.ORDERED


async def test_a_cancellation_calls_off_what_is_claimed_and_not_yet_handed_over(store, operations, database):
    """The claim stays its owner's, who records what became of it."""
    await store.put(state())
    seen = await only(store, state())
    claim = request(seen, "theirs")
    checkouts = MongoCheckouts(database)
    assert await checkouts.claim([claim])
    assert await operations.cancel([seen.id], OLGA, LATER) == 1
    assert await checkouts.hand_over([claim]) == set()
    assert (await only(store, seen)).claim.token == "theirs"


async def test_the_history_is_bounded(store, operations, database):
    """By the newest 50 entries, as with the daemon's."""
    await store.put(state())
    for number in range(60):
        at = LATER + timedelta(seconds=number)
        await operations.change(state().id, lambda seen, at=at: send_now(seen, schedule(), None, at), OLGA, at)
    history = (await database[CHECKOUTS].find_one({"_id": state().id}))["history"]
    assert [past["at"] for past in history] == [LATER + timedelta(seconds=number) for number in range(10, 60)]
