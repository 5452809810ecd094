"""The conversation with a relay that has let us in: several commands in one packet where it allows that (RFC 2920).

aiosmtplib opens a connection: TCP, TLS, greeting, login. It then answers one command at a time and passes over what the
relay says unasked; so from there on the transport is handed to the protocol below.
"""

import asyncio
import re
from collections import deque
from typing import NamedTuple

LONGEST_REPLY = 32 * 1024
"""In bytes. RFC 5321 section 4.5.3.1.5 has 512 for a line; a reply of many lines is still far shorter than this."""

_REPLY = re.compile(r"(?P<code>[0-9]{3})(?:(?P<more>-)|\s|$)(?P<text>.*)", re.DOTALL)
_CONTROL = re.compile(rb"[\x00-\x1f\x7f]")


class Disconnected(ConnectionError):
    """The relay has gone away, or says what is no reply."""


class Reply(NamedTuple):
    """What the relay answers: a code of three digits, and its text with line feeds between lines."""

    code: int
    text: str


def command(*words: bytes) -> bytes:
    """Return a command as it goes over the wire. Raises `ValueError` for what would be read as another one."""
    line = b" ".join(words)
    if _CONTROL.search(line):
        raise ValueError(f"the command {line!r} has a control character in it")
    return line + b"\r\n"


class Conversation(asyncio.Protocol):
    """Takes over a transport. What is said is answered in order; an unasked word, such as 421 while idle, ends it."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._loop = asyncio.get_running_loop()
        self._fault: str | None = None
        self._buffer = b""
        self._lines: list[str] = []
        self._awaited = 0
        self._replies: deque[Reply] = deque()
        self._waiter: asyncio.Future[None] | None = None
        transport.set_protocol(self)

    @property
    def is_open(self) -> bool:
        """Whether the relay will hear what is said next, as far as is known."""
        return self._fault is None and not self._transport.is_closing()

    def say(self, data: bytes, replies: int = 1) -> None:
        """Send what will be answered so many times. Raises `Disconnected`."""
        if not self.is_open:
            raise Disconnected(self._fault or "the connection is closed")
        self._awaited += replies
        self._transport.write(data)

    def leave(self) -> None:
        """Say QUIT without waiting for the answer, if there is still somebody to say it to."""
        if self.is_open:
            self._transport.write(command(b"QUIT"))

    async def hear(self) -> Reply:
        """Return the next reply. Raises `Disconnected`."""
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
        """Return the next reply if it is here."""
        return self._replies.popleft() if self._replies else None

    async def ask(self, *words: bytes) -> Reply:
        """Send one command and return its reply. Raises `Disconnected`."""
        self.say(command(*words))
        return await self.hear()

    def data_received(self, data: bytes) -> None:
        """Take what has come, and wake whoever waits for a whole reply."""
        *lines, self._buffer = (self._buffer + data).split(b"\n")
        for line in lines:
            self._take(line)
        if len(self._buffer) + sum(map(len, self._lines)) > LONGEST_REPLY:
            self._end("the reply is too long")
        if self._replies:
            self._wake()

    def eof_received(self) -> bool:
        """Take note that the relay says nothing more."""
        self._end("the relay ended the connection")
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """Take note that the line is dead."""
        self._end(f"the connection was lost: {exc}" if exc else "the connection was lost")

    def _take(self, line: bytes) -> None:
        # A relay may say anything; what it says is kept, so it must be text that every store takes.
        text = line.decode("utf-8", "backslashreplace").strip(" \t\r")
        reply = _REPLY.fullmatch(text)
        if reply is None:
            self._end(f"the relay says what is no reply: {text}")
            return
        self._lines.append(reply["text"].strip())
        if reply["more"]:
            return
        whole, self._lines = "\n".join(self._lines), []
        if self._awaited == 0:
            self._end(f"the relay said unasked: {text}")
        elif self._fault is None:
            self._awaited -= 1
            self._replies.append(Reply(int(reply["code"]), whole))

    def _end(self, why: str) -> None:
        self._fault = self._fault or why
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
