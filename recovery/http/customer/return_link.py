"""The way back to a checkout by this service, where clicks are counted.

A GET counts nothing, since scanners and previews follow links; the page that it gets posts to itself, and only the link
of the kept checkout is ever led to.
"""

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse

from recovery.domain.state import Message
from recovery.http.api.ingestion import Ingestion
from recovery.http.customer.feedback import Feedback
from recovery.http.customer.pages import EXPIRED, UNKNOWN, WAY_BACK, PageRoute, answer
from recovery.http.observer import HttpObserver
from recovery.mail.links import BACK as PATH


def way_back(ingestion: Ingestion, feedback: Feedback, observer: HttpObserver) -> APIRouter:
    """Return the endpoints of the link back. What is sealed in it is the key: they need no other."""
    router = APIRouter(route_class=PageRoute, include_in_schema=False)
    links = feedback.links

    async def target(shop: str, order_id: str, step: str) -> str | None:
        """Return where the link leads, or None if it leads there no more."""
        state = await ingestion.get(shop, order_id)
        if state is None or state.facts.checkout_url is None:
            return None
        # Until the send is recorded, moments later, there is no other time to go by.
        sent_at = state.messages.get(step, Message()).sent_at or state.touched_at
        if feedback.clock.now() >= sent_at + feedback.expire_after:
            return None
        return links.of_shop(shop).target(state.facts.checkout_url, step)

    @router.api_route(f"{PATH}{{token}}", methods=["GET", "HEAD", "POST"])
    async def lead(request: Request, token: str) -> Response:
        opened = links.default.opened_back(token)
        if opened is None:
            return answer(request, UNKNOWN)
        await request.body()
        step, checkout = opened
        shop, _, order_id = checkout.partition("/")
        url = await target(shop, order_id, step)
        if url is None or request.method != "POST":
            return answer(request, EXPIRED if url is None else WAY_BACK, shop)
        observer.clicked(shop, step)
        return RedirectResponse(url, 303, {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"})

    return router
