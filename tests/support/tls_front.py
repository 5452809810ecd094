"""TLS in front of a relay: notes how each client ends it, which asyncio's own TLS does not tell."""

import asyncio
import ssl
from contextlib import suppress
from types import TracebackType
from typing import Any


class TlsFront:
    """A TLS server on a free port of localhost, which passes everything on to a relay; an async context manager."""

    host = "localhost"

    def __init__(self, relay: Any, context: ssl.SSLContext) -> None:
        self._relay = relay
        self._context = context
        self.ends: asyncio.Queue[str] = asyncio.Queue()
        """How each client ended TLS: with "close_notify", or "cut off" without it."""
        self._tunnels: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    async def __aenter__(self) -> "TlsFront":
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        self.stop_reading()
        await asyncio.gather(*self._tunnels, return_exceptions=True)
        for writer in self._tunnels.values():
            writer.transport.abort()
        await asyncio.gather(*(writer.wait_closed() for writer in self._tunnels.values()), return_exceptions=True)

    def stop_reading(self) -> None:
        """Read nothing more from any client, and leave all connections open until the end."""
        for tunnel in self._tunnels:
            tunnel.cancel()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tunnel = asyncio.current_task()
        assert tunnel is not None
        self._tunnels[tunnel] = writer
        client = _Tls(reader, writer, self._context)
        await client.do(client.tls.do_handshake)
        from_relay, to_relay = await asyncio.open_connection(self._relay.host, self._relay.port)
        answering = asyncio.create_task(_pass_on(from_relay, client))
        try:
            while data := await client.do(client.tls.read, 65536):
                to_relay.write(data)
            self.ends.put_nowait("close_notify")
            with suppress(ssl.SSLError, OSError):
                await client.do(client.tls.unwrap)
        except (ssl.SSLEOFError, OSError):
            self.ends.put_nowait("cut off")
        except asyncio.CancelledError:
            writer.transport.pause_reading()
            return
        finally:
            answering.cancel()
            to_relay.close()
        writer.close()


class _Tls:
    """The server's side of TLS over a stream."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, context: ssl.SSLContext) -> None:
        self._reader = reader
        self._writer = writer
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)

    async def do(self, action: Any, *arguments: Any) -> Any:
        """Do something of TLS, and read from the client whatever it takes."""
        while True:
            try:
                return action(*arguments)
            except ssl.SSLWantReadError:
                self._flush()
                self._incoming.write(data) if (data := await self._reader.read(65536)) else self._incoming.write_eof()
            finally:
                self._flush()

    def _flush(self) -> None:
        self._writer.write(self._outgoing.read())


async def _pass_on(from_relay: asyncio.StreamReader, client: _Tls) -> None:
    while data := await from_relay.read(65536):
        await client.do(client.tls.write, data)
