"""Experiments on a real mongod: many checkouts at once, each in its arm, with one statement for those alike."""

from datetime import date

import pytest

from recovery.domain.experiments import Experiment, Experiments
from recovery.domain.per_shop import PerShop
from recovery.mongo.collections import CHECKOUTS
from tests.support.builders import NOON, minutes, report, schedule, state
from tests.support.engine_world import running

QUIET = Experiment("quiet", 0.5, date(2130, 1, 1))
COUNT = 60


@pytest.fixture
async def engine_world(database):
    """A house whose engine runs."""
    async with running(database) as engine_world:
        yield engine_world


async def test_many_checkouts_at_once_each_get_their_arm(engine_world, database):
    """Half are skipped and half are sent; each has its arm, and the time from which it counts."""
    experiments = Experiments(b"a key of some length", (QUIET,))
    engine_world.engine._schedules = PerShop(schedule(experiments=experiments))
    left = [state(str(number), touched_at=NOON - minutes(30)).model_dump(by_alias=True) for number in range(COUNT)]
    for number, document in enumerate(left):
        document["facts"] = report(customer={"email": f"p{number}@example.com"}).facts()
    await database[CHECKOUTS].insert_many(left)
    engine_world.clock.time = NOON
    ids = [document["_id"] for document in left]
    for _ in range(3):  # what is given up is written first, and looked at again
        await engine_world.engine.look(ids, "due")
        await engine_world.quiet()
    kept = await engine_world.kept()
    arms = {each["_id"]: each["experiments"] for each in kept}
    expected = {
        document["_id"]: {QUIET.id: QUIET.arm(experiments.key, "shop.example", document["facts"]["customer"]["email"])}
        for document in left
    }
    assert arms == expected
    assert {each["assigned_at"] for each in kept} == {NOON}
    for each in kept:
        held = each["experiments"][QUIET.id] == "held out"
        message = each["messages"]["reminder-1"]
        assert (message["state"], message.get("reason")) == (("skipped", "held out") if held else ("sent", None))
        assert ("written_at" in each) is not held
        assert ("reminder-1 skipped: held out" in each["settled"]) is held
    assert 15 <= sum("held out" in each.values() for each in arms.values()) <= 45
