"""Pool of connections to the relay: opening one costs more than sending a message over it, so they are reused.

aiosmtplib has no pool. Its timeouts are not used: a timeout that strikes just as a reply arrives may lose it
(`asyncio.wait_for` before Python 3.12).
"""

import asyncio
import hashlib
import ssl
from collections import deque
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Literal, NamedTuple, cast

import aiosmtplib

from recovery.domain.outcome import OutcomeKind
from recovery.domain.rate import Rate
from recovery.domain.warmup import Warmup
from recovery.mail.smtp.conversation import hang_up
from recovery.mail.smtp.delivery import Delivery, compose_together, not_let_in
from recovery.mail.smtp.session import Session

REFUSALS_PER_CONNECTION = 4
"""Refusals in a row after which a connection is replaced. Each is two errors where RCPT and DATA go together. After ten
errors, Postfix delays each reply by a second; after twenty, it hangs up."""

FORGETS = 0.8
"""The share of the longest time to a reply after the dot that is still expected after another reply."""


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
    rates: tuple[Rate, ...]
    """The rates that it allows. The sender keeps to them, not the pool."""
    warmup: Warmup | None = None
    """The warm-up of the sending address, None without one. The sender keeps to it as well."""
    tries_more_after: float = 60.0
    """Seconds after a connection too many until one more is tried."""
    messages_per_connection: int
    """Relays close long sessions, one large provider after some 350 messages: we close them first."""
    chunking: bool
    """Whether to send the content with BDAT, and in one packet with MAIL and RCPT, where the relay offers that."""
    idle_seconds: float
    """A connection idle for longer is not reused: firewalls drop it, and the relay may have sent 421 meanwhile."""
    timeout_seconds: float
    """Timeout of connecting, and again of the replies to MAIL, RCPT and DATA together."""
    dot_timeout_seconds: float
    """Timeout of the reply after the final dot: 10 minutes by RFC 5321 section 4.5.3.2.6."""

    @property
    def account(self) -> str:
        """The relay and the login, of which a hash will do: what a provider's rates are counted for."""
        login = hashlib.sha256((self.username or "").encode()).hexdigest()[:16]
        return self.address if self.username is None else f"{self.address} {login}"

    @property
    def address(self) -> str:
        """The relay as `host:port`."""
        return f"{self.host}:{self.port}"


class _Opened(NamedTuple):
    """A session that was opened for a message, and the reason not to send that message any more, or None."""

    session: Session
    why_not: str | None


