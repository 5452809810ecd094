"""What stands between the server and the endpoints, as plain ASGI: what holds for every request, and for reports."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

import structlog
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from recovery.domain.masking import masked
from recovery.http.log_bound import LogBound
from recovery.http.observer import HttpObserver
from recovery.http.problems import Problem, ProblemType, answer

PATIENCE = 8 * 1024 * 1024
"""Bytes of a body that is too long that are still taken, and thrown away: a client that is cut off while it sends may
never see the answer."""


REFUSED = (413, 415, 422)
"""Answers to reports that somebody ought to know of: what was reported is not kept, and will not be sent again."""

_NO_SNIFFING = (b"x-content-type-options", b"nosniff")

_log = structlog.get_logger()


class EveryRequest:
    """Sees to what holds for every request and answer, those to faults of ours too.

    A request has one Host header (RFC 9112 section 3.2), and no answer is taken for another type than it says.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, if its head is in order."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def marked(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), _NO_SNIFFING]
            await send(message)

        hosts = sum(name == b"host" for name, _ in scope["headers"])
        if hosts > 1 or (hosts == 0 and scope.get("http_version") == "1.1"):
            problem = Problem(400, "Send one Host header, and no other.", kind=ProblemType.HOST)
            await answer(problem, scope)(scope, receive, marked)
            return
        await self._app(scope, receive, marked)


class BodyLimit:
    """Refuses a body that is longer than its path's limit in bytes, as announced or as found while reading."""

    def __init__(self, app: ASGIApp, limit_of: Callable[[str], int]) -> None:
        self._app = app
        self._limit_of = limit_of

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, counting its body."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        announced = Headers(scope=scope).get("content-length", "0")
        limit = self._limit_of(scope["path"])
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
    """Counts the answers to reports, and logs those that were refused. `kind_of` returns the kind of report of a path.

    An answer is `accepted`, its status if it is a problem, or what the endpoint put into `request.state.answer`. The
    state of the request tells of a refused one also its `reason` and, if that is known, its `shop`.
    """

    def __init__(self, app: ASGIApp, observer: HttpObserver, kind_of: Callable[[str], str | None]) -> None:
        self._app = app
        self._observer = observer
        self._kind_of = kind_of
        self._bound = LogBound(most=60)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, noting its answer."""
        kind = self._kind_of(scope.get("path", ""))
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
            state = scope.get("state", {})
            counted = "accepted" if status < 300 else str(status)
            self._observer.reported(kind, state.get("answer", counted))
            if status in REFUSED:
                self._log_refused(kind, status, state)

    def _log_refused(self, kind: str, status: int, state: Mapping[str, Any]) -> None:
        left_out = self._bound.left_out(asyncio.get_running_loop().time())
        if left_out is not None:
            _log.warning(
                "a report was refused",
                kind=kind,
                status=status,
                shop=masked(state.get("shop") or ""),
                reason=masked(state.get("reason", "")),
                not_logged_before=left_out,
            )
