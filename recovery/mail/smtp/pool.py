"""Kept connections to the relay: opening one costs more than sending a message over it, so they are used again.

aiosmtplib has no pool. It is driven without its timeouts: they would wrap every command in a task, and one that strikes
just as an answer comes may be lost (`asyncio.wait_for` before Python 3.12). Whoever uses the pool bounds the whole.
"""

import asyncio
import ssl
from collections import deque
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal, cast

import aiosmtplib

from recovery.mail.smtp.conversation import Conversation, Disconnected

GOODBYE = 1.0
"""Seconds that relays get to answer QUIT when the pool is closed."""


@dataclass(frozen=True, slots=True)
class Relay:
    """The SMTP server that takes our mail, and how we deal with it."""

    host: str
    port: int
    tls: Literal["none", "starttls", "implicit"] = "none"
    """What is asked for is demanded: with `starttls`, a relay that does not offer it gets no mail."""
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    ca_file: str | None = None
    """A PEM file of the authorities to trust in place of the system's."""
    local_hostname: str = "localhost"
    """What we call ourselves in EHLO. Some relays want a name that resolves to us."""
    connections: int = 20
    messages_per_connection: int = 100
    """Relays end long sessions, one large provider after some 350 messages: better to end them first."""
    idle_seconds: float = 30.0
    """A connection unused for longer is not trusted: firewalls forget it, and a relay may have said 421 meanwhile."""
    timeout_seconds: float = 30.0
    """Bounds connecting, and then the answers to MAIL, RCPT and DATA together."""
    dot_timeout_seconds: float = 600.0
    """How long the relay may take to answer after the final dot: 10 minutes by RFC 5321 section 4.5.3.2.6."""

    @property
    def address(self) -> str:
        """Host and port, as people write them."""
        return f"{self.host}:{self.port}"


class NoneFree(Exception):
    """No connection came free in time, or the pool is closed."""


class Connection:
    """One connection to the relay: `messages` counts those it has carried.

    Set `in_transaction` after a refusal, so that the next use begins with RSET.
    """

    def __init__(self, client: aiosmtplib.SMTP, greeting: str) -> None:
        transport = cast("asyncio.Transport", client.transport)
        self._client = client
        self._transport = transport
        self.conversation = Conversation(transport)
        self.greeting = greeting
        self.messages = 0
        self.used_at = 0.0
        self.in_transaction = False

    def offers(self, extension: str) -> bool:
        """Return whether the relay offers this extension of SMTP."""
        return self._client.supports_extension(extension)

    async def reset(self) -> None:
        """End what a refused message may have left open. Raises `Disconnected` if the relay will not."""
        if self.in_transaction:
            reply = await self.conversation.ask(b"RSET")
            if reply.code != aiosmtplib.SMTPStatus.completed:
                raise Disconnected(f"the relay refuses RSET: {reply.code} {reply.text}")
            self.in_transaction = False

    def drop(self) -> None:
        """Close the socket now, whatever is under way: waiting for a dead peer to read on would keep it for ever."""
        self._transport.abort()
        self._client.close()

    def leave(self) -> None:
        """Say QUIT and close, without waiting for the answer: the message just sent must not wait for it either."""
        self.conversation.leave()
        self._client.close()

    async def quit(self) -> None:
        """Say QUIT and wait for the answer, as RFC 5321 section 4.1.1.10 would have it, for up to `GOODBYE` seconds."""
        try:
            async with asyncio.timeout(GOODBYE):
                await self.conversation.ask(b"QUIT")
        except OSError:
            pass
        finally:
            self.drop()


class Pool:
    """Up to `relay.connections` connections, opened when they are needed; the one used last is used next.

    Take a slot, then a connection; within one slot one may take several, one after the other.
    """

    def __init__(self, relay: Relay) -> None:
        self._relay = relay
        self._slots = asyncio.Semaphore(relay.connections)
        self._kept: deque[Connection] = deque()
        self._closed = False

    async def take_slot(self, within: float) -> None:
        """Take one of the places that a connection may be used in. Raises `NoneFree` after `within` seconds."""
        if not self._slots.locked():
            await self._slots.acquire()
            return
        try:
            async with asyncio.timeout(within):
                await self._slots.acquire()
        except TimeoutError:
            raise NoneFree(f"none of {self._relay.connections} connections came free in time") from None

    def give_slot_back(self) -> None:
        """Let the next have the place."""
        self._slots.release()

    def take_kept(self) -> Connection | None:
        """Take a kept connection for the holder of a slot, if there is one: else open one.

        Give it back with `keep()`; drop it after any exception, a cancellation too: after a broken-off command its
        answers are off by one. Raises `NoneFree` once the pool is closed.
        """
        if self._closed:
            raise NoneFree("the pool is closed")
        trusted_since = asyncio.get_running_loop().time() - self._relay.idle_seconds
        while self._kept:
            connection = self._kept.pop()
            if connection.used_at < trusted_since:
                connection.leave()
            elif connection.conversation.is_open:
                return connection
            else:
                connection.drop()
        return None

    async def open(self) -> Connection:
        """Open a connection: connected, encrypted, greeted and logged in as the relay demands.

        Raises what aiosmtplib and the system raise if that cannot be done.
        """
        relay = self._relay
        encrypted = relay.tls != "none"
        client = aiosmtplib.SMTP(
            hostname=relay.host,
            port=relay.port,
            username=relay.username,
            password=relay.password,
            local_hostname=relay.local_hostname,
            timeout=None,
            use_tls=relay.tls == "implicit",
            start_tls=relay.tls == "starttls",
            tls_context=self._tls_context if encrypted else None,
        )
        try:
            greeting = (await client.connect()).message
            if client.is_ehlo_or_helo_needed:
                await client.ehlo()
            return Connection(client, greeting)
        except BaseException:
            _abort(client)
            raise

    async def aclose(self) -> None:
        """Say goodbye on all kept connections; those in use are closed when they come back."""
        self._closed = True
        kept, self._kept = self._kept, deque()
        await asyncio.gather(*(connection.quit() for connection in kept))

    def keep(self, connection: Connection) -> None:
        """Take a connection back, for the next. One that is closed by now is only let go of."""
        now = asyncio.get_running_loop().time()
        connection.messages += 1
        connection.used_at = now
        if not connection.conversation.is_open:
            connection.drop()
        elif self._closed or connection.messages >= self._relay.messages_per_connection:
            connection.leave()
        else:
            self._kept.append(connection)
        while self._kept and self._kept[0].used_at < now - self._relay.idle_seconds:
            self._kept.popleft().leave()

    @cached_property
    def _tls_context(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=self._relay.ca_file)


def _abort(client: aiosmtplib.SMTP) -> None:
    transport = cast("asyncio.WriteTransport | None", client.transport)
    if transport is not None:
        transport.abort()
    client.close()
