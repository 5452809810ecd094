"""One look at a checkout: load, decide, claim, send, set the next alarm."""

import asyncio
from datetime import timedelta

from recovery.domain.state import MessageState, Status
from tests.support.builders import NOON, minutes, schedule, state, step
from tests.support.engine_in_memory import DUE, EngineInMemory


async def test_a_look_at_a_new_checkout_sets_its_alarm():
    """A report is answered by `next_at` and a shadow at the first step's due time, and by a line of history."""
    async with EngineInMemory(state()).running() as scene:
        await scene.look()
    assert scene.only.next_at == DUE
    assert scene.store.alarms == {scene.only.id: DUE}
    assert scene.only.history[-1].reason == "reminder-1 is due then"


async def test_a_mail_is_expected_before_it_is_due():
    """The look that sets the alarm tells of the checkout, so that what its mails need can be made ready."""
    async with EngineInMemory(state()).running() as scene:
        await scene.look()
    assert [checkout.id for checkout in scene.expected] == [scene.only.id]
    assert not scene.relay.taken


async def test_a_due_message_is_sent_recorded_and_followed_by_the_next_alarm():
    """One look at the due time sends the message, records reply and time, and plans the next step."""
    async with EngineInMemory(state()).running() as scene:
        scene.clock.time = DUE
        await scene.look()
    assert scene.relay.taken == [(scene.only.id, "reminder-1")]
    message = scene.only.messages["reminder-1"]
    assert (message.state, message.attempts, message.sent_at) == (MessageState.SENT, 1, DUE)
    assert message.reply == "250 2.0.0 taken"
    assert scene.only.claim is None
    assert scene.only.next_at == scene.store.alarms[scene.only.id] == NOON + timedelta(days=1)


async def test_many_looks_at_once_send_once():
    """Looks that overlap meet at the claim: one of them sends."""
    async with EngineInMemory(state()).running() as scene:
        scene.clock.time = DUE
        await asyncio.gather(*(scene.look() for _ in range(10)))
    assert len(scene.relay.taken) == 1


async def test_a_look_that_changes_nothing_writes_nothing():
    """A second look at a checkout that waits leaves it as it is, but for a shadow that was gone."""
    async with EngineInMemory(state()).running() as scene:
        await scene.look()
        before = scene.only
        scene.store.alarms.clear()
        await scene.look()
    assert scene.only == before
    assert scene.store.alarms == {before.id: DUE}


async def test_an_order_lets_the_checkout_rest_and_drops_its_shadow():
    """After an order the confirmation goes out and nothing is planned; the document is to be purged some day."""
    async with EngineInMemory(state()).running() as scene:
        await scene.look()
        scene.store.report(scene.only.id, status=Status.ORDERED, ordered_at=NOON)
        await scene.look()
    assert scene.relay.taken == [(scene.only.id, "confirmation")]
    assert scene.only.next_at is None
    assert scene.only.purge_at == NOON + timedelta(days=30)
    assert scene.store.alarms == {}


async def test_an_order_during_a_send_stops_the_next_reminder_and_is_confirmed():
    """A report that comes while a message is with the relay is not overwritten by its record."""
    async with EngineInMemory(state()).running() as scene:
        scene.clock.time = DUE

        async def order(checkout):
            scene.relay.before = None
            scene.store.report(checkout.id, status=Status.ORDERED, ordered_at=DUE)

        scene.relay.before = order
        await scene.look()
        assert scene.only.messages["reminder-1"].state is MessageState.SENT
        assert scene.only.status is Status.ORDERED
        assert scene.only.next_at == DUE, "to be looked at again at once"
        assert scene.engine.behind.is_set()
        await scene.look_until_quiet()
    assert [step for _, step in scene.relay.taken] == ["reminder-1", "confirmation"]
    assert scene.only.next_at is None


async def test_an_order_between_the_look_and_the_claim_wins():
    """A claim is guarded by the revision it saw, so nothing is sent on stale facts."""
    async with EngineInMemory(state()).running() as scene:
        scene.clock.time = DUE
        load = scene.store.load

        async def load_then_order(ids):
            found = await load(ids)
            scene.store.load = load
            scene.store.report(scene.only.id, status=Status.ORDERED, ordered_at=DUE)
            return found

        scene.store.load = load_then_order
        await scene.look()
    assert scene.relay.taken == []
    assert scene.only.status is Status.ORDERED


async def test_each_shop_has_its_schedule():
    """A checkout is decided on by the schedule of its shop, and by the default where the shop has none."""
    other = state("2").model_copy(update={"id": "other.example/2"})
    async with EngineInMemory(
        state("1"), other, by_shop={"other.example": schedule(steps=(step("only", minutes(5)),))}
    ).running() as scene:
        await scene.look()
    assert scene.store.alarms == {"shop.example/1": DUE, "other.example/2": NOON + minutes(5)}


async def test_messages_of_one_batch_are_sent_in_the_order_of_the_look():
    """What the caller names first is sent first: a batch keeps its order."""
    ids = [f"shop.example/{number}" for number in range(40)]
    house = EngineInMemory(*(state(str(number)) for number in range(40)))
    house.clock.time = NOON + minutes(30)
    async with house.running():
        await house.look(*ids)
    assert [id_ for id_, _ in house.relay.taken] == ids
