"""One contract suite for the fake store and the real one: the behaviour that the engine relies on."""

from dataclasses import replace
from datetime import timedelta

from recovery.domain.state import Cause, Message, MessageState, Past, Status
from recovery.engine.writes import Completion, DeadLetter, Plan
from tests.support.builders import NOON, minutes, state
from tests.support.stores import BEGUN, LEASE_ENDS, only, request

NEXT = NOON + timedelta(days=1)

SENT = Message(state=MessageState.SENT, attempts=1, due_at=NOON, sent_at=NOON, reply="250 ok")


def completion(claim):
    past = Past(at=NOON, decision="sent reminder-1", reason="250 ok")
    return Completion(claim, SENT, Status.OPEN, NEXT, None, (past,))


async def test_what_does_not_exist_is_left_out(store):
    """Loading ids returns the known ones and leaves out the others."""
    kept = state()
    await store.put(kept)
    found, _ = await store.checkouts.load([kept.id, "shop.example/unknown"])
    assert [each.id for each in found] == [kept.id]


async def test_a_plan_that_holds_is_written(store):
    """A plan's status, next look, messages and history are stored."""
    kept = state()
    await store.put(kept)
    past = Past(at=NOON, decision="rest", reason="because")
    skipped = Message(state=MessageState.SKIPPED, reason="late")
    plan = Plan(kept, Status.FINISHED, None, NEXT, {"reminder-1": skipped}, (past,))
    assert (await store.checkouts.plan([plan])).next_at == {kept.id: None}
    now = await only(store, kept)
    assert (now.status, now.next_at, now.purge_at) == (Status.FINISHED, None, NEXT)
    assert now.messages["reminder-1"].state is MessageState.SKIPPED
    assert now.history == (past,)
    assert now.revision == kept.revision


async def test_a_stale_plan_is_dropped(store):
    """A report since the look wins: the plan changes nothing, and the result has the newer next look."""
    kept, other = state("1"), state("2")
    await store.put(kept)
    await store.put(other)
    await store.report(kept)
    plans = [Plan(each, Status.FINISHED, NEXT, None, {}, ()) for each in (kept, other)]
    answer = (await store.checkouts.plan(plans)).next_at
    now = await only(store, kept)
    assert now.status is Status.OPEN
    assert answer == {kept.id: now.next_at, other.id: NEXT}


async def test_a_claim_is_given_once(store):
    """Of two claims on the same state of a checkout one succeeds; the next look is the end of the lease."""
    kept = state()
    await store.put(kept)
    assert await store.checkouts.claim([request(kept, "first")]) == {kept.id}
    assert await store.checkouts.claim([request(kept, "second")]) == set()
    now = await only(store, kept)
    assert (now.claim.token, now.claim.until, now.next_at) == ("first", LEASE_ENDS, LEASE_ENDS)
    assert (now.messages["reminder-1"].state, now.messages["reminder-1"].attempts) == (MessageState.SENDING, 1)


async def test_a_claim_on_stale_facts_is_refused(store):
    """A report since the look makes the claim fail, without affecting others in the batch."""
    kept, other = state("1"), state("2")
    await store.put(kept)
    await store.put(other)
    await store.report(kept)
    assert await store.checkouts.claim([request(kept), request(other)]) == {other.id}


async def test_a_completion_is_recorded_with_what_follows(store):
    """The message, the next look and the history are stored, and the claim is released."""
    kept = state()
    await store.put(kept)
    claim = request(kept)
    await store.checkouts.claim([claim])
    assert (await store.checkouts.complete([completion(claim)])).next_at == {kept.id: NEXT}
    now = await only(store, kept)
    assert (now.claim, now.next_at, now.messages["reminder-1"]) == (None, NEXT, SENT)
    assert now.history[-1].decision == "sent reminder-1"


async def test_a_completion_after_a_report_keeps_the_message_alone(store):
    """The outcome is recorded, but the report's next look stands: at once."""
    kept = state()
    await store.put(kept)
    claim = request(kept)
    await store.checkouts.claim([claim])
    await store.report(kept)
    answer = (await store.checkouts.complete([completion(claim)])).next_at
    now = await only(store, kept)
    assert now.messages["reminder-1"] == SENT
    assert now.claim is None
    assert answer[kept.id] == now.next_at != NEXT


async def test_a_completion_is_fenced_by_its_token(store):
    """A sender whose lease expired and whose claim was taken over records nothing."""
    kept = state()
    await store.put(kept)
    claim = request(kept, "first")
    await store.checkouts.claim([claim])
    seen = await only(store, kept)
    await store.checkouts.claim([request(seen, "second")])
    await store.checkouts.complete([completion(claim)])
    now = await only(store, kept)
    assert now.claim.token == "second"
    assert now.messages["reminder-1"].state is MessageState.SENDING


async def test_a_completion_may_be_written_twice(store):
    """Records are idempotent: one written again, because the answer was lost, changes nothing."""
    kept = state()
    await store.put(kept)
    claim = request(kept)
    await store.checkouts.claim([claim])
    await store.checkouts.complete([completion(claim)])
    before = await only(store, kept)
    assert (await store.checkouts.complete([completion(claim)])).next_at == {kept.id: NEXT}
    assert await only(store, kept) == before


