"""Pool of connections to the relay: opening one costs more than sending a message over it, so they are reused.

aiosmtplib has no pool. Its timeouts are not used: they would wrap every command in a task, and a timeout that strikes
just as a reply arrives may lose it (`asyncio.wait_for` before Python 3.12). The pool's user sets one timeout for all.
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
"""Seconds that a relay has to answer QUIT when the pool is closed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RelayConfig:
    """Configuration of the SMTP relay: address, TLS, login, limits and timeouts. The settings have the defaults."""

    host: str
    port: int
    tls: Literal["none", "starttls", "implicit"]
    """Required, never opportunistic: with `starttls`, a relay that does not offer it gets no mail."""
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    ca_file: str | None = None
    """A PEM file of the certificate authorities to trust in place of the system's."""
    local_hostname: str
    """Our name in EHLO. Some relays require one that resolves to our address."""
    connections: int
    messages_per_connection: int
    """Relays close long sessions, one large provider after some 350 messages: we close them first."""
    idle_seconds: float
    """A connection idle for longer is not reused: firewalls drop it, and the relay may have sent 421 meanwhile."""
    timeout_seconds: float
    """Timeout of connecting, and again of the replies to MAIL, RCPT and DATA together."""
    dot_timeout_seconds: float
    """Timeout of the reply after the final dot: 10 minutes by RFC 5321 section 4.5.3.2.6."""

    @property
    def address(self) -> str:
        """The relay as `host:port`."""
        return f"{self.host}:{self.port}"


class NoFreeConnection(Exception):
    """No connection became free in time, or the pool is closed."""


class Connection:
    """One connection to the relay. `messages` counts the messages sent over it.

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
        """Return whether the relay offers this SMTP extension."""
        return self._client.supports_extension(extension)

    async def reset(self) -> None:
        """Send RSET if a refused message may have left a transaction open. Raises `Disconnected` if it is refused."""
        if self.in_transaction:
            reply = await self.conversation.ask(b"RSET")
            if reply.code != aiosmtplib.SMTPStatus.completed:
                raise Disconnected(f"the relay refuses RSET: {reply.code} {reply.text}")
            self.in_transaction = False

    def drop(self) -> None:
        """Close the socket at once: waiting for a dead peer to read pending data would take for ever."""
        self._transport.abort()
        self._client.close()

    def leave(self) -> None:
        """Send QUIT and close, without waiting for the reply: the message just sent must not wait for it either."""
        self.conversation.leave()
        self._client.close()

    async def quit(self) -> None:
        """Send QUIT and wait for the reply, as RFC 5321 section 4.1.1.10 asks, for at most `GOODBYE` seconds."""
        try:
            async with asyncio.timeout(GOODBYE):
                await self.conversation.ask(b"QUIT")
        except OSError:
            pass
        finally:
            self.drop()


class Pool:
    """A pool of up to `relay.connections` connections, opened on demand; the one used last is reused first.

    Take a slot, then a connection. A slot's holder may take several connections, one after the other.
    """

    def __init__(self, relay: RelayConfig) -> None:
        self._relay = relay
        self._slots = asyncio.Semaphore(relay.connections)
        self._kept: deque[Connection] = deque()
        self._closed = False

    async def take_slot(self, within: float) -> None:
        """Acquire a slot, the right to use one connection. Raises `NoFreeConnection` after `within` seconds."""
        if not self._slots.locked():
            await self._slots.acquire()
            return
        try:
            async with asyncio.timeout(within):
                await self._slots.acquire()
        except TimeoutError:
            raise NoFreeConnection(f"none of {self._relay.connections} connections became free in time") from None

    def give_slot_back(self) -> None:
        """Release the slot."""
        self._slots.release()

    def take_kept(self) -> Connection | None:
        """Return an idle connection of the pool, or None: then open one. Requires a slot.

        Give it back with `keep()`. Drop it after any exception, cancellation included: after an interrupted command its
        replies are off by one. Raises `NoFreeConnection` once the pool is closed.
        """
        if self._closed:
            raise NoFreeConnection("the pool is closed")
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
        """Open a connection: connect, start TLS, greet and log in, as configured.

        Raises errors of aiosmtplib and `OSError`.
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
        """Close all idle connections with QUIT; those in use are closed when they are given back."""
        self._closed = True
        kept, self._kept = self._kept, deque()
        await asyncio.gather(*(connection.quit() for connection in kept))

    def keep(self, connection: Connection) -> None:
        """Put a connection back into the pool for reuse, or close it if it is worn out or closed already."""
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
