"""The HTTP application, composed."""

from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

from fastapi import FastAPI
from prometheus_client import CollectorRegistry, Counter
from pydantic.json_schema import models_json_schema

from recovery.checkout import Checkout, Order
from recovery.http.bounces import BounceEvent, bounces
from recovery.http.checkouts import checkouts
from recovery.http.feedback import Feedback
from recovery.http.ingestion import Ingestion
from recovery.http.middleware import BodyLimit, ReportCount
from recovery.http.operation import Readiness, operation
from recovery.http.persons import persons
from recovery.http.problems import ProblemDetails, tell_problems
from recovery.http.reports import Reports, described
from recovery.http.security import dependencies, guard
from recovery.http.unsubscribe import unsubscribe
from recovery.http.way_back import way_back
from recovery.http.webhooks import ShopifyShop, webhooks
from recovery.per_shop import PerShop

LONGEST_BODY = 256 * 1024
"""In bytes. Two hundred items with long names are about 100 KiB; so is what Shopify sends of a very large order."""

LONGEST_WEBHOOK = 8 * 1024 * 1024
"""Bytes. A shop cannot send less: each line of an order comes with its taxes and discounts, some kilobytes of JSON."""

_WEBHOOKS = ("/webhooks/shopify",)
_KINDS = {"/checkout": "checkout", "/order": "order", "/webhooks/shopify": "shopify", "/bounces": "bounce"}


class _Described(FastAPI):
    def openapi(self) -> dict[str, Any]:
        """Describe also what FastAPI does not see: the bodies that are read by hand, and the problems."""
        description = super().openapi()
        _, schema = models_json_schema(
            [(model, "validation") for model in (Checkout, Order, BounceEvent, ProblemDetails)],
            ref_template="#/components/schemas/{model}",
        )
        description["components"]["schemas"].update(schema["$defs"])
        return description


def create_app(
    ingestion: Ingestion,
    feedback: Feedback,
    *,
    api_keys: Sequence[str],
    shopify: PerShop[ShopifyShop],
    readiness: Readiness,
    registry: CollectorRegistry,
    max_body: int = LONGEST_BODY,
) -> FastAPI:
    """Return the HTTP side of `ingestion`, and of `feedback` from those who were written to.

    Without API keys whoever is on this machine may report and read; `recovery.http.security.refusal` tells where that
    must not be served at all. `/docs` is FastAPI's own page, which loads its scripts from a public CDN; the
    description itself is `/openapi.json`. Raises `ValueError` if a key is empty.
    """
    app = _Described(
        title="Recovery",
        version=version("recovery"),
        summary="Report checkouts and orders; Recovery reminds people of what they left, until they order.",
        redoc_url=None,
        redirect_slashes=False,
    )
    tell_problems(app)
    check = guard(api_keys)
    for router in (described(), checkouts(ingestion), persons(ingestion)):
        app.include_router(router, dependencies=dependencies(check, api_keys))
    app.include_router(webhooks(ingestion, shopify))
    app.include_router(bounces(feedback, registry))
    app.include_router(unsubscribe(feedback, registry))
    app.include_router(way_back(ingestion, feedback, registry))
    app.include_router(operation(readiness, registry))
    reports = Counter(
        "recovery_reports_total",
        "Reports over HTTP, by kind and answer: accepted, ignored, unmapped, or the status of the problem",
        ["kind", "answer"],
        registry=registry,
    )
    app.add_middleware(Reports, ingestion=ingestion, guard=check)
    app.add_middleware(ReportCount, counter=reports, kinds=_KINDS)
    app.add_middleware(BodyLimit, limit=max_body, of_paths=dict.fromkeys(_WEBHOOKS, LONGEST_WEBHOOK))
    return app
