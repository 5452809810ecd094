"""Empty databases, each of one test's own."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import uuid4

from pymongo import AsyncMongoClient
from pymongo.asynchronous.database import AsyncDatabase

from recovery.mongo import collections
from recovery.mongo.collections import OPTIONS, Document


def unused_name() -> str:
    """Return the name of a database that no other test has."""
    return f"test-{uuid4().hex[:12]}"


@asynccontextmanager
async def empty_database(mongodb: str, name: str) -> AsyncIterator[AsyncDatabase[Document]]:
    """Create a database with collections and indexes; drop it in the end."""
    async with AsyncMongoClient(mongodb, tz_aware=True) as client:
        database = client.get_database(name, **OPTIONS)
        await collections.ensure(database)
        yield database
        await client.drop_database(name)
