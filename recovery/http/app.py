"""The HTTP application: routers, middleware and the OpenAPI description, put together."""

from collections.abc import Callable, Sequence
from datetime import timedelta
from functools import partial
from importlib.metadata import version
from typing import Any

from fastapi import APIRouter, FastAPI
from prometheus_client import CollectorRegistry
from pydantic.json_schema import models_json_schema
from starlette.types import ASGIApp, Receive, Scope, Send

from recovery.domain.checkout import Checkout, Order
from recovery.domain.per_shop import PerShop
from recovery.domain.pseudonyms import Pseudonyms
from recovery.http.api.batches import Batches, NotStored, Stored, batch_docs
from recovery.http.api.checkouts import checkouts
from recovery.http.api.data_requests import data_requests
from recovery.http.api.description import completed
from recovery.http.api.ingestion import Ingestion
from recovery.http.api.listing import listing
from recovery.http.api.reference import reference
from recovery.http.api.reports import Reports, report_docs
from recovery.http.channels import ChannelCounts
from recovery.http.console import ConsoleRoute
from recovery.http.customer.feedback import Feedback
from recovery.http.customer.return_link import return_link
from recovery.http.customer.unsubscribe import unsubscribe
from recovery.http.health import Readiness, health
from recovery.http.inbound.bounces import PATH as BOUNCES
from recovery.http.inbound.bounces import BounceEvent, bounces
from recovery.http.inbound.key_sets import KeySets
from recovery.http.inbound.provider_events import LONGEST as LONGEST_EVENTS
from recovery.http.inbound.provider_events import PREFIX as PROVIDERS
from recovery.http.inbound.shop_webhooks import Accesses, adapter_in, shop_webhooks
from recovery.http.keys import ApiKey
from recovery.http.middleware import AnswerCount, BodyLimit, EveryRequest, ReportCount
from recovery.http.observer import HttpObserver
from recovery.http.problems import ProblemDetails, add_problem_handlers
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


class _Application(FastAPI):
    reports: Reports
    batches: Batches

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request; reports without FastAPI."""
        if Reports.takes(scope):
            await self.reports(scope, receive, send)
        elif Batches.takes(scope):
            await self.batches(scope, receive, send)
        else:
            await super().__call__(scope, receive, send)

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


def create_app(
    ingestion: Ingestion,
    feedback: Feedback,
    *,
    api_keys: Sequence[ApiKey],
    readiness: Readiness,
    registry: CollectorRegistry,
    observer: HttpObserver,
    channels: ChannelCounts | None = None,
    webhooks: Accesses | None = None,
    adapters: Sequence[Adapter] = ADAPTERS,
    key_sets: KeySets | None = None,
    paused: Callable[[], str | None] = lambda: None,
    console: Callable[[Guard], APIRouter] | None = None,
    max_body: int,
) -> FastAPI:
    """Return the HTTP application that serves `ingestion` and `feedback`. A body has at most `max_body` bytes.

    `channels` counts what each shop reports, and `paused` returns what is paused, in words. `console` returns the pages
    for people, given what knows the keys: it is called when somebody first visits one. Without API keys, everyone on
    this machine may do everything; the settings refuse a public address then. Raises `ValueError` if a key is empty.
    """
    app = _Application(
        title="Recovery",
        version=version("recovery"),
        summary="Report checkouts and orders; Recovery reminds people of what they left, until they order.",
        servers=SERVERS,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    add_problem_handlers(app)
    guard = Guard(api_keys, observer)
    for router in (report_docs(guard), batch_docs(guard)):
        app.include_router(router)
    for endpoints in (listing, checkouts, data_requests):
        app.include_router(endpoints(ingestion, guard))
    app.include_router(
        shop_webhooks(ingestion, webhooks or PerShop({}), adapters, feedback.clock, key_sets or KeySets())
    )
    app.include_router(bounces(feedback, observer))
    app.include_router(unsubscribe(feedback, observer))
    app.include_router(return_link(ingestion, feedback, observer))
    app.include_router(health(readiness, registry, paused))
    app.include_router(reference())
    if console is not None:
        app.router.routes.append(ConsoleRoute(partial(console, guard)))
    count = AnswerCount(observer, channels)
    app.reports = Reports(ingestion, guard, count, max_body=max_body)
    app.batches = Batches(ingestion, guard, count, max_body=max_body)

    def kind_of(path: str) -> str | None:
        return "bounce" if path == BOUNCES or path.startswith(PROVIDERS) else adapter_in(path, adapters)

    def limit_of(path: str) -> int:
        if adapter_in(path, adapters):
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
    app = create_app(
        nothing,
        feedback,
        api_keys=(),
        readiness=nothing,
        registry=CollectorRegistry(),
        observer=nothing,
        max_body=0,
    )
    return app.openapi()
