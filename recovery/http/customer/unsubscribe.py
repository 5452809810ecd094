"""The page behind the unsubscribe link of a mail, and what mailbox providers post to it (RFC 8058).

A GET changes nothing, since scanners and previews follow links. Mails are passed on, and last: whoever has one could
take back for ever what its reader wanted, so that it can be taken back for a while only.
"""

from datetime import timedelta

from fastapi import APIRouter, Request, Response

from recovery.domain.suppression import SuppressionReason
from recovery.http.customer.feedback import Feedback
from recovery.http.customer.pages import TOO_LATE, UNKNOWN, UNSUBSCRIBE, PageRoute, answer, done, undone
from recovery.http.observer import HttpObserver
from recovery.mail.links import UNSUBSCRIBE as PATH

TAKEN_BACK_WITHIN = timedelta(hours=1)
"""The pages say so too, in words."""


def unsubscribe(feedback: Feedback, observer: HttpObserver) -> APIRouter:
    """Return the endpoints of the unsubscribe link. What is sealed in it is the key: they need no other."""
    router = APIRouter(route_class=PageRoute, include_in_schema=False)
    links, suppressions = feedback.links.default, feedback.suppressions

    @router.api_route(f"{PATH}{{token}}", methods=["GET", "HEAD"])
    async def ask(request: Request, token: str) -> Response:
        opened = links.opened_unsubscribe(token)
        return answer(request, UNSUBSCRIBE, opened[0]) if opened else answer(request, UNKNOWN)

    @router.post(f"{PATH}{{token}}")
    async def take(request: Request, token: str) -> Response:
        opened = links.opened_unsubscribe(token)
        if opened is None:
            return answer(request, UNKNOWN)
        # Whatever form the body has, it asks for nothing else; it is read so that one without end is refused.
        body = await request.body()
        shop, email = opened
        by = "one-click" if b"One-Click" in body else "link"
        if await suppressions.add(email, SuppressionReason.UNSUBSCRIBED, shop=shop, source=by):
            observer.unsubscribed(shop, by)
        return answer(request, done(token), shop)

    @router.post(f"{PATH}{{token}}/undo")
    async def take_back(request: Request, token: str) -> Response:
        opened = links.opened_unsubscribe(token)
        if opened is None:
            return answer(request, UNKNOWN)
        await request.body()
        shop, email = opened
        # Only what the link itself has done: a complaint or a dead address is not lifted by it.
        since = feedback.clock.now() - TAKEN_BACK_WITHIN
        lifted = await suppressions.remove(email, shop=shop, reason=SuppressionReason.UNSUBSCRIBED, since=since)
        return answer(request, undone(token) if lifted else TOO_LATE, shop)

    return router
