"""The endpoints of `recovery.http.health` in the OpenAPI description."""

from fastapi import APIRouter
from fastapi.responses import PlainTextResponse

from recovery.http.health import HEALTHZ, METRICS, READYZ, Health, Ready


def health_docs() -> APIRouter:
    """Return the endpoints for the OpenAPI description only: `HealthChecks` answers before FastAPI sees a request."""
    router = APIRouter(tags=["operation"])

    @router.get(HEALTHZ, operation_id="getHealth", response_model=Health, summary="Liveness")
    async def healthz() -> None:
        """Answer 200, without any checks: an unavailable database is no reason to restart this process."""

    @router.get(
        READYZ,
        operation_id="getReadiness",
        response_model=Ready,
        summary="Readiness",
        responses={503: {"model": Ready, "description": "A check fails"}},
    )
    async def readyz() -> None:
        """Run all checks, and show the result of each."""

    @router.get(METRICS, operation_id="getMetrics", summary="Metrics for Prometheus", response_class=PlainTextResponse)
    async def metrics() -> None:
        """Show all metrics in the Prometheus text format."""

    return router
