"""Collections created by several daemons at once, on a real MongoDB."""

import asyncio
from contextlib import AsyncExitStack

from pymongo import AsyncMongoClient

from recovery.mongo import collections
from recovery.mongo.collections import OPTIONS, SHADOWS


async def test_several_daemons_may_make_good_what_is_gone(mongodb, database, database_name):
    """Several daemons recreate a dropped collection at once, and none of them fails."""
    async with AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(AsyncMongoClient(mongodb)) for _ in range(4)]
        daemons = [client.get_database(database_name, **OPTIONS) for client in clients]
        for _ in range(15):
            await database[SHADOWS].drop()
            done = await asyncio.gather(*map(collections.ensure, daemons))
            assert any("created collection shadows" in each for each in done)
            assert await collections.faults(database) == []