class Pool:
    """A pool of up to `relay.connections` sessions, opened on demand; the one used last is reused first.

    A message that finds none free waits in a queue, and the first session that becomes free takes it. Where the relay
    answers fast, it is announced behind the content of another message.

    The first connection goes alone, also after a refused login: if it fails, all that wait fail with it. A relay that
    bears fewer connections than configured gets as many as it bears, and one more now and then.
    """

    def __init__(self, relay: RelayConfig) -> None:
        self._relay = relay
        self._most = relay.connections
        self._tries_more_at = 0.0
        self._is_trying = False
        self._is_proven = False
        self._queue: deque[Delivery] = deque()
        self._kept: deque[Session] = deque()
        self._sessions: set[Session] = set()
        """The sessions in use."""
        self._openings: set[asyncio.Task[_Opened | None]] = set()
        self._expiry: asyncio.TimerHandle | None = None
        self._answered_within: float | None = None
        self._may_follow = True
        self._may_pipeline = True
        self._may_chunk = relay.chunking
        self._closed = False

    def submit(self, delivery: Delivery) -> None:
        """Send a message as soon as a connection is free; it ends unsent if that takes too long."""
        delivery.abort = self._withdraw
        self._queue.append(delivery)
        self._serve()
        if not delivery.is_over and self._queue and self._queue[-1] is delivery:
            self._expire_at(delivery.hand_over_by)

    async def open(self) -> Session:
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
            async with asyncio.timeout(relay.timeout_seconds):
                greeting = (await client.connect()).message
                if client.is_ehlo_or_helo_needed:
                    await client.ehlo()
            return Session(
                client,
                greeting,
                self,
                timeout=relay.timeout_seconds,
                dot_timeout=relay.dot_timeout_seconds,
                pipelining=self._may_pipeline,
                chunking=self._may_chunk,
            )
        except BaseException:
            _abort(client)
            raise

    async def aclose(self) -> None:
        """Close all idle sessions with QUIT; those in use are closed when their message has ended."""
        self._closed = True
        self._serve()
        kept, self._kept = self._kept, deque()
        await asyncio.gather(*(session.quit() for session in kept))

    # What a session asks of its owner.

    def follower(self, session: Session) -> Delivery | None:
        """Return a message to announce behind a content, if the reply to that is expected well within its time."""
        if not self._may_follow or self._answered_within is None:
            return None
        if self._closed or self._is_worn_out(session):
            return None
        latest = asyncio.get_running_loop().time() + 2 * self._answered_within
        while self._queue and self._queue[0].is_over:
            self._queue.popleft()
        if not self._queue or self._queue[0].hand_over_by < latest:
            return None
        return self._next()

    def answered(self, seconds: float) -> None:
        """Note how long the relay took for its reply to the final dot."""
        self._answered_within = max(seconds, FORGETS * (self._answered_within or 0.0))

    def again(self, delivery: Delivery) -> None:
        """Put a message that the relay has not taken up to the head of the queue, for another session."""
        delivery.abort = self._withdraw
        self._queue.appendleft(delivery)
        self._expire_at(delivery.hand_over_by)

    def follow_no_more(self) -> None:
        """Announce no message behind the content of another: the relay loses its place."""
        self._may_follow = False

    def pipeline_no_more(self) -> None:
        """Send one command at a time over new connections: the relay refuses more, though it offers PIPELINING."""
        self._may_pipeline = False

    def answered_in_part(self) -> None:
        """Do the same if the relay has never answered a packet of commands to its end."""
        if self._answered_within is None:
            self._may_pipeline = False

    def chunk_no_more(self) -> None:
        """Use DATA over new connections: the relay does not know BDAT, though it offers CHUNKING."""
        self._may_chunk = False

    def free(self, session: Session) -> None:
        """Keep a session for reuse, or close it if it is worn out or closed already; serve who waits."""
        self._sessions.discard(session)
        self._keep(session)
        self._serve()

    # Who waits, and the sessions.

    def _serve(self) -> None:
        """Give messages that wait to free sessions, as far as there are any."""
        self._try_more()
        while self._queue and self._closed:
            self._queue.popleft().end(OutcomeKind.UNSENT, "the pool is closed")
        while self._queue and self._has_place():
            delivery = self._next()
            if not delivery.is_over:
                self._send(delivery)

    def _next(self) -> Delivery:
        """Take the first message that waits; if it is not composed yet, those behind it are composed with it."""
        delivery = self._queue.popleft()
        if not delivery.is_composed:
            compose_together(delivery, self._queue)
        return delivery

    def _has_place(self) -> bool:
        """Return whether a free session is there, or one more may be opened."""
        if len(self._sessions) + len(self._openings) >= self._most:
            return False
        return bool(self._kept) or self._is_proven or not self._openings

    def _try_more(self) -> None:
        """Allow one connection more, now and then, where the relay bore fewer than configured."""
        now = asyncio.get_running_loop().time()
        if self._queue and self._most < self._relay.connections and now >= self._tries_more_at:
            self._most += 1
            self._is_trying = True
            self._tries_more_at = now + self._relay.tries_more_after

    def _send(self, delivery: Delivery) -> None:
        try:
            session = self._take_kept()
        except Exception as error:  # noqa: BLE001  whatever it is, no other message may suffer from it
            delivery.fail(error)
            return
        if session is not None:
            self._use(session, delivery)
            return
        opening = asyncio.get_running_loop().create_task(self._open_for(delivery))
        self._openings.add(opening)
        delivery.abort = lambda _: _cancel(opening)
        opening.add_done_callback(partial(self._has_opened, delivery))

    def _use(self, session: Session, delivery: Delivery) -> None:
        if session.begin(delivery):
            self._sessions.add(session)
        else:
            self._keep(session)

    async def _open_for(self, delivery: Delivery) -> _Opened | None:
        """Open a session and ask for permission, as that took time. Return None if the relay does not let us in."""
        try:
            session = await self.open()
        except (OSError, aiosmtplib.SMTPException, ValueError) as error:
            self._not_let_in(delivery, *not_let_in(error, self._relay.timeout_seconds))
            return None
        self._is_proven = True
        if self._is_trying:  # it bears one more: so perhaps another
            self._is_trying, self._tries_more_at = False, 0.0
        self._most = max(self._most, len(self._sessions) + len(self._kept) + 1)
        try:
            why_not = None if delivery.permission.granted() else await delivery.permission.refused()
        except BaseException:
            session.drop()
            raise
        return _Opened(session, why_not)

    def _not_let_in(self, delivery: Delivery, kind: OutcomeKind, reply: str) -> None:
        """End a message for which no connection could be opened; or let it wait, if others work: they are the limit."""
        working = len(self._sessions) + len(self._kept)
        if working and kind in (OutcomeKind.CONNECTION, OutcomeKind.THROTTLED):
            self._most, self._is_trying = working, False
            self._tries_more_at = asyncio.get_running_loop().time() + self._relay.tries_more_after
            self.again(delivery)
            return
        delivery.end(kind, reply)
        if not working and len(self._openings) == 1:
            self._is_proven = False
            waiting, self._queue = self._queue, deque()
            for each in waiting:
                each.end(kind, reply)

    def _has_opened(self, delivery: Delivery, opening: asyncio.Task[_Opened | None]) -> None:
        self._openings.discard(opening)
        if not opening.cancelled() and (error := opening.exception()) is not None:
            delivery.fail(cast("Exception", error))
        elif not opening.cancelled() and (opened := opening.result()) is not None:
            if opened.why_not is not None:
                delivery.end(OutcomeKind.CALLED_OFF, opened.why_not)
            if delivery.is_over:
                self._keep(opened.session)  # it serves the next message
            else:
                self._use(opened.session, delivery)
        self._serve()

    def _take_kept(self) -> Session | None:
        trusted_since = asyncio.get_running_loop().time() - self._relay.idle_seconds
        while self._kept:
            session = self._kept.pop()
            if session.used_at < trusted_since:
                session.leave()
            elif session.is_open:
                return session
            else:
                session.drop()
        return None

    def _keep(self, session: Session) -> None:
        now = asyncio.get_running_loop().time()
        session.used_at = now
        session.is_kept = True
        if not session.is_open:
            session.drop()
        elif self._closed or self._is_worn_out(session):
            session.leave()
        else:
            self._kept.append(session)
        while self._kept and self._kept[0].used_at < now - self._relay.idle_seconds:
            self._kept.popleft().leave()

    def _is_worn_out(self, session: Session) -> bool:
        return session.messages >= self._relay.messages_per_connection or session.refused >= REFUSALS_PER_CONNECTION

    def _withdraw(self, delivery: Delivery) -> None:
        if delivery in self._queue:
            self._queue.remove(delivery)

    def _expire_at(self, at: float) -> None:
        if self._expiry is not None:
            if self._expiry.when() <= at:
                return
            self._expiry.cancel()
        self._expiry = asyncio.get_running_loop().call_at(at, self._expire)

    def _expire(self) -> None:
        """End messages that have waited for too long, in the queue or behind the content of another."""
        self._expiry = None
        now = asyncio.get_running_loop().time()
        followers = (session.follower for session in self._sessions)
        waiting = [each for each in (*self._queue, *followers) if each is not None and not each.is_over]
        for delivery in waiting:
            if delivery.hand_over_by <= now:
                delivery.end(OutcomeKind.UNSENT, f"none of {self._relay.connections} connections became free in time")
        self._queue = deque(delivery for delivery in self._queue if not delivery.is_over)
        left = [delivery.hand_over_by for delivery in waiting if not delivery.is_over]
        if left:
            self._expire_at(min(left))

    @cached_property
    def _tls_context(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=self._relay.ca_file)


def _cancel(opening: asyncio.Task[_Opened | None]) -> None:
    opening.cancel()


def _abort(client: aiosmtplib.SMTP) -> None:
    transport = cast("asyncio.WriteTransport | None", client.transport)
    if transport is not None:
        hang_up(transport)
    client.close()
