"""The endpoints that show what became of checkouts, and cancel them."""

from collections.abc import Mapping

from fastapi import APIRouter, Response
from pydantic import AwareDatetime

from recovery.checkout import CheckoutState, Facts, KeptConsent, Message, Past, Status
from recovery.http.ingestion import Ingestion
from recovery.http.problems import Problem, answers


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


def checkouts(ingestion: Ingestion) -> APIRouter:
    """Return the endpoints of checkouts that are known."""
    router = APIRouter(tags=["checkouts"])

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


def _unknown() -> Problem:
    return Problem(404, "There is no such checkout.")
