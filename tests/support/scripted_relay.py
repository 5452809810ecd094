"""A relay that says what the test writes, when the test says it: in pieces, together, or out of turn."""

import asyncio
from contextlib import suppress
from types import TracebackType


class ScriptedRelay:
    """An SMTP server on a free port, which greets by itself; an async context manager. All else is up to the test."""

    host = "127.0.0.1"

    def __init__(self, extensions: tuple[str, ...] = ("PIPELINING",)) -> None:
        self._extensions = extensions
        self._all: list[ScriptedSession] = []
        self.sessions: asyncio.Queue[ScriptedSession] = asyncio.Queue()
        """The connections, each after its greeting and EHLO."""

    async def __aenter__(self) -> "ScriptedRelay":
        self._server = await asyncio.start_server(self._greet, self.host, 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        self.hang_up()
        await asyncio.gather(*(session.closed() for session in self._all))

    def hang_up(self) -> None:
        """Close all connections."""
        for session in self._all:
            session.close()

    async def _greet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 relay.test ESMTP\r\n")
        await reader.readuntil(b"\r\n")
        lines = [f"250-{name}\r\n" for name in ("relay.test", *self._extensions)]
        writer.write("".join([*lines, "250 HELP\r\n"]).encode())
        session = ScriptedSession(reader, writer)
        self._all.append(session)
        self.sessions.put_nowait(session)


class ScriptedSession:
    """One connection of a scripted relay."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self.heard = b""
        """All that was heard since EHLO."""

    async def hear(self, end: bytes) -> None:
        """Wait until these bytes have been heard, after all that was waited for before."""
        async with asyncio.timeout(10):
            self.heard += await self._reader.readuntil(end)

    async def hear_the_end(self) -> None:
        """Wait until the client has closed the connection."""
        async with asyncio.timeout(10):
            with suppress(ConnectionResetError):
                self.heard += await self._reader.read()
        self.close()

    def say(self, *replies: bytes) -> None:
        """Say these replies, in one packet."""
        self._writer.write(b"".join(reply + b"\r\n" for reply in replies))

    async def stammer(self, *replies: bytes) -> None:
        """Say these replies byte by byte, each in a packet of its own."""
        for byte in b"".join(reply + b"\r\n" for reply in replies):
            self._writer.write(bytes([byte]))
            await asyncio.sleep(0.001)

    def close(self) -> None:
        """Close the connection."""
        self._writer.close()

    async def closed(self) -> None:
        """Wait until the connection is closed."""
        with suppress(OSError):
            await self._writer.wait_closed()
