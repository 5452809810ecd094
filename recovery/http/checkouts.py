"""The endpoints that report checkouts and orders, and show what became of them."""

from collections.abc import Mapping
from typing import Any, TypeVar
from urllib.parse import quote

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import JSONResponse
from pydantic import AwareDatetime, BaseModel, ValidationError

from recovery.checkout import Checkout, CheckoutState, Facts, KeptConsent, Message, Order, Past, Status
from recovery.http.ingestion import Ingestion
from recovery.http.problems import Problem, answers, invalid_body
from recovery.http.security import Guard

Report = TypeVar("Report", Checkout, Order)

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
    """A report that is kept."""

    id: str


class CheckoutView(Facts):
    """A checkout as it is kept, and the decisions made about it, the oldest first."""

    id: str
    status: Status
    consent: KeptConsent | None
    opened_at: AwareDatetime
    touched_at: AwareDatetime
    ordered_at: AwareDatetime | None
    revision: int
    messages: Mapping[str, Message]
    sending_until: AwareDatetime | None
    next_at: AwareDatetime | None
    purge_at: AwareDatetime | None
    history: tuple[Past, ...]


def view(state: CheckoutState) -> CheckoutView:
    """Return what may be shown of a checkout: all but who is sending, and by which token."""
    kept = dict(state)
    facts, claim = kept.pop("facts"), kept.pop("claim")
    return CheckoutView(**dict(facts), **kept, sending_until=claim and claim.until)


def checkouts(ingestion: Ingestion, guard: Guard) -> APIRouter:
    """Return the endpoints of checkouts, for those whom `guard` lets in.

    Reports are answered with 202: the report itself is kept, and survives a crash, but the mails that follow from it
    are still to come; `Location` is where to watch them.
    """
    router = APIRouter(tags=["checkouts"], dependencies=[Depends(guard)])

    @router.post(
        "/checkout",
        status_code=202,
        response_model=Accepted,
        summary="Report a checkout",
        responses=answers(401, 413, 415, 422, 503),
        openapi_extra=_request_body(Checkout, CHECKOUT_EXAMPLE),
    )
    async def checkout(request: Request) -> Response:
        """Tell that somebody has put things in and may yet leave.

        Report it again whenever it changes: that moves the reminders that are still to come. The same report twice, or
        one that is older than what is known, changes nothing.
        """
        report = await _read(Checkout, request)
        await ingestion.checkout(report)
        return _accepted(report)

    @router.post(
        "/order",
        status_code=202,
        response_model=Accepted,
        summary="Report an order",
        responses=answers(401, 413, 415, 422, 503),
        openapi_extra=_request_body(Order, ORDER_EXAMPLE),
    )
    async def order(request: Request) -> Response:
        """Tell that a checkout was ordered: nobody is reminded of it any more, and the order is confirmed by mail.

        It may come before, during or after the report of its checkout. Facts left out are taken from the checkout.
        """
        report = await _read(Order, request)
        await ingestion.order(report)
        return _accepted(report)

    @router.get(
        "/checkouts/{shop}/{order_id:path}",
        summary="Show a checkout, its messages and the decisions made about it",
        responses=answers(401, 404, 503),
    )
    async def show(shop: str, order_id: str, response: Response) -> CheckoutView:
        """Show where a checkout stands: what is known, what was sent, what comes next, and why."""
        state = await ingestion.get(shop, order_id)
        if state is None:
            raise _unknown()
        response.headers["Cache-Control"] = "no-store"
        return view(state)

    @router.delete(
        "/checkouts/{shop}/{order_id:path}",
        status_code=204,
        summary="Cancel a checkout",
        responses=answers(401, 404, 503),
    )
    async def cancel(shop: str, order_id: str) -> None:
        """Never remind of this checkout again, whatever is reported of it. An order of it is still confirmed."""
        if not await ingestion.cancel(shop, order_id):
            raise _unknown()

    return router


async def _read(model: type[Report], request: Request) -> Report:
    """Read a report from the body.

    Not by FastAPI, which reads it before any guard is asked, and answers 400 or 422 by what exactly is wrong with the
    JSON.
    """
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    # Nothing else is taken for it: a web page can send a form to this machine unasked, but not this type.
    if media_type != "application/json":
        raise Problem(415, "Send JSON, with the header 'Content-Type: application/json'.")
    try:
        return model.model_validate_json(await request.body())
    except ValidationError as exc:
        raise invalid_body(exc) from None


def _request_body(model: type[BaseModel], example: Mapping[str, Any]) -> dict[str, Any]:
    content = {"schema": {"$ref": f"#/components/schemas/{model.__name__}"}, "example": example}
    return {"requestBody": {"required": True, "content": {"application/json": content}}}


def _accepted(report: Checkout | Order) -> Response:
    location = f"/checkouts/{quote(report.shop, safe='')}/{quote(report.order_id, safe='')}"
    return JSONResponse({"id": report.id}, status_code=202, headers={"Location": location})


def _unknown() -> Problem:
    return Problem(404, "There is no such checkout.")
