"""Endpoints that take reports of checkouts and orders: an ASGI application beside FastAPI.

They take nearly all requests. FastAPI's routing was the largest part of the cost of one, and its middleware alone was
a fifth (measured). `recovery.http.api.report_docs` documents them.
"""

import json
from collections.abc import Awaitable, Mapping
from functools import lru_cache
from urllib.parse import quote

from pydantic import ValidationError
from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope, Send

from recovery.client import Unavailable
from recovery.domain.checkout import Checkout, Order
from recovery.domain.masking import masked
from recovery.http.api.ingestion import Ingestion
from recovery.http.keys import Scope as KeyScope
from recovery.http.middleware import NO_SNIFFING, AnswerCount, headers_of, host_fault, within
from recovery.http.problems import Problem, answer, invalid_body
from recovery.http.security import Guard

CHECKOUT, ORDER = "/checkout", "/order"
"""The paths of reports."""

_MODELS: Mapping[str, type[Checkout] | type[Order]] = {CHECKOUT: Checkout, ORDER: Order}

encoded = json.JSONEncoder(ensure_ascii=False).encode  # `json.dumps` would make an encoder for each answer


def _in_path(name: str) -> str:
    """Return a name as one segment of a path."""
    return name if name.isascii() and name.isalnum() else quote(name, safe="")


_shop_in_path = lru_cache(maxsize=1024)(_in_path)


LONGEST_SHOP = 100
"""Characters of a shop in the log line of a refused report."""


class Reports:
    """Answers the requests for which `takes` is true, from callers that `guard` authenticates.

    The response is 202: the report is stored and survives a crash, but the mails that follow from it are still to come.
    `Location` is the checkout, which shows them. `count` notes every response. A body has at most `max_body` bytes.
    """

    def __init__(self, ingestion: Ingestion, guard: Guard, count: AnswerCount, *, max_body: int) -> None:
        self._ingestion = ingestion
        self._guard = guard
        self._count = count
        self._max_body = max_body

    @staticmethod
    def takes(scope: Scope) -> bool:
        """Return whether a request is a report."""
        return scope.get("path") in _MODELS and scope.get("method") == "POST"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Store a report, and answer."""
        if problem := host_fault(scope):
            await refuse(problem, scope, receive, send)
            return
        path = scope["path"]
        headers = headers_of(scope)
        body = b""
        status = 500
        try:
            caller = await self._guard.admit(headers, KeyScope.REPORT)
            _must_be_json(headers)
            body = await _body(within(self._max_body, headers, receive))
            report = _read(_MODELS[path], body)
            caller.needs_shop(report.shop)
            await self._keep(report)
        except Exception as exc:
            status = await refuse(exc, scope, receive, send)
            scope["state"]["shop"] = shop_in(body)
            if not isinstance(exc, Problem | ClientDisconnect | Unavailable):
                raise
        else:
            status = 202
            scope.setdefault("state", {})["shop"] = report.shop
            await _accept(report, send)
        finally:
            self._count.note(path[1:], status, scope.get("state", {}))

    def _keep(self, report: Checkout | Order) -> Awaitable[object]:
        match report:
            case Checkout():
                return self._ingestion.checkout(report)
            case Order():
                return self._ingestion.order(report)


def _must_be_json(headers: Mapping[str, str]) -> None:
    """Reject other media types: any web page can post a form to this machine (CSRF), but not JSON."""
    media_type = headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/json":
        raise Problem(415, "The body must be JSON: send the header 'Content-Type: application/json'.")


async def refuse(exc: Exception, scope: Scope, receive: Receive, send: Send) -> int:
    """Answer with the problem of an exception; return its status."""
    response = answer(exc, scope)
    response.raw_headers.append(NO_SNIFFING)
    await response(scope, receive, send)
    return response.status_code


async def _body(receive: Receive) -> bytes:
    parts: list[bytes] = []
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        part: bytes = message.get("body", b"")
        if not message.get("more_body", False):
            return b"".join([*parts, part]) if parts else part
        parts.append(part)


def _read(model: type[Checkout] | type[Order], body: bytes) -> Checkout | Order:
    try:
        return model.model_validate_json(body)
    except ValidationError as exc:
        raise invalid_body(exc) from None


def shop_in(body: bytes) -> str | None:
    """Return the shop of a refused report, masked for the log, or None if it cannot be read."""
    try:
        shop = json.loads(body)["shop"]
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    return masked(shop)[:LONGEST_SHOP] if isinstance(shop, str) else None


async def _accept(report: Checkout | Order, send: Send) -> None:
    body = f'{{"id": {encoded(report.id)}}}'.encode()
    location = f"/checkouts/{_shop_in_path(report.shop)}/{_in_path(report.order_id)}"
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", b"%d" % len(body)),
        (b"location", location.encode()),
        NO_SNIFFING,
    ]
    await send({"type": "http.response.start", "status": 202, "headers": headers})
    await send({"type": "http.response.body", "body": body})
