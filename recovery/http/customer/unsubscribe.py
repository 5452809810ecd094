"""Unsubscribe link: the page for people, and the one-click POST of mailbox providers (RFC 8058).

A GET changes nothing, since scanners and previews follow links. The undo is limited in time: mails are forwarded and
kept, and anyone who has one could undo the unsubscription of its recipient.
"""

from datetime import timedelta

from fastapi import APIRouter, Request, Response

from recovery.domain.suppression import SuppressionReason
from recovery.http.customer.feedback import Feedback
from recovery.http.customer.pages import TOO_LATE, UNKNOWN, UNSUBSCRIBE, Page, answer, done, page_route, undone
from recovery.http.observer import HttpObserver
from recovery.mail.links import UNSUBSCRIBE as PATH

UNDO_WITHIN = timedelta(hours=1)
"""The texts of the pages state this too."""


def unsubscribe(feedback: Feedback, observer: HttpObserver) -> APIRouter:
    """Return the endpoints of the unsubscribe link. Its sealed token authenticates it: they need no key."""
    router = APIRouter(route_class=page_route(feedback.pages), include_in_schema=False)
    links, suppressions = feedback.links.default, feedback.suppressions

    def told(request: Request, page: Page, shop: str, token: str) -> Response:
        return answer(request, page, feedback.pages, shop, links.language_of(token))

    def unknown(request: Request) -> Response:
        return answer(request, UNKNOWN, feedback.pages)

    @router.api_route(f"{PATH}{{token}}", methods=["GET", "HEAD"])
    async def ask(request: Request, token: str) -> Response:
        opened = links.opened_unsubscribe(token)
        return told(request, UNSUBSCRIBE, opened[0], token) if opened else unknown(request)

    @router.post(f"{PATH}{{token}}")
    async def take(request: Request, token: str) -> Response:
        opened = links.opened_unsubscribe(token)
        if opened is None:
            return unknown(request)
        # Any body is accepted; it is read so that the body limit applies.
        body = await request.body()
        shop, email = opened
        by = "one-click" if b"One-Click" in body else "link"
        if await suppressions.add(email, SuppressionReason.UNSUBSCRIBED, shop=shop, source=by):
            observer.unsubscribed(shop, by)
        return told(request, done(token), shop, token)

    @router.post(f"{PATH}{{token}}/undo")
    async def take_back(request: Request, token: str) -> Response:
        opened = links.opened_unsubscribe(token)
        if opened is None:
            return unknown(request)
        await request.body()
        shop, email = opened
        # Only suppressions by this link are removed: a complaint or a hard bounce stays.
        since = feedback.clock.now() - UNDO_WITHIN
        lifted = await suppressions.remove(email, shop=shop, reason=SuppressionReason.UNSUBSCRIBED, since=since)
        return told(request, undone(token) if lifted else TOO_LATE, shop, token)

    return router
