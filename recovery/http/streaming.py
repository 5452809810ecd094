"""Bodies and answers that are streams: each wait for a part has a limit, and not the whole."""

import asyncio
from collections.abc import AsyncGenerator, Sequence

from starlette.requests import ClientDisconnect
from starlette.types import Message, Receive, Scope, Send

from recovery.http.middleware import NO_SNIFFING
from recovery.http.problems import Problem, ProblemType

STREAM = "recovery.stream"
"""The ASGI extension of our own HTTP protocol: weak references to what `begin_stream` and `abort_stream` call."""

PATIENCE = 30.0
"""Seconds that are waited for the next part of a body, and for a caller to read of the answer."""

LONGEST_PART = 16 * 1024
"""Bytes of result lines that are joined into one part of the answer."""


def begin_stream(scope: Scope) -> None:
    """Lift the time limit on the whole body of a request. Call it once the caller is known, and read it by `parts`."""
    _call(scope, "begin")


async def abort_stream(scope: Scope, receive: Receive) -> None:
    """Cut the connection, and wait until it is: to close it would wait for a caller who does not read."""
    if _call(scope, "abort"):
        while (await receive())["type"] != "http.disconnect":
            pass


def _call(scope: Scope, name: str) -> bool:
    """Call the protocol, if it is our own and still there; return whether it was called."""
    extension = scope.get("extensions", {}).get(STREAM)
    method = None if extension is None else extension[name]()
    if method is None:
        return False
    method(scope)
    return True


async def parts(receive: Receive) -> AsyncGenerator[bytes, None]:
    """Yield the parts of a body as they arrive.

    Raises `Problem` if the next one does not come, `ClientDisconnect` if the connection ends before the body.
    """
    while True:
        try:
            async with asyncio.timeout(PATIENCE):
                message = await receive()
        except TimeoutError:
            why = f"The body did not go on within {PATIENCE:.0f} s. Nothing after it is read: send the rest again."
            raise Problem(400, why, kind=ProblemType.INCOMPLETE) from None
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        yield message.get("body", b"")
        if not message.get("more_body", False):
            return


class NotRead(Exception):
    """The error of an answer that its caller does not read."""


class StreamedAnswer:
    """The lines of an answer that is a stream: those of one turn of the event loop are sent together.

    `write` waits where the caller does not read, and raises `NotRead` when that takes too long.
    """

    def __init__(self, send: Send, headers: Sequence[tuple[bytes, bytes]]) -> None:
        self._send = send
        self._headers = headers
        self._lines: list[bytes] = []
        self._size = 0
        self._sending: asyncio.Task[None] | None = None
        self.begun = False

    async def write(self, line: bytes) -> None:
        """Write a line."""
        self._lines.append(line)
        self._size += len(line)
        if self._sending is None or self._sending.done():
            await self._sent()
            self._sending = asyncio.create_task(self._send_all(), name="answer")
        if self._size > LONGEST_PART:
            await self._sent()

    async def end(self) -> None:
        """Send what is left, and the end of the answer."""
        await self._sent()
        await self._begin()
        await self._within_patience({"type": "http.response.body", "body": b"".join(self._lines)})

    async def close(self) -> None:
        """Drop what is not sent yet."""
        if self._sending is not None:
            self._sending.cancel()
            await asyncio.gather(self._sending, return_exceptions=True)

    async def _sent(self) -> None:
        if self._sending is not None:
            await self._sending

    async def _send_all(self) -> None:
        await self._begin()
        while self._lines:
            body = b"".join(self._lines)
            self._lines.clear()
            self._size = 0
            await self._within_patience({"type": "http.response.body", "body": body, "more_body": True})

    async def _begin(self) -> None:
        if not self.begun:
            self.begun = True
            headers = [*self._headers, NO_SNIFFING]
            await self._within_patience({"type": "http.response.start", "status": 200, "headers": headers})

    async def _within_patience(self, message: Message) -> None:
        try:
            async with asyncio.timeout(PATIENCE):
                await self._send(message)
        except TimeoutError:
            raise NotRead from None
