"""SMTP mailer: compose one message, take a connection, carry out the SMTP transaction, return the outcome."""

import asyncio
import re
import ssl

import aiosmtplib

from recovery.domain.masking import masked, private
from recovery.domain.outcome import Outcome, OutcomeKind
from recovery.domain.per_shop import PerShop
from recovery.domain.schedule import Step
from recovery.domain.state import CheckoutState
from recovery.engine.ports import Clock, Permission
from recovery.mail.composer import Composer, Envelope, RenderError
from recovery.mail.smtp.conversation import Conversation, Disconnected, Reply, command
from recovery.mail.smtp.pool import Connection, NoFreeConnection, Pool, RelayConfig
from recovery.mail.smtp.replies import Phase, read_reply

READ_WITHIN = 0.1
"""Seconds after a timeout in which a reply that has arrived already is still read."""

_BARE_LINE_END = re.compile(rb"\r(?!\n)|(?<!\r)\n")


class RelayUnreachable(Exception):
    """The relay cannot be used: the message names it, says why, and what to fix."""


class SmtpMailer:
    """The `Mailer` of `recovery.engine.ports`, over SMTP. Close it with `aclose()`."""

    def __init__(self, composers: PerShop[Composer], relay: RelayConfig, clock: Clock) -> None:
        self._composers = composers
        self._relay = relay
        self._clock = clock
        self._pool = Pool(relay)

    async def send(
        self, checkout: CheckoutState, step: Step, *, hand_over_within: float, permission: Permission
    ) -> Outcome:
        """Render and send one message; every fault is an outcome, never an exception.

        If no connection is free within `hand_over_within` seconds, the message is not sent. `permission` is checked
        last, when the relay waits for the content: the facts known at the claim may be stale by then if the relay was
        slow.
        """
        try:
            await self._pool.take_slot(hand_over_within)
            try:
                envelope = self._composers.of(checkout.id).compose(checkout, step, self._clock.now())
                kind, reply = await self._deliver(_Transaction(envelope, permission, self._relay))
            finally:
                self._pool.give_slot_back()
        except NoFreeConnection as error:
            return Outcome(OutcomeKind.UNSENT, str(error))
        except RenderError as error:
            return Outcome(OutcomeKind.RENDER_ERROR, masked(str(error), _private(checkout)))
        # An accepting reply names people only by their address, so their names need no masking.
        names = () if kind is OutcomeKind.SENT else _private(checkout)
        return Outcome(kind, masked(reply, names), envelope.message_id)

    async def greet(self) -> Outcome | None:
        """Connect and log in; return the failure as an outcome, or None if the relay is ready."""
        try:
            await _greet(self._pool, self._relay)
        except (OSError, aiosmtplib.SMTPException, ValueError) as error:
            kind, reply = _not_let_in(error, self._relay)
            return Outcome(kind, masked(reply))
        return None

    async def aclose(self) -> None:
        """Close all connections with QUIT. From now on, nothing is sent."""
        await self._pool.aclose()

    async def _deliver(self, transaction: "_Transaction") -> tuple[OutcomeKind, str]:
        try:
            async with asyncio.timeout(None) as patience:
                transaction.patience = patience
                return await self._hand_over(transaction)
        except TimeoutError:
            return transaction.lost(_silent(transaction.waits))
        except aiosmtplib.SMTPResponseException as error:
            return _not_let_in(error, self._relay)
        except OSError as error:
            return transaction.lost(str(error))
        except (aiosmtplib.SMTPException, ValueError) as error:
            return _not_let_in(error, self._relay)

    async def _hand_over(self, transaction: "_Transaction") -> tuple[OutcomeKind, str]:
        while True:
            transaction.phase = Phase.CONNECT
            connection = self._pool.take_kept()
            if connection is None:
                transaction.begin(Phase.CONNECT)
                connection = await self._pool.open()
            kept_before = connection.messages > 0
            try:
                result = await transaction.run(connection)
            except BaseException:
                connection.drop()
                raise
            self._pool.keep(connection)
            # Relays may close idle sessions at any time, and that is no failure: only a new connection counts.
            if kept_before and transaction.phase is Phase.MAIL and result[0] is OutcomeKind.DROPPED:
                continue
            return result


def _private(checkout: CheckoutState) -> list[str]:
    customer = checkout.facts.customer
    return [] if customer is None else private(customer.email, customer.name)


async def check_relay(relay: RelayConfig) -> str:
    """Connect, log in, and return the relay's greeting. Raises `RelayUnreachable`."""
    pool = Pool(relay)
    try:
        return await _greet(pool, relay)
    except (OSError, aiosmtplib.SMTPException, ValueError) as error:
        raise RelayUnreachable(_advice(relay, error)) from error


