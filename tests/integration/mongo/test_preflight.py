"""Indexes and validators that are made or fixed, and the check of the server."""

import pytest

from recovery.mongo import collections, preflight
from recovery.mongo.collections import CHECKOUTS, COLLECTIONS, DEAD_LETTERS, SHADOWS


async def test_a_database_is_made_ready_and_mended(database):
    """A missing or wrong index or validator is found, named and repaired, and then not found again."""
    assert await collections.faults(database) == []
    await database[SHADOWS].drop_index("expire_at")
    await database[SHADOWS].create_index("expire_at", name="expire_at", expireAfterSeconds=60)
    await database.command({"collMod": CHECKOUTS, "validator": {}})
    await database[DEAD_LETTERS].drop()
    assert sorted(await collections.faults(database)) == [
        "collection dead_letters is missing",
        "index shadows.expire_at differs from its definition",
        "the validator of checkouts is missing or differs",
    ]
    assert len(await collections.ensure(database)) == 3 + len(COLLECTIONS[DEAD_LETTERS].indexes)
    assert await collections.faults(database) == []


@pytest.mark.parametrize("name", sorted(COLLECTIONS))
async def test_a_lost_collection_is_made_again(database, name):
    """Whichever collection is dropped, it comes back as it was."""
    await database[name].drop()
    await collections.ensure(database)
    assert await collections.faults(database) == []


async def test_a_fit_server_is_found_fit(database):
    """A replica set of one is all that is needed."""
    assert await preflight.fault(database) is None
