"""Endpoints for operators: liveness, readiness and metrics."""

from collections.abc import Awaitable, Callable, Mapping

from fastapi import APIRouter, Request, Response
from fastapi.responses import PlainTextResponse
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from pydantic import BaseModel

from recovery.domain.masking import masked

Readiness = Callable[[], Awaitable[Mapping[str, str | None]]]
"""Runs all checks; returns the error of each by its name, or None if it passes."""


class Health(BaseModel):
    """Liveness: the process answers."""

    alive: bool = True


class Ready(BaseModel):
    """Readiness: true if all checks pass, and the error of each check by its name (null if it passes).

    `paused` says that an operator has paused sending, which is no error; null if nothing is paused.
    """

    ready: bool
    checks: dict[str, str | None]
    paused: str | None = None


def health(readiness: Readiness, registry: CollectorRegistry, paused: Callable[[], str | None]) -> APIRouter:
    """Return the endpoints for operators. They need no key, and show no customer data, nor the names of shops.

    `paused` returns what is paused, in words, or None.
    """
    router = APIRouter(tags=["operation"])

    @router.get("/healthz", operation_id="getHealth", summary="Liveness")
    async def healthz() -> Health:
        """Answer 200, without any checks: an unavailable database is no reason to restart this process."""
        return Health()

    @router.get(
        "/readyz",
        operation_id="getReadiness",
        summary="Readiness",
        responses={503: {"model": Ready, "description": "A check fails"}},
    )
    async def readyz(response: Response) -> Ready:
        """Run all checks, and show the result of each."""
        checks = {name: fault and masked(fault) for name, fault in (await readiness()).items()}
        ready = not any(checks.values())
        response.status_code = 200 if ready else 503
        return Ready(ready=ready, checks=checks, paused=paused())

    @router.get(
        "/metrics", operation_id="getMetrics", summary="Metrics for Prometheus", response_class=PlainTextResponse
    )
    async def metrics(request: Request) -> Response:
        """Show all metrics in the Prometheus text format."""
        try:
            encode, content_type = choose_encoder(request.headers.get("accept", ""))
        except Exception:  # noqa: BLE001 - its parser fails on some Accept headers; RFC 9110 allows ignoring them
            encode, content_type = choose_encoder("")
        return Response(encode(registry), media_type=content_type)

    return router
