"""SMTP servers for tests: one that records what it gets, and misbehaves at exactly the given phase."""

import asyncio
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Literal, cast

PHASES = ("BANNER", "EHLO", "HELO", "MAIL", "RCPT", "DATA", "DATA-BODY", "DOT", "RSET", "NOOP", "QUIT")
"""Where a fault can be placed. DATA-BODY is when the first of the content arrives, DOT when the last of it has, also
behind BDAT. CHUNKING must be offered for that."""

EXTENSIONS = ("SIZE 10240000", "8BITMIME", "SMTPUTF8", "ENHANCEDSTATUSCODES", "PIPELINING")

_REPLIES = {
    "BANNER": "220 relay.test ESMTP",
    "HELO": "250 relay.test",
    "MAIL": "250 2.1.0 sender ok",
    "RCPT": "250 2.1.5 recipient ok",
    "DATA": "354 go on",
    "RSET": "250 2.0.0 reset",
    "NOOP": "250 2.0.0 ok",
    "QUIT": "221 2.0.0 bye",
}


@dataclass(frozen=True, slots=True)
class Mail:
    """A mail that was accepted: its content as it was before dots were doubled, the time (Unix, seconds) of the 250.

    `connection` counts connections from 1.
    """

    sender: str
    recipient: str
    content: bytes
    at: float
    connection: int
    handed_at: float = 0.0
    """When its content began to arrive (Unix, seconds)."""


@dataclass(slots=True)
class _Fault:
    phase: str
    act: Literal["answer", "close", "hang"]
    reply: str
    times: int | None
    recipient: str | None
    keep_open: bool = False
    encoding: str = "utf-8"

    def strikes(self, phase: str, recipient: str) -> bool:
        if self.phase != phase or self.times == 0 or self.recipient not in (None, recipient):
            return False
        if self.times is not None:
            self.times -= 1
        return True


class RecordingRelay:
    """An SMTP server on a free port of the loopback, in the test's own event loop; an async context manager.

    Faults are declared on it; each strikes the next `times` times (None: always), for one `recipient` if given (from
    RCPT on), in the order of their declaration. One that is `lenient` asks for the content of a message for nobody, as
    RFC 2920 section 3.1 allows, and refuses it after the dot.
    """

    def __init__(self, extensions: tuple[str, ...] = EXTENSIONS, *, lenient: bool = False):
        self.host = "127.0.0.1"
        self.port = 0
        self.mails: list[Mail] = []
        self.commands: list[str] = []
        """Every command line, in order of arrival."""
        self.reached: list[str] = []
        """Every phase that any connection reached, in that order."""
        self.packets = 0
        """How often anything was received: on the loopback, what is written at once comes at once."""
        self.connections = 0
        """Number of connections accepted so far."""
        self.most_open = 0
        """The most connections that were ever open at a time."""
        self.slow: dict[str, float] = {}
        """Seconds that each answer takes, by phase, as by a relay that looks something up: others wait behind it."""
        self.idle: float | None = None
        """Seconds after which a session in which nothing is said is closed."""
        self.idle_says: str | None = None
        """The reply to a session that is closed for being idle."""
        self.offer(extensions)
        self.lenient = lenient
        self._faults: list[_Fault] = []
        self._open: set[_Session] = set()
        self._server: asyncio.Server | None = None
        self._changed = asyncio.Event()

    def offer(self, extensions: tuple[str, ...]) -> None:
        """Offer these extensions to who connects from now on."""
        self.chunks = "CHUNKING" in extensions
        self._ehlo = "\r\n".join(["250-relay.test", *(f"250-{name}" for name in extensions), "250 HELP"])

    async def __aenter__(self) -> "RecordingRelay":
        await self.listen()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.refuse_connections()
        for session in tuple(self._open):
            session.transport.abort()
        await self.until(lambda: not self._open)

    async def listen(self) -> None:
        """Listen, on the same port as before if there was one."""
        self._server = await asyncio.get_running_loop().create_server(
            lambda: _Session(self), self.host, self.port, backlog=1024, reuse_address=True
        )
        self.port = self._server.sockets[0].getsockname()[1]

    def refuse_connections(self) -> None:
        """Stop listening; connections that stand are kept."""
        if self._server is not None:
            self._server.close()
            self._server = None

    def answer(
        self,
        phase: str,
        reply: str,
        *,
        times: int | None = 1,
        recipient: str | None = None,
        keep_open: bool = False,
        encoding: str = "utf-8",
    ) -> None:
        """Answer with this reply ("450 4.2.0 later").

        421 also closes the connection, as RFC 5321 has it; with `keep_open` it only falls silent.
        """
        self._declare(_Fault(phase, "answer", reply, times, recipient, keep_open, encoding))

    def close_at(self, phase: str, *, times: int | None = 1, recipient: str | None = None) -> None:
        """Close the connection instead of answering."""
        self._declare(_Fault(phase, "close", "", times, recipient))

    def hang_at(self, phase: str, *, times: int | None = 1, recipient: str | None = None) -> None:
        """Fall silent for good on that connection, and keep it open."""
        self._declare(_Fault(phase, "hang", "", times, recipient))

    def clear_faults(self) -> None:
        """Forget all faults."""
        self._faults.clear()

    def say(self, line: str, *, close: bool = False) -> None:
        """Say something unasked on all open connections ("421 4.4.2 idle too long"); then fall silent or close."""
        for session in tuple(self._open):
            session.silent = True
            session.transport.write(line.encode() + b"\r\n")
            if close:
                session.transport.close()

    def hang_up(self) -> None:
        """Close all open connections without a word, as relays do to idle sessions."""
        for session in tuple(self._open):
            session.transport.close()

    def stop_reading(self) -> None:
        """Read no more from any open connection, so that what is sent to it gets stuck."""
        for session in self._open:
            session.transport.pause_reading()

    @property
    def open(self) -> int:
        """Number of open connections."""
        return len(self._open)

    async def wait_for(self, count: int, timeout: float = 10) -> list[Mail]:
        """Return the mails as soon as there are `count` of them; raise `TimeoutError` after `timeout` seconds."""
        await self.until(lambda: len(self.mails) >= count, timeout)
        return self.mails

    async def until(self, holds: Callable[[], bool], timeout: float = 10) -> None:
        """Wait until something about this relay holds: asked again at each phase, mail and close."""
        async with asyncio.timeout(timeout):
            while not holds():
                self._changed.clear()
                await self._changed.wait()

    def _declare(self, fault: _Fault) -> None:
        assert fault.phase in PHASES, f"no such phase: {fault.phase}"
        assert fault.phase != "DATA-BODY" or fault.act != "answer", "nothing is answered in the midst of the content"
        self._faults.append(fault)

    def _fault(self, phase: str, recipient: str) -> _Fault | None:
        return next((fault for fault in self._faults if fault.strikes(phase, recipient)), None)


