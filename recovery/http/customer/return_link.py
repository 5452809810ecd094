"""Return link: leads from a mail back to the checkout by way of this service, which counts clicks.

A GET counts nothing, since scanners and previews follow links; its page posts to itself, and that is counted, and
recorded in the checkout. The only redirect target is the URL of the stored checkout (no open redirect).
"""

import asyncio
from contextlib import suppress

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse

from recovery.domain.checkout import shop_and_order
from recovery.domain.state import CheckoutState, Message
from recovery.errors import Unavailable
from recovery.http.api.ingestion import Ingestion
from recovery.http.customer.feedback import Feedback
from recovery.http.customer.pages import EXPIRED, RETURN, UNKNOWN, PageRoute, answer
from recovery.http.observer import HttpObserver
from recovery.mail.links import BACK as PATH

RECORDED_WITHIN = 1.0
"""Seconds that a customer waits for the record that they came back."""


def return_link(ingestion: Ingestion, feedback: Feedback, observer: HttpObserver) -> APIRouter:
    """Return the endpoints of the return link. Its sealed token authenticates it: they need no key."""
    router = APIRouter(route_class=PageRoute, include_in_schema=False)
    links = feedback.links

    def target(shop: str, state: CheckoutState | None, step: str) -> str | None:
        """Return the URL of the checkout, or None if the link has expired."""
        if state is None or state.facts.checkout_url is None:
            return None
        # `sent_at` is recorded moments after the send; until then, go by `touched_at`.
        sent_at = state.messages.get(step, Message()).sent_at or state.touched_at
        if feedback.clock.now() >= sent_at + feedback.expire_after:
            return None
        return links.of_shop(shop).target(state.facts.checkout_url, step)

    async def record(checkout: str, step: str) -> None:
        """Record that the customer came back: they are led on even if that fails."""
        if feedback.returns is not None:
            with suppress(Unavailable, TimeoutError):
                async with asyncio.timeout(RECORDED_WITHIN):
                    await feedback.returns.record(checkout, step)

    @router.api_route(f"{PATH}{{token}}", methods=["GET", "HEAD", "POST"])
    async def lead(request: Request, token: str) -> Response:
        opened = links.default.opened_back(token)
        if opened is None:
            return answer(request, UNKNOWN)
        await request.body()
        step, checkout = opened
        shop, order_id = shop_and_order(checkout)
        state = await ingestion.get(shop, order_id)
        url = target(shop, state, step)
        if state is None or url is None or request.method != "POST":
            return answer(request, EXPIRED if url is None else RETURN, shop)
        await record(state.id, step)
        observer.clicked(shop, step)
        return RedirectResponse(url, 303, {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"})

    return router
