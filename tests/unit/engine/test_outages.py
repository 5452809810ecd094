"""Outages of the database, crashed senders, leases, and the stop."""

import asyncio
from datetime import timedelta

import pytest

from recovery.domain.outcome import Outcome, OutcomeKind
from recovery.domain.schedule import OnAmbiguous
from recovery.domain.state import Cause, Claim, Message, MessageState
from recovery.errors import Unavailable
from tests.support.builders import minutes, schedule, state
from tests.support.engine_in_memory import DUE, EngineInMemory


async def test_a_record_is_written_once_the_database_is_back():
    """The relay has the mail and only we know: the record is tried again until it is kept."""
    async with EngineInMemory(state()).running() as scene:
        scene.clock.time = DUE

        async def fail(_):
            scene.store.unavailable = 2

        scene.relay.before = fail
        await scene.look()
    assert scene.only.messages["reminder-1"].state is MessageState.SENT
    assert scene.relay.taken == [(scene.only.id, "reminder-1")]


async def test_a_look_during_an_outage_says_so_and_leaves_room():
    """A claim that fails frees its place, so that nothing is lost of the room."""
    async with EngineInMemory(state()).running() as scene:
        scene.clock.time = DUE
        load = scene.store.load

        async def load_then_fail(ids):
            found = await load(ids)
            scene.store.unavailable = 1
            return found

        scene.store.load = load_then_fail
        room = scene.engine.sender.room()
        with pytest.raises(Unavailable):
            await scene.engine.look(list(scene.store.kept), "test")
        assert scene.engine.sender.room() == room


async def test_no_fault_before_the_content_is_ambiguous():
    """Whatever happens in a send ends as an outcome of that message: an attempt, and not the daemon."""
    plan = schedule(on_ambiguous=OnAmbiguous.SKIP)
    async with EngineInMemory(state(), plan=plan).running() as scene:
        scene.clock.time = DUE

        async def explode(_):
            raise RuntimeError("boom")

        scene.relay.slow = explode
        await scene.look()
    message = scene.only.messages["reminder-1"]
    assert (message.state, message.attempts, message.ambiguous) == (MessageState.WAITING, 1, 0)
    assert "RuntimeError: boom" in message.reply
    assert scene.engine.sender.breaker.passed_at is None, "it tells nothing of the relay"
    assert [what for what, _ in scene.witness.errors] == ["send"]


async def test_a_fault_after_the_content_is_ambiguous():
    """The relay may have it."""
    async with EngineInMemory(state()).running() as scene:
        scene.clock.time = DUE

        async def explode(_):
            raise RuntimeError("boom")

        scene.relay.before = explode
        await scene.look()
    message = scene.only.messages["reminder-1"]
    assert (message.state, message.attempts, message.ambiguous) == (MessageState.WAITING, 1, 1)


async def test_a_claim_whose_acknowledgement_is_lost_is_given_back():
    """When the database answers again, claims that succeeded are released by their token, and no attempt is lost."""
    plan = schedule(on_ambiguous=OnAmbiguous.SKIP)
    async with EngineInMemory(state("1"), state("2"), plan=plan).running() as scene:
        scene.clock.time = DUE
        claim = scene.store.claim

        async def claim_and_lose(claims):
            scene.store.claim = claim
            await claim(claims[:1])
            scene.store.unavailable = 2
            raise Unavailable("connection reset by peer")

        scene.store.claim = claim_and_lose
        with pytest.raises(Unavailable):
            await scene.look()
        await scene.look_until_quiet()
    assert sorted(scene.relay.taken) == [("shop.example/1", "reminder-1"), ("shop.example/2", "reminder-1")]
    assert [kept.messages["reminder-1"].attempts for kept in scene.store.kept.values()] == [1, 1]
    assert scene.store.letters == []


