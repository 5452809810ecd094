"""Outcomes of a send: retries, circuit breaker, dead letters."""

import asyncio
import time
from dataclasses import replace
from datetime import timedelta

import pytest

from recovery.domain.outcome import Outcome, OutcomeKind
from recovery.domain.schedule import OnAmbiguous
from recovery.domain.state import Cause, Claim, Message, MessageState
from tests.support.builders import NOON, minutes, schedule, state
from tests.support.configurations import LIMITS
from tests.support.engine_in_memory import DUE, EngineInMemory


async def test_no_more_is_claimed_than_there_is_room_for():
    """A message for which there is no room stays due, unclaimed, and the engine reports that it is behind."""
    async with EngineInMemory(
        *(state(str(n)) for n in range(5)), limits=replace(LIMITS, in_flight=2)
    ).running() as scene:
        scene.clock.time = DUE
        gate = asyncio.Event()

        async def hold(_):
            await gate.wait()

        scene.relay.before = hold
        await scene.engine.look(list(scene.store.kept), "test")
        assert sum(kept.claim is not None for kept in scene.store.kept.values()) == 2
        assert scene.engine.behind.is_set()
        assert scene.engine.sender.room() == 0
        gate.set()
        await scene.engine.sender.wait_for_room()
        await scene.look_until_quiet()
    assert sorted(scene.relay.taken) == [(f"shop.example/{n}", "reminder-1") for n in range(5)]


async def test_a_transient_refusal_becomes_an_alarm():
    """Backoff is `next_at` and a shadow; there is no other timer."""
    async with EngineInMemory(state()).running() as scene:
        scene.clock.time = DUE
        scene.relay.outcomes = [Outcome(OutcomeKind.LATER, "450 4.2.0 not now")]
        await scene.look()
        assert scene.only.next_at == scene.store.alarms[scene.only.id] == DUE + minutes(5)
        scene.clock.time = DUE + minutes(5)
        await scene.look()
    assert scene.only.messages["reminder-1"].attempts == 2
    assert len(scene.relay.taken) == 1


async def test_a_relay_that_is_down_opens_the_breaker_and_burns_no_attempt():
    """Connection faults leave every message due; claims stop; when the relay is back all is sent, once."""
    async with EngineInMemory(*(state(str(n)) for n in range(4))).running() as scene:
        scene.clock.time = DUE
        scene.relay.outcomes = [Outcome(OutcomeKind.CONNECTION, "refused")] * 4
        await scene.look()
        assert scene.engine.sender.breaker.fault == "connection: refused"
        assert scene.engine.sender.room() == 0
        assert all(kept.messages["reminder-1"].attempts == 0 for kept in scene.store.kept.values())
        scene.clock.time += timedelta(seconds=1)
        assert await scene.engine.sender.wait_for_room() == 1, "a probe"
        await scene.look_until_quiet()
    assert len(scene.relay.taken) == 4
    assert scene.witness.faults == ["connection: refused", None]


async def test_a_relay_that_is_back_is_found_out_though_no_message_comes():
    """Others do the work of a daemon whose relay is at fault: without a message of its own it must find out."""
    async with EngineInMemory(*(state(str(n)) for n in range(5))).running() as scene:
        scene.clock.time, sender = DUE, scene.engine.sender
        scene.relay.outcomes = [Outcome(OutcomeKind.CONNECTION, "refused")] * 5
        scene.relay.closed = Outcome(OutcomeKind.CONNECTION, "refused again")
        await scene.look()
        now = time.monotonic() + 2.0
        scene.monotonic = lambda: now
        async with asyncio.timeout(30):
            while sender.breaker.fault != "connection: refused again":
                await asyncio.sleep(0.001)
        assert sender.room() == 0, "the next try has to wait"
        scene.relay.closed = None
        now += 10.0
        async with asyncio.timeout(30):
            while sender.breaker.fault is not None:
                await asyncio.sleep(0.001)
        assert sender.room() == 1, "only a message tells whether it takes any"
        scene.relay.outcomes = [Outcome(OutcomeKind.CONNECTION, "refused once more")]
        scene.clock.time += timedelta(seconds=1)
        await scene.look()
        assert sender.breaker.fault == "connection: refused once more"
        now += 60.0
        scene.clock.time += timedelta(seconds=1)
        await scene.look()
        assert sender.breaker.fault is None
        assert sender.room() > 1
    assert scene.witness.faults == ["connection: refused", None, "connection: refused once more", None]


async def test_a_dead_message_leaves_a_dead_letter_and_the_next_step():
    """A message that cannot be sent becomes a dead letter, and does not delay the next reminder."""
    async with EngineInMemory(state()).running() as scene:
        scene.clock.time = DUE
        scene.relay.outcomes = [Outcome(OutcomeKind.DEAD_ADDRESS, "550 5.1.1 nobody here")]
        await scene.look()
    (letter,) = scene.store.letters
    assert (letter.step, letter.cause, letter.error) == ("reminder-1", Cause.DEAD_ADDRESS, "550 5.1.1 nobody here")
    assert scene.only.messages["reminder-1"].state is MessageState.DEAD
    assert scene.only.next_at == NOON + timedelta(days=1)


async def test_a_message_whose_sender_died_under_skip_leaves_a_dead_letter():
    """A lease that ended without a record is a message lost, where the shop would rather skip than write twice."""
    dead = Claim(token="t", owner="dead", until=DUE)
    begun = state(claim=dead, next_at=DUE, messages={"reminder-1": Message(state="sending", attempts=1)})
    async with EngineInMemory(begun, plan=schedule(on_ambiguous=OnAmbiguous.SKIP)).running() as scene:
        scene.clock.time = DUE + minutes(1)
        await scene.look_until_quiet()
    assert [letter.cause for letter in scene.store.letters] == [Cause.LOST]
    assert scene.relay.taken == []
    assert scene.only.claim is None
    assert scene.only.next_at == NOON + timedelta(days=1)


async def test_what_is_too_late_is_skipped_and_the_next_one_sent():
    """After an outage the checkout gets the newest reminder that is still of use, and one only."""
    async with EngineInMemory(state()).running() as scene:
        scene.clock.time = NOON + timedelta(days=1, minutes=1)
        await scene.look_until_quiet()
    assert [step for _, step in scene.relay.taken] == ["reminder-2"]
    assert scene.only.messages["reminder-1"].state is MessageState.SKIPPED
    assert scene.only.messages["reminder-1"].reason == "too late to be of use"


@pytest.mark.parametrize(("count", "fewest", "most"), [(100, 1, 80), (20, 20, 20)])
async def test_ends_wait_for_others_while_much_is_under_way(count, fewest, most):
    """The replies of a relay far away come one by one: they are recorded together, but a few messages at once."""
    async with EngineInMemory(*(state(str(n)) for n in range(count))).running() as scene:
        scene.clock.time = DUE
        replies = [asyncio.Event() for _ in range(count)]
        waiting = iter(replies)

        async def reply(_):
            await next(waiting).wait()

        scene.relay.before = reply
        batches = []
        complete = scene.store.complete

        async def counted(completions):
            batches.append(len(completions))
            return await complete(completions)

        scene.store.complete = counted
        looked = asyncio.create_task(scene.look())
        while len(scene.relay.within) < count:
            await asyncio.sleep(0)
        for each in replies:
            each.set()
            for _ in range(10):
                await asyncio.sleep(0)
        await looked
    assert sum(batches) == count
    assert fewest <= len(batches) <= most
