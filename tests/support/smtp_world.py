"""A mailer beside a relay that misbehaves on demand."""

import asyncio
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from recovery.domain.checkout import Customer, Facts
from recovery.domain.per_shop import PerShop
from recovery.domain.schedule import Step
from recovery.domain.state import CheckoutState, Status
from recovery.mail.composer import Envelope
from recovery.mail.smtp.mailer import SmtpMailer
from tests.support.configurations import relay_config
from tests.support.smtp_servers import RecordingRelay

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
STEP = Step("first", timedelta(minutes=30), "reminder", "Hello", timedelta(hours=12))
ANN = Facts(customer=Customer(email="ann@example.com", name="Ann Other"))
CHECKOUT = CheckoutState(id="shop/1", status=Status.OPEN, facts=ANN, opened_at=NOW, touched_at=NOW, revision=1)
CONTENT = b"Subject: hello\r\n\r\n.one dot\r\n..\r\nlast\r\n"


class FixedClock:
    """Stands still."""

    def now(self):
        return NOW


class FixedComposer:
    """Composes the same message every time, unless another is set."""

    def __init__(self):
        self.envelope = Envelope("shop@example.com", "ann@example.com", "<1@example.com>", CONTENT, needs_utf8=False)
        self.error = None

    def compose(self, checkout, step, now):
        assert (checkout, step, now) == (CHECKOUT, STEP, NOW)
        if self.error:
            raise self.error
        return self.envelope


class Permit:
    """The port Permission: allows, unless a reason against it is set, and records its use."""

    def __init__(self):
        self.why_not = None
        self.asked = 0
        self.uses = 0
        self.before = None

    def granted(self):
        return False

    async def refused(self):
        self.asked += 1
        if self.before is not None:
            await self.before()
        return self.why_not

    def used(self):
        self.uses += 1


class SmtpWorld:
    """A mailer, its composer and its relay."""

    def __init__(self, relay, mailer, composer):
        self.relay = relay
        self.mailer = mailer
        self.composer = composer
        self.permission = Permit()

    async def send(self, to=None, within=5.0):
        if to:
            self.composer.envelope = replace(self.composer.envelope, recipient=to)
        return await self.mailer.send(CHECKOUT, STEP, hand_over_within=within, permission=self.permission)


@asynccontextmanager
async def mailing(host, port, **options):
    composer = FixedComposer()
    mailer = SmtpMailer(PerShop(composer), relay_config(host, port, **options), FixedClock())
    try:
        yield mailer, composer
    finally:
        await mailer.aclose()


@asynccontextmanager
async def a_smtp_world(*, extensions=None, **options):
    relay = RecordingRelay() if extensions is None else RecordingRelay(extensions)
    async with relay, mailing(relay.host, relay.port, **options) as (mailer, composer):
        yield SmtpWorld(relay, mailer, composer)


async def meet_silence(smtp_world, leap, phase):
    """Return the outcome of a message that the relay falls silent on."""
    smtp_world.relay.hang_at(phase)
    before = smtp_world.relay.reached.count(phase)
    sending = asyncio.create_task(smtp_world.send())
    await smtp_world.relay.until(lambda: smtp_world.relay.reached.count(phase) > before)
    leap(61)
    return await sending
