"""What the relays ask: a greylist, and who may log in."""

import asyncio
import base64
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from recovery.testing.mongod import free_port

USER, PASSWORD = "shop", "secret"


@asynccontextmanager
async def greylist(seconds: float) -> AsyncIterator[int]:
    """Run a policy server of Postfix that defers each recipient for so long; yield its port."""
    first_seen: dict[str, float] = {}

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while request := await _attributes(reader):
            now = time.monotonic()
            waited = now - first_seen.setdefault(request["recipient"], now)
            action = "dunno" if waited >= seconds else "defer_if_permit 4.2.0 Greylisted, please try again later"
            writer.write(f"action={action}\n\n".encode())

    async with _server(serve) as port:
        yield port


async def _attributes(reader: asyncio.StreamReader) -> dict[str, str]:
    found = {}
    while line := (await reader.readline()).decode().strip():
        name, _, value = line.partition("=")
        found[name] = value
    return found


@asynccontextmanager
async def logins() -> AsyncIterator[int]:
    """Run a server of Dovecot's authentication protocol, which Postfix asks; yield its port."""
    expected = base64.b64encode(f"\0{USER}\0{PASSWORD}".encode()).decode()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        hello = "VERSION\t1\t2\nMECH\tPLAIN\tplaintext\nSPID\t1\nCUID\t1\nCOOKIE\t00\nDONE\n"
        writer.write(hello.encode())
        while line := (await reader.readline()).decode().strip():
            command, *words = line.split("\t")
            if command == "AUTH":
                answer = "OK" if f"resp={expected}" in words else "FAIL"
                writer.write(f"{answer}\t{words[0]}\tuser={USER}\n".encode())

    async with _server(serve) as port:
        yield port


@asynccontextmanager
async def _server(serve) -> AsyncIterator[int]:
    port = free_port()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.CancelledError):  # Postfix stops, or the run ends
            await serve(reader, writer)
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", port)
    try:
        yield port
    finally:
        server.close()
