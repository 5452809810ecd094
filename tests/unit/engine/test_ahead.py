"""Looking ahead: loaded before it is due, claimed at its instant, and its event dropped."""

import asyncio
from collections.abc import Collection
from dataclasses import replace
from datetime import time, timedelta

import pytest

from recovery.domain.quiet_hours import QuietHours
from recovery.domain.state import MessageState, Status
from recovery.engine.alarms import EVENT_WITHIN
from recovery.errors import Unavailable
from tests.support.builders import schedule, state
from tests.support.configurations import LIMITS
from tests.support.engine_in_memory import DUE, EngineInMemory

MOMENT = timedelta(milliseconds=100)


class Scene(EngineInMemory):
    """An engine at a moment before its checkouts are due; it notes what is loaded."""

    def __init__(self, *names: str, **options):
        super().__init__(*(state(name, next_at=DUE) for name in names or ("1",)), **options)
        self.clock.time = DUE - MOMENT
        self.ahead = self.engine.ahead
        self.loads: list[list[str]] = []
        load = self.store.load

        async def noted(ids):
            self.loads.append(list(ids))
            return await load(ids)

        self.store.load = noted

    async def load(self, at=DUE):
        await self.ahead.load(dict.fromkeys(self.store.kept, at))

    async def claim(self):
        async with asyncio.timeout(5):
            await self.ahead.claim(await self.ahead.due())

    async def quiet(self):
        async with asyncio.timeout(5):
            while self.engine.sender.in_flight:
                await asyncio.sleep(0.001)

    async def gone(self, *ids: str) -> Collection[str]:
        """Return the ids that are looked at when the stream reports that these shadows are gone."""
        return await self.ahead.unanswered(ids or list(self.store.kept))


async def test_what_was_loaded_ahead_is_sent_at_its_instant_without_another_load():
    """Between due and sent there is the claim alone; the event of the shadow is dropped."""
    async with Scene().running() as scene:
        await scene.load()
        assert scene.store.kept[scene.only.id].claim is None
        scene.clock.time = DUE
        await scene.claim()
        assert await scene.gone() == []
        await scene.quiet()
    assert scene.relay.taken == [(scene.only.id, "reminder-1")]
    assert scene.loads == [[scene.only.id]]
    assert scene.witness.looks == [("ahead", 1)]
    assert scene.witness.attempts[0][2] == timedelta(0), "it is not late"


async def test_nothing_is_due_a_millisecond_before_its_instant():
    """The wait ends when the database's clock shows the due time, and not before."""
    async with Scene().running() as scene:
        await scene.load()
        scene.clock.time = DUE - timedelta(milliseconds=1)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await scene.ahead.due()
        scene.clock.time = DUE
        async with asyncio.timeout(5):
            assert [each.id for each in await scene.ahead.due()] == [scene.only.id]


async def test_a_claim_that_comes_early_is_not_made():
    """The clock may be corrected after the wait: what is claimed is decided by the time of the claim."""
    async with Scene().running() as scene:
        await scene.load()
        scene.clock.time = DUE
        due = await scene.ahead.due()
        scene.clock.time = DUE - timedelta(milliseconds=1)
        await scene.ahead.claim(due)
    assert scene.only.claim is None
    assert scene.relay.taken == []


async def test_a_wait_ends_with_what_is_loaded_meanwhile():
    """It waits for the earliest that there is, and for nothing while there is none."""
    async with Scene().running() as scene:
        waiting = asyncio.create_task(scene.ahead.due())
        await asyncio.sleep(0)
        await scene.load()
        scene.clock.time = DUE
        async with asyncio.timeout(5):
            assert len(await waiting) == 1


async def test_an_order_between_load_and_claim_wins():
    """The claim fails, as the revision is another; the event is not dropped, and its look confirms the order."""
    async with Scene().running() as scene:
        await scene.load()
        scene.store.report(scene.only.id, status=Status.ORDERED, ordered_at=scene.clock.time)
        scene.clock.time = DUE
        await scene.claim()
        assert scene.relay.taken == []
        assert await scene.gone() == [scene.only.id]
        await scene.look()
    assert scene.relay.taken == [(scene.only.id, "confirmation")]


async def test_an_event_during_the_claim_waits_for_its_end():
    """Then it is known whether the claim was won; a lost claim leaves the checkout to the event."""
    for won in (True, False):
        async with Scene().running() as scene:
            await scene.load()
            scene.clock.time = DUE
            claim, gate = scene.store.claim, asyncio.Event()

            async def slow(claims, claim=claim, gate=gate, won=won):
                await gate.wait()
                return await claim(claims) if won else set()

            scene.store.claim = slow
            claiming = asyncio.create_task(scene.claim())
            await asyncio.sleep(0.01)
            event = asyncio.create_task(scene.gone())
            await asyncio.sleep(0.01)
            assert not event.done()
            gate.set()
            assert await event == ([] if won else [scene.only.id])
            await claiming
            await scene.quiet()


