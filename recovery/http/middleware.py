"""ASGI middleware: checks of every request, the limit on bodies, and the count of reports."""

import asyncio
from collections.abc import Mapping
from typing import Any

import structlog
from prometheus_client import Counter
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from recovery.domain.masking import masked
from recovery.http.log_bound import LogBound
from recovery.http.problems import Problem, ProblemType, answer

DRAIN_LIMIT = 8 * 1024 * 1024
"""Bytes of an oversized body that are still read, and discarded: a client that is cut off while it sends may never see
the response."""

REFUSED = (413, 415, 422)
"""Statuses that are logged: the report is not stored, and its sender will not repeat it."""

_NO_SNIFFING = (b"x-content-type-options", b"nosniff")

_log = structlog.get_logger()


class EveryRequest:
    """Checks every request and marks every response, also those to internal errors.

    A request has exactly one Host header (RFC 9112 section 3.2); `nosniff` keeps browsers to the declared media type.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer with 400 if its Host header is missing or repeated."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def marked(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), _NO_SNIFFING]
            await send(message)

        hosts = sum(name == b"host" for name, _ in scope["headers"])
        if hosts > 1 or (hosts == 0 and scope.get("http_version") == "1.1"):
            problem = Problem(400, "The Host header is missing or repeated: send exactly one.", kind=ProblemType.HOST)
            await answer(problem, scope)(scope, receive, marked)
            return
        await self._app(scope, receive, marked)


class BodyLimit:
    """Rejects a body longer than `limit` bytes, by its Content-Length or by counting. Raises `Problem` (413).

    `of_paths` holds the limits of paths that have a larger one.
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
            while seen <= max(DRAIN_LIMIT, limit) and message.get("more_body", False):
                message = await receive()
                seen += len(message.get("body", b""))
            raise Problem(413, f"The body is longer than {limit} bytes.", headers={"Connection": "close"})

        await self._app(scope, limited, send)


def _exceeds(announced: str, limit: int) -> bool:
    try:
        return int(announced) > limit
    except ValueError:  # not a number, or a number of thousands of digits
        return True


class ReportCount:
    """Counts the responses to reports, and logs the refused ones. `kinds` maps a path to the kind of report.

    A response counts as `accepted`, as the status code of a problem, or as `request.state.answer` if the endpoint sets
    that. For the log line of a refused report, the request's state holds the `reason` and, if known, the `shop`.
    """

    def __init__(self, app: ASGIApp, counter: Counter, kinds: Mapping[str, str]) -> None:
        self._app = app
        self._counter = counter
        self._kinds = kinds
        self._bound = LogBound(most=60)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and count its response."""
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
            state = scope.get("state", {})
            counted = "accepted" if status < 300 else str(status)
            self._counter.labels(kind, state.get("answer", counted)).inc()
            if status in REFUSED:
                self._log_refused(kind, status, state)

    def _log_refused(self, kind: str, status: int, state: Mapping[str, Any]) -> None:
        left_out = self._bound.left_out(asyncio.get_running_loop().time())
        if left_out is not None:
            _log.warning(
                "report refused",
                kind=kind,
                status=status,
                shop=masked(state.get("shop") or ""),
                reason=masked(state.get("reason", "")),
                not_logged_before=left_out,
            )
