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


def own_limit(client: Any) -> Callable[[], float]:
    """Return what tells the seconds that a client's own options give a call now; `math.inf` if they set no limit.

    They are `timeoutMS`, `socketTimeoutMS` and, while no server is known to write to, `serverSelectionTimeoutMS`:
    PyMongo heeds none of them within `pymongo.timeout`.
    """
    options = getattr(client, "options", None)
    if not isinstance(options, ClientOptions):
        return lambda: math.inf
    always = min(options.timeout or math.inf, options.pool_options.socket_timeout or math.inf)
    while_unknown = min(always, options.server_selection_timeout)
    return lambda: always if client.topology_description.has_writable_server() else while_unknown
