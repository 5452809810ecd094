"""The endpoints that show what became of checkouts, and cancel them."""

from collections.abc import Mapping
from typing import Annotated

import structlog
from fastapi import APIRouter, Response
from pydantic import AwareDatetime

from recovery.domain.checkout import Facts
from recovery.domain.masking import masked
from recovery.domain.state import CheckoutState, KeptConsent, Message, Past, Status
from recovery.http.api.ingestion import Ingestion
from recovery.http.keys import Caller, Scope
from recovery.http.problems import Problem, ProblemType, answers
from recovery.http.security import Guard

_log = structlog.get_logger()


class CheckoutView(Facts):
    """A checkout as it is kept, and the decisions made about it, the oldest first."""

    id: str
    status: Status
    confirm: bool
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
    """Return the endpoints of checkouts that are known, for those whom `guard` lets in."""
    router = APIRouter(tags=["checkouts"])

    @router.get(
        "/checkouts/{shop}/{order_id:path}",
        operation_id="getCheckout",
        summary="Show a checkout, its messages and the decisions made about it",
        responses=answers(401, 403, 404, 503),
    )
    async def show(
        shop: str, order_id: str, response: Response, caller: Annotated[Caller, guard.needs(Scope.READ)]
    ) -> CheckoutView:
        """Show where a checkout stands: what is known, what was sent, what comes next, and why."""
        caller.needs_shop(shop)
        state = await ingestion.get(shop, order_id)
        if state is None:
            raise _unknown()
        response.headers["Cache-Control"] = "no-store"
        return view(state)

    @router.delete(
        "/checkouts/{shop}/{order_id:path}",
        status_code=204,
        operation_id="cancelCheckout",
        summary="Cancel a checkout",
        responses=answers(401, 403, 404, 503),
    )
    async def cancel(shop: str, order_id: str, caller: Annotated[Caller, guard.needs(Scope.OPERATE)]) -> None:
        """Never remind of this checkout again, whatever is reported of it. An order of it is still confirmed."""
        caller.needs_shop(shop)
        if not await ingestion.cancel(shop, order_id):
            raise _unknown()
        _log.info("a checkout was cancelled", key=caller.name, shop=shop, order_id=masked(order_id))

    return router


def _unknown() -> Problem:
    return Problem(404, "There is no such checkout.", kind=ProblemType.NO_CHECKOUT)
