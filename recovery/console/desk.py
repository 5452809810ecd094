"""The desk: what the pages work with. `recovery.app` fills it."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field

from recovery.client import Recovery
from recovery.console.mail_tests import MailTests
from recovery.console.trial import Trial
from recovery.domain.per_shop import PerShop
from recovery.domain.results import USUAL, Terms
from recovery.domain.schedule import Schedule, Step
from recovery.domain.state import CheckoutState
from recovery.engine.ports import Clock
from recovery.mail.composer import Composer, RenderError
from recovery.mail.templates.templates import Rendered
from recovery.mongo.channels import Channels
from recovery.mongo.collections import Database
from recovery.mongo.suppressions import Suppressions


def _nothing(_checkout: CheckoutState, step: Step) -> Rendered:
    raise RenderError(f"{step.name}: there are no templates here")


async def _done() -> None:
    pass


@dataclass(frozen=True, slots=True)
class Sending:
    """How a shop's mails go out: their sender, and the relay's address."""

    sender: str = ""
    relay: str = ""


@dataclass(frozen=True, slots=True)
class Desk:
    """The parts of a daemon that the pages read, and act with.

    `faults` returns the readiness checks of this daemon, each with its fault or None. `shops` are the shops that have
    settings of their own. `terms` are those of results. `closing` is set when the daemon stops: what streams must end
    then. `trial` tries schedules. `rendered` returns the mail of a checkout as its shop's templates make it now, or
    raises `RenderError`. `sending` is how each shop's mails go out. `composers` make the mails of each shop;
    `tests` sends them to test recipients. `words_saved` has this daemon take new words at once.
    """

    database: Database
    recovery: Recovery
    clock: Clock
    schedules: PerShop[Schedule]
    suppressions: Suppressions
    faults: Callable[[], Mapping[str, str | None]]
    shops: Sequence[str] = ()
    terms: Terms = USUAL
    closing: asyncio.Event = field(default_factory=asyncio.Event)
    rendered: Callable[[CheckoutState, Step], Rendered] = _nothing
    trial: Trial | None = None
    sending: PerShop[Sending] = field(default_factory=lambda: PerShop(Sending()))
    composers: PerShop[Composer] | None = None
    tests: MailTests | None = None
    words_saved: Callable[[], Awaitable[None]] = _done

    async def known_shops(self, limit: int) -> list[str]:
        """Return up to `limit` shops that have settings or checkouts, by name. Raises `Unavailable`."""
        return await Channels(self.database).names(self.shops, limit)
