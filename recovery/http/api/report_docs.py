"""The endpoints of `recovery.http.api.reports` in the OpenAPI description."""

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel

from recovery.domain.checkout import Checkout, Order
from recovery.http.api.reports import CHECKOUT, ORDER
from recovery.http.keys import Scope
from recovery.http.problems import answers
from recovery.http.security import Guard

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


def report_docs(guard: Guard) -> APIRouter:
    """Return the endpoints for the OpenAPI description only: `Reports` answers every request before FastAPI sees it."""
    router = APIRouter(tags=["checkouts"])

    @router.post(
        CHECKOUT,
        operation_id="reportCheckout",
        dependencies=[guard.needs(Scope.REPORT)],
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
        dependencies=[guard.needs(Scope.REPORT)],
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
