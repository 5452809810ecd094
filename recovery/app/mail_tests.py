"""Test mails of the console, through the relay of a shop."""

from recovery.app.factories import CannotStart
from recovery.app.preview import check_recipient, sent
from recovery.console.mail_tests import NotATestRecipient
from recovery.domain.outcome import Outcome
from recovery.domain.per_shop import PerShop
from recovery.domain.schedule import Step
from recovery.domain.state import CheckoutState
from recovery.engine.ports import Clock
from recovery.mail.composer import Composer
from recovery.settings import Settings


class ShopMailTests:
    """The port `MailTests` of the console, on the settings and the composers of a daemon."""

    def __init__(self, settings: Settings, composers: PerShop[Composer], clock: Clock) -> None:
        self._settings = settings
        self._composers = composers
        self._clock = clock

    def recipients(self, shop: str) -> tuple[str, ...]:
        """Return the addresses, and the domains as in `@example.com`, that may get the test mails of a shop."""
        return self._settings.of(shop).mail.test_recipients

    def check(self, shop: str, to: str) -> None:
        """Raise `NotATestRecipient` for an address that may not get them."""
        try:
            check_recipient(self._settings.of(shop), to)
        except CannotStart as exc:
            raise NotATestRecipient(str(exc)) from exc

    async def send(self, shop: str, step: Step, checkout: CheckoutState, to: str) -> Outcome:
        """Send a mail to a test recipient; return what came of it. Raises `NotATestRecipient`."""
        self.check(shop, to)
        templates = self._composers.of_shop(shop).templates
        return await sent(self._settings.of(shop), templates, self._clock, step, checkout, to)