async def _greet(pool: Pool, relay: RelayConfig) -> str:
    """Connect, log in, and return the relay's greeting. Raises errors of aiosmtplib and `OSError`."""
    async with asyncio.timeout(relay.timeout_seconds):
        connection = await pool.open()
        try:
            await connection.conversation.ask(b"NOOP")
        finally:
            await connection.quit()
    return connection.greeting


def _not_let_in(error: Exception, relay: RelayConfig) -> tuple[OutcomeKind, str]:
    """Return the outcome of a failure to connect or log in, and its reason."""
    match error:
        case aiosmtplib.SMTPResponseException():
            return read_reply(Phase.CONNECT, error.code, error.message), _words(error.code, error.message)
        case TimeoutError():
            return OutcomeKind.CONNECTION, _silent(relay.timeout_seconds)
        case OSError():
            return OutcomeKind.CONNECTION, str(error)
        case _:  # an extension that we require and the relay does not offer, or settings that cannot be sent
            return OutcomeKind.OUR_FAULT, str(error)


class _Transaction:
    """One SMTP transaction (MAIL, RCPT, DATA, content), and its current phase.

    aiosmtplib's own `data()` is not used: its exceptions do not distinguish a loss before the dot from one after it.
    Nor are its `mail()` and `rcpt()`: their lenient parser rewrites addresses, and each waits for its reply.
    """

    patience: asyncio.Timeout

    def __init__(self, envelope: Envelope, permission: Permission, relay: RelayConfig) -> None:
        self._envelope = envelope
        self._permission = permission
        self._relay = relay
        self.phase = Phase.CONNECT
        self.waits = relay.timeout_seconds
        """Timeout, in seconds, of the reply that is being waited for."""

    def begin(self, phase: Phase) -> None:
        """Enter a phase and start its timeout."""
        self.phase = phase
        self.waits = self._relay.dot_timeout_seconds if phase is Phase.DOT else self._relay.timeout_seconds
        self.patience.reschedule(asyncio.get_running_loop().time() + self.waits)

    async def run(self, connection: Connection) -> tuple[OutcomeKind, str]:
        """Send the message over this connection and return the outcome; drop the connection unless it is reusable."""
        if self._envelope.needs_utf8 and not connection.offers("smtputf8"):
            return (
                OutcomeKind.DEAD_MESSAGE,
                "the relay does not offer SMTPUTF8 (RFC 6531), which this address needs",
            )
        if connection.messages == 0 and (why_not := await self._refused()):
            return OutcomeKind.CALLED_OFF, why_not  # opening took time; the connection serves the next message
        self.begin(Phase.MAIL)
        try:
            await connection.reset()
            reply = await self._announce(connection)
            if reply is None:
                if why_not := await self._refused():
                    connection.drop()
                    return OutcomeKind.CALLED_OFF, why_not
                reply = await self._say_content(connection)
        except OSError as error:
            connection.drop()
            return self.lost(str(error))
        kind = read_reply(self.phase, *reply)
        if kind is OutcomeKind.CONNECTION:
            kind = OutcomeKind.DROPPED
        if kind is not OutcomeKind.SENT:
            connection.in_transaction = True
        if reply.code == 421 or kind in _OUT_OF_STEP:
            connection.drop()
        return kind, _words(*reply)

    def lost(self, why: str) -> tuple[OutcomeKind, str]:
        """Return the outcome if the connection is lost in the current phase."""
        match self.phase:
            case Phase.DOT:
                return OutcomeKind.AMBIGUOUS, f"lost after the dot: {why}"
            case Phase.CONNECT:
                return OutcomeKind.CONNECTION, why
            case _:
                return OutcomeKind.DROPPED, why

    async def _refused(self) -> str | None:
        """Return the reason not to send the content now, or None. The relay's timeout pauses meanwhile."""
        if self._permission.granted():
            return None
        self.patience.reschedule(None)
        return await self._permission.refused()

    async def _announce(self, connection: Connection) -> Reply | None:
        """Send MAIL, RCPT and DATA; return None if the relay waits for the content, else its first refusal.

        They go in one packet where the relay offers PIPELINING: that saves two round trips of four.
        """
        conversation = connection.conversation
        commands = (
            (
                Phase.MAIL,
                2,
                command(b"MAIL", b"FROM:<%b>" % self._envelope.sender.encode(), *self._options(connection)),
            ),
            (Phase.RCPT, 2, command(b"RCPT", b"TO:<%b>" % self._envelope.recipient.encode())),
            (Phase.DATA, 3, command(b"DATA")),
        )
        together = connection.offers("pipelining")
        if together:
            conversation.say(b"".join(line for *_, line in commands), replies=len(commands))
        for number, (phase, go_on, line) in enumerate(commands):
            self.phase = phase
            if not together:
                conversation.say(line)
            reply = await conversation.hear()
            if reply.code // 100 != go_on:
                if together:
                    await _hear_out(conversation, len(commands) - number - 1)
                return reply
        return None

    async def _say_content(self, connection: Connection) -> Reply:
        """Send the content, and return the reply after the dot, which may take longer than any other."""
        content = as_data(self._envelope.content, sound_lines=self._envelope.sound_lines)
        if not connection.conversation.is_open:
            raise Disconnected("the connection was closed before the content")
        self._permission.used()
        self.begin(Phase.DOT)
        connection.conversation.say(content)
        try:
            return await connection.conversation.hear()
        except asyncio.CancelledError:
            if not self.patience.expired():
                raise
            await asyncio.sleep(READ_WITHIN)  # if this process was suspended, the reply may be here, not yet read
            reply = connection.conversation.heard()
            if reply is None:
                raise
            return reply

    def _options(self, connection: Connection) -> list[bytes]:
        content = self._envelope.content
        options = []
        if connection.offers("size"):
            options.append(b"SIZE=%d" % len(content))
        if not content.isascii() and connection.offers("8bitmime"):
            options.append(b"BODY=8BITMIME")
        if self._envelope.needs_utf8:
            options.append(b"SMTPUTF8")
        return options


