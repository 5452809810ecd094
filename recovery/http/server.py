"""Uvicorn embedded in a running event loop: it installs no signal handlers and does not end the process."""

import asyncio
import logging
import resource
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import uvicorn
from starlette.types import ASGIApp

from recovery.errors import RecoveryError
from recovery.http.log_bound import LogBound

PROTOCOL: Any = "auto"
with suppress(ImportError):  # without the extra "fast", only the limits of uvicorn's own parser apply
    from recovery.http.connections import BoundedProtocol

    PROTOCOL = BoundedProtocol

GRACE = 3
"""Seconds for open requests to finish after the stop."""


class CannotListen(RecoveryError):
    """The address is in use, not of this machine, or not permitted. The message is a sentence for people."""


class _MalformedRequests(logging.Filter):
    """Rate limit of uvicorn's log lines on malformed requests: anyone can send those without end."""

    def __init__(self) -> None:
        super().__init__()
        self._bound = LogBound()

    def filter(self, record: logging.LogRecord) -> bool:
        """Return True if the line may be written."""
        if not str(record.msg).startswith("Invalid HTTP request"):
            return True
        left_out = self._bound.left_out(time.monotonic())
        if left_out:
            record.msg = f"{record.msg} ({left_out} more were not logged.)"
        return left_out is not None


class _EmbeddedServer(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens on this port, or on any free one if it is 0. Raises `CannotListen`."""
    try:
        return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError as exc:
        reason = str(exc.strerror).partition(" (while")[0]  # asyncio and socket repeat the address
        raise CannotListen(
            f"Cannot listen on {host} port {port} ({reason}): choose another http.host or http.port."
        ) from exc


async def serve(
    app: ASGIApp, listener: socket.socket, *, stop: asyncio.Event, on_listening: Callable[[int], None]
) -> None:
    """Serve `app` until `stop` is set, then let open requests finish, close the `listener`, and return.

    `on_listening` is called with its port once connections are accepted.
    """
    _raise_open_files()
    bounded, log = _MalformedRequests(), logging.getLogger("uvicorn.error")
    log.addFilter(bounded)
    server = _EmbeddedServer(
        uvicorn.Config(
            app,
            http=PROTOCOL,
            lifespan="off",
            ws="none",
            access_log=False,
            log_config=None,
            proxy_headers=False,
            server_header=False,
            timeout_graceful_shutdown=GRACE,
        )
    )
    stopping = asyncio.create_task(_stop(server, stop), name="http stop")
    try:
        on_listening(listener.getsockname()[1])
        await server.serve(sockets=[listener])
    finally:
        stopping.cancel()
        if server.started:
            for accepting in server.servers:
                accepting.close()
        listener.close()
        log.removeFilter(bounded)


async def _stop(server: uvicorn.Server, stop: asyncio.Event) -> None:
    await stop.wait()
    server.should_exit = True


def _raise_open_files() -> None:
    """Raise the limit of open files to its maximum: HTTP connections share it with the relay and the database."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(ValueError, OSError):  # some systems report "unlimited", but refuse it as a value
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
