"""ASGI middleware: checks of every request, the limit on bodies, and the count of reports.

`recovery.http.api.reports` answers without this middleware, and calls the same functions.
"""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

import structlog
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from recovery.domain.masking import masked
from recovery.http.channels import ChannelCounts
from recovery.http.log_bound import LogBound
from recovery.http.observer import HttpObserver
from recovery.http.problems import Problem, ProblemType, answer

DRAIN_LIMIT = 8 * 1024 * 1024
"""Bytes of an oversized body that are still read, and discarded: a client that is cut off while it sends may never see
the response."""

REFUSED = (413, 415, 422)
"""Statuses that are logged: the report is not stored, and its sender will not repeat it."""

NO_SNIFFING = (b"x-content-type-options", b"nosniff")
"""The header that keeps browsers to the declared media type. Every response has it."""

_log = structlog.get_logger()


class EveryRequest:
    """Checks every request with `host_fault` and marks every response with `NO_SNIFFING`, also to internal errors."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer with 400 if its Host header is missing or repeated."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def marked(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), NO_SNIFFING]
            await send(message)

        if problem := host_fault(scope):
            await answer(problem, scope)(scope, receive, marked)
            return
        await self._app(scope, receive, marked)


def headers_of(scope: Scope) -> dict[str, str]:
    """Return the headers of a request by their names in lower case; of a repeated one, the first."""
    return {name.decode("latin-1"): value.decode("latin-1") for name, value in reversed(scope["headers"])}


def host_fault(scope: Scope) -> Problem | None:
    """Return the problem of a request that has not exactly one Host header (RFC 9112 section 3.2), or None."""
    hosts = [name for name, _ in scope["headers"]].count(b"host")
    if hosts > 1 or (hosts == 0 and scope.get("http_version") == "1.1"):
        return Problem(400, "The Host header is missing or repeated: send exactly one.", kind=ProblemType.HOST)
    return None


class BodyLimit:
    """Rejects a body longer than its path's limit in bytes, as `within` does."""

    def __init__(self, app: ASGIApp, limit_of: Callable[[str], int]) -> None:
        self._app = app
        self._limit_of = limit_of

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, counting its body."""
        if scope["type"] == "http":
            receive = within(self._limit_of(scope["path"]), Headers(scope=scope), receive)
        await self._app(scope, receive, send)


def within(limit: int, headers: Mapping[str, str], receive: Receive) -> Receive:
    """Return `receive` with a limit in bytes on the body, by its Content-Length or by counting.

    It raises `Problem` (413).
    """
    too_long = _exceeds(headers.get("content-length", "0"), limit)
    seen = 0

    async def limited() -> Message:
        nonlocal seen
        message: Message = {"type": "http.request", "more_body": True}
        if not too_long:
            message = await receive()
            seen += len(message.get("body", b""))
            if seen <= limit:
                return message
        while seen <= max(DRAIN_LIMIT, limit) and message.get("more_body", False):
            message = await receive()
            seen += len(message.get("body", b""))
        raise Problem(413, f"The body is longer than {limit} bytes.", headers={"Connection": "close"})

    return limited


def _exceeds(announced: str, limit: int) -> bool:
    try:
        return int(announced) > limit
    except ValueError:  # not a number, or a number of thousands of digits
        return True


class AnswerCount:
    """Counts the answers to reports, and logs the refused ones.

    An answer counts as `accepted`, as the status code of a problem, or as `request.state.answer` if the endpoint sets
    that. For the log line of a refused report, the request's state holds the `reason` and, if known, the `shop`.
    """

    def __init__(self, observer: HttpObserver, channels: ChannelCounts | None = None) -> None:
        self._observer = observer
        self._channels = channels
        self._bound = LogBound(most=60)

    def note(self, kind: str, status: int, state: Mapping[str, Any]) -> None:
        """Count the answer to a report of this kind. `state` is the request's."""
        counted = "accepted" if status < 300 else str(status)
        self._observer.reported(kind, state.get("answer", counted))
        if self._channels is not None:
            self._channels.note(kind, status, state)
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


class ReportCount:
    """Notes the responses to reports in `count`. `kind_of` returns the kind of report of a path."""

    def __init__(self, app: ASGIApp, count: AnswerCount, kind_of: Callable[[str], str | None]) -> None:
        self._app = app
        self._count = count
        self._kind_of = kind_of

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, and note its response."""
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
            self._count.note(kind, status, scope.get("state", {}))
