"""The mailer against a real Postfix: what its manners come to, and how often its next hop gets each message."""

import asyncio
import os
from collections import Counter
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email import message_from_bytes

import pytest

from recovery.domain.outcome import OutcomeKind
from recovery.domain.per_shop import PerShop
from recovery.domain.schedule import Step
from recovery.domain.state import CheckoutState, Status
from recovery.engine.ports import ALLOWED
from recovery.mail.composer import Envelope
from recovery.mail.smtp.mailer import SmtpMailer
from tests.support.configurations import relay_config
from tests.support.postfix import CAN_RUN, postfix
from tests.support.smtp_servers import RecordingRelay

pytestmark = pytest.mark.skipif(
    not CAN_RUN and not os.environ.get("CI"),
    reason="needs Debian's postfix, and to be root: only CI may not go without",
)

LOOPS = ("asyncio", "uvloop")

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
STEP = Step("first", timedelta(minutes=30), "reminder", "Hello", timedelta(hours=12))
BURST = 40


class NumberedComposer:
    """Composes a message for the order id of a checkout."""

    def __init__(self):
        self.recipient = "ann@known.example"
        self.needs_utf8 = False
        self.size = 10

    def compose(self, checkout, step, now):
        del step, now
        name = checkout.id.partition("/")[2]
        content = f"From: shop@shop.example\r\nMessage-ID: <{name}@shop.example>\r\n\r\n".encode() + b"x" * self.size
        message = Envelope(
            "shop@shop.example", self.recipient, f"<{name}@shop.example>", content + b"\r\n", needs_utf8=False
        )
        return replace(message, needs_utf8=self.needs_utf8)


class PostfixWorld:
    """A mailer, the Postfix that it speaks to, and who gets what Postfix hands on."""

    def __init__(self, mailer, composer, next_hop):
        self.mailer = mailer
        self.composer = composer
        self.next_hop = next_hop
        self.number = 0

    async def send(self):
        self.number += 1
        checkout = CheckoutState(
            id=f"shop/{self.number}", status=Status.OPEN, opened_at=NOW, touched_at=NOW, revision=1
        )
        return await self.mailer.send(checkout, STEP, hand_over_within=20, permission=ALLOWED)

    async def burst(self):
        """Send many at once; return how many ended how."""
        return Counter(outcome.kind for outcome in await asyncio.gather(*(self.send() for _ in range(BURST))))

    async def handed_on(self, count):
        """Wait for so many mails beyond Postfix; return how often each message came."""
        await self.next_hop.wait_for(count, 30)
        await asyncio.sleep(0.3)
        return Counter(message_from_bytes(mail.content)["Message-ID"] for mail in self.next_hop.mails)


class FixedClock:
    """Stands still."""

    def now(self):
        return NOW


@asynccontextmanager
async def postfix_world(folder, *, idle=60.0, chunking=False, **settings):
    composer = NumberedComposer()
    async with RecordingRelay() as next_hop, postfix(folder, next_hop.port, settings) as port:
        relay = relay_config(
            "127.0.0.1",
            port,
            timeout_seconds=20.0,
            dot_timeout_seconds=20.0,
            connections=10,
            idle_seconds=idle,
            chunking=chunking,
        )
        mailer = SmtpMailer(PerShop(composer), relay, FixedClock())
        try:
            yield PostfixWorld(mailer, composer, next_hop)
        finally:
            await mailer.aclose()


async def test_sessions_that_postfix_closes_for_being_idle_cost_nothing(tmp_path):
    """Two bursts with an idle time in between: each message is taken once, and handed on once."""
    async with postfix_world(tmp_path, idle=2.0, smtpd_timeout="1s") as here:
        assert await here.burst() == {OutcomeKind.SENT: BURST}
        await asyncio.sleep(2.5)  # beyond what either side bears
        assert await here.burst() == {OutcomeKind.SENT: BURST}
        assert await here.handed_on(2 * BURST) == {f"<{n + 1}@shop.example>": 1 for n in range(2 * BURST)}


async def test_a_rate_of_messages_is_no_fault_of_theirs(tmp_path):
    """`450 4.7.1 Error: too much mail`: what is beyond it is throttled, and costs no attempt."""
    async with postfix_world(tmp_path, smtpd_client_message_rate_limit="15", anvil_rate_time_unit="60s") as here:
        assert await here.burst() == {OutcomeKind.SENT: 15, OutcomeKind.THROTTLED: BURST - 15}


async def test_it_gets_as_few_connections_as_it_takes_and_all_messages(tmp_path):
    """`421 4.7.0 Error: too many connections`: the others carry the messages."""
    async with postfix_world(tmp_path, smtpd_client_connection_count_limit="3") as here:
        assert await here.burst() == {OutcomeKind.SENT: BURST}


async def test_an_unknown_recipient_is_dead_and_a_living_one_of_that_domain_is_not(tmp_path):
    """`550 5.1.1 ... User unknown in relay recipient table`."""
    async with postfix_world(tmp_path) as here:
        here.composer.recipient = "bob@known.example"
        outcome = await here.send()
        assert outcome.kind is OutcomeKind.DEAD_ADDRESS
        assert "bob" not in outcome.reply
        here.composer.recipient = "ann@known.example"
        assert (await here.send()).kind is OutcomeKind.SENT


async def test_what_it_cannot_take_says_nothing_of_the_address(tmp_path):
    """Without SMTPUTF8, and beyond its size: the message is dead, and nobody is suppressed."""
    async with postfix_world(tmp_path, smtputf8_enable="no", message_size_limit="20000") as here:
        here.composer.recipient, here.composer.needs_utf8 = "jörg@known.example", True
        assert (await here.send()).kind is OutcomeKind.DEAD_MESSAGE
        here.composer.recipient, here.composer.needs_utf8, here.composer.size = "ann@known.example", False, 30_000
        assert (await here.send()).kind is OutcomeKind.DEAD_MESSAGE
        here.composer.size = 10
        assert (await here.send()).kind is OutcomeKind.SENT


async def test_a_postfix_whose_processes_come_and_go_takes_each_message_once(tmp_path):
    """Sessions end in the very moment of the next burst; nothing is sent twice."""
    async with postfix_world(tmp_path, smtpd_timeout="1s", max_use="3", max_idle="1s") as here:
        for _ in range(3):
            assert await here.burst() == {OutcomeKind.SENT: BURST}
            await asyncio.sleep(1.2)
        assert set((await here.handed_on(3 * BURST)).values()) == {1}


@pytest.mark.parametrize("settings", [{}, {"smtpd_discard_ehlo_keywords": "pipelining"}])
async def test_mails_in_chunks_are_taken_once(tmp_path, settings):
    """Postfix offers CHUNKING; a refused recipient between others costs them nothing, with or without PIPELINING."""
    async with postfix_world(tmp_path, chunking=True, **settings) as here:
        assert await here.burst() == {OutcomeKind.SENT: BURST}
        here.composer.recipient = "bob@known.example"
        assert await here.burst() == {OutcomeKind.DEAD_ADDRESS: BURST}
        here.composer.recipient = "ann@known.example"
        assert await here.burst() == {OutcomeKind.SENT: BURST}
        handed_on = await here.handed_on(2 * BURST)
        assert set(handed_on.values()) == {1}
        assert len(handed_on) == 2 * BURST
