"""Preview a mail, or send it to a test recipient."""

import time
from secrets import token_hex

from recovery.app.factories import CannotStart, database_of
from recovery.app.shops import composer_of, relay_of, templates_of
from recovery.domain.checkout import Customer
from recovery.domain.outcome import Outcome
from recovery.domain.per_shop import PerShop
from recovery.domain.schedule import Step
from recovery.domain.state import CheckoutState
from recovery.engine.ports import ALLOWED, Clock
from recovery.mail.smtp.mailer import SmtpMailer
from recovery.mail.templates import samples
from recovery.mail.templates.templates import Rendered, Templates
from recovery.mongo import preflight
from recovery.mongo.clock import MongoClock
from recovery.settings import Settings

MARK = "[test] "
"""The prefix of the subject of a test mail."""


def preview(settings: Settings, step: str, checkout: CheckoutState) -> tuple[Rendered, bytes]:
    """Return a step's mail for a checkout: rendered, and as a whole message. Raises `CannotStart`, `RenderError`."""
    wanted = _step(settings, step)
    composer = composer_of(settings, templates_of(settings))
    message = composer.compose(checkout, wanted, checkout.ordered_at or checkout.touched_at)
    return composer.render(checkout, wanted), message.content


async def send_test(settings: Settings, step: str, to: str, locale: str) -> Outcome:
    """Send a step's mail with sample data through the relay, without recording it.

    Raises `CannotStart` for an unknown step, or for an address that is not a test recipient in the settings.
    """
    wanted = _step(settings, step)
    check_recipient(settings, to)
    templates = templates_of(settings)
    async with database_of(settings) as database:
        if fault := await preflight.fault(database):
            raise CannotStart(str(fault))
        clock = MongoClock(database, time.monotonic)
        await clock.measure()
        return await sent(settings, templates, clock, wanted, samples.of(step, locale), to)


def check_recipient(settings: Settings, to: str) -> None:
    """Raise `CannotStart` for an address that is not a test recipient in the settings."""
    if not _may_get_tests(to, settings.mail.test_recipients):
        raise CannotStart(
            f"{to} is not among mail.test_recipients (RECOVERY_MAIL__TEST_RECIPIENTS): add it there, or its domain as"
            " in @example.com."
        )


async def sent(
    settings: Settings, templates: Templates, clock: Clock, step: Step, checkout: CheckoutState, to: str
) -> Outcome:
    """Send a step's mail for a checkout to another address, over a connection of its own; return what came of it."""
    customer = checkout.facts.customer or Customer(email=to)
    facts = checkout.facts.model_copy(update={"customer": customer.model_copy(update={"email": to})})
    # An order of its own: mail programs show only one mail of each Message-ID.
    checkout = checkout.model_copy(update={"facts": facts, "id": f"{checkout.id}-{token_hex(4)}"})
    relay = relay_of(settings)
    mailer = SmtpMailer(PerShop(composer_of(settings, templates, subject_prefix=MARK)), relay, clock)
    try:
        return await mailer.send(checkout, step, hand_over_within=relay.timeout_seconds, permission=ALLOWED)
    finally:
        await mailer.aclose()


def _step(settings: Settings, name: str) -> Step:
    steps = settings.to_schedule().by_name
    if name not in steps:
        raise CannotStart(f"There is no step {name}; there are {', '.join(steps)}.")
    return steps[name]


def _may_get_tests(address: str, allowed: tuple[str, ...]) -> bool:
    """Return whether an address, or its domain as in `@example.com`, is allowed."""
    domain = address.rpartition("@")[2]
    return any(each.casefold() in (address.casefold(), f"@{domain}".casefold()) for each in allowed)
