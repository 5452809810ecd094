"""The last check before the content goes out: orders, suppressions, lost claims."""

import asyncio

import pytest

from recovery.domain.recipient import RecipientHistory
from recovery.domain.schedule import OnAmbiguous
from recovery.domain.state import Cause, Claim, Message, MessageState, Status
from recovery.domain.suppression import Suppression, SuppressionReason
from tests.support.builders import NOON, minutes, schedule, state
from tests.support.engine_in_memory import DUE, EngineInMemory


@pytest.fixture
def leap(monkeypatch):
    """Lets the event loop's time leap by some seconds, so that facts become stale."""
    ahead = 0.0

    async def leap(_=None, seconds=3.0):
        nonlocal ahead
        loop = asyncio.get_running_loop()
        if not ahead:
            time = loop.time
            monkeypatch.setattr(loop, "time", lambda: time() + ahead)
        ahead += seconds

    return leap


async def test_a_slow_relay_is_sent_to_once_it_is_known_that_nobody_has_ordered(leap):
    """Where the relay takes seconds before the content, the database is asked again, and the message goes out."""
    async with EngineInMemory(state()).running() as scene:
        scene.clock.time = DUE
        scene.relay.slow = leap
        await scene.look()
    assert scene.relay.taken == [(scene.only.id, "reminder-1")]
    assert len(scene.addresses.asked) == 2


async def test_an_order_while_the_relay_is_slow_calls_the_reminder_off(leap):
    """A report after the claim counts until the content is sent; the attempt does not."""
    async with EngineInMemory(state()).running() as scene:
        scene.clock.time = DUE

        async def order_meanwhile(checkout):
            scene.relay.slow = None
            scene.store.report(checkout.id, status=Status.ORDERED, ordered_at=DUE)
            await leap()

        scene.relay.slow = order_meanwhile
        await scene.look()
        assert scene.relay.taken == []
        assert scene.only.messages["reminder-1"].attempts == 0
        await scene.look_until_quiet()
    assert scene.relay.taken == [(scene.only.id, "confirmation")]


async def test_somebody_who_unsubscribes_while_the_relay_is_slow_is_not_reminded(leap):
    """The suppressions are read again with the checkout."""
    async with EngineInMemory(state()).running() as scene:
        scene.clock.time = DUE

        async def unsubscribe_meanwhile(checkout):
            scene.addresses.known = {checkout.id: RecipientHistory(Suppression(SuppressionReason.UNSUBSCRIBED, DUE))}
            await leap()

        scene.relay.slow = unsubscribe_meanwhile
        await scene.look()
        await scene.look_until_quiet()
    assert scene.relay.taken == []
    assert scene.only.messages["reminder-1"].state is MessageState.SKIPPED


async def test_a_confirmation_is_handed_over_however_slow_the_relay(leap):
    """Only the end of its lease calls it off, so the database is not asked."""
    ordered = state(status=Status.ORDERED, ordered_at=NOON, next_at=NOON)
    async with EngineInMemory(ordered).running() as scene:
        scene.relay.slow = leap
        await scene.look()
    assert scene.relay.taken == [(scene.only.id, "confirmation")]
    assert len(scene.addresses.asked) == 1


async def test_a_claim_that_another_has_by_now_is_not_acted_on(leap):
    """A sender that stood still for longer than its lease hands over nothing, not even a confirmation."""
    ordered = state(status=Status.ORDERED, ordered_at=NOON, next_at=NOON)
    async with EngineInMemory(ordered).running() as scene:

        async def lose_the_claim(checkout):
            scene.relay.slow = None
            kept = scene.store.kept[checkout.id]
            other = kept.claim.model_copy(update={"token": "another's", "owner": "other"})
            scene.store.kept[checkout.id] = kept.model_copy(update={"claim": other})
            await leap(seconds=100.0)

        scene.relay.slow = lose_the_claim
        await scene.look()
    assert scene.relay.taken == []
    assert scene.only.claim.token == "another's"


async def test_where_the_database_is_always_too_slow_nothing_is_sent_and_it_is_told(leap):
    """Each answer is stale when it comes: after some seconds that is a fault for the operator, with the figure."""
    async with EngineInMemory(state()).running() as scene:
        scene.clock.time = DUE
        scene.relay.slow = leap
        held = scene.store.held

        async def slowly(claims):
            await leap(seconds=0.8)
            return await held(claims)

        scene.store.held = slowly
        now = 0.0
        scene.monotonic = lambda: now
        await scene.look()
        assert scene.engine.sender.unsent_fault is None
        now = 5.0
        await scene.look()
        now = 11.0
        await scene.look()
        assert "for 11 s: the last check took 0.8 s: the database is too slow" in scene.engine.sender.unsent_fault
        scene.relay.slow = None
        await scene.look()
        assert scene.engine.sender.unsent_fault is None
    assert len(scene.relay.taken) == 1


async def test_what_may_have_been_taken_says_when_its_content_goes_out():
    """After one doubt the next sender keeps that it hands over: only one that died after that leaves a second doubt."""
    dead = Claim(token="t", owner="dead", until=DUE)
    begun = state(claim=dead, next_at=DUE, messages={"reminder-1": Message(state="sending", attempts=1)})
    async with EngineInMemory(begun).running() as scene:
        scene.clock.time = DUE + minutes(1)
        seen = []

        async def look_at_it(checkout):
            seen.append(scene.store.kept[checkout.id].messages["reminder-1"])

        scene.relay.slow = scene.relay.before = look_at_it
        await scene.look()
    assert [(each.ambiguous, each.handed_over) for each in seen] == [(1, False), (1, True)]
    assert scene.only.messages["reminder-1"].state is MessageState.SENT


async def test_of_senders_that_died_twice_in_the_midst_nobody_sends_a_third_time():
    """Once ambiguous, a message is sent again at most once; one that was not handed over may be tried again."""
    dead = Claim(token="t", owner="dead", until=DUE)
    twice = {"state": "sending", "attempts": 2, "ambiguous": 1}
    taken = state("taken", claim=dead, next_at=DUE, messages={"reminder-1": Message(**twice, handed_over=True)})
    kept = state("kept", claim=dead, next_at=DUE, messages={"reminder-1": Message(**twice, handed_over=False)})
    async with EngineInMemory(taken, kept).running() as scene:
        scene.clock.time = DUE + minutes(1)
        await scene.look_until_quiet()
    assert scene.relay.taken == [("shop.example/kept", "reminder-1")]
    assert [(letter.checkout, letter.cause) for letter in scene.store.letters] == [("shop.example/taken", Cause.LOST)]


async def test_with_skip_what_a_dead_sender_had_not_handed_over_is_sent():
    """The hand-over is recorded before it happens, so that a message that was never sent is not given up."""
    plan = schedule(on_ambiguous=OnAmbiguous.SKIP)
    dead = Claim(token="t", owner="dead", until=DUE)
    message = Message(state="sending", attempts=1, handed_over=False)
    async with EngineInMemory(
        state(claim=dead, next_at=DUE, messages={"reminder-1": message}), plan=plan
    ).running() as scene:
        scene.clock.time = DUE + minutes(1)
        seen = []

        async def look_at_it(checkout):
            seen.append(scene.store.kept[checkout.id].messages["reminder-1"].handed_over)

        scene.relay.before = look_at_it
        await scene.look_until_quiet()
    assert scene.relay.taken == [(scene.only.id, "reminder-1")]
    assert seen == [True]
