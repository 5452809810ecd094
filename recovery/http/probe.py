"""Health check of a running Recovery over HTTP, for containers without curl."""

import json
from http.client import HTTPConnection, HTTPException


def probe(host: str, port: int, timeout: float = 3.0) -> str | None:
    """Return the error of a Recovery's health check, or None if it passes. `timeout` is in seconds."""
    reachable = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104  a destination, not bound
    connection = HTTPConnection(reachable, port, timeout=timeout)
    try:
        connection.request("GET", "/healthz")
        response = connection.getresponse()
        body = response.read().decode(errors="replace")
    except (OSError, HTTPException) as exc:
        return f"Recovery does not answer on {reachable} port {port}: {exc}."
    finally:
        connection.close()
    if response.status != 200:
        return f"Recovery is unhealthy: HTTP status {response.status}: {body}"
    if not _is_alive(body):
        return f"Something else than Recovery answers on {reachable} port {port}: stop it, or choose another http.port."
    return None


def _is_alive(body: str) -> bool:
    """Return True if this is the answer of Recovery's `/healthz` (`recovery.http.health.Health`)."""
    try:
        answer = json.loads(body)
    except ValueError:
        return False
    return isinstance(answer, dict) and answer.get("alive") is True
