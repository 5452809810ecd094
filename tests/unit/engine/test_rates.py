"""Rates: what the configured ones leave, and what a relay that throttles bears."""

import asyncio
from datetime import timedelta
from itertools import count

import pytest

from recovery.domain.outcome import Outcome, OutcomeKind
from recovery.domain.state import MessageState
from recovery.engine.breaker import Breaker
from recovery.engine.pace import Pace
from recovery.engine.ports import Grant
from recovery.errors import Unavailable
from tests.support.builders import schedule, state
from tests.support.engine_in_memory import DUE, EngineInMemory

THROTTLED = Outcome(OutcomeKind.THROTTLED, "454 Throttling failure: Maximum sending rate exceeded.")


class Leaves:
    """An allowance of so many messages; then there is a wait."""

    def __init__(self, count, wait=60.0):
        self.count = count
        self.wait = wait
        self.asked = []

    async def take(self, wanted, **_):
        self.asked.append(wanted)
        granted = min(wanted, self.count)
        self.count -= granted
        return Grant(granted, 0.0 if granted == wanted else self.wait)


def checkouts(count):
    return [state(str(number)) for number in range(count)]


async def test_what_the_rates_do_not_leave_stays_due():
    scene = EngineInMemory(*checkouts(5), allowance=Leaves(3))
    async with scene.running():
        scene.clock.time = DUE
        await scene.look()
        assert len(scene.relay.taken) == 3
        assert len(scene.store.due()) == 2
        assert scene.engine.behind.is_set()
        assert all(
            kept.messages.get("reminder-1") is None
            for kept in scene.store.kept.values()
            if kept.id in scene.store.due()
        )


async def test_until_there_is_more_nothing_is_claimed_and_nobody_asks():
    allowance = Leaves(1, wait=30.0)
    scene = EngineInMemory(*checkouts(3), allowance=allowance)
    now = 100.0
    scene.monotonic = lambda: now
    async with scene.running():
        scene.clock.time = DUE
        await scene.look()
        asked = len(allowance.asked)
        assert scene.engine.sender.room() == 0
        await scene.look(*scene.store.due())
        assert len(allowance.asked) == asked
        now, allowance.count = 130.1, 5
        await scene.look(*scene.store.due())
        assert len(scene.relay.taken) == 3


async def test_the_wait_for_room_ends_with_the_wait_for_the_rate():
    scene = EngineInMemory(*checkouts(3), allowance=Leaves(1, wait=0.05))
    async with scene.running():
        scene.clock.time = DUE
        await scene.look()
        async with asyncio.timeout(30):
            assert await scene.engine.sender.wait_for_room() > 0


async def test_what_is_not_claimed_uses_up_no_rate():
    """Of five reminders to one address one is sent: the rate is for that one."""
    allowance = Leaves(10)
    plan = schedule(min_gap_per_address=timedelta(hours=12))
    scene = EngineInMemory(*checkouts(5), plan=plan, allowance=allowance)
    async with scene.running():
        scene.clock.time = DUE
        await scene.look()
        assert len(scene.relay.taken) == 1
        assert allowance.asked == [1]


async def test_no_room_asks_for_nothing():
    allowance = Leaves(10)
    scene = EngineInMemory(*checkouts(1), allowance=allowance)
    scene.engine.sender.stopping = True
    scene.clock.time = DUE
    await scene.engine.look(list(scene.store.kept), "test")
    assert allowance.asked == []


async def test_a_database_that_does_not_answer_sends_nothing():
    class Gone:
        async def take(self, wanted, **_):
            raise Unavailable("no primary")

    scene = EngineInMemory(*checkouts(2), allowance=Gone())
    async with scene.running():
        scene.clock.time = DUE
        with pytest.raises(Unavailable):
            await scene.look()
        assert scene.relay.taken == []
        assert len(scene.store.due()) == 2
        assert scene.engine.sender.in_flight == 0


async def test_a_throttled_message_costs_no_attempt_and_comes_back_soon():
    scene = EngineInMemory(state())
    async with scene.running():
        scene.clock.time = DUE
        scene.relay.outcomes = [THROTTLED]
        await scene.look()
        message = scene.only.messages["reminder-1"]
        assert (message.state, message.attempts) == (MessageState.WAITING, 0)
        assert (message.retry_at - DUE).total_seconds() == 1


async def test_a_message_that_is_throttled_again_and_again_waits_longer():
    """A relay may limit what one recipient gets, whatever the others: that message must not be tried in a hot loop."""
    scene = EngineInMemory(state())
    async with scene.running():
        scene.clock.time = DUE
        pauses = []
        for _ in range(8):
            scene.relay.outcomes = [THROTTLED]
            scene.engine.sender.breaker, scene.engine.sender.pace = Breaker(), Pace()  # the others are not throttled
            await scene.look()
            pauses.append((scene.only.messages["reminder-1"].retry_at - scene.clock.time).total_seconds())
            scene.clock.time = scene.only.messages["reminder-1"].retry_at
        assert pauses[:4] == [1, 2, 4, 8]
        assert max(pauses) == pauses[-1] == 60


async def test_throttling_lowers_the_number_claimed():
    scene = EngineInMemory(*checkouts(40))
    async with scene.running():
        scene.clock.time = DUE
        scene.relay.outcomes = (
            [Outcome(OutcomeKind.SENT, "250 2.0.0 taken")] * 20
            + [THROTTLED]
            + [Outcome(OutcomeKind.SENT, "250 2.0.0 taken")] * 19
        )
        await scene.look()
        assert scene.engine.sender.pace.rate(scene.monotonic()) is not None
        assert scene.engine.sender.room() <= 4


@pytest.mark.parametrize("phase", range(6))
async def test_room_that_comes_while_it_is_asked_for_is_not_missed(phase):
    """With nothing in flight nothing is freed: to wait without an end would be to wait for ever."""
    scene = EngineInMemory(state())
    sender = scene.engine.sender
    ticks = count(phase / 1000, 0.006)
    scene.monotonic = lambda: next(ticks)
    sender.pace.tell(25, 1, 0.0)
    async with asyncio.timeout(10):
        assert await sender.wait_for_room() >= 1
