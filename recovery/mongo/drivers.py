"""The drivers that a service may hold: PyMongo's two clients, and Motor's."""

import inspect
import math
from typing import Any

from pymongo import AsyncMongoClient
from pymongo.client_options import ClientOptions


def is_asynchronous(client: Any) -> bool:
    """Return whether the answers of this client are to be awaited."""
    return isinstance(client, AsyncMongoClient) or type(client).__module__.startswith("motor.")


async def settled(answer: Any) -> Any:
    """Return the answer of a driver, whichever kind of driver it is."""
    return await answer if inspect.isawaitable(answer) else answer


def own_limit(client: Any) -> float:
    """Return the seconds that a client gives an operation (`timeoutMS`, `socketTimeoutMS`); `math.inf` if no limit.

    PyMongo heeds neither where `pymongo.timeout` says another.
    """
    options = getattr(client, "options", None)
    if not isinstance(options, ClientOptions):
        return math.inf
    return min(options.timeout or math.inf, options.pool_options.socket_timeout or math.inf)
