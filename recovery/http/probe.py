"""Health check of a running Recovery over HTTP, for containers without curl."""

from http.client import HTTPConnection, HTTPException


def probe(host: str, port: int, path: str = "/healthz", timeout: float = 3.0) -> str | None:
    """Return the error of a Recovery's health check, or None if it passes. `timeout` is in seconds."""
    reachable = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104  a destination, not bound
    connection = HTTPConnection(reachable, port, timeout=timeout)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        body = response.read().decode(errors="replace")
    except (OSError, HTTPException) as exc:
        return f"Recovery does not answer on {reachable} port {port}: {exc}."
    finally:
        connection.close()
    return None if response.status == 200 else f"Recovery is unhealthy: HTTP status {response.status}: {body}"