async def test_a_look_that_is_cancelled_leaves_no_claim_behind():
    """The claim runs to its end, and its messages are sent or given back."""
    async with EngineInMemory(state()).running() as scene:
        scene.clock.time = DUE
        claim, asked, go_on = scene.store.claim, asyncio.Event(), asyncio.Event()

        async def claim_slowly(claims):
            won = await claim(claims)
            asked.set()
            await go_on.wait()
            return won

        scene.store.claim = claim_slowly
        look = asyncio.create_task(scene.engine.look([scene.only.id], "test"))
        await asked.wait()
        look.cancel()
        stopping = asyncio.create_task(scene.engine.sender.stop(grace=5))
        await asyncio.sleep(0)
        go_on.set()
        await stopping
    assert scene.only.claim is None
    message = scene.only.messages["reminder-1"]
    assert (message.state, message.attempts) == (MessageState.WAITING, 0)
    assert scene.store.alarms == {scene.only.id: scene.only.next_at}, "its shadow wakes another daemon at once"


async def test_a_stop_breaks_off_what_was_not_handed_over():
    """A message that waits for the relay before its content goes back at once, with its attempt."""
    async with EngineInMemory(state()).running() as scene:
        scene.clock.time = DUE

        async def hold(_):
            await asyncio.Event().wait()

        scene.relay.slow = hold
        await scene.engine.look([scene.only.id], "test")
        await asyncio.sleep(0)
        await scene.engine.sender.stop(grace=5)
    message = scene.only.messages["reminder-1"]
    assert (message.state, message.attempts, scene.only.claim) == (MessageState.WAITING, 0, None)


async def test_a_stop_records_as_ambiguous_what_the_relay_does_not_answer():
    """A stop ends in time: a message handed over and not answered within the grace period is ambiguous."""
    async with EngineInMemory(state()).running() as scene:
        scene.clock.time = DUE

        async def hold(_):
            await asyncio.Event().wait()

        scene.relay.before = hold
        await scene.engine.look([scene.only.id], "test")
        await asyncio.sleep(0)
        await scene.engine.sender.stop(grace=0.4)
    message = scene.only.messages["reminder-1"]
    assert (message.state, message.ambiguous, scene.only.claim) == (MessageState.WAITING, 1, None)


async def test_a_stop_records_what_ended_though_the_recorder_has_fallen():
    """Accepted messages are recorded, whatever ended the rest of the daemon."""
    async with EngineInMemory(state()).running() as scene:
        scene.clock.time = DUE
        gate = asyncio.Event()

        async def hold(_):
            await gate.wait()

        scene.relay.before = hold
        await scene.engine.look([scene.only.id], "test")
        await asyncio.sleep(0)
    gate.set()
    await scene.engine.sender.stop(grace=5)
    assert scene.only.messages["reminder-1"].state is MessageState.SENT


async def test_a_message_that_the_relay_hangs_up_on_is_not_tried_for_ever():
    """While the relay takes others, it costs an attempt from the third time on, and ends dead in plain sight."""
    plan = schedule(max_attempts=2, retry_after=minutes(1))
    async with EngineInMemory(state("bad"), *(state(str(n)) for n in range(9)), plan=plan).running() as scene:
        now = 0.0
        scene.monotonic = lambda: now
        attempts = []
        for number in range(9):
            scene.clock.time = DUE + minutes(number)
            now += 60.0
            scene.relay.outcomes = [Outcome(OutcomeKind.DROPPED, "the relay ended the connection")]
            await scene.look("shop.example/bad")
            bad = scene.store.kept["shop.example/bad"].messages["reminder-1"]
            attempts.append(bad.attempts)
            now += 1.0
            scene.relay.outcomes = []
            await scene.look(f"shop.example/{number}")
            if bad.state is MessageState.DEAD:
                break
    assert attempts == [0, 0, 1, 2]
    assert bad.reason == Cause.ATTEMPTS
    assert scene.engine.sender.breaker.fault is None


async def test_messages_that_were_with_dead_senders_twice_go_one_at_a_time():
    """One of them may end its sender; the others must not share its fate again."""
    dead = Claim(token="t", owner="dead", until=DUE)
    lost = Message(state="sending", attempts=2, ambiguous=1, handed_over=False)
    suspects = [state(str(n), claim=dead, next_at=DUE, messages={"reminder-1": lost}) for n in range(3)]
    async with EngineInMemory(*suspects, state("fine")).running() as scene:
        scene.clock.time = DUE + minutes(1)
        together = []

        async def count(_):
            together.append(sorted(scene.engine.sender._flights))
            await asyncio.sleep(0)

        scene.relay.slow = count
        await scene.look_until_quiet()
    assert len(scene.relay.taken) == 4
    assert max(sum("fine" not in id_ for id_ in ids) for ids in together) == 1


