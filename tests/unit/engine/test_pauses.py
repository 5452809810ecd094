"""Pauses of sending, as the engine heeds them."""

import asyncio
from dataclasses import replace

from recovery.domain.pauses import EVERYTHING
from recovery.domain.recipient import RecipientHistory
from recovery.domain.state import MessageState, Status
from recovery.engine.pauses import KnownPauses
from tests.support.builders import minutes, state
from tests.support.configurations import LIMITS
from tests.support.engine_in_memory import DUE, EngineInMemory

SHOP = "shop.example"


async def _due(*states, pauses=None) -> EngineInMemory:
    """Return an engine with these checkouts planned, at the time at which their first reminder is due."""
    world = EngineInMemory(*states or (state(),), pauses=pauses)
    await world.engine.look(list(world.store.kept), "test")
    world.clock.time = DUE
    return world


async def test_a_paused_shop_gets_no_mail_and_its_checkout_stays_due():
    """While a pause is known, a due message is neither claimed nor planned, and nobody is asked to look again."""
    pauses = KnownPauses()
    world = await _due(pauses=pauses)
    planned = world.only
    pauses.hear({SHOP})
    world.engine.behind.clear()
    async with world.running():
        await world.look()
    assert world.relay.taken == []
    assert world.only == planned  # not a single write
    assert not world.engine.behind.is_set()


async def test_what_a_pause_left_due_is_sent_once_after_it():
    """A due message is sent by the first look after the pause, once."""
    pauses = KnownPauses()
    pauses.hear({EVERYTHING})
    world = await _due(pauses=pauses)
    async with world.running():
        await world.look()
        assert world.relay.taken == []
        pauses.hear(())
        await world.look_until_quiet()
    assert world.relay.taken == [("shop.example/1", "reminder-1")]


async def test_a_pause_of_a_shop_leaves_the_other_shops_alone():
    """Only the paused shop waits."""
    pauses = KnownPauses()
    pauses.hear({SHOP})
    other = state().model_copy(update={"id": "other.example/1"})
    world = await _due(state(), other, pauses=pauses)
    async with world.running():
        await world.look()
    assert world.relay.taken == [("other.example/1", "reminder-1")]


async def test_confirmations_of_orders_wait_as_well():
    """All of sending means all."""
    pauses = KnownPauses()
    pauses.hear({EVERYTHING})
    ordered = state(status=Status.ORDERED, ordered_at=DUE, confirm=True, next_at=DUE)
    world = EngineInMemory(ordered, pauses=pauses)
    world.clock.time = DUE
    async with world.running():
        await world.look()
    assert world.relay.taken == []
    assert world.only.next_at == DUE


async def test_reports_are_planned_during_a_pause():
    """A checkout that is reported meanwhile gets its plan and its shadow: a pause stops messages, nothing else."""
    pauses = KnownPauses()
    pauses.hear({EVERYTHING})
    world = EngineInMemory(state(), pauses=pauses)
    async with world.running():
        await world.look()
    assert world.only.next_at == DUE
    assert world.store.alarms == {"shop.example/1": DUE}


async def test_a_pause_found_at_the_claim_gives_the_message_back():
    """A pause that this daemon has not heard of: the message goes back, without an attempt, and it is known now."""
    begun = []
    pauses = KnownPauses(begun=begun.append)
    world = await _due(pauses=pauses)
    world.addresses.known = {"shop.example/1": RecipientHistory(paused=SHOP)}
    async with world.running():
        await world.look()
        await world.look()
    assert world.relay.taken == []
    message = world.only.messages["reminder-1"]
    assert (message.state, message.attempts) == (MessageState.WAITING, 0)
    assert (world.only.claim, world.only.next_at) == (None, DUE)
    assert len(world.addresses.asked) == 1  # the second look claims nothing
    assert begun == [SHOP]


async def test_a_pause_of_a_message_in_flight_stops_it_at_the_last_check():
    """A message whose relay is slow is not handed over once the last check finds a pause; it goes back."""
    world = await _due(pauses=KnownPauses())

    async def paused_meanwhile(_):
        world.addresses.known = {"shop.example/1": RecipientHistory(paused=EVERYTHING)}
        await asyncio.sleep(0.6)

    world.relay.slow = paused_meanwhile
    async with world.running():
        await world.look()
    assert world.relay.taken == []
    assert world.only.messages["reminder-1"].attempts == 0


async def test_what_is_loaded_ahead_heeds_a_pause_too():
    """A checkout that was loaded before it is due is not claimed if its shop is paused by then."""
    pauses = KnownPauses()
    world = EngineInMemory(state(), pauses=pauses)
    await world.engine.look(list(world.store.kept), "test")
    await world.engine.ahead.load({"shop.example/1": DUE})
    assert len(world.engine.ahead) == 1
    pauses.hear({SHOP})
    world.clock.time = DUE
    async with world.running():
        await world.engine.ahead.claim(await world.engine.ahead.due())
    assert world.relay.taken == []
    assert world.addresses.asked == []


async def test_nothing_of_a_paused_shop_is_loaded_ahead():
    """It would be loaded for nothing, and take the room of the checkouts that are sent."""
    pauses = KnownPauses()
    pauses.hear({SHOP})
    other = state().model_copy(update={"id": "other.example/1"})
    world = EngineInMemory(state(), other, pauses=pauses, limits=replace(LIMITS, in_flight=1))
    await world.engine.look(list(world.store.kept), "test")
    loads, load = [], world.store.load

    async def noted(ids):
        loads.append(list(ids))
        return await load(ids)

    world.store.load = noted
    await world.engine.ahead.load({"shop.example/1": DUE, "other.example/1": DUE})
    assert loads == [["other.example/1"]]
    assert len(world.engine.ahead) == 1
    pauses.hear({EVERYTHING})
    await world.engine.ahead.load({"shop.example/1": DUE})
    assert len(loads) == 1


async def test_a_paused_checkout_that_is_looked_at_early_keeps_its_alarm():
    """The look was caused by a shadow that is gone: as long as the next time is to come, it is set again."""
    pauses = KnownPauses()
    world = await _due(pauses=pauses)
    later = DUE + minutes(5)
    world.store.kept["shop.example/1"] = world.only.model_copy(update={"next_at": later})
    world.store.alarms.clear()
    pauses.hear({SHOP})
    await world.engine.look(["shop.example/1"], "test")
    assert world.store.alarms == {"shop.example/1": later}


async def test_a_reminder_that_is_too_late_after_a_pause_is_skipped():
    """A pause does not move due times."""
    pauses = KnownPauses()
    pauses.hear({EVERYTHING})
    world = await _due(pauses=pauses)
    async with world.running():
        world.clock.time = DUE + minutes(120)
        pauses.hear(())
        await world.look_until_quiet()
    assert world.only.messages["reminder-1"].state is MessageState.SKIPPED


def test_what_begins_and_ends_is_told_once():
    """However often the same pauses are heard, each begins once and ends once."""
    told = []
    pauses = KnownPauses(
        begun=lambda what: told.append(("begun", what)), ended=lambda what: told.append(("ended", what))
    )
    for what in ({SHOP}, {SHOP}, {SHOP, EVERYTHING}, {EVERYTHING}, (), ()):
        pauses.hear(what)
    assert told == [("begun", SHOP), ("begun", EVERYTHING), ("ended", SHOP), ("ended", EVERYTHING)]
