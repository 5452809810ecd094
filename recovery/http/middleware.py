"""What stands between the server and the endpoints, as plain ASGI: a limit on bodies, a count of reports."""

from collections.abc import Mapping

from prometheus_client import Counter
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from recovery.http.problems import Problem

PATIENCE = 8 * 1024 * 1024
"""Bytes of a body that is too long that are still taken, and thrown away: a client that is cut off while it sends may
never see the answer."""


class BodyLimit:
    """Ends the reading of a body that is longer than `limit` bytes, be that announced or found out on the way.

    `of_paths` are limits of their own, where one is larger.
    """

    def __init__(self, app: ASGIApp, limit: int, of_paths: Mapping[str, int] | None = None) -> None:
        self._app = app
        self._limit = limit
        self._of_paths = of_paths or {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, counting its body."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        announced = Headers(scope=scope).get("content-length", "0")
        limit = max(self._limit, self._of_paths.get(scope["path"], 0))
        seen = 0

        async def limited() -> Message:
            nonlocal seen
            message: Message = {"type": "http.request", "more_body": True}
            if not _exceeds(announced, limit):
                message = await receive()
                seen += len(message.get("body", b""))
                if seen <= limit:
                    return message
            while seen <= max(PATIENCE, limit) and message.get("more_body", False):
                message = await receive()
                seen += len(message.get("body", b""))
            raise Problem(413, f"The body is longer than {limit} bytes.", headers={"Connection": "close"})

        await self._app(scope, limited, send)


def _exceeds(announced: str, limit: int) -> bool:
    try:
        return int(announced) > limit
    except ValueError:  # not a number, or one of thousands of digits
        return True


class ReportCount:
    """Counts the answers to reports. `kinds` are the kinds of report by path.

    An answer is `accepted`, its status if it is a problem, or what the endpoint put into `request.state.answer`.
    """

    def __init__(self, app: ASGIApp, counter: Counter, kinds: Mapping[str, str]) -> None:
        self._app = app
        self._counter = counter
        self._kinds = kinds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, noting its answer."""
        kind = self._kinds.get(scope.get("path", ""))
        if kind is None or scope.get("method") != "POST":
            await self._app(scope, receive, send)
            return
        status = 500

        async def noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, noted)
        finally:
            answer = "accepted" if status < 300 else str(status)
            self._counter.labels(kind, scope.get("state", {}).get("answer", answer)).inc()
