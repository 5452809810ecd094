"""The endpoints that FastAPI serves: routers, middleware and the OpenAPI description, put together."""

from collections.abc import Callable, Sequence
from datetime import timedelta
from importlib.metadata import version
from typing import Any

from fastapi import APIRouter, FastAPI
from pydantic.json_schema import models_json_schema
from starlette.types import ASGIApp

from recovery.domain.checkout import Checkout, Order
from recovery.domain.per_shop import PerShop
from recovery.domain.pseudonyms import Pseudonyms
from recovery.http.api.batch_docs import NotStored, Stored, batch_docs
from recovery.http.api.checkouts import checkouts
from recovery.http.api.data_requests import data_requests
from recovery.http.api.description import completed
from recovery.http.api.ingestion import Ingestion
from recovery.http.api.listing import listing
from recovery.http.api.reference import reference
from recovery.http.api.report_docs import report_docs
from recovery.http.console import ConsoleRoute
from recovery.http.customer.feedback import Feedback
from recovery.http.customer.return_link import return_link
from recovery.http.customer.unsubscribe import unsubscribe
from recovery.http.health_docs import health_docs
from recovery.http.inbound.accesses import Accesses
from recovery.http.inbound.bounces import PATH as BOUNCES
from recovery.http.inbound.bounces import BounceEvent, bounces
from recovery.http.inbound.key_sets import KeySets
from recovery.http.inbound.provider_events import LONGEST as LONGEST_EVENTS
from recovery.http.inbound.provider_events import PREFIX as PROVIDERS
from recovery.http.inbound.shop_webhooks import adapter_in, shop_webhooks
from recovery.http.middleware import AnswerCount, BodyLimit, EveryRequest, ReportCount
from recovery.http.observer import HttpObserver
from recovery.http.problem_handlers import add_problem_handlers
from recovery.http.problems import ProblemDetails
from recovery.http.security import Guard
from recovery.mail.links import Links
from recovery.mail.seals import Seals
from recovery.shops import ADAPTERS
from recovery.shops.adapter import Adapter

LONGEST_WEBHOOK = 8 * 1024 * 1024
"""Bytes of a webhook. A shop cannot send less: each order line has its taxes and discounts, some kilobytes of JSON."""

SERVERS = [
    {"url": "/", "description": "The server of this description"},
    {"url": "http://127.0.0.1:8080", "description": "This machine, with default settings"},
]


class _Endpoints(FastAPI):
    def build_middleware_stack(self) -> ASGIApp:
        """Wrap the whole stack in `EveryRequest`, so that it also covers the responses to internal errors."""
        return EveryRequest(super().build_middleware_stack())

    def openapi(self) -> dict[str, Any]:
        """Return the OpenAPI description, with schemas that FastAPI does not see: bodies read by hand, and problems."""
        description = super().openapi()
        _, schema = models_json_schema(
            [(model, "validation") for model in (Checkout, Order, Stored, NotStored, BounceEvent, ProblemDetails)],
            ref_template="#/components/schemas/{model}",
        )
        description["components"]["schemas"].update(schema["$defs"])
        return completed(description)


def endpoints(
    ingestion: Ingestion,
    feedback: Feedback,
    guard: Guard,
    count: AnswerCount,
    observer: HttpObserver,
    *,
    webhooks: Accesses | None = None,
    adapters: Sequence[Adapter] | None = None,
    key_sets: KeySets | None = None,
    console: Callable[[], APIRouter] | None = None,
    max_body: int,
) -> FastAPI:
    """Return the endpoints, with what `recovery.http.app.create_app` is given. `count` notes the answers to reports."""
    app = _Endpoints(
        title="Recovery",
        version=version("recovery"),
        summary="Report checkouts and orders; Recovery reminds people of what they left, until they order.",
        servers=SERVERS,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    add_problem_handlers(app)
    served = ADAPTERS if adapters is None else adapters
    for router in (report_docs(guard), batch_docs(guard)):
        app.include_router(router)
    for each in (listing, checkouts, data_requests):
        app.include_router(each(ingestion, guard))
    app.include_router(shop_webhooks(ingestion, webhooks or PerShop({}), served, feedback.clock, key_sets or KeySets()))
    app.include_router(bounces(feedback, observer))
    app.include_router(unsubscribe(feedback, observer))
    app.include_router(return_link(ingestion, feedback, observer))
    app.include_router(health_docs())
    app.include_router(reference())
    if console is not None:
        app.router.routes.append(ConsoleRoute(console))

    def kind_of(path: str) -> str | None:
        return "bounce" if path == BOUNCES or path.startswith(PROVIDERS) else adapter_in(path, served)

    def limit_of(path: str) -> int:
        if adapter_in(path, served):
            return max(max_body, LONGEST_WEBHOOK)
        return max(max_body, LONGEST_EVENTS) if path.startswith(PROVIDERS) else max_body

    app.add_middleware(ReportCount, count=count, kind_of=kind_of)
    app.add_middleware(BodyLimit, limit_of=limit_of)
    return app


def description() -> dict[str, Any]:
    """Return the OpenAPI description. It does not depend on the settings."""
    nothing: Any = None
    pseudonyms = Pseudonyms([])
    feedback = Feedback(PerShop(Links(Seals([]), pseudonyms)), nothing, pseudonyms, nothing, timedelta())
    return endpoints(nothing, feedback, Guard(()), AnswerCount(nothing), nothing, max_body=0).openapi()