async def test_only_the_first_event_is_dropped():
    """Another event of the checkout means another deletion, and has it looked at."""
    async with Scene().running() as scene:
        await scene.load()
        scene.clock.time = DUE
        await scene.claim()
        await scene.quiet()
        assert await scene.gone() == []
        assert await scene.gone() == [scene.only.id]


async def test_an_event_that_comes_much_later_is_not_dropped():
    """It may be of another alarm."""
    async with Scene().running() as scene:
        await scene.load()
        scene.clock.time = DUE
        began = scene.monotonic()
        scene.monotonic = lambda: began
        await scene.claim()
        scene.monotonic = lambda: began + EVENT_WITHIN.total_seconds() + 0.1
        assert await scene.gone() == [scene.only.id]


async def test_an_alarm_that_is_set_for_the_next_moment_is_not_taken_for_the_last_one():
    """The event of the first may never come, as its shadow was moved and not deleted."""
    async with Scene().running() as scene:
        await scene.load()
        scene.clock.time = DUE
        await scene.claim()
        await scene.quiet()
        await scene.engine.alarms.set({scene.only.id: DUE + EVENT_WITHIN / 2})
        assert await scene.gone() == [scene.only.id]


async def test_a_claim_that_the_database_does_not_answer_is_left_to_the_event():
    """The message goes back without an attempt, and the event brings the look."""
    async with Scene().running() as scene:
        await scene.load()
        scene.clock.time = DUE
        scene.store.unavailable = 1
        with pytest.raises(Unavailable):
            await scene.claim()
        await scene.quiet()
        assert await scene.gone() == [scene.only.id]
        await scene.look()
    assert scene.only.messages["reminder-1"].attempts == 1
    assert scene.relay.taken == [(scene.only.id, "reminder-1")]


async def test_what_has_nothing_to_send_at_its_alarm_is_left_to_the_event():
    """Quiet hours begin before the alarm: the look that follows postpones the reminder."""
    quiet = QuietHours(begin=time(DUE.hour, DUE.minute - 5), end=time(DUE.hour + 2))
    async with Scene(plan=schedule(quiet_hours=quiet)).running() as scene:
        await scene.load()
        assert scene.loads == [[scene.only.id]]
        assert len(scene.ahead) == 0


async def test_what_is_due_before_it_is_loaded_is_left_to_the_event():
    """A slow database brings it too late: the event is under way, and two looks would be in each other's way."""
    async with Scene().running() as scene:
        scene.clock.time = DUE
        await scene.load()
        assert len(scene.ahead) == 0


async def test_no_more_is_loaded_than_there_is_room_for():
    """The rest is left to the streams, and nothing is held beyond the limit however often it is asked."""
    names = [str(n) for n in range(10)]
    async with Scene(*names, limits=replace(LIMITS, in_flight=4)).running() as scene:
        await scene.load()
        await scene.load()
        assert len(scene.ahead) == len(scene.loads[0]) == 4
        assert len(scene.loads) == 1


async def test_nothing_is_loaded_ahead_while_the_engine_is_behind():
    """What is due already comes first."""
    async with Scene().running() as scene:
        scene.engine.behind.set()
        await scene.load()
        assert scene.loads == []


async def test_a_stop_between_load_and_claim_claims_nothing():
    """The checkout stays due, for another daemon."""
    async with Scene().running() as scene:
        await scene.load()
        scene.clock.time = DUE
        scene.engine.sender.begin_stop()
        await scene.claim()
        assert await scene.gone() == [scene.only.id]
    assert scene.only.claim is None
    assert "reminder-1" not in scene.only.messages


async def test_what_another_look_has_begun_with_is_not_claimed_ahead():
    """A look of what is due takes it over; one of what is not due yet leaves it."""
    async with Scene().running() as scene:
        await scene.load()
        await scene.look()
        assert len(scene.ahead) == 1
        scene.clock.time = DUE
        await scene.look()
        assert len(scene.ahead) == 0
    assert scene.only.messages["reminder-1"].state is MessageState.SENT


async def test_a_clock_that_is_set_back_does_not_leave_anything_in_memory():
    """What would be due in an hour is forgotten."""
    async with Scene().running() as scene:
        await scene.load()
        scene.ahead.forget_after(DUE - timedelta(hours=1))
        assert len(scene.ahead) == 0


async def test_what_cannot_be_decided_on_is_left_to_the_event():
    """Its look sets it aside with a dead letter."""
    async with Scene().running() as scene:
        scene.store.kept[scene.only.id] = scene.only.model_copy(update={"touched_at": None})
        await scene.load()
        assert len(scene.ahead) == 0
