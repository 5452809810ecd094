"""The drivers that a service may hold: PyMongo's two clients, and Motor's."""

import inspect
from typing import Any

from pymongo import AsyncMongoClient


def is_asynchronous(client: Any) -> bool:
    """Return whether the answers of this client are to be awaited."""
    return isinstance(client, AsyncMongoClient) or type(client).__module__.startswith("motor.")


async def settled(answer: Any) -> Any:
    """Return the answer of a driver, whichever kind of driver it is."""
    return await answer if inspect.isawaitable(answer) else answer
