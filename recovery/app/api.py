"""The HTTP application of a daemon, put together from its parts."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry

from recovery.app.factories import api_keys_of, feedback_of, recovery_of, webhooks_of
from recovery.daemon.metrics import Telemetry
from recovery.daemon.readiness import Readiness
from recovery.domain.per_shop import PerShop
from recovery.engine.pauses import KnownPauses
from recovery.http.app import Application, create_app
from recovery.http.channels import ChannelCounts
from recovery.http.security import Guard
from recovery.mail.templates.pages import Pages
from recovery.mongo.clock import MongoClock
from recovery.mongo.collections import Database
from recovery.settings import Settings

if TYPE_CHECKING:
    from fastapi import APIRouter


def api_of(
    settings: Settings,
    database: Database,
    clock: MongoClock,
    pages: PerShop[Pages],
    readiness: Readiness,
    registry: CollectorRegistry,
    telemetry: Telemetry,
    channels: ChannelCounts,
    pauses: KnownPauses,
    console: "Callable[[Guard], APIRouter] | None",
) -> Application:
    """Return the HTTP application. Raises `CannotStart` if the settings of webhooks are wrong."""

    async def faults() -> Mapping[str, str | None]:
        return readiness.faults()

    return create_app(
        recovery_of(settings, database.client),
        feedback_of(settings, database, clock, pages),
        api_keys=api_keys_of(settings),
        webhooks=webhooks_of(settings),
        observer=telemetry,
        channels=channels,
        readiness=faults,
        registry=registry,
        paused=lambda: pauses.in_words,
        console=console,
        max_body=settings.http.max_body,
    )