async def test_one_record_that_cannot_be_written_is_lost_alone():
    """Its neighbours are recorded, the engine goes on, and the error is reported."""
    async with EngineInMemory(state("1"), state("2")).running() as scene:
        scene.clock.time = DUE
        complete = scene.store.complete

        async def choke(completions):
            if any(each.request.seen.id.endswith("/1") for each in completions):
                raise UnicodeEncodeError("utf-8", "x", 0, 1, "surrogates not allowed")
            return await complete(completions)

        scene.store.complete = choke
        await scene.look()
        assert scene.engine.sender.in_flight == 0
    assert scene.store.kept["shop.example/2"].messages["reminder-1"].state is MessageState.SENT
    assert [type(error) for _, error in scene.witness.errors] == [UnicodeEncodeError]


async def test_a_record_outlives_any_outage_and_no_look_comes_before_it():
    """However long the database is away, the sent mail is recorded, and not claimed again by its own sender."""
    async with EngineInMemory(state()).running() as scene:
        scene.clock.time = DUE

        async def fail(_):
            scene.store.unavailable = 3
            scene.clock.time = DUE + minutes(10)  # far beyond the lease

        scene.relay.before = fail
        await scene.engine.look([scene.only.id], "test")
        async with asyncio.timeout(30):
            while scene.store.unavailable:
                await asyncio.sleep(0.01)
        scene.relay.before = None
        await scene.look()
    assert scene.relay.taken == [(scene.only.id, "reminder-1")]
    assert scene.only.messages["reminder-1"].state is MessageState.SENT


async def test_after_an_outage_lapsed_claims_are_their_owners_for_a_moment():
    """The owner may be about to record its send; a few seconds later it counts as dead."""
    other = Claim(token="t", owner="other", until=DUE)
    sent_by_other = state(claim=other, next_at=DUE, messages={"reminder-1": Message(state="sending", attempts=1)})
    async with EngineInMemory(sent_by_other).running() as scene:
        scene.clock.time = DUE + minutes(1)
        now = 0.0
        scene.monotonic = lambda: now
        scene.store.unavailable = 1
        with pytest.raises(Unavailable):
            await scene.look()
        await scene.look()
        assert scene.only.claim == other
        now = 3.1
        await scene.look()
    assert scene.relay.taken == [(scene.only.id, "reminder-1")]


async def test_the_lease_of_a_message_that_the_relay_ponders_is_renewed():
    """As long as its sender waits for the final reply, no other may claim the message."""
    plan = schedule(lease=timedelta(seconds=0.03))
    async with EngineInMemory(state(), plan=plan).running() as scene:
        scene.clock.time = DUE
        gate = asyncio.Event()

        async def ponder(_):
            await gate.wait()

        scene.relay.before = ponder
        await scene.engine.look([scene.only.id], "test")
        scene.clock.time = DUE + minutes(5)
        async with asyncio.timeout(30):
            while scene.only.claim.until < DUE + minutes(5):
                await asyncio.sleep(0.01)
        gate.set()
        async with asyncio.timeout(30):
            while scene.engine.sender.in_flight:
                await asyncio.sleep(0)
    assert scene.only.messages["reminder-1"].state is MessageState.SENT


async def test_stopping_finishes_what_is_with_the_relay():
    """After a stop nothing is claimed, and messages that were handed over are recorded."""
    async with EngineInMemory(state("1"), state("2")).running() as scene:
        scene.clock.time = DUE
        gate = asyncio.Event()

        async def hold(_):
            await gate.wait()

        scene.relay.before = hold
        await scene.engine.look(["shop.example/1"], "test")
        await asyncio.sleep(0)
        stopping = asyncio.create_task(scene.engine.sender.stop(grace=5))
        await asyncio.sleep(0)
        await scene.engine.look(["shop.example/2"], "test")
        gate.set()
        await stopping
    assert scene.relay.taken == [("shop.example/1", "reminder-1")]
    assert scene.store.kept["shop.example/1"].messages["reminder-1"].state is MessageState.SENT
    assert scene.store.kept["shop.example/2"].claim is None
