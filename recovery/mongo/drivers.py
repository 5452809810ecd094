"""The drivers that a service may hold: PyMongo's two clients, and Motor's."""

import inspect
import math
from collections.abc import Callable
from typing import Any

from pymongo import AsyncMongoClient
from pymongo.client_options import ClientOptions


def is_asynchronous(client: Any) -> bool:
    """Return whether the answers of this client are to be awaited."""
    return isinstance(client, AsyncMongoClient) or type(client).__module__.startswith("motor.")


async def settled(answer: Any) -> Any:
    """Return the answer of a driver, whichever kind of driver it is."""
    return await answer if inspect.isawaitable(answer) else answer


def own_limit(client: Any) -> Callable[[float], float]:
    """Return what shortens a time limit in seconds to what a client's own options give a call now.

    They are `timeoutMS`, `socketTimeoutMS` and, while no server is known to write to, `serverSelectionTimeoutMS`:
    PyMongo heeds none of them within `pymongo.timeout`.
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
