"""Differences between the supported drivers: PyMongo's two clients, and Motor's."""

import inspect
import math
from collections.abc import Callable
from typing import Any

from pymongo import AsyncMongoClient
from pymongo.client_options import ClientOptions


def is_asynchronous(client: Any) -> bool:
    """Return True if the results of this client's calls must be awaited."""
    return isinstance(client, AsyncMongoClient) or type(client).__module__.startswith("motor.")


async def settled(answer: Any) -> Any:
    """Return a driver's result, awaited if the driver is asynchronous."""
    return await answer if inspect.isawaitable(answer) else answer


def own_limit(client: Any) -> Callable[[float], float]:
    """Return a function that shortens a timeout in seconds to the limit of the client's own options.

    They are `timeoutMS`, `socketTimeoutMS` and, while no writable server is known, `serverSelectionTimeoutMS`: PyMongo
    ignores all of them within `pymongo.timeout`.
    """
    options = getattr(client, "options", None)
    if not isinstance(options, ClientOptions):
        return lambda limit: limit
    always = min(options.timeout or math.inf, options.pool_options.socket_timeout or math.inf)
    while_unknown = options.server_selection_timeout

    def shortened(limit: float) -> float:
        limit = min(limit, always)
        if limit > while_unknown and not client.topology_description.has_writable_server():
            return while_unknown
        return limit

    return shortened
