"""The kit against MongoDB: made-up stories give the same mails, in the same order, and the same checkouts."""

import asyncio
from uuid import uuid4

from hypothesis import HealthCheck, Phase, given, settings
from pymongo import AsyncMongoClient

from recovery.mongo import collections
from recovery.mongo.collections import OPTIONS
from recovery.testing import RecoveryKit
from tests.support.stories import BEGINS, SETTINGS, STORIES, Act, MongoKit, ending, without_ttl

FEW = settings(max_examples=12, phases=[Phase.explicit, Phase.generate], suppress_health_check=[HealthCheck.too_slow])
"""`make stories` tells a thousand."""


def both(uri, name, story):
    """Tell a story to both kits; return both endings."""

    async def told():
        async with MongoKit(uri, name, **SETTINGS) as real:
            for collection in collections.COLLECTIONS:
                await real.kept[collection].delete_many({})
            theirs = await ending(real, story)
        return await ending(RecoveryKit(now=BEGINS, **SETTINGS), story), theirs

    return asyncio.run(told())


def prepare(uri, name):
    """Make an empty database."""

    async def made():
        async with AsyncMongoClient(uri, tz_aware=True) as client:
            database = client.get_database(name, **OPTIONS)
            await collections.ensure(database)
            await without_ttl(database)

    asyncio.run(made())


def test_a_story_ends_the_same_in_memory_and_on_mongodb(mongodb):
    """Reports, orders, faults and times, as they come: the same mails in the same order, the same state."""
    name = f"test-{uuid4().hex[:12]}"
    prepare(mongodb, name)

    @FEW
    @given(STORIES)
    def told(story):
        ours, theirs = both(mongodb, name, story)
        assert ours == theirs

    told()


def test_the_stories_would_show_a_difference(mongodb):
    """A plain story sends mails in both; one with another word in it does not end the same."""
    name = f"test-{uuid4().hex[:12]}"
    prepare(mongodb, name)
    story = [
        Act("report", ("shop.example", "1", "ada@example.com", "Lamp", 1, 0, None)),
        Act("wait", (31, None)),
        Act("pay", ("shop.example", "1", 0, None)),
    ]
    ours, theirs = both(mongodb, name, story)
    assert [mail[2] for mail in ours["mails"]] == ["reminder-1", "confirmation"]
    assert ours == theirs
    other, _ = both(mongodb, name, [story[0], Act("wait", (29, None)), story[2]])
    assert other != theirs
