"""The port that sends test mails, filled by `recovery.app`."""

from typing import Protocol

from recovery.domain.outcome import Outcome
from recovery.domain.schedule import Step
from recovery.domain.state import CheckoutState
from recovery.errors import RecoveryError


class NotATestRecipient(RecoveryError):
    """An address that may get no test mails: the message says which setting names those that may."""


class MailTests(Protocol):
    """What sends test mails."""

    def recipients(self, shop: str) -> tuple[str, ...]:
        """Return the addresses, and the domains as in `@example.com`, that may get the test mails of a shop."""
        ...

    def check(self, shop: str, to: str) -> None:
        """Raise `NotATestRecipient` for an address that may not get them."""
        ...

    async def send(self, shop: str, step: Step, checkout: CheckoutState, to: str) -> Outcome:
        """Send a mail to a test recipient; return what came of it. Raises `NotATestRecipient`."""
        ...
