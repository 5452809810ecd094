"""How many connections: the first goes alone, and a relay that bears few gets few."""

import asyncio
from collections import Counter
from contextlib import asynccontextmanager

import pytest

from recovery.domain.outcome import OutcomeKind
from recovery.domain.per_shop import PerShop
from recovery.engine.ports import ALLOWED
from recovery.mail.smtp.mailer import SmtpMailer
from recovery.mail.smtp.pool import REFUSALS_PER_CONNECTION
from tests.support.configurations import relay_config
from tests.support.smtp_servers import RecordingRelay, _Fault
from tests.support.smtp_world import CHECKOUT, STEP, FixedClock, FixedComposer

LOOPS = ("asyncio", "uvloop")
BURST = 60
LIMIT = 3


class CrowdedRelay(RecordingRelay):
    """Bears so many connections at a time; others are refused in the banner."""

    def __init__(self, bears):
        super().__init__()
        self.bears = bears
        self.refused = 0
        self.most = 0

    def _fault(self, phase, recipient):
        self.most = max(self.most, len(self._open))
        if phase == "BANNER" and len(self._open) > self.bears:
            self.refused += 1
            return _Fault("BANNER", "answer", "421 4.7.0 Error: too many connections", None, None)
        return super()._fault(phase, recipient)


@asynccontextmanager
async def mailer_of(relay, **options):
    mailer = SmtpMailer(PerShop(FixedComposer()), relay_config(relay.host, relay.port, **options), FixedClock())
    try:
        yield mailer
    finally:
        await mailer.aclose()


async def burst(mailer, count=BURST):
    sendings = (mailer.send(CHECKOUT, STEP, hand_over_within=10, permission=ALLOWED) for _ in range(count))
    async with asyncio.timeout(30):
        return Counter(outcome.kind for outcome in await asyncio.gather(*sendings))


async def test_a_relay_that_bears_few_connections_gets_few_and_all_mails():
    async with CrowdedRelay(LIMIT) as relay, mailer_of(relay) as mailer:
        assert await burst(mailer) == {OutcomeKind.SENT: BURST}
        refused = relay.refused
        assert refused <= 20
        for _ in range(5):
            assert await burst(mailer) == {OutcomeKind.SENT: BURST}
        assert relay.refused <= refused + 1


async def test_one_more_is_tried_now_and_then_and_all_once_the_relay_bears_them():
    async with CrowdedRelay(LIMIT) as relay, mailer_of(relay, connections=10, tries_more_after=0.05) as mailer:
        await burst(mailer)
        refused = relay.refused
        async with asyncio.timeout(30):
            while relay.refused == refused:
                await asyncio.sleep(0.06)
                await burst(mailer)
        relay.bears, relay.most = 100, 0
        await asyncio.sleep(0.1)
        relay.slow["DOT"] = 0.05
        for _ in range(4):
            assert await burst(mailer) == {OutcomeKind.SENT: BURST}
        assert relay.most == 10


async def test_the_first_connection_goes_alone():
    async with RecordingRelay() as relay, mailer_of(relay) as mailer:
        relay.hang_at("BANNER", times=None)
        sending = asyncio.create_task(burst(mailer))
        await relay.until(lambda: "BANNER" in relay.reached)
        await asyncio.sleep(0.2)
        assert relay.reached.count("BANNER") == 1
        sending.cancel()


@pytest.mark.parametrize("reply", ["535 5.7.8 bad credentials", "421 4.3.2 not now", "554 5.7.1 you are blocked"])
async def test_where_nobody_is_let_in_one_connection_tells_it_to_all(reply):
    async with RecordingRelay() as relay, mailer_of(relay) as mailer:
        relay.answer("BANNER", reply, times=None)
        kinds = await burst(mailer)
        assert relay.reached.count("BANNER") == 1
        assert sum(kinds.values()) == BURST
        assert OutcomeKind.SENT not in kinds
        assert len(kinds) == 1
        relay.clear_faults()
        assert await burst(mailer) == {OutcomeKind.SENT: BURST}


async def test_a_connection_with_many_refusals_is_replaced_before_the_relay_takes_it_for_an_attack():
    async with RecordingRelay() as relay, mailer_of(relay, connections=1) as mailer:
        relay.answer("RCPT", "450 4.2.0 Greylisted, please try again later", times=20)
        kinds = await burst(mailer, 30)
        assert kinds == {OutcomeKind.LATER: 20, OutcomeKind.SENT: 10}
        assert relay.reached.count("BANNER") == 1 + 20 // REFUSALS_PER_CONNECTION


async def test_an_accepted_message_ends_the_row_of_refusals():
    async with RecordingRelay() as relay, mailer_of(relay, connections=1) as mailer:
        for _ in range(3):
            relay.answer("RCPT", "450 4.2.0 Greylisted, please try again later", times=REFUSALS_PER_CONNECTION - 1)
            await burst(mailer, REFUSALS_PER_CONNECTION)
        assert relay.reached.count("BANNER") == 1
