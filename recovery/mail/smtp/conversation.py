"""SMTP session after login: commands and replies, pipelined where the relay allows it (RFC 2920).

aiosmtplib opens the connection: TCP, TLS, greeting, login. It handles one command at a time and ignores unsolicited
replies; so from there on, the protocol below takes over the transport.
"""

import asyncio
import re
from collections import deque
from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

LONGEST_REPLY = 32 * 1024
"""Bytes. RFC 5321 section 4.5.3.1.5 allows 512 for a line; even a reply of many lines is far shorter than this."""

GOODBYE = 1.0
"""Seconds that a relay has to answer QUIT, and the end of TLS."""

_REPLY = re.compile(r"(?P<code>[0-9]{3})(?:(?P<more>-)|\s|$)(?P<text>.*)", re.DOTALL)
_CONTROL = re.compile(rb"[\x00-\x1f\x7f]")


class Disconnected(ConnectionError):
    """The connection to the relay is lost, or the relay sent an invalid reply."""


class Reply(NamedTuple):
    """A reply of the relay: a code of three digits, and the text with line feeds between its lines."""

    code: int
    text: str

    @property
    def words(self) -> str:
        """The reply on one line, as valid UTF-8: aiosmtplib may pass on undecodable bytes."""
        readable = self.text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
        return f"{self.code} {' '.join(readable.split())}"


class _Line(NamedTuple):
    code: int
    more: bool
    text: str


@lru_cache(maxsize=64)
def _line(line: bytes) -> _Line | None:
    """Return a line of a reply, or None if it is none. Nearly all lines are the same few, so they are cached."""
    found = _REPLY.fullmatch(_decoded(line))
    return None if found is None else _Line(int(found["code"]), bool(found["more"]), found["text"].strip())


def _decoded(line: bytes) -> str:
    """Return a line as valid UTF-8 text: a relay may send any bytes, and its replies are stored."""
    return line.decode("utf-8", "backslashreplace").strip(" \t\r")


def command(*words: bytes) -> bytes:
    """Return a command line in bytes. Raises `ValueError` for control characters: they could inject another command."""
    line = b" ".join(words)
    if _CONTROL.search(line):
        raise ValueError(f"the command {line!r} contains a control character")
    return line + b"\r\n"


def hang_up(transport: asyncio.WriteTransport) -> None:
    """Close a connection at once, whatever is unsent: a dead peer would never read it.

    TLS is ended first with its alert close_notify, without which the relay takes the connection for cut off (RFC 8446
    section 6.1). The relay has `GOODBYE` seconds to answer that.
    """
    if transport.get_extra_info("ssl_object") is None:
        transport.abort()
        return
    if not transport.is_closing():
        transport.close()
    asyncio.get_running_loop().call_later(GOODBYE, transport.abort)


class Conversation(asyncio.Protocol):
    """Takes over a transport. Replies come in order; an unsolicited one, such as 421 while idle, ends the session.

    `listener` is called when replies can be taken with `heard()`, and when the session ends. Replies that arrive
    together are all read before it is called, so that it answers none of them while a surplus one is still unread.
    """

    def __init__(self, transport: asyncio.Transport, listener: Callable[[], None] | None = None) -> None:
        self._transport = transport
        self._listener = listener
        self._loop = asyncio.get_running_loop()
        self._fault: str | None = None
        self._buffer = b""
        self._lines: list[str] = []
        self._awaited = 0
        self._replies: deque[Reply] = deque()
        self._waiter: asyncio.Future[None] | None = None
        self._is_lost = asyncio.Event()
        transport.set_protocol(self)

    @property
    def is_open(self) -> bool:
        """True if the connection is open, as far as is known."""
        return self._fault is None and not self._transport.is_closing()

    @property
    def fault(self) -> str:
        """The reason why the connection is not open."""
        return self._fault or "the connection is closed"

    def say(self, data: bytes, replies: int = 1) -> None:
        """Send `data`, for which so many `replies` are expected. Raises `Disconnected`."""
        if not self.is_open:
            raise Disconnected(self.fault)
        self._awaited += replies
        self._transport.write(data)

    def leave(self) -> None:
        """Send QUIT without waiting for the reply, if the connection is open."""
        if self.is_open:
            self._transport.write(command(b"QUIT"))

    async def hear(self) -> Reply:
        """Wait for the next reply and return it. Raises `Disconnected`."""
        while not self._replies:
            if self._fault is not None:
                raise Disconnected(self._fault)
            self._waiter = self._loop.create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        return self._replies.popleft()

    def heard(self) -> Reply | None:
        """Return the next reply if it has arrived, else None."""
        return self._replies.popleft() if self._replies else None

    async def ask(self, *words: bytes) -> Reply:
        """Send one command and return its reply. Raises `Disconnected`."""
        self.say(command(*words))
        return await self.hear()

    async def lost(self) -> None:
        """Wait until the connection is closed on both sides."""
        await self._is_lost.wait()

    def data_received(self, data: bytes) -> None:
        """Parse received bytes, and tell who waits once a whole reply is there."""
        *lines, self._buffer = (self._buffer + data).split(b"\n")
        for line in lines:
            self._take(line)
        if len(self._buffer) + sum(map(len, self._lines)) > LONGEST_REPLY:
            self._end("the reply is too long")
        if self._replies:
            self._wake()

    def eof_received(self) -> bool:
        """Record that the relay has closed its side."""
        self._end("the relay ended the connection")
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """Record that the connection is lost."""
        self._is_lost.set()
        self._end(f"the connection was lost: {exc}" if exc else "the connection was lost")

    def _take(self, line: bytes) -> None:
        read = _line(line)
        if read is None:
            self._end(f"the relay sent an invalid reply: {_decoded(line)}")
            return
        self._lines.append(read.text)
        if read.more:
            return
        whole, self._lines = "\n".join(self._lines), []
        if self._awaited == 0:
            self._end(f"the relay sent an unsolicited reply: {_decoded(line)}")
        elif self._fault is None:
            self._awaited -= 1
            self._replies.append(Reply(read.code, whole))

    def _end(self, why: str) -> None:
        self._fault = self._fault or why
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
        if self._listener is not None:
            self._listener()