class _Session(asyncio.Protocol):
    transport: asyncio.Transport

    def __init__(self, relay: RecordingRelay) -> None:
        self._relay = relay
        self._buffer = bytearray()
        self._in_content = self._content_begun = False
        self._chunk: int | None = None
        self._sender: str | None = None
        self._recipient = ""
        self._taken = False
        self._held = self._waited = False
        self._idle: asyncio.TimerHandle | None = None
        self._content_at = 0.0
        self.last: Mail | None = None
        self.silent = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)  # uvloop's are not instances of it
        relay = self._relay
        relay.connections += 1
        self._number = relay.connections
        relay._open.add(self)
        relay.most_open = max(relay.most_open, len(relay._open))
        self._is_alive()
        if not self._hold("BANNER", lambda: self._reach("BANNER")):
            self._reach("BANNER")

    def connection_lost(self, exc: Exception | None) -> None:
        if self._idle is not None:
            self._idle.cancel()
        self._relay._open.discard(self)
        self._relay._changed.set()

    def data_received(self, data: bytes) -> None:
        self._relay.packets += 1
        self._buffer += data
        self._is_alive()
        self._go_on()

    def _go_on(self) -> None:
        while not (self.silent or self._held) and self._buffer:
            if not (self._content() if self._in_content or self._chunk is not None else self._command()):
                break

    def _is_alive(self) -> None:
        """Begin to wait for the next word, where a session must not be idle for too long."""
        if self._idle is not None:
            self._idle.cancel()
        if self._relay.idle is not None:
            self._idle = asyncio.get_running_loop().call_later(self._relay.idle, self._too_idle)

    def _too_idle(self) -> None:
        if self._relay.idle_says is not None:
            self._say(self._relay.idle_says)
        self.silent = True
        self.transport.close()

    def _hold(self, phase: str, then: Callable[[], object]) -> bool:
        """Wait before a phase is answered, if it is slow; whatever was said after it waits, too."""
        seconds = self._relay.slow.get(phase, 0.0)
        if not seconds or self._waited:
            self._waited = False
            return False
        self._held = True

        def go_on() -> None:
            self._held = False
            self._waited = phase != "BANNER"
            if not self.transport.is_closing():
                then()
                self._go_on()

        asyncio.get_running_loop().call_later(seconds, go_on)
        return True

    def _command(self) -> bool:
        line, end, rest = self._buffer.partition(b"\r\n")
        if not end or self._hold(line[:4].decode("ascii", "replace").upper(), lambda: None):
            return False
        self._buffer = rest
        text = line.decode("utf-8", "replace")
        self._relay.commands.append(text)
        verb = text[:4].upper()
        if verb == "RCPT":
            self._recipient = _address(text)
        if verb == "RCPT" and self._sender is None:
            self._say("503 5.5.1 MAIL first")
        elif verb == "DATA" and not self._taken and not self._relay.lenient:
            self._say("503 5.5.1 RCPT first")
        elif verb == "MAIL" and self._sender is not None:
            self._say("503 5.5.1 nested MAIL")
        elif verb == "BDAT" and self._relay.chunks:
            _, size, last = text.split()
            assert last == "LAST", text
            self._chunk = int(size)
            self._content_begun = False
        elif verb not in PHASES:
            self._say("502 5.5.1 not known here")
        elif self._reach(verb):
            self._obey(verb, text)
        return True

    def _obey(self, verb: str, text: str) -> None:
        if verb == "MAIL":
            self._sender = _address(text)
        elif verb == "DATA":
            self._in_content = True
            self._content_begun = False
        elif verb == "QUIT":
            self.silent = True
            self.transport.close()
        elif verb == "RCPT":
            self._taken = True
        else:
            self._forget()

    def _content(self) -> bool:
        if not self._content_begun:
            self._content_begun = True
            self._content_at = time.time()
            if not self._reach("DATA-BODY"):
                return True
        size, after = self._size_of_content()
        if len(self._buffer) < after or self._hold("DOT", lambda: None):
            return False
        content = bytes(self._buffer[:size])
        del self._buffer[:after]
        if self._chunk is None:
            content = content.replace(b"\r\n..", b"\r\n.").removeprefix(b".")
        self._in_content, self._chunk = False, None
        if not self._taken:
            self._say("554 5.5.1 no valid recipients")
        else:
            relay = self._relay
            before = self.last
            self.last = Mail(self._sender or "", self._recipient, content, time.time(), self._number, self._content_at)
            if self._reach("DOT"):
                relay.mails.append(self.last)
                relay._changed.set()
            else:
                self.last = before
        self._forget()
        return True

    def _size_of_content(self) -> tuple[int, int]:
        """Return the size of the content, and that with its end; more than has arrived if it is not whole."""
        if self._chunk is not None:
            return self._chunk, self._chunk
        if self._buffer.startswith(b".\r\n"):
            return 0, 3
        end = self._buffer.find(b"\r\n.\r\n")
        return (end + 2, end + 5) if end >= 0 else (0, len(self._buffer) + 1)

    def _forget(self) -> None:
        self._sender, self._recipient, self._taken = None, "", False

    def _reach(self, phase: str) -> bool:
        """Answer at this phase, with a fault if one is due. Return whether the client may go on."""
        self._relay.reached.append(phase)
        self._relay._changed.set()
        fault = self._relay._fault(phase, self._recipient)
        if fault is None:
            if phase == "DOT":
                # As some relays do, it names whom the mail was to: nothing of that may be kept or logged.
                self._say(f"250 2.0.0 accepted as {len(self._relay.mails) + 1} for <{self._recipient}>")
            elif phase != "DATA-BODY":
                self._say(self._relay._ehlo if phase == "EHLO" else _REPLIES[phase])
            return True
        if fault.act == "answer":
            self._say(fault.reply, fault.encoding)
        else:
            self.silent = True
        if fault.act == "close" or fault.reply.startswith("421"):
            self.silent = True
            if not fault.keep_open:
                self.transport.close()
        return fault.reply.startswith("2")

    def _say(self, reply: str, encoding: str = "utf-8") -> None:
        self.transport.write(reply.encode(encoding) + b"\r\n")


def _address(command: str) -> str:
    match = re.search("<(.*?)>", command)
    return match[1] if match else ""
