"""The endpoints of `recovery.http.api.batches` in the OpenAPI description."""

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Response
from pydantic import BaseModel

from recovery.domain.checkout import Checkout, Order
from recovery.http.api.batches import CHECKOUTS, LINES, ORDERS
from recovery.http.api.description import header
from recovery.http.api.report_docs import CHECKOUT_EXAMPLE, ORDER_EXAMPLE
from recovery.http.keys import Scope
from recovery.http.problems import ProblemDetails, answers
from recovery.http.security import Guard


class Stored(BaseModel):
    """A report of a batch that was stored, by the number of its line, or of its element in the array."""

    line: int
    id: str


class NotStored(ProblemDetails):
    """A report of a batch that was not stored, with its problem."""

    line: int


def batch_docs(guard: Guard) -> APIRouter:
    """Return the endpoints for the OpenAPI description only: `Batches` answers every request before FastAPI sees it."""
    router = APIRouter(tags=["checkouts"])

    @router.post(
        CHECKOUTS,
        operation_id="reportCheckouts",
        dependencies=[guard.needs(Scope.REPORT)],
        response_class=_Text,
        summary="Report many checkouts",
        responses=_RESPONSES,
        openapi_extra=_request_body(Checkout, CHECKOUT_EXAMPLE),
    )
    async def checkouts() -> None:
        """Report checkouts, any number of them: a JSON object a line, or the elements of one array.

        The body is read as it arrives, and each report is stored or refused by itself. The answer has a line for each,
        in their order, as soon as it is stored: its `line` and `id`, or its problem. Read it while you send. With
        `Prefer: return=minimal` it has only the problems, and then the totals. A report without a result was not read,
        or may not be stored: send it again.
        """

    @router.post(
        ORDERS,
        operation_id="reportOrders",
        dependencies=[guard.needs(Scope.REPORT)],
        response_class=_Text,
        summary="Report many orders",
        responses=_RESPONSES,
        openapi_extra=_request_body(Order, ORDER_EXAMPLE),
    )
    async def orders() -> None:
        """Report orders, any number of them, in the same way as many checkouts."""

    return router


class _Text(Response):
    media_type = LINES


_RESULTS = {
    "type": "string",
    "description": "A line for each report, in their order: a `Stored` or a `NotStored`, as JSON.",
}
_ANSWER = {
    "description": "The batch was read; each report has its result",
    "content": {LINES: {"schema": _RESULTS}},
}
_RESPONSES: dict[int | str, dict[str, Any]] = answers(400, 401, 403, 415, 422, 503) | {200: _ANSWER}


def _request_body(model: type[BaseModel], example: Mapping[str, Any]) -> dict[str, Any]:
    schema = {"$ref": f"#/components/schemas/{model.__name__}"}
    text = {"type": "string", "description": "A report a line, each as in the array."}
    lines = {"schema": text}  # without an example: schemathesis would send it, and cannot
    anything = {"description": "Anything else has a result, too, that says what is wrong with it."}
    array = {"schema": {"type": "array", "items": {"anyOf": [schema, anything]}}, "example": [example]}
    return {
        "parameters": [header("Prefer", "`return=minimal`: answer only with the problems, and then the totals.")],
        "requestBody": {"required": True, "content": {"application/json": array, LINES: lines}},
    }
