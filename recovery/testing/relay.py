"""A relay in memory: takes every mail, or refuses it as a test orders."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from recovery.domain.checkout import shop_and_order
from recovery.domain.fields import normalised
from recovery.domain.masking import masked, private
from recovery.domain.outcome import Outcome, OutcomeKind
from recovery.domain.schedule import Step
from recovery.domain.state import CheckoutState
from recovery.engine.ports import Permission
from recovery.mail.composer import Envelope, RenderError
from recovery.mail.smtp.replies import Phase, read_reply
from recovery.testing.clock import VirtualClock
from recovery.testing.mails import Mail

Compose = Callable[[CheckoutState, Step], Envelope]

TAKEN = "250 2.0.0 taken by the relay in memory"


@dataclass(slots=True)
class Refusal:
    """A reply to RCPT for mails to this address and of this step, where given: `left` of them, None for all."""

    code: int
    text: str
    to: str | None
    step: str | None
    left: int | None

    def takes(self, address: str, step: str) -> bool:
        """Return whether a mail gets it, and count that."""
        if self.left == 0 or self.to not in (None, address) or self.step not in (None, step):
            return False
        if self.left is not None:
            self.left -= 1
        return True


class MemoryRelay:
    """The port `Mailer` in memory: composes each mail, keeps it as taken, and misbehaves as ordered."""

    def __init__(self, compose: Compose, clock: VirtualClock) -> None:
        self._compose = compose
        self._clock = clock
        self._refusals: list[Refusal] = []
        self.mails: list[Mail] = []
        self.gone = False
        """Whether connections fail."""
        self.crashes: str | None = None
        """Where the daemon dies with the next mail: before the content, or after it; None if it does not."""
        self.crashed: asyncio.Future[None] | None = None
        """What the mail of a dead daemon waits for in vain."""

    def refuse(self, reply: str, *, to: str | None, step: str | None, times: int | None) -> None:
        """Refuse mails with this reply. Raises `ValueError` for a text that is not a refusal."""
        code, _, text = reply.partition(" ")
        if not (code.isascii() and code.isdigit() and len(code) == 3 and 400 <= int(code) <= 599):
            raise ValueError(f"the reply {reply!r} refuses nothing: begin it with a code such as 550 or 451")
        if to is not None:
            to = normalised(to)
        self._refusals.append(Refusal(int(code), text, to, step, times))

    def accept(self) -> None:
        """Take every mail again."""
        self._refusals.clear()

    async def send(
        self,
        checkout: CheckoutState,
        step: Step,
        *,
        hand_over_within: float,  # noqa: ARG002 - there is always a connection
        permission: Permission,
    ) -> Outcome:
        """Compose a mail and take it, or return how it failed."""
        try:
            envelope = self._compose(checkout, step)
        except RenderError as error:
            return _outcome(OutcomeKind.RENDER_ERROR, str(error), checkout)
        if self.gone:
            return _outcome(OutcomeKind.CONNECTION, "the relay is gone, as the test ordered", checkout)
        if (refusal := self._refused(envelope.recipient, step)) is not None:
            kind = read_reply(Phase.RCPT, refusal.code, refusal.text)
            reply = f"{refusal.code} {refusal.text}".rstrip()
            return _outcome(kind, reply, checkout, envelope.message_id, to_recipient=True)
        if (why_not := await permission.refused()) is not None:
            return _outcome(OutcomeKind.CALLED_OFF, why_not, checkout, envelope.message_id)
        if self.crashes == "before content":
            await self._die()
        permission.used()
        self.mails.append(self._taken(checkout, step, envelope))
        if self.crashes == "after content":
            await self._die()
        return _outcome(OutcomeKind.SENT, TAKEN, checkout, envelope.message_id)

    async def greet(self) -> Outcome | None:
        """Return the failure to connect, or None."""
        return Outcome(OutcomeKind.CONNECTION, "the relay is gone, as the test ordered") if self.gone else None

    async def _die(self) -> None:
        self.crashes = None
        self.crashed = asyncio.get_running_loop().create_future()
        await self.crashed

    def _refused(self, address: str, step: Step) -> Refusal | None:
        return next((each for each in self._refusals if each.takes(normalised(address), step.name)), None)

    def _taken(self, checkout: CheckoutState, step: Step, envelope: Envelope) -> Mail:
        shop, order_id = shop_and_order(checkout.id)
        return Mail(shop, order_id, step.name, self._clock.now(), envelope.recipient, envelope.sender, envelope.content)


def _outcome(
    kind: OutcomeKind,
    reply: str,
    checkout: CheckoutState,
    message_id: str | None = None,
    *,
    to_recipient: bool = False,
) -> Outcome:
    """Return an outcome, with the customer's data masked in the reply as in any other."""
    customer = checkout.facts.customer
    names: Sequence[str] = () if customer is None else private(customer.email, customer.name)
    return Outcome(kind, masked(reply, names), message_id, to_recipient=to_recipient)
