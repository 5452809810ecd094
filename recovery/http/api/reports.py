"""Endpoints that take reports of checkouts and orders: ASGI middleware before FastAPI, which only documents them.

They take nearly all requests, and FastAPI's routing was the largest part of the cost of one (measured).
"""

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any
from urllib.parse import quote

from fastapi import APIRouter
from pydantic import BaseModel, ValidationError
from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Receive, Scope, Send

from recovery.client import Unavailable
from recovery.domain.checkout import Checkout, Order
from recovery.domain.masking import masked
from recovery.http.api.ingestion import Ingestion
from recovery.http.keys import Scope as KeyScope
from recovery.http.problems import Problem, answer, answers, invalid_body
from recovery.http.security import Guard

CHECKOUT, ORDER = "/checkout", "/order"
"""The paths of reports."""

_MODELS: Mapping[str, type[Checkout] | type[Order]] = {CHECKOUT: Checkout, ORDER: Order}

_encoded = json.JSONEncoder(ensure_ascii=False).encode  # `json.dumps` would make an encoder for each answer


@lru_cache(maxsize=1024)
def _shop_in_path(shop: str) -> str:
    return quote(shop, safe="")


LONGEST_SHOP = 100
"""Characters of a shop in the log line of a refused report."""

CHECKOUT_EXAMPLE = {
    "shop": "bikes.example",
    "order_id": "1042",
    "customer": {"email": "ada@example.com", "name": "Ada Lovelace"},
    "items": [{"name": "City bike", "variant": "Red", "price": "499.00", "quantity": 1}],
    "total": "504.90",
    "currency": "EUR",
    "checkout_url": "https://bikes.example/checkouts/1042",
    "locale": "en",
    "touched_at": "2026-03-01T14:05:00+01:00",
}
ORDER_EXAMPLE = {"shop": "bikes.example", "order_id": "1042", "ordered_at": "2026-03-01T14:20:00+01:00"}


class Accepted(BaseModel):
    """A report that was stored."""

    id: str


class Reports:
    """Takes reports from callers that `guard` authenticates, and passes every other request on.

    The response is 202: the report is stored and survives a crash, but the mails that follow from it are still to come.
    `Location` is the checkout, which shows them.
    """

    def __init__(self, app: ASGIApp, ingestion: Ingestion, guard: Guard) -> None:
        self._app = app
        self._ingestion = ingestion
        self._guard = guard

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Store a report, or pass the request on."""
        model = _MODELS.get(scope.get("path", ""))
        if model is None or scope.get("method") != "POST":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        body = b""
        try:
            caller = await self._guard.admit(headers, KeyScope.REPORT)
            _must_be_json(headers)
            body = await _body(receive)
            report = _read(model, body)
            caller.needs_shop(report.shop)
            await self._keep(report)
        except (Problem, ClientDisconnect, Unavailable) as exc:
            response = answer(exc, scope)
            scope["state"]["shop"] = _shop_in(body)
            await response(scope, receive, send)
        else:
            await _accept(report, send)

    async def _keep(self, report: Checkout | Order) -> None:
        match report:
            case Checkout():
                await self._ingestion.checkout(report)
            case Order():
                await self._ingestion.order(report)


def _must_be_json(headers: Headers) -> None:
    """Reject other media types: any web page can post a form to this machine (CSRF), but not JSON."""
    media_type = headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/json":
        raise Problem(415, "The body must be JSON: send the header 'Content-Type: application/json'.")


async def _body(receive: Receive) -> bytes:
    parts = []
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        parts.append(message.get("body", b""))
        if not message.get("more_body", False):
            return b"".join(parts)


def _read(model: type[Checkout] | type[Order], body: bytes) -> Checkout | Order:
    try:
        return model.model_validate_json(body)
    except ValidationError as exc:
        raise invalid_body(exc) from None


def _shop_in(body: bytes) -> str | None:
    """Return the shop of a refused report, masked for the log, or None if it cannot be read."""
    try:
        shop = json.loads(body)["shop"]
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    return masked(shop)[:LONGEST_SHOP] if isinstance(shop, str) else None


async def _accept(report: Checkout | Order, send: Send) -> None:
    body = _encoded({"id": report.id}).encode()
    location = f"/checkouts/{_shop_in_path(report.shop)}/{quote(report.order_id, safe='')}"
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", b"%d" % len(body)),
        (b"location", location.encode()),
    ]
    await send({"type": "http.response.start", "status": 202, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def report_docs(guard: Guard) -> APIRouter:
    """Return the endpoints for the OpenAPI description only: `Reports` answers every request before FastAPI sees it."""
    router = APIRouter(tags=["checkouts"])

    @router.post(
        CHECKOUT,
        operation_id="reportCheckout",
        dependencies=[guard.needs(KeyScope.REPORT)],
        status_code=202,
        response_model=Accepted,
        summary="Report a checkout",
        responses=answers(401, 403, 413, 415, 422, 503),
        openapi_extra=_request_body(Checkout, CHECKOUT_EXAMPLE),
    )
    async def checkout() -> None:
        """Report a checkout that is begun, or has changed.

        Report it again whenever it changes: that postpones the reminders still to come. Reports are idempotent: the
        same report again, or one older than the last, changes nothing.
        """

    @router.post(
        ORDER,
        operation_id="reportOrder",
        dependencies=[guard.needs(KeyScope.REPORT)],
        status_code=202,
        response_model=Accepted,
        summary="Report an order",
        responses=answers(401, 403, 413, 415, 422, 503),
        openapi_extra=_request_body(Order, ORDER_EXAMPLE),
    )
    async def order() -> None:
        """Report that a checkout was ordered: its reminders end, and the order is confirmed by mail.

        It may arrive before, with or after the report of its checkout. Facts left out are taken from the checkout.
        """

    return router


def _request_body(model: type[BaseModel], example: Mapping[str, Any]) -> dict[str, Any]:
    content = {"schema": {"$ref": f"#/components/schemas/{model.__name__}"}, "example": example}
    return {"requestBody": {"required": True, "content": {"application/json": content}}}