async def test_a_plan_that_does_not_wait_for_a_claim_drops_it(store):
    """A claim whose lease has expired is removed by the next plan."""
    kept = state()
    await store.put(kept)
    await store.checkouts.claim([request(kept)])
    seen = await only(store, kept)
    await store.checkouts.plan([Plan(seen, Status.OPEN, NEXT, None, {}, ())])
    assert (await only(store, kept)).claim is None


async def test_shadows_are_moved_and_dropped(store):
    """Each checkout has at most one shadow, at the time last set; None deletes it."""
    await store.shadows.set({"a/1": NOON + timedelta(days=400), "a/2": NOON + timedelta(days=400)})
    await store.shadows.set({"a/1": NOON + timedelta(days=500), "a/2": None, "a/3": None})
    assert await store.alarms() == {"a/1": NOON + timedelta(days=500)}


DEAD = Message(state=MessageState.DEAD, attempts=1, due_at=NOON, reason=Cause.DEAD_ADDRESS)
LETTER = DeadLetter("shop.example/1", "reminder-1", Cause.DEAD_ADDRESS, "550", NOON, 1, "ada@example.com")


async def test_a_dead_letter_is_kept_with_what_it_tells_of(store):
    """A plan or a record that gives up a message stores one dead letter per message, and reports it."""
    kept = state()
    await store.put(kept)
    claim = request(kept)
    await store.checkouts.claim([claim])
    dead = replace(completion(claim), message=DEAD, letter=LETTER)
    assert (await store.checkouts.complete([dead])).letters == [LETTER]
    assert await store.letters() == [("shop.example/1", "reminder-1", "dead address")]


async def test_no_letter_is_kept_of_what_did_not_take_hold(store):
    """Plans on stale facts, records with another's claim and records of erased checkouts leave no dead letter."""
    kept = state()
    await store.put(kept)
    await store.report(kept)
    plan = Plan(kept, Status.OPEN, NEXT, None, {"reminder-1": DEAD}, (), (LETTER,))
    assert (await store.checkouts.plan([plan])).letters in ([], ())
    strange = replace(completion(request(kept, "not kept")), message=DEAD, letter=LETTER)
    assert (await store.checkouts.complete([strange])).letters in ([], ())
    gone = request(state("erased"))
    erased = replace(completion(gone), message=DEAD, letter=replace(LETTER, checkout="shop.example/erased"))
    assert (await store.checkouts.complete([erased])).next_at == {}
    assert await store.letters() == []


async def test_a_claim_says_whether_it_still_holds(store):
    """A claim holds until a report or another claim; after that, nothing may be handed over under it."""
    kept, other = state("1"), state("2")
    for each in (kept, other):
        await store.put(each)
    claims = [request(kept), request(other)]
    await store.checkouts.claim(claims)
    assert await store.checkouts.held(claims) == {kept.id, other.id}
    await store.report(kept)
    assert await store.checkouts.held(claims) == {other.id}
    assert await store.checkouts.held([request(other, "another's")]) == set()
    assert await store.checkouts.hand_over(claims) == {other.id}
    assert (await only(store, other)).messages["reminder-1"].handed_over is True
    assert (await only(store, kept)).messages["reminder-1"].handed_over is None


async def test_a_lease_is_renewed_where_the_claim_still_stands(store):
    """Renewing extends the lease of the own claim, and no other's."""
    kept, other = state("1"), state("2")
    for each in (kept, other):
        await store.put(each)
    await store.checkouts.claim([request(kept), request(other, "another's")])
    later = LEASE_ENDS + minutes(1)
    await store.checkouts.renew([replace(request(kept), until=later), replace(request(other, "x"), until=later)])
    renewed, not_mine = await only(store, kept), await only(store, other)
    assert (renewed.claim.until, renewed.next_at) == (later, later)
    assert (not_mine.claim.until, not_mine.next_at) == (LEASE_ENDS, LEASE_ENDS)


async def test_a_record_outlives_a_claim_that_a_look_has_taken_off(store):
    """After an order, an expired lease or a look with nothing to send, the relay's outcome is still recorded."""
    kept = state()
    await store.put(kept)
    claim = request(kept)
    await store.checkouts.claim([claim])
    seen = await only(store, kept)
    await store.checkouts.plan([Plan(seen, Status.ORDERED, None, NEXT, {}, ())])
    await store.checkouts.complete([completion(claim)])
    assert (await only(store, kept)).messages["reminder-1"].state is MessageState.SENT


async def test_a_record_comes_too_late_where_the_message_was_begun_again(store):
    """The record of an older attempt does not overwrite a newer sender's attempt."""
    kept = state()
    await store.put(kept)
    first = request(kept)
    await store.checkouts.claim([first])
    seen = await only(store, kept)
    again = replace(request(seen, "again"), message=BEGUN.model_copy(update={"attempts": 2}))
    await store.checkouts.claim([again])
    await store.checkouts.complete([completion(first)])
    assert (await only(store, kept)).claim.token == "again"
    assert (await only(store, kept)).messages["reminder-1"].state is MessageState.SENDING
