"""What one connection may hold, and for how long: anybody who reaches the port may open one and say nothing, or no end.

uvicorn bounds none of it: it reads requests ahead as fast as they come, heads of any length, and waits for ever.
"""

import asyncio
import resource

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

LONGEST_HEAD = 64 * 1024
"""Bytes of a request before its body."""

MOST_AHEAD = 32
"""Requests of one connection that are read while others of it are not answered yet."""

HEAD_WITHIN, BODY_WITHIN = 10.0, 30.0
"""Seconds to the end of a head, from its first byte or the opening of the connection; and then to that of the body."""

MOST_CONNECTIONS = 500
"""Connections at a time; fewer where the process may have less than twice as many open files."""

_AT_A_TIME = 4096
"""Bytes that are parsed before it is looked at what they were."""


class BoundedProtocol(HttpToolsProtocol):
    """The server's side of one connection, with bounds. Whoever goes beyond them is cut off without an answer."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for a head, unless there are too many connections: half of the files are for the others."""
        super().connection_made(transport)
        self._in_head, self._head = True, 0
        self._within: float | None = HEAD_WITHIN
        self._waits: float | None = None
        self._timer: asyncio.TimerHandle | None = None
        files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        if len(self.connections) > (MOST_CONNECTIONS if files < 0 else min(MOST_CONNECTIONS, files // 2)):
            transport.abort()
        else:
            self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget what was read ahead: it would hang in cycles with the connection."""
        super().connection_lost(exc)
        self._stop_waiting()
        self.pipeline.clear()

    def data_received(self, data: bytes) -> None:
        """Take in what came, a little at a time, for as long as it is within bounds.

        What comes whole, as nearly every request does, is waited for by no timer.
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
        """Begin to count a head."""
        super().on_message_begin()
        self._in_head, self._head, self._within = True, 0, HEAD_WITHIN

    def on_headers_complete(self) -> None:
        """Begin with the body."""
        self._in_head, self._head, self._within = False, 0, BODY_WITHIN
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Wait for nothing more: between requests uvicorn looks after the time."""
        self._within = None
        if self._timer is not None:
            self._stop_waiting()
        super().on_message_complete()

    def _wait(self) -> None:
        self._stop_waiting()
        self._waits = self._within
        if self._within is not None:
            self._timer = self.loop.call_later(self._within, self.transport.abort)

    def _stop_waiting(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._waits = None
