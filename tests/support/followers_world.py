"""A mailer with one connection, whose messages are told apart by their recipients, for tests of announced messages."""

import asyncio
import time
from contextlib import asynccontextmanager

from recovery.domain.per_shop import PerShop
from recovery.mail.composer import Envelope, RenderError
from recovery.mail.smtp.mailer import SmtpMailer
from tests.support.configurations import relay_config
from tests.support.smtp_world import CHECKOUT, STEP, FixedClock, Permit


class NamingComposer:
    """Composes a message to whom the checkout is named after; some need SMTPUTF8, some cannot be made."""

    def __init__(self):
        self.utf8 = set()
        self.broken = set()
        self.composed = []
        self.takes = 0.0

    def compose(self, checkout, step, now):
        del step, now
        name = checkout.id.partition("/")[2]
        self.composed.append(name)
        if self.takes:
            time.sleep(self.takes)
        if name in self.broken:
            raise RenderError(f"{name} cannot be made")
        content = f"Subject: {name}\r\n\r\n.{name}\r\n".encode()
        return Envelope(
            "shop@example.com", f"{name}@example.com", f"<{name}@example.com>", content, needs_utf8=name in self.utf8
        )


class Granted(Permit):
    """A permission that is granted without asking, until it is told otherwise."""

    fresh = True

    def granted(self):
        return self.fresh


class FollowersWorld:
    """A mailer with one connection, and its relay, which has answered one message: others may be announced early."""

    def __init__(self, relay, mailer, composer):
        self.relay = relay
        self.mailer = mailer
        self.composer = composer
        self.permissions = {}

    def send(self, name, within=5.0, permission=None):
        self.permissions[name] = permission or Granted()
        checkout = CHECKOUT.model_copy(update={"id": f"shop/{name}"})
        return self.mailer.send(checkout, STEP, hand_over_within=within, permission=self.permissions[name])

    async def kinds(self, *sendings):
        async with asyncio.timeout(20):
            return [outcome.kind for outcome in await asyncio.gather(*sendings)]

    def recipients(self):
        return [mail.recipient.partition("@")[0] for mail in self.relay.mails]


@asynccontextmanager
async def followers_world(relay, **options):
    settings = {"timeout_seconds": 60.0, "dot_timeout_seconds": 60.0, "local_hostname": "shop.test", "connections": 1}
    composer = NamingComposer()
    mailer = SmtpMailer(PerShop(composer), relay_config(relay.host, relay.port, **settings | options), FixedClock())
    try:
        yield FollowersWorld(relay, mailer, composer)
    finally:
        relay.hang_up()
        await mailer.aclose()