async def _hear_out(conversation: Conversation, replies: int) -> None:
    """Read the remaining replies of a refused message. If the relay still asks for the content, send none.

    RFC 2920 section 3.1: a relay may reply to DATA with 354 even though it accepted no recipient.
    """
    try:
        for _ in range(replies):
            reply = await conversation.hear()
            if reply.code // 100 == 3:
                conversation.say(b".\r\n")
                await conversation.hear()
    except OSError:
        pass  # the refusal is what counts; the pool notices that this connection is closed


_OUT_OF_STEP = (OutcomeKind.DROPPED, OutcomeKind.OUR_FAULT, OutcomeKind.AMBIGUOUS)
"""Outcomes after which the connection is closed, and the next message opens a new one."""


def as_data(content: bytes, *, sound_lines: bool = False) -> bytes:
    """Return a message as sent after DATA: CRLF line ends, dots stuffed, the final dot appended.

    RFC 5321 sections 2.3.8 and 4.5.2. A bare CR or LF let through could end the message early for some relays. With
    `sound_lines`, the lines were made so (see `Envelope`): the scan of a whole mail is left out.
    """
    if sound_lines:
        return content + b".\r\n"
    if not content.count(b"\r\n") == content.count(b"\n") == content.count(b"\r"):
        content = _BARE_LINE_END.sub(b"\r\n", content)
    if not content.endswith(b"\r\n"):
        content += b"\r\n"
    if content.startswith(b"."):
        content = b"." + content
    if b"\n." in content:
        content = content.replace(b"\n.", b"\n..")
    return content + b".\r\n"


def _silent(seconds: float) -> str:
    return f"the relay did not answer within {seconds:g} s"


def _words(code: int, text: str) -> str:
    """Return a reply on one line, as valid UTF-8: aiosmtplib may pass on undecodable bytes."""
    readable = text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return f"{code} {' '.join(readable.split())}"


def _advice(relay: RelayConfig, error: Exception) -> str:
    """Return the relay's fault and its fix, as a sentence."""
    why = str(error).rstrip(".")
    match error:
        case aiosmtplib.SMTPAuthenticationError():
            why = _words(error.code, error.message)
            return f"{relay.address} refuses the user name and password ({why}): fix them, or leave out both."
        case aiosmtplib.SMTPResponseException():
            return f"{relay.address} refuses us ({_words(error.code, error.message)}): ask the relay's operator."
        case TimeoutError():
            return (
                f"{relay.address} did not answer within {relay.timeout_seconds:g} s: fix the port or the firewall in "
                "between, or use implicit TLS if the relay expects it."
            )
        case FileNotFoundError():
            return f"The CA file for {relay.address}, {relay.ca_file}, does not exist: fix its path."
        case _ if _caused_by(error, ssl.SSLCertVerificationError):
            return (
                f"The certificate of {relay.address} is not trusted ({why}): use the host name that it was issued "
                "for, or name the CA file of the authority that signed it."
            )
        case _ if _caused_by(error, ssl.SSLError):
            return f"The TLS handshake with {relay.address} failed ({why}): fix the kind of TLS, or the port for it."
        case OSError():
            return f"{relay.address} cannot be reached ({why}): start the relay, or fix its host and port."
        case _:
            return (
                f"{relay.address} does not offer what the settings require ({why}): fix the kind of TLS or the login."
            )


def _caused_by(error: BaseException | None, kind: type[BaseException]) -> bool:
    while error is not None:
        if isinstance(error, kind):
            return True
        error = error.__cause__
    return False
