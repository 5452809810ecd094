"""A relay that passes on what Google says, word for word: others are taken at once, and all are delivered once."""

import asyncio
import re
import time
from collections import Counter
from contextlib import suppress
from datetime import timedelta

import pytest

from recovery import Customer
from recovery.domain.per_shop import PerShop
from recovery.domain.state import MessageState
from recovery.mail.composer import Envelope
from recovery.mail.smtp.mailer import SmtpMailer
from tests.support.builders import report, state
from tests.support.configurations import relay_config
from tests.support.engine_in_memory import DUE, EngineInMemory
from tests.support.scripted_relay import ScriptedRelay
from tests.support.smtp_world import a_smtp_world

FLOODED = b"421 4.7.28 Our system has detected an unusual rate of mail, please slow down - gsmtp"
SPEED = 200
"""How much faster than the machine's the engine's clocks go: it waits for turns for minutes."""


class Composer:
    """Composes a line for each checkout."""

    def compose(self, checkout, step, now):
        content = b"Subject: hello\r\n\r\nhello\r\n"
        return Envelope(
            "shop@shop.example", checkout.facts.customer.email, "<1@shop.example>", content, needs_utf8=False
        )


class Google(ScriptedRelay):
    """Takes all mail for others; for Google so many, then it refuses some with 421, and after that takes the rest."""

    def __init__(self, takes, refuses):
        super().__init__()
        self.takes, self.refuses = takes, refuses
        self.taken = Counter()
        self.refused = 0

    async def serve(self):
        async with asyncio.TaskGroup() as tasks:
            while True:
                tasks.create_task(self._serve(await self.sessions.get()))

    async def _serve(self, session):
        with suppress(asyncio.IncompleteReadError, ConnectionResetError, TimeoutError):
            while True:
                session.heard = b""
                await session.hear(b"DATA\r\n")
                recipient = re.findall(rb"RCPT TO:<(.*?)>", session.heard)[-1].decode()
                if self._is_too_much(recipient):
                    self.refused += 1
                    session.say(b"250 2.1.0 ok", FLOODED)
                    break
                session.say(b"250 2.1.0 ok", b"250 2.1.5 ok", b"354 go on")
                await session.hear(b"\r\n.\r\n")
                self.taken[recipient] += 1
                session.say(b"250 2.0.0 taken")
        session.close()

    def _is_too_much(self, recipient):
        if not recipient.endswith("@gmail.com"):
            return False
        taken = sum(number for to, number in self.taken.items() if to.endswith("@gmail.com"))
        return taken >= self.takes and self.refused < self.refuses


def checkouts(count, domain):
    for number in range(count):
        facts = report(customer=Customer(email=f"c{number}@{domain}", name="Ada")).facts()
        yield state(f"{domain}-{number}", facts=facts, next_at=DUE)


async def test_all_are_delivered_once_and_none_is_dead():
    """The receiver is slowed, not the relay; nobody loses an attempt."""
    began = time.monotonic()
    async with Google(takes=5, refuses=4) as relay:
        scene = EngineInMemory(*checkouts(30, "gmail.com"), *checkouts(30, "lamps.example"))
        scene.monotonic = lambda: (time.monotonic() - began) * SPEED
        scene.clock.now = lambda: DUE + timedelta(seconds=scene.monotonic())
        mailer = SmtpMailer(PerShop(Composer()), relay_config(relay.host, relay.port, connections=4), scene.clock)
        scene.engine.sender._mailer = mailer
        serving = asyncio.create_task(relay.serve())
        slowed = set()
        async with scene.running(), asyncio.timeout(30):
            while len(relay.taken) < 60 or scene.engine.sender.in_flight:
                if due := scene.store.due():
                    await scene.engine.look(due, "test")
                slowed |= {each.receiver for each in scene.engine.sender.governor.slowed(scene.monotonic())}
                assert scene.engine.sender.paced_rate is None
                assert scene.engine.sender.breaker.fault is None
                await asyncio.sleep(0.002)
        serving.cancel()
        await mailer.aclose()
    assert slowed == {"google"}
    assert relay.refused == 4
    assert set(relay.taken.values()) == {1}
    assert scene.store.letters == []
    ended = [kept.messages["reminder-1"] for kept in scene.store.kept.values()]
    assert {(message.state, message.attempts) for message in ended} == {(MessageState.SENT, 1)}


@pytest.mark.parametrize(
    ("phase", "to_recipient"), [("EHLO", False), ("MAIL", False), ("RCPT", True), ("DATA", True), ("DOT", True)]
)
async def test_only_what_is_said_to_rcpt_or_later_may_be_about_the_recipient(phase, to_recipient):
    """Before, no recipient is known: the relay speaks of itself."""
    async with a_smtp_world() as world:
        world.relay.answer(phase, "451 4.7.0 too fast - gsmtp", times=None)
        assert (await world.send()).to_recipient is to_recipient
