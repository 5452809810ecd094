"""Endpoints for operators: liveness, readiness and metrics.

Like `recovery.http.api.reports`, they answer beside FastAPI, and `recovery.http.health_docs` documents them: monitoring
asks for them all the time, also a daemon that is asked for nothing else.
"""

from collections.abc import Awaitable, Callable, Mapping

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from pydantic import BaseModel
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from recovery.domain.masking import masked
from recovery.http.api.reports import refuse
from recovery.http.middleware import NO_SNIFFING, headers_of, host_fault

HEALTHZ, READYZ, METRICS = "/healthz", "/readyz", "/metrics"
"""The paths of liveness, readiness and metrics."""

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


class HealthChecks:
    """Answers the requests for which `takes` is true. They need no key, and show no customer data, nor names of shops.

    `paused` returns what is paused, in words, or None.
    """

    def __init__(self, readiness: Readiness, registry: CollectorRegistry, paused: Callable[[], str | None]) -> None:
        self._readiness = readiness
        self._registry = registry
        self._paused = paused

    @staticmethod
    def takes(scope: Scope) -> bool:
        """Return whether a request is for one of the endpoints."""
        return scope.get("path") in (HEALTHZ, READYZ, METRICS) and scope.get("method") == "GET"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if problem := host_fault(scope):
            await refuse(problem, scope, receive, send)
            return
        try:
            response = await self._response(scope)
        except Exception as exc:
            await refuse(exc, scope, receive, send)
            raise
        response.raw_headers.append(NO_SNIFFING)
        await response(scope, receive, send)

    async def _response(self, scope: Scope) -> Response:
        if scope["path"] == HEALTHZ:
            return _json(Health(), 200)
        if scope["path"] == READYZ:
            checks = {name: fault and masked(fault) for name, fault in (await self._readiness()).items()}
            ready = not any(checks.values())
            return _json(Ready(ready=ready, checks=checks, paused=self._paused()), 200 if ready else 503)
        return self._metrics(headers_of(scope).get("accept", ""))

    def _metrics(self, accepted: str) -> Response:
        try:
            encode, content_type = choose_encoder(accepted)
        except Exception:  # noqa: BLE001 - its parser fails on some Accept headers; RFC 9110 allows ignoring them
            encode, content_type = choose_encoder("")
        return Response(encode(self._registry), media_type=content_type)


def _json(content: BaseModel, status: int) -> Response:
    return Response(content.model_dump_json(), status, media_type="application/json")
