"""Two schedules on a real mongod: each arm at its own times, after a restart and after the experiment is gone."""

from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import date, timedelta

from recovery.domain.experiments import Arm, Experiment, Experiments
from recovery.domain.per_shop import PerShop
from recovery.domain.results import Sums
from recovery.mongo.collections import CHECKOUTS
from recovery.mongo.results import MongoResults, ResultsReader
from tests.integration.mongo.test_results import keyed, recounted
from tests.support.builders import NOON, minutes, report, schedule, state
from tests.support.engine_world import running

COUNT = 40
LEFT = NOON - minutes(30)
USUAL = schedule()
LATER = Experiment(
    "later", 0.5, date(2130, 1, 1), steps=tuple(replace(step, delay=4 * step.delay) for step in USUAL.steps[:2])
)
KEY = b"a key of some length"
COMPARED = replace(USUAL, experiments=Experiments(KEY, (LATER,)))


async def leave(database):
    """Many people leave a checkout each; return the ids by arm."""
    by_arm = {Arm.A: [], Arm.B: []}
    documents = []
    for number in range(COUNT):
        address = f"p{number}@example.com"
        document = state(str(number), touched_at=LEFT, opened_at=LEFT).model_dump(by_alias=True)
        facts = report(customer={"email": address}).facts()
        documents.append(document | {"facts": facts, "shop": "shop.example", "address": address})
        by_arm[LATER.arm(KEY, "shop.example", address)].append(document["_id"])
    await database[CHECKOUTS].insert_many(documents)
    return by_arm


@asynccontextmanager
async def started(database, plan, at):
    """An engine that has just started, at a time, on what is stored."""
    async with running(database) as world:
        world.engine._schedules = PerShop(plan)
        world.clock.time = at
        yield world


async def looked(world):
    """Look at everything until nothing changes; return the mails, by step."""
    ids = [each["_id"] for each in await world.kept()]
    for _ in range(3):
        await world.engine.look(ids, "due")
        await world.quiet()
    return {step: sorted(id_ for id_, each in world.relay.taken if each == step) for _, step in world.relay.taken}


async def test_each_arm_at_its_own_times_across_restarts(database):
    """Every engine is a new one on the same documents: what an arm gets, and when, is kept there."""
    by_arm = await leave(database)
    a, b = sorted(by_arm[Arm.A]), sorted(by_arm[Arm.B])
    async with started(database, COMPARED, LEFT) as world:
        assert await looked(world) == {}
        assert {each["next_at"] for each in await world.kept()} == {NOON}
    async with started(database, COMPARED, NOON) as world:
        assert await looked(world) == {"reminder-1": a}
        kept = {each["_id"]: each for each in await world.kept()}
    assert {id_: each["experiments"][LATER.id] for id_, each in kept.items()} == {
        **dict.fromkeys(a, "a"),
        **dict.fromkeys(b, "b"),
    }
    assert {each["assigned_at"] for each in kept.values()} == {NOON}
    assert {kept[id_]["next_at"] for id_ in a} == {LEFT + timedelta(days=1)}
    assert {kept[id_]["next_at"] for id_ in b} == {LEFT + minutes(120)}
    for at, mails in (
        (LEFT + minutes(119), {}),
        (LEFT + minutes(120), {"reminder-1": b}),
        (LEFT + timedelta(days=1), {"reminder-2": a}),
        (LEFT + timedelta(days=3), {"reminder-3": a}),
        (LEFT + timedelta(days=4), {"reminder-2": b}),
    ):
        async with started(database, COMPARED, at) as world:
            assert await looked(world) == mails
    async with started(database, COMPARED, at) as world:
        assert {(each["status"], each["next_at"]) for each in await world.kept()} == {("finished", None)}


async def test_an_experiment_that_is_gone_mails_nothing_twice_and_loses_nobody(database):
    """Taken out when one arm has had its first mail and the other waits: all go on by the steps in force."""
    by_arm = await leave(database)
    async with started(database, COMPARED, NOON) as world:
        assert await looked(world) == {"reminder-1": sorted(by_arm[Arm.A])}
    async with started(database, USUAL, LEFT + minutes(60)) as world:
        assert await looked(world) == {"reminder-1": sorted(by_arm[Arm.B])}
    everybody = sorted(by_arm[Arm.A] + by_arm[Arm.B])
    for day, step in ((1, "reminder-2"), (3, "reminder-3")):
        async with started(database, USUAL, LEFT + timedelta(days=day)) as world:
            assert await looked(world) == {step: everybody}


async def test_the_arms_are_counted_as_a_recount_of_the_documents_does(database):
    """Orders of either arm within the window from the moment at which both began, and no others."""
    by_arm = await leave(database)
    async with started(database, COMPARED, NOON) as world:
        await looked(world)
    for number, id_ in enumerate(sorted(by_arm[Arm.A] + by_arm[Arm.B])):
        if number % 3:
            ordered_at = NOON + timedelta(hours=number * 5)
            await database[CHECKOUTS].update_one(
                {"_id": id_}, {"$set": {"status": "ordered", "ordered_at": ordered_at}}
            )
    now = NOON + timedelta(days=20)
    await MongoResults(database, timedelta(days=5), timedelta(days=30)).count(now)
    cells = await ResultsReader(database).cells(NOON.date(), now.date())
    documents = [each async for each in database[CHECKOUTS].find({})]
    assert keyed(cell for cell in cells if cell.sums != Sums()) == recounted(
        {**each, "messages": {step: one for step, one in each["messages"].items() if one["state"] == "sent"}}
        for each in documents
    )
    arms = {cell.arm: cell.sums for cell in cells if cell.experiment == LATER.id}
    assert {arm: sums.checkouts for arm, sums in arms.items()} == {"a": len(by_arm[Arm.A]), "b": len(by_arm[Arm.B])}
    assert all(sums.ordered for sums in arms.values())
