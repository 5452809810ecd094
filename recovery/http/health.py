"""The endpoints for whoever runs Recovery: does it live, is it ready, what does it count."""

from collections.abc import Awaitable, Callable, Mapping

from fastapi import APIRouter, Request, Response
from fastapi.responses import PlainTextResponse
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from pydantic import BaseModel

Readiness = Callable[[], Awaitable[Mapping[str, str | None]]]
"""Makes every check there is, and returns what is wrong by the name of the check: None where all is well."""


class Health(BaseModel):
    """The process answers."""

    alive: bool = True


class Ready(BaseModel):
    """Whether all checks pass, and what is wrong by the name of the check: null where all is well."""

    ready: bool
    checks: dict[str, str | None]


def operation(readiness: Readiness, registry: CollectorRegistry) -> APIRouter:
    """Return the endpoints for operation. They need no key, and tell nothing of any customer."""
    router = APIRouter(tags=["operation"])

    @router.get("/healthz", operation_id="getHealth", summary="Does the process live")
    async def healthz() -> Health:
        """Answer. That is all: a database that is away is no reason to restart this process."""
        return Health()

    @router.get(
        "/readyz",
        operation_id="getReadiness",
        summary="Can it do its work",
        responses={503: {"model": Ready, "description": "Something is wrong"}},
    )
    async def readyz(response: Response) -> Ready:
        """Make all checks, and tell each."""
        checks = dict(await readiness())
        ready = not any(checks.values())
        response.status_code = 200 if ready else 503
        return Ready(ready=ready, checks=checks)

    @router.get(
        "/metrics", operation_id="getMetrics", summary="What Prometheus reads", response_class=PlainTextResponse
    )
    async def metrics(request: Request) -> Response:
        """Show all metrics, as text."""
        try:
            encode, content_type = choose_encoder(request.headers.get("accept", ""))
        except Exception:  # noqa: BLE001 - its parser stumbles over what anybody may send; RFC 9110 allows to disregard it
            encode, content_type = choose_encoder("")
        return Response(encode(registry), media_type=content_type)

    return router
