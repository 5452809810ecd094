"""Limits of one HTTP connection, in bytes and seconds: anyone who reaches the port may send nothing, or never stop.

uvicorn sets none of these limits: it reads pipelined requests as fast as they come, heads of any length, and waits for
ever (slowloris).
"""

import asyncio
import resource
from weakref import WeakMethod

from starlette.types import Scope
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from recovery.http.joining import JoinedWrites
from recovery.http.streaming import STREAM

LONGEST_HEAD = 64 * 1024
"""Bytes of the request line and headers."""

MOST_AHEAD = 32
"""Pipelined requests of one connection that wait for an earlier one to be answered."""

HEAD_WITHIN, BODY_WITHIN = 10.0, 30.0
"""Seconds to the end of the head, from its first byte or the opening of the connection; then to the end of the body."""

MOST_CONNECTIONS = 500
"""Open connections; fewer if the process may open less than twice as many files."""

_AT_A_TIME = 4096
"""Bytes that are parsed between two checks of the limits."""


class BoundedProtocol(HttpToolsProtocol):
    """uvicorn's HTTP protocol, with limits. A connection that exceeds one is closed without a response."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start the timer of the head, or abort if there are too many connections: half of the files are kept free."""
        super().connection_made(JoinedWrites(transport))
        self._in_head, self._head, self._streaming = True, 0, False
        # weak, or each request would be a reference cycle
        stream: dict[object, object] = {"begin": WeakMethod(self._stream), "abort": WeakMethod(self._abort)}
        self._extensions = {STREAM: stream}
        self._within: float | None = HEAD_WITHIN
        self._waits: float | None = None
        self._timer: asyncio.TimerHandle | None = None
        files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        if len(self.connections) > (MOST_CONNECTIONS if files < 0 else min(MOST_CONNECTIONS, files // 2)):
            transport.abort()
        else:
            self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Drop pipelined requests: they would be kept alive by reference cycles with the connection."""
        super().connection_lost(exc)
        self._stop_waiting()
        self.pipeline.clear()

    def data_received(self, data: bytes) -> None:
        """Parse the data in small pieces, and abort when a limit is exceeded.

        A request that arrives whole, as nearly all do, needs no timer.
        """
        for begin in range(0, len(data), _AT_A_TIME):
            if self.transport.is_closing():
                return
            part = data[begin : begin + _AT_A_TIME]
            super().data_received(part)
            if self._in_head:
                self._head += len(part)
            if self._head > LONGEST_HEAD or len(self.pipeline) > MOST_AHEAD:
                self.transport.abort()
        if self._within != self._waits and not self.transport.is_closing():
            self._wait()

    def on_message_begin(self) -> None:
        """Start to count the bytes of a head."""
        super().on_message_begin()
        self._in_head, self._head, self._within = True, 0, HEAD_WITHIN
        self._streaming = False
        self.scope["extensions"] = self._extensions

    def on_headers_complete(self) -> None:
        """Switch from the limits of the head to those of the body."""
        self._in_head, self._head, self._within = False, 0, BODY_WITHIN
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Stop the timer: between requests, uvicorn's keep-alive timeout applies."""
        self._within, self._streaming = None, False
        if self._timer is not None:
            self._stop_waiting()
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """Limit the rest of a stream that was answered before its end."""
        super().on_response_complete()
        if self._streaming and not self.transport.is_closing():
            self._streaming, self._within = False, BODY_WITHIN
            self._wait()

    def _stream(self, scope: Scope) -> None:
        """Lift the limit of the body of this request, if that is still to come."""
        if scope is self.scope and self._within is not None:
            self._streaming, self._within = True, None
            self._stop_waiting()

    def _abort(self, _: Scope) -> None:
        """Cut the connection."""
        self.transport.abort()

    def _wait(self) -> None:
        self._stop_waiting()
        self._waits = self._within
        if self._within is not None:
            self._timer = self.loop.call_later(self._within, self.transport.abort)

    def _stop_waiting(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._waits = None
