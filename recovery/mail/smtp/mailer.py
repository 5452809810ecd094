"""SMTP mailer: one delivery for each message, over a pool of connections to one relay."""

import asyncio
import ssl
from functools import partial

import aiosmtplib

from recovery.domain.masking import masked
from recovery.domain.outcome import Outcome
from recovery.domain.per_shop import PerShop
from recovery.domain.schedule import Step
from recovery.domain.state import CheckoutState
from recovery.engine.ports import Clock, Permission
from recovery.mail.composer import Composer, Envelope
from recovery.mail.smtp.conversation import Reply
from recovery.mail.smtp.delivery import Delivery, not_let_in
from recovery.mail.smtp.pool import Pool, RelayConfig


class RelayUnreachable(Exception):
    """The relay cannot be used: the message names it, says why, and what to fix."""


class SmtpMailer:
    """The `Mailer` of `recovery.engine.ports`, over SMTP. Close it with `aclose()`."""

    def __init__(self, composers: PerShop[Composer], relay: RelayConfig, clock: Clock) -> None:
        self._composers = composers
        self._relay = relay
        self._clock = clock
        self._pool = Pool(relay)

    def send(
        self, checkout: CheckoutState, step: Step, *, hand_over_within: float, permission: Permission
    ) -> asyncio.Future[Outcome]:
        """Render and send one message; return its outcome, which any fault is. Cancel it to abort the message.

        If no connection is free within `hand_over_within` seconds, the message is not sent. `permission` is checked
        last, when the relay waits for the content: the facts known at the claim may be stale by then if the relay was
        slow.
        """
        hand_over_by = asyncio.get_running_loop().time() + hand_over_within
        delivery = Delivery(checkout, partial(self._compose, checkout, step), permission, hand_over_by)
        self._pool.submit(delivery)
        return delivery.ended

    def expect(self, checkout: CheckoutState) -> None:
        """Note that this checkout may get mails, so that the templates of its language are compiled before."""
        self._composers.of(checkout.id).templates.expect(checkout)

    async def greet(self) -> Outcome | None:
        """Connect and log in; return the failure as an outcome, or None if the relay is ready."""
        try:
            await _greet(self._pool, self._relay)
        except (OSError, aiosmtplib.SMTPException, ValueError) as error:
            kind, reply = not_let_in(error, self._relay.timeout_seconds)
            return Outcome(kind, masked(reply))
        return None

    async def aclose(self) -> None:
        """Close all connections with QUIT. From now on, nothing is sent."""
        await self._pool.aclose()

    def _compose(self, checkout: CheckoutState, step: Step) -> Envelope:
        return self._composers.of(checkout.id).compose(checkout, step, self._clock.now())


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
        session = await pool.open()
        try:
            await session.conversation.ask(b"NOOP")
        finally:
            await session.quit()
    return session.greeting


def _advice(relay: RelayConfig, error: Exception) -> str:
    """Return the relay's fault and its fix, as a sentence."""
    why = str(error).rstrip(".")
    match error:
        case aiosmtplib.SMTPAuthenticationError():
            why = Reply(error.code, error.message).words
            return f"{relay.address} refuses the user name and password ({why}): fix them, or leave out both."
        case aiosmtplib.SMTPResponseException():
            return f"{relay.address} refuses us ({Reply(error.code, error.message).words}): ask the relay's operator."
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
