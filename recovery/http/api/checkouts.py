"""Endpoints that show and cancel checkouts."""

from collections.abc import Mapping
from typing import Annotated, Any

import structlog
from fastapi import APIRouter, Query, Response
from pydantic import AwareDatetime

from recovery.domain.checkout import Facts
from recovery.domain.fields import Instant
from recovery.domain.masking import masked
from recovery.domain.state import CheckoutState, KeptConsent, Message, Past, Pause, Status
from recovery.http.api.ingestion import Ingestion
from recovery.http.keys import Caller, Scope
from recovery.http.problems import Problem, ProblemType, answers
from recovery.http.security import Guard

_PAUSE_AT = "The time at which the customer emptied it. In an address a + is written %2B; Z needs nothing."

_log = structlog.get_logger()


class ListedCheckout(Facts):
    """A checkout as it is stored, without its history."""

    id: str
    status: Status
    confirm: bool
    consent: KeptConsent | None
    opened_at: AwareDatetime
    touched_at: AwareDatetime
    active_at: AwareDatetime | None
    paused: Pause | None
    ordered_at: AwareDatetime | None
    revision: int
    messages: Mapping[str, Message]
    sending_until: AwareDatetime | None
    next_at: AwareDatetime | None
    purge_at: AwareDatetime | None
    returned: Mapping[str, AwareDatetime]
    experiments: Mapping[str, str]


class CheckoutView(ListedCheckout):
    """A checkout as it is stored, with the history of decisions about it, the oldest first."""

    history: tuple[Past, ...]


def view(state: CheckoutState) -> CheckoutView:
    """Return the public view of a checkout: all but the claim, of which only the end of its lease is shown."""
    return CheckoutView(**_public(state))


def listed(state: CheckoutState) -> ListedCheckout:
    """Return the public view of a checkout in a list."""
    known = _public(state)
    del known["history"]
    return ListedCheckout(**known)


def _public(state: CheckoutState) -> dict[str, Any]:
    kept = dict(state)
    facts, claim = kept.pop("facts"), kept.pop("claim")
    return {**dict(facts), **kept, "sending_until": claim and claim.until}


def checkouts(ingestion: Ingestion, guard: Guard) -> APIRouter:
    """Return the endpoints of known checkouts. `guard` authenticates their callers."""
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
        """Show the state of a checkout: its facts, messages sent, the next step, and the reason for each decision."""
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
        responses=answers(401, 403, 404, 422, 503),
    )
    async def cancel(
        shop: str,
        order_id: str,
        caller: Annotated[Caller, guard.needs(Scope.OPERATE)],
        pause_at: Annotated[Instant | None, Query(description=_PAUSE_AT)] = None,
    ) -> None:
        """Cancel all reminders of this checkout, whatever is reported later. An order of it is still confirmed.

        With `pause_at` it is only paused: a report of later activity ends that.
        """
        caller.needs_shop(shop)
        if pause_at is not None:
            if not await ingestion.pause(shop, [order_id], reason="its customer has emptied it", at=pause_at):
                raise _unknown()
            return
        if not await ingestion.cancel(shop, order_id):
            raise _unknown()
        _log.info("checkout cancelled", key=caller.name, shop=shop, order_id=masked(order_id))

    return router


def _unknown() -> Problem:
    return Problem(404, "Unknown checkout: it was never reported, or is already deleted.", kind=ProblemType.NO_CHECKOUT)
