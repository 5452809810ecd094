"""The server, as a guest in a running event loop: it neither catches signals nor ends the process."""

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
with suppress(ImportError):  # without the extra "fast" there are the bounds of uvicorn's own parser, and no others
    from recovery.http.connections import BoundedProtocol

    PROTOCOL = BoundedProtocol

GRACE = 3
"""Seconds that requests under way have to finish after the stop."""


class CannotListen(RecoveryError):
    """The address is in use, not ours, or not to be had; the message is a sentence."""


class _Bounded(logging.Filter):
    """Bounds what uvicorn logs of requests that are none: anybody can send those without end."""

    def __init__(self) -> None:
        super().__init__()
        self._bound = LogBound()

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether a line is to be written."""
        if not str(record.msg).startswith("Invalid HTTP request"):
            return True
        left_out = self._bound.left_out(time.monotonic())
        if left_out:
            record.msg = f"{record.msg} So were {left_out} before that are not logged."
        return left_out is not None


class _Guest(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def serve(
    app: ASGIApp, host: str, port: int, *, stop: asyncio.Event, on_listening: Callable[[int], None]
) -> None:
    """Serve `app` until `stop` is set, then let the requests under way finish and return.

    Port 0 is any free one; `on_listening` is told the real one, from when on connections are taken. Raises
    `CannotListen`.
    """
    _raise_open_files()
    listener = _listen(host, port)
    bounded, log = _Bounded(), logging.getLogger("uvicorn.error")
    log.addFilter(bounded)
    server = _Guest(
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
    """Let this process have as many open files as it may: connections share them with the relay and the database."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(ValueError, OSError):  # some systems call it boundless, and do not let it be asked for
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _listen(host: str, port: int) -> socket.socket:
    try:
        return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except OSError as exc:
        reason = str(exc.strerror).partition(" (while")[0]  # asyncio and socket say the address once more
        raise CannotListen(f"Cannot listen on {host} port {port}: {reason}.") from exc
