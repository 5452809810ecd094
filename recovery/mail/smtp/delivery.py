"""Delivery: one message on its way to the relay, from its composition to its outcome."""

import asyncio
import re
from collections.abc import Callable, Iterable
from itertools import islice
from time import perf_counter

import aiosmtplib

from recovery.domain.masking import masked, private
from recovery.domain.outcome import Outcome, OutcomeKind
from recovery.domain.state import CheckoutState
from recovery.engine.ports import Permission
from recovery.mail.composer import Envelope, RenderError
from recovery.mail.smtp.conversation import Reply, command
from recovery.mail.smtp.replies import Phase, read_reply

COMPOSED_TOGETHER = 32
"""Messages that are composed one after the other: a burst then takes a seventh less of the daemon's processor time than
with one mail between two replies of the relay (measured), for the processor has their code and templates at hand."""

COMPOSING_FOR = 0.004
"""Seconds after which no further message is composed at a time: the replies of the relay wait meanwhile."""

_BARE_LINE_END = re.compile(rb"\r(?!\n)|(?<!\r)\n")


class Delivery:
    """One message, to be handed over by the loop time `hand_over_by`. `ended` is its outcome.

    Cancel `ended` to abort the delivery: `abort`, which its current holder sets, is then called.
    """

    def __init__(
        self, checkout: CheckoutState, compose: Callable[[], Envelope], permission: Permission, hand_over_by: float
    ) -> None:
        self._checkout = checkout
        self._compose = compose
        self._envelope: Envelope | None = None
        self.permission = permission
        self.hand_over_by = hand_over_by
        self.abort: Callable[[Delivery], None] = _nothing
        self.ended: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self.ended.add_done_callback(self._has_ended)

    @property
    def is_over(self) -> bool:
        """Whether the message has an outcome, or is cancelled: nothing more may be sent of it."""
        return self.ended.done()

    @property
    def is_composed(self) -> bool:
        """Whether the message is composed."""
        return self._envelope is not None

    def compose(self) -> bool:
        """Compose the message unless that is done; return whether it can be sent. If not, it has ended."""
        if self._envelope is None:
            try:
                self._envelope = self._compose()
            except RenderError as error:
                self.end(OutcomeKind.RENDER_ERROR, str(error))
            except Exception as error:  # noqa: BLE001  whatever it is, who waits for the outcome gets it
                self.fail(error)
        return self._envelope is not None

    def commands(self, offered: frozenset[str]) -> tuple[bytes, bytes, bytes] | None:
        """Return MAIL, RCPT and DATA for a relay that offers these SMTP extensions, or None if the message has ended.

        aiosmtplib's own `mail()` and `rcpt()` are not used: their lenient parser rewrites addresses.
        """
        if not self.compose():
            return None
        envelope = self._composed
        if envelope.needs_utf8 and "smtputf8" not in offered:
            self.end(OutcomeKind.DEAD_MESSAGE, "the relay does not offer SMTPUTF8 (RFC 6531), which this address needs")
            return None
        options = []
        if "size" in offered:
            options.append(b"SIZE=%d" % len(envelope.content))
        if "8bitmime" in offered and not envelope.content.isascii():
            options.append(b"BODY=8BITMIME")
        if envelope.needs_utf8:
            options.append(b"SMTPUTF8")
        try:
            mail = command(b"MAIL", b"FROM:<%b>" % envelope.sender.encode(), *options)
            return mail, command(b"RCPT", b"TO:<%b>" % envelope.recipient.encode()), command(b"DATA")
        except ValueError as error:
            self.end(OutcomeKind.OUR_FAULT, str(error))
            return None

    def content(self) -> bytes:
        """Return the content as sent after DATA, with its final dot."""
        return as_data(self._composed.content, sound_lines=self._composed.sound_lines)

    def chunk(self) -> bytes:
        """Return the content as one chunk, behind its BDAT command (RFC 3030): no dots are stuffed in it."""
        envelope = self._composed
        content = envelope.content if envelope.sound_lines else _whole_lines(envelope.content)
        return b"BDAT %d LAST\r\n%b" % (len(content), content)

    def end(self, kind: OutcomeKind, reply: str, *, to_recipient: bool = False) -> None:
        """End the delivery with this outcome, unless it is over. `to_recipient`: as `Outcome` has it."""
        if self.ended.done():
            return
        # An accepting reply names people only by their address, so their names need no masking.
        names = () if kind is OutcomeKind.SENT else self._private()
        message_id = None if self._envelope is None else self._envelope.message_id
        self.ended.set_result(Outcome(kind, masked(reply, names), message_id, to_recipient=to_recipient))

    def fail(self, error: Exception) -> None:
        """End the delivery with an error that nobody expected, unless it is over."""
        if not self.ended.done():
            self.ended.set_exception(error)

    @property
    def _composed(self) -> Envelope:
        assert self._envelope is not None  # noqa: S101 - composed before it is announced
        return self._envelope

    def _private(self) -> list[str]:
        customer = self._checkout.facts.customer
        return [] if customer is None else private(customer.email, customer.name)

    def _has_ended(self, ended: "asyncio.Future[Outcome]") -> None:
        if ended.cancelled():
            self.abort(self)


def compose_together(first: Delivery, behind: Iterable[Delivery]) -> None:
    """Compose the first message, and some of those behind it: `COMPOSED_TOGETHER` at most, within `COMPOSING_FOR`."""
    ends_at = perf_counter() + COMPOSING_FOR
    for delivery in (first, *islice(behind, COMPOSED_TOGETHER - 1)):
        if not delivery.is_over:
            delivery.compose()
        if perf_counter() > ends_at:
            return


def _nothing(_: Delivery) -> None:
    pass


def as_data(content: bytes, *, sound_lines: bool = False) -> bytes:
    """Return a message as sent after DATA: CRLF line ends, dots stuffed, the final dot appended.

    RFC 5321 sections 2.3.8 and 4.5.2. A bare CR or LF let through could end the message early for some relays. With
    `sound_lines`, the lines were made so (see `Envelope`): the scan of a whole mail is left out.
    """
    if sound_lines:
        return content + b".\r\n"
    content = _whole_lines(content)
    if content.startswith(b"."):
        content = b"." + content
    if b"\n." in content:
        content = content.replace(b"\n.", b"\n..")
    return content + b".\r\n"


def _whole_lines(content: bytes) -> bytes:
    """Return a message whose lines all end with CRLF, the last one too."""
    if not content.count(b"\r\n") == content.count(b"\n") == content.count(b"\r"):
        content = _BARE_LINE_END.sub(b"\r\n", content)
    return content if content.endswith(b"\r\n") else content + b"\r\n"


def silent(seconds: float) -> str:
    """Return the words for a relay that did not answer within so many seconds."""
    return f"the relay did not answer within {seconds:g} s"


def not_let_in(error: Exception, timeout: float) -> tuple[OutcomeKind, str]:
    """Return the outcome of a failure to connect or log in within `timeout` seconds, and its reason."""
    match error:
        case aiosmtplib.SMTPResponseException():
            return read_reply(Phase.CONNECT, error.code, error.message), Reply(error.code, error.message).words
        case TimeoutError():
            return OutcomeKind.CONNECTION, silent(timeout)
        case OSError():
            return OutcomeKind.CONNECTION, str(error)
        case _:  # an extension that we require and the relay does not offer, or settings that cannot be sent
            return OutcomeKind.OUR_FAULT, str(error)
