"""The place of the console in the HTTP application: its pages are loaded when somebody first visits one.

Most daemons are never visited. So none of them waits for the console at its start, or holds it in memory.
"""

from collections.abc import Callable

from fastapi import APIRouter
from starlette.routing import BaseRoute, Match
from starlette.types import Receive, Scope, Send

from recovery.http.late import Late

PATH = "/console"
"""The path of the overview. Every other page and act is below it."""


class ConsoleRoute(BaseRoute):
    """The route of every request to the console. `load` returns the router; it is called once, in a thread."""

    def __init__(self, load: Callable[[], APIRouter]) -> None:
        self._router = Late(load)

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Return whether a request is to the console."""
        path = scope["path"]
        ours = scope["type"] == "http" and (path == PATH or path.startswith(f"{PATH}/"))
        return (Match.FULL if ours else Match.NONE), {}

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        router = scope["router"] = await self._router.get()  # whose routes a refusal names
        await router(scope, receive, send)
