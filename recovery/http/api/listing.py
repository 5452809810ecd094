"""The endpoint that lists checkouts, a page at a time."""

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from recovery.domain.fields import Email, Instant, ShopKey
from recovery.domain.state import MessageState, Status
from recovery.http.api.checkouts import ListedCheckout, listed
from recovery.http.api.ingestion import Ingestion
from recovery.http.keys import Caller, Scope
from recovery.http.problems import FieldError, Problem, ProblemType, answers
from recovery.http.security import Guard
from recovery.mongo.listing import MOST, MOST_SHOPS, USUAL, BadFilter


class Asked(BaseModel):
    """The filters and the page that a caller asks for. One that is not known is refused, and not passed over."""

    model_config = ConfigDict(extra="forbid")

    shop: list[ShopKey] = Field([], max_length=MOST_SHOPS, description="Of this shop; give it again for another one.")
    status: Status | None = Field(None, description="In this status.")
    step: str | None = Field(
        None, description="Whose message of this step, or `confirmation`, is in the `state`.", examples=["reminder-1"]
    )
    state: MessageState | None = Field(
        None, description="The state of the message of the `step`. Without `email`: `sent`, `skipped` or `dead`."
    )
    reason: str | None = Field(
        None,
        max_length=500,
        description="The reason of that state, as the message has it.",
        examples=["too late to be of use"],
    )
    since: Instant | None = Field(None, description="Opened at this time, or later.", examples=["2026-03-01T00:00:00Z"])
    until: Instant | None = Field(None, description="Opened before this time.", examples=["2026-03-02T00:00:00Z"])
    email: Email | None = Field(None, description="Of the customer with this address.", examples=["ada@example.com"])
    limit: int = Field(USUAL, ge=1, le=MOST, description="At most so many.")
    after: str | None = Field(None, max_length=1000, description="Those that follow the page with this `next`.")


class CheckoutPage(BaseModel):
    """One page of a list of checkouts, the newest first."""

    checkouts: Sequence[ListedCheckout]
    unreadable: Sequence[str] = Field(
        description="The ids of checkouts that this version cannot read: damaged ones, and those of a newer version"
    )
    next: str | None = Field(description="The `after` of the next page; null if this is the last one")


def listing(ingestion: Ingestion, guard: Guard) -> APIRouter:
    """Return the endpoint. `guard` authenticates its callers."""
    router = APIRouter(tags=["checkouts"])

    @router.get(
        "/checkouts",
        operation_id="listCheckouts",
        summary="List checkouts, the newest first",
        responses=answers(401, 403, 422, 503),
    )
    async def list_(
        asked: Annotated[Asked, Query()], response: Response, caller: Annotated[Caller, guard.needs(Scope.READ)]
    ) -> CheckoutPage:
        """List the checkouts that match all filters, by the time at which they were opened, the newest first.

        Give `shop` or `email`; a key for some shops sees those alone. A list by `shop` may be narrowed by `status`, or
        by `step` and `state`, and `reason`. A list by `email` may be narrowed by everything. Pass on `next` as `after`
        for the next page, with the same filters: checkouts that match all the while come exactly once, whatever is
        reported and sent meanwhile.
        """
        for shop in asked.shop:
            caller.needs_shop(shop)
        response.headers["Cache-Control"] = "no-store"
        filters = asked.model_dump() | {"shop": asked.shop or sorted(caller.shops)}
        try:
            page = await ingestion.list(**filters)
        except BadFilter as exc:
            raise _refused(exc) from None
        return CheckoutPage(checkouts=[*map(listed, page.checkouts)], unreadable=page.unreadable, next=page.next)

    return router


def _refused(exc: BadFilter) -> Problem:
    kind = ProblemType.NO_INDEX if exc.missing else ProblemType.INVALID
    error = FieldError(field=f"query.{exc.field}", message=exc.message)
    return Problem(422, f"query.{exc.field}: {exc.message}", kind=kind, errors=[error])
