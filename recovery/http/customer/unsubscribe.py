"""Unsubscribe link: the page for people, and the one-click POST of mailbox providers (RFC 8058).

A GET changes nothing, since scanners and previews follow links. The undo is limited in time: mails are forwarded and
kept, and anyone who has one could undo the unsubscription of its recipient.
"""

from datetime import timedelta

from fastapi import APIRouter, Request, Response
from prometheus_client import CollectorRegistry, Counter

from recovery.domain.suppression import SuppressionReason
from recovery.http.customer.feedback import Feedback
from recovery.http.customer.pages import TOO_LATE, UNKNOWN, UNSUBSCRIBE, PageRoute, answer, done, undone
from recovery.mail.links import UNSUBSCRIBE as PATH

UNDO_WITHIN = timedelta(hours=1)
"""The texts of the pages state this too."""


def unsubscribe(feedback: Feedback, registry: CollectorRegistry) -> APIRouter:
    """Return the endpoints of the unsubscribe link. Its sealed token authenticates it: they need no key."""
    router = APIRouter(route_class=PageRoute, include_in_schema=False)
    links, suppressions = feedback.links.default, feedback.suppressions
    counter = Counter(
        "recovery_unsubscriptions_total",
        "Unsubscriptions, by link or by one click at the mailbox provider (RFC 8058)",
        ["shop", "by"],
        registry=registry,
    )

    @router.api_route(f"{PATH}{{token}}", methods=["GET", "HEAD"])
    async def ask(request: Request, token: str) -> Response:
        opened = links.opened_unsubscribe(token)
        return answer(request, UNSUBSCRIBE, opened[0]) if opened else answer(request, UNKNOWN)

    @router.post(f"{PATH}{{token}}")
    async def take(request: Request, token: str) -> Response:
        opened = links.opened_unsubscribe(token)
        if opened is None:
            return answer(request, UNKNOWN)
        # Any body is accepted; it is read so that the body limit applies.
        body = await request.body()
        shop, email = opened
        by = "one-click" if b"One-Click" in body else "link"
        if await suppressions.add(email, SuppressionReason.UNSUBSCRIBED, shop=shop, source=by):
            counter.labels(shop, by).inc()
        return answer(request, done(token), shop)

    @router.post(f"{PATH}{{token}}/undo")
    async def take_back(request: Request, token: str) -> Response:
        opened = links.opened_unsubscribe(token)
        if opened is None:
            return answer(request, UNKNOWN)
        await request.body()
        shop, email = opened
        # Only suppressions by this link are removed: a complaint or a hard bounce stays.
        since = feedback.clock.now() - UNDO_WITHIN
        lifted = await suppressions.remove(email, shop=shop, reason=SuppressionReason.UNSUBSCRIBED, since=since)
        return answer(request, undone(token) if lifted else TOO_LATE, shop)

    return router
