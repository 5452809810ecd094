"""A warm-up on a real mongod: what is due, what goes, and what waits."""

from collections import Counter

import pytest

from recovery.domain.schedule import CONFIRMATION
from recovery.domain.state import Status
from recovery.domain.warmup import LONGEST_WAIT, SPREAD, Warmup
from tests.support.builders import NOON, minutes, state
from tests.support.engine_world import running

DUE = NOON + minutes(30)


@pytest.fixture
async def engine_world(database):
    """An engine that may send ten messages on this day."""
    async with running(database, Warmup(NOON.date(), 10, 1.5, 1000, 0.003)) as engine_world:
        yield engine_world


def reminders(count):
    return [state(f"r{number:03}", next_at=DUE) for number in range(count)]


def confirmations(count):
    ordered = {"status": Status.ORDERED, "ordered_at": DUE, "next_at": DUE}
    return [state(f"c{number:03}", **ordered) for number in range(count)]


def sent(engine_world):
    return [name for _, name in engine_world.relay.taken]


async def test_confirmations_go_and_the_reminders_wait_without_being_looked_at_again(engine_world, database):
    """Of a hundred reminders five go with five confirmations. The sweep finds nothing due then, and nothing is dead."""
    await engine_world.put(*reminders(100), *confirmations(5))
    engine_world.clock.time = DUE
    await engine_world.sweep.due_now("start")
    await engine_world.quiet()
    names = sent(engine_world)
    assert (names.count(CONFIRMATION), names.count("reminder-1")) == (5, 5)
    looks = sum(count for _, count in engine_world.witness.looks)
    assert looks <= 105 + 10  # one each, and one for what was sent and plans its next step
    await engine_world.sweep.due_now("behind")
    assert sum(count for _, count in engine_world.witness.looks) == looks
    waiting = [each for each in await engine_world.kept() if each["status"] == "open" and not each["messages"]]
    assert len(waiting) == 95
    assert all(DUE < each["next_at"] <= DUE + LONGEST_WAIT + SPREAD for each in waiting)
    assert all(each["claim"] is None for each in waiting)
    assert await database["dead_letters"].count_documents({}) == 0
    assert await database["shadows"].count_documents({"_id": {"$in": [each["_id"] for each in waiting]}}) == 95


async def test_a_confirmation_behind_a_backlog_goes_at_once(engine_world):
    await engine_world.put(*reminders(700))
    engine_world.clock.time = DUE
    await engine_world.sweep.due_now("start")
    await engine_world.put(*confirmations(3))
    await engine_world.sweep.due_now("behind")
    await engine_world.quiet()
    assert sent(engine_world).count(CONFIRMATION) == 3


async def test_what_waits_until_it_is_of_no_use_is_skipped(engine_world, database):
    """It is late from its own due time on: nobody wants a reminder of last week. It is not dead."""
    await engine_world.put(*reminders(25))
    engine_world.clock.time = DUE
    await engine_world.sweep.due_now("start")
    await engine_world.quiet()
    engine_world.clock.time = DUE + LONGEST_WAIT + SPREAD
    await engine_world.sweep.due_now("behind")
    states = Counter([each["messages"]["reminder-1"]["state"] for each in await engine_world.kept()])
    assert states == {"sent": 10, "skipped": 15}
    assert await database["dead_letters"].count_documents({}) == 0
