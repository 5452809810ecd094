"""The HTTP application: what is asked for all the time is answered here, and all else by FastAPI."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry
from starlette.types import ASGIApp, Receive, Scope, Send

from recovery.http.api.batches import Batches
from recovery.http.api.ingestion import Ingestion
from recovery.http.api.reports import Reports
from recovery.http.channels import ChannelCounts
from recovery.http.customer.feedback import Feedback
from recovery.http.health import HealthChecks, Readiness
from recovery.http.inbound.accesses import Accesses
from recovery.http.keys import ApiKey
from recovery.http.late import Late
from recovery.http.middleware import AnswerCount
from recovery.http.observer import HttpObserver
from recovery.http.security import Guard

if TYPE_CHECKING:
    from fastapi import APIRouter

    from recovery.http.inbound.key_sets import KeySets
    from recovery.shops.adapter import Adapter


LOADED_AFTER = 30.0
"""Seconds after the start until the endpoints that nobody has asked for are loaded: by then a start's rush is over."""


class Application:
    """Answers reports, batches and health checks itself, and passes other requests on to what `load` returns.

    That is FastAPI with all endpoints. To load it takes a quarter of a second or more: a start does not wait for that,
    but a request that needs it in the first `LOADED_AFTER` seconds.
    """

    def __init__(
        self, reports: Reports, batches: Batches, health_checks: HealthChecks, load: Callable[[], ASGIApp]
    ) -> None:
        self._reports = reports
        self._batches = batches
        self._health_checks = health_checks
        self._endpoints = Late(load)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if self._reports.takes(scope):
            await self._reports(scope, receive, send)
        elif self._batches.takes(scope):
            await self._batches(scope, receive, send)
        elif self._health_checks.takes(scope):
            await self._health_checks(scope, receive, send)
        else:
            endpoints = await self._endpoints.get()
            await endpoints(scope, receive, send)

    async def load_later(self, after: float = LOADED_AFTER) -> None:
        """Load the endpoints after so many seconds, so that no customer's click waits for that."""
        await asyncio.sleep(after)
        with suppress(Exception):  # the next request that needs them tells of it
            await self._endpoints.get()


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
    adapters: "Sequence[Adapter] | None" = None,
    key_sets: "KeySets | None" = None,
    paused: Callable[[], str | None] = lambda: None,
    console: "Callable[[Guard], APIRouter] | None" = None,
    max_body: int,
) -> Application:
    """Return the HTTP application that serves `ingestion` and `feedback`. A body has at most `max_body` bytes.

    `channels` counts what each shop reports, and `paused` returns what is paused, in words. `console` returns the pages
    for people, given what knows the keys: it is called when somebody first visits one. Without `adapters`, all are
    served. Without API keys, everyone on this machine may do everything; the settings refuse a public address then.
    Raises `ValueError` if a key is empty.
    """
    guard = Guard(api_keys, observer)
    count = AnswerCount(observer, channels)

    def load() -> ASGIApp:
        from recovery.http.endpoints import endpoints  # FastAPI

        pages = None if console is None else partial(console, guard)
        return endpoints(
            ingestion,
            feedback,
            guard,
            count,
            observer,
            webhooks=webhooks,
            adapters=adapters,
            key_sets=key_sets,
            console=pages,
            max_body=max_body,
        )

    return Application(
        Reports(ingestion, guard, count, max_body=max_body),
        Batches(ingestion, guard, count, max_body=max_body),
        HealthChecks(readiness, registry, paused),
        load,
    )
