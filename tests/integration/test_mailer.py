"""The mailer against a real SMTP server: the outcome of each fault, and the next message goes through."""

import asyncio
import shutil
import ssl
import subprocess
import time
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from aiosmtpd import smtp as aiosmtpd

from recovery.domain.checkout import Customer, Facts
from recovery.domain.outcome import OutcomeKind
from recovery.domain.per_shop import PerShop
from recovery.domain.schedule import Step
from recovery.domain.state import CheckoutState, Status
from recovery.mail.composer import Envelope, RenderError
from recovery.mail.smtp.mailer import RelayUnreachable, SmtpMailer, check_relay
from recovery.mail.smtp.pool import Relay
from tests.smtp_servers import EXTENSIONS, RecordingRelay

LOOPS = ("asyncio", "uvloop")
"""The image ships uvloop, whose transports behave differently after a close."""

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


class World:
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
    settings = {"timeout_seconds": 60.0, "dot_timeout_seconds": 60.0, "local_hostname": "shop.test"} | options
    mailer = SmtpMailer(PerShop(composer), Relay(host, port, **settings), FixedClock())
    try:
        yield mailer, composer
    finally:
        await mailer.aclose()


@asynccontextmanager
async def a_world(*, extensions=None, **options):
    relay = RecordingRelay() if extensions is None else RecordingRelay(extensions)
    async with relay, mailing(relay.host, relay.port, **options) as (mailer, composer):
        yield World(relay, mailer, composer)


@pytest.fixture(params=[EXTENSIONS, EXTENSIONS[:-1]], ids=["all in one packet", "one by one"])
async def world(request):
    async with a_world(extensions=request.param) as world:
        yield world


@pytest.fixture
async def leap():
    """Lets time leap by some seconds: whatever is due by then is due at once, and no test waits for a clock."""
    loop = asyncio.get_running_loop()
    clock = loop.time
    ahead = 0.0

    def leap(seconds):
        nonlocal ahead
        ahead += seconds

    loop.time = lambda: clock() + ahead
    yield leap
    del loop.time


async def meet_silence(world, leap, phase):
    """Return the outcome of a message that the relay falls silent on."""
    world.relay.hang_at(phase)
    before = world.relay.reached.count(phase)
    sending = asyncio.create_task(world.send())
    await world.relay.until(lambda: world.relay.reached.count(phase) > before)
    leap(61)
    return await sending


async def test_a_message_arrives_as_it_was_composed(world):
    """Sender, recipient and every byte arrive, and the outcome holds the relay's reply and the Message-ID."""
    outcome = await world.send()
    assert (outcome.kind, outcome.reply) == (OutcomeKind.SENT, "250 2.0.0 accepted as 1 for <…>")
    assert outcome.message_id == "<1@example.com>"
    (mail,) = world.relay.mails
    assert (mail.sender, mail.recipient, mail.content) == ("shop@example.com", "ann@example.com", CONTENT)
    assert world.relay.commands[0] == "EHLO shop.test"


async def test_a_connection_serves_one_message_after_the_other(world):
    """Messages sent in turn share one connection and one EHLO."""
    for _ in range(5):
        assert (await world.send()).kind is OutcomeKind.SENT
    assert world.relay.connections == 1
    assert [c[:4] for c in world.relay.commands] == ["EHLO"] + ["MAIL", "RCPT", "DATA"] * 5


REFUSALS = [
    ("BANNER", "421 4.3.2 closing", OutcomeKind.CONNECTION),
    ("BANNER", "451 4.3.0 not now", OutcomeKind.CONNECTION),
    ("BANNER", "554 5.7.1 you are listed", OutcomeKind.OUR_FAULT),
    ("EHLO", "421 4.3.2 closing", OutcomeKind.CONNECTION),
    ("EHLO", "501 5.5.4 what a name", OutcomeKind.OUR_FAULT),
    ("MAIL", "421 4.7.0 too many", OutcomeKind.THROTTLED),
    ("MAIL", "451 4.3.0 not now", OutcomeKind.LATER),
    ("MAIL", "552 5.3.4 too big", OutcomeKind.DEAD_MESSAGE),
    ("MAIL", "530 5.7.0 authenticate", OutcomeKind.OUR_FAULT),
    ("MAIL", "553 5.1.8 sender domain", OutcomeKind.OUR_FAULT),
    ("MAIL", "503 5.5.1 out of turn", OutcomeKind.OUR_FAULT),
    ("RCPT", "421 4.7.0 too many", OutcomeKind.THROTTLED),
    ("RCPT", "450 4.2.0 greylisted", OutcomeKind.LATER),
    ("RCPT", "452 4.2.2 full", OutcomeKind.LATER),
    ("RCPT", "454 4.7.0 slow down", OutcomeKind.THROTTLED),
    ("RCPT", "550 5.1.1 no such user", OutcomeKind.DEAD_ADDRESS),
    ("RCPT", "550-5.1.1 no such\r\n550 5.1.1 user", OutcomeKind.DEAD_ADDRESS),
    ("RCPT", "550 no such user", OutcomeKind.DEAD_ADDRESS),
    ("RCPT", "550 5.2.1 disabled", OutcomeKind.DEAD_ADDRESS),
    ("RCPT", "550 5.7.1 relaying denied", OutcomeKind.OUR_FAULT),
    ("RCPT", "501 5.5.4 syntax", OutcomeKind.OUR_FAULT),
    ("DATA", "421 4.3.2 closing", OutcomeKind.DROPPED),
    ("DATA", "451 4.3.0 not now", OutcomeKind.LATER),
    ("DATA", "554 5.5.1 no valid recipients", OutcomeKind.DEAD_MESSAGE),
    ("DATA", "250 what?", OutcomeKind.DROPPED),
    ("DOT", "421 4.3.0 filter trouble", OutcomeKind.LATER),
    ("DOT", "452 4.3.1 disk full", OutcomeKind.LATER),
    ("DOT", "552 too big", OutcomeKind.DEAD_MESSAGE),
    ("DOT", "554 5.6.0 malformed", OutcomeKind.DEAD_MESSAGE),
    ("DOT", "550 5.1.1 no such user", OutcomeKind.DEAD_ADDRESS),
    ("DOT", "550 5.7.1 unsigned", OutcomeKind.OUR_FAULT),
    ("DOT", "354 what?", OutcomeKind.AMBIGUOUS),
    ("DOT", "gibberish", OutcomeKind.AMBIGUOUS),
    ("RCPT", "gibberish", OutcomeKind.DROPPED),
]


@pytest.mark.parametrize(("phase", "reply", "expected"), REFUSALS)
async def test_what_a_refusal_comes_to(world, phase, reply, expected):
    """Each refusal at each phase has its outcome and is quoted, and the next message goes through untouched by it."""
    world.relay.answer(phase, reply)
    outcome = await world.send(to="bob@example.com")
    assert outcome.kind is expected
    assert reply.split("\r\n")[-1].split(" ", 1)[-1] in outcome.reply
    assert "\n" not in outcome.reply
    assert outcome.message_id == "<1@example.com>"
    assert (await world.send(to="eve@example.com")).kind is OutcomeKind.SENT
    assert [mail.recipient for mail in world.relay.mails] == ["eve@example.com"]
    anew = reply.startswith("421") or (expected.blames_relay and expected is not OutcomeKind.THROTTLED)
    assert world.relay.connections == 1 + anew


async def test_refusals_leave_no_trace_on_kept_connections(world):
    """A refusal met on a kept connection has the outcome it has on a new one, and so has every message around it."""
    for phase, reply, expected in REFUSALS:
        # Whether a session is ended or never begun is told apart in tests of their own.
        if phase in ("BANNER", "EHLO") or reply.startswith("421"):
            continue
        assert (await world.send(to="ann@example.com")).kind is OutcomeKind.SENT
        world.relay.answer(phase, reply)
        assert (await world.send(to="bob@example.com")).kind is expected
    assert {mail.recipient for mail in world.relay.mails} == {"ann@example.com"}


@pytest.mark.parametrize("phase", ["MAIL", "RCPT", "DATA", "DOT"])
async def test_a_refused_message_costs_no_connection(world, phase):
    """After a plain refusal the same connection is used again, reset."""
    world.relay.answer(phase, "450 4.2.0 later")
    await world.send()
    assert (await world.send()).kind is OutcomeKind.SENT
    assert world.relay.connections == 1
    assert "RSET" in world.relay.commands


async def test_a_relay_that_says_421_and_stays_is_left(world):
    """After a 421 the connection is given up, even where the relay forgets to close it and falls silent."""
    world.relay.answer("DOT", "421 4.3.0 filter trouble", keep_open=True)
    assert (await world.send()).kind is OutcomeKind.LATER
    assert (await world.send()).kind is OutcomeKind.SENT
    assert world.relay.connections == 2


async def test_a_relay_that_refuses_to_reset_gets_a_new_connection(world):
    """Where RSET fails the connection is given up for a new one, and the message goes through."""
    world.relay.answer("RCPT", "450 4.2.0 later")
    world.relay.answer("RSET", "500 what?")
    await world.send()
    assert (await world.send()).kind is OutcomeKind.SENT
    assert world.relay.connections == 2


LOSSES = [
    ("BANNER", OutcomeKind.CONNECTION),
    ("EHLO", OutcomeKind.CONNECTION),
    ("MAIL", OutcomeKind.DROPPED),
    ("RCPT", OutcomeKind.DROPPED),
    ("DATA", OutcomeKind.DROPPED),
    ("DATA-BODY", OutcomeKind.AMBIGUOUS),
    ("DOT", OutcomeKind.AMBIGUOUS),
]


@pytest.mark.parametrize(("phase", "expected"), LOSSES)
async def test_what_a_lost_connection_comes_to(world, phase, expected):
    """A relay that goes away before the content is a matter of connection, after it of doubt; the next goes through."""
    world.relay.close_at(phase)
    outcome = await world.send()
    assert (outcome.kind, outcome.message_id) == (expected, "<1@example.com>")
    assert (await world.send()).kind is OutcomeKind.SENT


@pytest.mark.parametrize(("phase", "expected"), LOSSES)
async def test_what_a_silent_relay_comes_to(world, leap, phase, expected):
    """A silent relay is waited for no longer than agreed, its connection is closed, and the next message is sent."""
    outcome = await meet_silence(world, leap, phase)
    assert outcome.kind is expected
    assert "did not answer within 60 s" in outcome.reply
    await world.relay.until(lambda: world.relay.open == 0)
    assert (await world.send()).kind is OutcomeKind.SENT


async def test_content_that_is_not_read_does_not_keep_a_dead_connection(world, leap):
    """A relay that stops reading in the midst of our content cannot keep our socket open with what is left of it."""
    await world.send()
    socket = world.mailer._pool._kept[0]._transport.get_extra_info("socket")
    world.composer.envelope = replace(world.composer.envelope, content=b"x" * 32_000_000)
    world.relay.hang_at("DATA-BODY")
    sending = asyncio.create_task(world.send())
    await world.relay.until(lambda: "DATA-BODY" in world.relay.reached[-1:])
    world.relay.stop_reading()
    leap(61)
    assert (await sending).kind is OutcomeKind.AMBIGUOUS
    await asyncio.sleep(0)
    assert socket.fileno() == -1


async def test_a_relay_that_cannot_be_reached(world):
    """A refused connection is reported in words, and the first message after the relay's return goes through."""
    world.relay.refuse_connections()
    outcome = await world.send()
    assert outcome.kind is OutcomeKind.CONNECTION
    assert "Error connecting to" in outcome.reply
    await world.relay.listen()
    assert (await world.send()).kind is OutcomeKind.SENT


@pytest.mark.parametrize("fault", ["421", "close", "refuse RSET"])
async def test_a_session_that_the_relay_ends_is_no_fault(world, fault):
    """Relays end kept sessions at a whim: the message goes over a new connection, and nobody hears of it."""
    await world.send()
    match fault:
        case "421":
            world.relay.answer("MAIL", "421 4.7.0 enough for one session")
        case "close":
            world.relay.close_at("MAIL")
        case _:
            world.relay.answer("RCPT", "450 4.2.0 later")
            world.relay.close_at("RSET")
            assert (await world.send()).kind is OutcomeKind.LATER
    assert (await world.send()).kind is OutcomeKind.SENT
    assert world.relay.connections == 2


async def test_a_relay_that_ends_every_session_is_reported(world):
    """If a new connection ends in the same way, it is not retried for ever: the outcome says so."""
    await asyncio.gather(*(world.send() for _ in range(3)))
    world.relay.answer("MAIL", "421 4.3.2 closing", times=None)
    assert (await world.send()).kind is OutcomeKind.DROPPED
    assert world.relay.connections == 4
    world.relay.mend()
    assert (await world.send()).kind is OutcomeKind.SENT


async def test_a_connection_that_the_relay_closed_while_idle_is_noticed(world):
    """A 421 and a close between two messages cost the second message nothing."""
    await world.send()
    world.relay.say("421 4.4.2 idle too long", close=True)
    await world.relay.until(lambda: world.relay.open == 0)
    assert (await world.send()).kind is OutcomeKind.SENT


async def test_what_the_relay_says_unasked_ends_the_connection(world):
    """A relay that said 421 to an idle connection and kept it open would leave the next message hanging: it is new."""
    await world.send()
    conversation = world.mailer._pool._kept[0].conversation
    world.relay.say("421 4.4.2 idle too long")
    while conversation.is_open:
        await asyncio.sleep(0)
    assert (await world.send()).kind is OutcomeKind.SENT
    assert world.relay.connections == 2
    await world.relay.until(lambda: world.relay.open == 1)


@pytest.mark.parametrize("says", ["421 4.4.2 idle too long", None])
async def test_a_kept_connection_that_the_relay_closed_long_ago_is_only_let_go(says):
    """Older than `idle` and closed by the relay, it costs neither the message just sent nor the next one anything."""
    async with a_world(idle_seconds=0.05, connections=3) as world:
        for _ in range(3):
            await asyncio.gather(*(world.send() for _ in range(3)))
            if says:
                world.relay.say(says, close=True)
            else:
                world.relay.hang_up()
            await world.relay.until(lambda: world.relay.open == 0)
            await asyncio.sleep(0.06)
            for _ in range(2):
                outcome = await world.send()
                assert (outcome.kind, outcome.reply[:4]) == (OutcomeKind.SENT, "250 ")
    assert len(world.relay.mails) == 15


async def test_a_reply_in_bytes_that_are_not_utf_8_is_kept_as_text(world):
    """What a foreign server quotes in Latin-1 can be encoded, and so be kept and logged."""
    world.relay.answer("RCPT", b"450 4.2.0 Postfach des Empf\xe4ngers voll".decode("latin-1"), encoding="latin-1")
    outcome = await world.send()
    assert outcome.kind is OutcomeKind.LATER
    assert outcome.reply == r"450 4.2.0 Postfach des Empf\xe4ngers voll"
    assert outcome.reply.encode()


async def test_a_banner_in_bytes_that_are_not_utf_8_is_kept_as_text(world):
    """aiosmtplib reads the banner; its words are made text as well."""
    world.relay.answer("BANNER", "554 Empfänger unerwünscht", encoding="latin-1")
    outcome = await world.send()
    assert outcome.reply == r"554 Empf\xe4nger unerw\xfcnscht"


async def test_a_connection_idle_for_too_long_is_not_trusted(world, leap):
    """A firewall may have forgotten it without a word: the next message takes a new one."""
    await world.send()
    leap(31)
    assert (await world.send()).kind is OutcomeKind.SENT
    assert world.relay.connections == 2
    await world.relay.until(lambda: world.relay.open == 1)


@pytest.mark.parametrize("phase", ["MAIL", "RCPT"])
async def test_a_relay_that_asks_for_the_content_of_a_refused_message_gets_none(phase):
    """RFC 2920 section 3.1: DATA may be answered with 354 though nothing was taken before; then nothing is sent."""
    async with RecordingRelay(lenient=True) as relay, mailing(relay.host, relay.port) as (mailer, composer):
        world = World(relay, mailer, composer)
        relay.answer(phase, "550 5.1.1 no such user" if phase == "RCPT" else "451 4.3.0 not now")
        outcome = await world.send(to="bob@example.com")
        assert outcome.kind is (OutcomeKind.DEAD_ADDRESS if phase == "RCPT" else OutcomeKind.LATER)
        assert (await world.send(to="eve@example.com")).kind is OutcomeKind.SENT
        assert [mail.recipient for mail in relay.mails] == ["eve@example.com"]
        assert relay.connections == 1


async def test_a_message_takes_two_round_trips_where_the_relay_allows_it(world):
    """With PIPELINING all that goes before the content is one packet; without it, each command waits for its answer."""
    await world.send()
    before = world.relay.packets
    await world.send()
    together = "PIPELINING" in world.relay._ehlo
    assert world.relay.packets - before == (2 if together else 4)


async def test_idle_connections_are_let_go_while_others_work(world, leap):
    """What a burst opened is closed again once it is idle for too long, though one connection goes on working."""
    await asyncio.gather(*(world.send() for _ in range(8)))
    assert world.relay.open == 8
    for _ in range(4):
        leap(10)
        assert (await world.send()).kind is OutcomeKind.SENT
    await world.relay.until(lambda: world.relay.open == 1)
    assert world.relay.connections == 8


async def test_a_connection_is_renewed_after_its_share_of_messages(world):
    """After the agreed number of messages a connection is left with QUIT, and the next one opened."""
    for _ in range(250):
        assert (await world.send()).kind is OutcomeKind.SENT
    await world.relay.until(lambda: world.relay.reached.count("QUIT") == 2)
    assert world.relay.connections == 3
    assert [sum(mail.connection == n for mail in world.relay.mails) for n in (1, 2, 3)] == [100, 100, 50]


async def test_no_more_connections_than_agreed():
    """However many messages are sent at once, no more connections are open than agreed, and they are shared."""
    async with a_world(connections=3) as world:
        outcomes = await asyncio.gather(*(world.send() for _ in range(60)))
        assert {outcome.kind for outcome in outcomes} == {OutcomeKind.SENT}
        assert (world.relay.most_open, world.relay.connections) == (3, 3)


async def test_faults_use_up_no_connection(leap):
    """However messages end, their place is free for the next one."""
    async with a_world(connections=2) as world:
        for _ in range(6):
            world.relay.close_at("RCPT")
            assert (await world.send()).kind is OutcomeKind.DROPPED
            assert (await meet_silence(world, leap, "DOT")).kind is OutcomeKind.AMBIGUOUS
            world.relay.answer("RCPT", "550 5.1.1 no")
            assert (await world.send()).kind is OutcomeKind.DEAD_ADDRESS
        outcomes = await asyncio.gather(*(world.send() for _ in range(10)))
        assert {outcome.kind for outcome in outcomes} == {OutcomeKind.SENT}
        assert world.relay.most_open <= 2


async def test_a_message_that_waits_too_long_is_not_sent():
    """Without a free connection in time the message is not handed over, and the relay hears nothing of it."""
    async with a_world(connections=1) as world:
        world.relay.hang_at("DOT", recipient="slow@example.com")
        slow = asyncio.create_task(world.send(to="slow@example.com"))
        await world.relay.until(lambda: "DOT" in world.relay.reached)
        outcome = await world.send(to="ann@example.com", within=0.01)
        assert outcome.kind is OutcomeKind.UNSENT
        assert not any("ann@" in command for command in world.relay.commands)
        slow.cancel()
        with pytest.raises(asyncio.CancelledError):
            await slow
        assert (await world.send(to="ann@example.com")).kind is OutcomeKind.SENT


async def test_a_connection_that_opened_too_late_serves_the_next_message(world):
    """Who ordered while a connection was being opened is not written to, but the connection is kept for another."""
    world.permission.why_not = "ordered meanwhile"
    outcome = await world.send()
    assert (outcome.kind, outcome.reply) == (OutcomeKind.CALLED_OFF, "ordered meanwhile")
    assert not any(command.startswith("MAIL") for command in world.relay.commands)
    world.permission.why_not = None
    assert (await world.send()).kind is OutcomeKind.SENT
    assert world.relay.connections == 1


async def test_permission_is_asked_when_the_relay_waits_for_the_content(world):
    """However slow the relay was before: what was reported until then counts, and no content goes out."""
    await world.send()
    used = world.permission.uses

    async def order_meanwhile():
        assert world.relay.reached[-1] == "DATA", "the relay has said that it will take the message"
        world.permission.why_not = "ordered meanwhile"

    world.permission.before = order_meanwhile
    assert (await world.send()).kind is OutcomeKind.CALLED_OFF
    assert (len(world.relay.mails), world.permission.uses) == (1, used)
    world.permission.before = world.permission.why_not = None
    assert (await world.send()).kind is OutcomeKind.SENT


async def test_the_time_that_permission_takes_is_not_the_relay_s(world, leap):
    """A database that is slow to answer does not count as a relay that is."""
    await world.send()

    async def slowly():
        leap(61)
        await asyncio.sleep(0.01)

    world.permission.before = slowly
    assert (await world.send()).kind is OutcomeKind.SENT


async def test_the_relay_has_its_own_time_after_the_dot(leap):
    """Longer than for other replies: a sender that stops waiting after the dot sends twice."""
    async with a_world(dot_timeout_seconds=600.0) as world:
        world.relay.hang_at("DOT")
        sending = asyncio.create_task(world.send())
        await world.relay.until(lambda: "DOT" in world.relay.reached)
        leap(599)
        await asyncio.sleep(0.01)
        assert not sending.done()
        leap(2)
        outcome = await sending
    assert outcome.kind is OutcomeKind.AMBIGUOUS
    assert "within 600 s" in outcome.reply


async def test_an_answer_that_came_while_the_process_stood_still_is_heard():
    """A container that was frozen wakes to its timers and to the answer: what the relay has taken is known."""
    async with a_world(dot_timeout_seconds=0.2) as world:
        await world.send()
        world.permission.used = lambda: asyncio.get_running_loop().call_soon(time.sleep, 0.4)
        assert (await world.send()).kind is OutcomeKind.SENT


async def test_the_words_of_a_refusal_name_nobody(world):
    """They are kept and logged, and outlive the erasure of whom they are about."""
    said = "550 5.1.1 <ann@example.com>: no such user, says Ann@Example.com: ANN at x, or Ann Other"
    world.relay.answer("RCPT", said)
    outcome = await world.send()
    assert outcome.kind is OutcomeKind.DEAD_ADDRESS
    assert "no such user" in outcome.reply
    assert "example.com" not in outcome.reply.lower()
    assert "ann" not in outcome.reply.lower()


async def test_a_mail_that_cannot_be_made_names_nobody(world):
    """Why is kept and logged, too, and may quote what the customer wrote."""
    world.composer.error = RenderError("reminder-1: 'ann@example.com' of 'Ann Other' cannot be written")
    outcome = await world.send()
    assert (outcome.kind, outcome.reply) == (OutcomeKind.RENDER_ERROR, "reminder-1: '…' of '…' cannot be written")


async def test_a_relay_says_whether_it_lets_us_in():
    """Without a message; a fault has the same outcome as it would have for one."""
    async with a_world() as world:
        assert await world.mailer.greet() is None
        await world.relay.until(lambda: world.relay.open == 0)
        world.relay.answer("EHLO", "421 4.3.2 closing down")
        assert (await world.mailer.greet()).kind is OutcomeKind.CONNECTION
    outcome = await world.mailer.greet()
    assert outcome.kind is OutcomeKind.CONNECTION


async def test_a_connection_that_is_lost_while_permission_is_asked_is_not_ambiguous(world):
    """Nothing of the content was said, so the relay cannot have it."""
    await world.send()
    used = world.permission.uses

    async def hang_up():
        world.permission.before = None
        world.relay.hang_up()
        await world.relay.until(lambda: world.relay.open == 0)
        await asyncio.sleep(0.01)

    world.permission.before = hang_up
    assert (await world.send()).kind is OutcomeKind.DROPPED
    assert world.permission.uses == used


@pytest.mark.parametrize("phase", ["BANNER", "EHLO", "MAIL", "RCPT", "DATA", "DOT"])
async def test_a_cancelled_send_leaves_nothing_behind(phase):
    """A send that is cancelled, wherever it stood, closes its connection and frees its place."""
    async with a_world(connections=1) as world:
        world.relay.hang_at(phase)
        sending = asyncio.create_task(world.send())
        await world.relay.until(lambda: phase in world.relay.reached)
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending
        await world.relay.until(lambda: world.relay.open == 0)
        assert (await world.send()).kind is OutcomeKind.SENT


async def test_a_message_that_cannot_be_rendered_is_not_sent(world):
    """A fault of the template is an outcome in words, and no connection is opened for it."""
    world.composer.error = RenderError("first: no such template")
    outcome = await world.send()
    assert (outcome.kind, outcome.reply) == (OutcomeKind.RENDER_ERROR, "first: no such template")
    assert world.relay.connections == 0


async def test_an_address_beyond_ascii_goes_to_a_relay_that_takes_it(world):
    """An address that needs SMTPUTF8 is sent with it, and its 8-bit content is declared."""
    content = "To: zoë@example.com\r\n\r\nhello\r\n".encode()
    world.composer.envelope = replace(
        world.composer.envelope, recipient="zoë@example.com", content=content, needs_utf8=True
    )
    assert (await world.send()).kind is OutcomeKind.SENT
    assert world.relay.mails[0].recipient == "zoë@example.com"
    mail = next(command for command in world.relay.commands if command.startswith("MAIL"))
    assert mail == f"MAIL FROM:<shop@example.com> SIZE={len(content)} BODY=8BITMIME SMTPUTF8"


async def test_an_address_beyond_ascii_is_not_dead_where_our_relay_does_not_take_it():
    """Without SMTPUTF8 such a message cannot be sent, and nobody is suppressed: the address may be sound."""
    async with a_world(extensions=("8BITMIME",)) as world:
        plain = world.composer.envelope
        world.composer.envelope = replace(plain, recipient="zoë@example.com", needs_utf8=True)
        outcome = await world.send()
        assert outcome.kind is OutcomeKind.DEAD_MESSAGE
        assert "SMTPUTF8" in outcome.reply
        world.composer.envelope = plain
        assert (await world.send()).kind is OutcomeKind.SENT
        assert world.relay.connections == 1
        assert "MAIL FROM:<shop@example.com>" in world.relay.commands


async def test_what_a_closed_connection_offered_is_not_held_against_an_address(world):
    """Whether a relay takes an address beyond ASCII is asked of a connection that stands, not of a closed one."""
    await world.send()
    world.relay.say("421 4.4.2 idle too long", close=True)
    await world.relay.until(lambda: world.relay.open == 0)
    world.composer.envelope = replace(world.composer.envelope, recipient="zoë@example.com", needs_utf8=True)
    assert (await world.send()).kind is OutcomeKind.SENT


async def test_closing_says_goodbye(world):
    """`aclose()` ends every kept session with QUIT; afterwards nothing is sent."""
    await asyncio.gather(*(world.send() for _ in range(3)))
    await world.mailer.aclose()
    await world.relay.until(lambda: world.relay.open == 0)
    assert world.relay.commands.count("QUIT") == 3
    assert (await world.send()).kind is OutcomeKind.UNSENT
    assert world.relay.connections == 3


async def test_a_message_under_way_survives_the_closing(world):
    """A message that is with the relay when the mailer is closed is finished, and its connection closed after it."""
    world.relay.hang_at("DOT")
    sending = asyncio.create_task(world.send())
    await world.relay.until(lambda: "DOT" in world.relay.reached)
    await world.mailer.aclose()
    for session in world.relay._open:
        session.transport.write(b"250 2.0.0 at last\r\n")
    assert (await sending).reply == "250 2.0.0 at last"
    await world.relay.until(lambda: world.relay.open == 0)


async def test_check_returns_the_greeting(world):
    """The check of a working relay returns its banner and quits properly."""
    assert await check_relay(world.mailer._relay) == "relay.test ESMTP"
    await world.relay.until(lambda: world.relay.open == 0)
    assert [command[:4] for command in world.relay.commands] == ["EHLO", "NOOP", "QUIT"]


@pytest.mark.parametrize("fault", ["refused", "turned away", "no STARTTLS", "no login", "no TLS", "no file"])
async def test_check_says_what_to_fix(fault):
    """What is wrong with a relay is reported in one sentence that names it and the fix."""
    options, words = {
        "refused": ({}, "cannot be reached"),
        "turned away": ({}, "refuses us (554 5.7.1 you are listed)"),
        "no STARTTLS": ({"tls": "starttls"}, "STARTTLS"),
        "no login": ({"username": "shop", "password": "secret"}, "AUTH"),
        "no TLS": ({"tls": "implicit"}, "TLS handshake"),
        "no file": ({"tls": "implicit", "ca_file": "nowhere.pem"}, "nowhere.pem"),
    }[fault]
    async with a_world(**options) as world:
        if fault == "refused":
            world.relay.refuse_connections()
        if fault == "turned away":
            world.relay.answer("BANNER", "554 5.7.1 you are listed")
        with pytest.raises(RelayUnreachable) as told:
            await check_relay(world.mailer._relay)
        sentence = str(told.value)
        assert f"127.0.0.1:{world.relay.port}" in sentence
        assert words in sentence
        assert sentence.endswith(".")


async def test_check_waits_for_a_silent_relay_no_longer_than_agreed(world, leap):
    """A relay that does not greet is reported after the timeout."""
    world.relay.hang_at("BANNER")
    checking = asyncio.create_task(check_relay(world.mailer._relay))
    await world.relay.until(lambda: "BANNER" in world.relay.reached)
    leap(61)
    with pytest.raises(RelayUnreachable, match=f"127.0.0.1:{world.relay.port} did not answer within 60 s"):
        await checking


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"tls": "starttls"}, OutcomeKind.OUR_FAULT),
        ({"username": "shop", "password": "secret"}, OutcomeKind.OUR_FAULT),
        ({"tls": "implicit"}, OutcomeKind.CONNECTION),
    ],
)
async def test_nothing_is_sent_below_what_is_demanded(options, expected):
    """A relay without the TLS or the login that is asked for gets no message at all."""
    async with a_world(**options) as world:
        assert (await world.send()).kind is expected
        assert not any(command.startswith("MAIL") for command in world.relay.commands)


def test_the_password_is_not_shown():
    """A relay's password does not get into logs by way of its repr."""
    assert "hunter2" not in repr(Relay("relay.test", 587, username="shop", password="hunter2"))


# Encrypted relays are aiosmtpd's: an implementation of TLS and AUTH that is not ours.


class Inbox:
    """Takes what comes, and notes who sent it and whether it was encrypted."""

    def __init__(self):
        self.mails = []

    async def handle_DATA(self, server, session, envelope):  # noqa: N802
        encrypted = session.ssl is not None or server.transport.get_extra_info("sslcontext") is not None
        self.mails.append((envelope.rcpt_tos[0], session.authenticated, encrypted))
        return "250 2.0.0 taken"


@pytest.fixture(scope="session")
def certificate(tmp_path_factory):
    """A certificate for localhost, signed by itself."""
    if shutil.which("openssl") is None:
        pytest.skip("needs the command openssl")
    folder = tmp_path_factory.mktemp("tls")
    command = "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -keyout key.pem -out cert.pem -subj /CN=localhost"
    command += " -addext subjectAltName=DNS:localhost"
    subprocess.run(command.split(), cwd=folder, check=True, capture_output=True)
    return folder


def admit(server, session, envelope, mechanism, auth_data):
    return aiosmtpd.AuthResult(success=(auth_data.login, auth_data.password) == (b"shop", b"secret"), handled=False)


@asynccontextmanager
async def encrypted_relay(certificate, *, implicit=False):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate / "cert.pem", certificate / "key.pem")
    inbox = Inbox()
    sessions = []

    def session():
        options = {} if implicit else {"tls_context": context, "require_starttls": True}
        server = aiosmtpd.SMTP(
            inbox,
            hostname="relay.test",
            authenticator=admit,
            auth_required=not implicit,
            auth_require_tls=not implicit,
            **options,
        )
        sessions.append(server)
        return server

    server = await asyncio.get_running_loop().create_server(
        session, "localhost", 0, family=2, ssl=context if implicit else None
    )
    try:
        yield server.sockets[0].getsockname()[1], inbox
    finally:
        server.close()
        await asyncio.gather(*(s._handler_coroutine for s in sessions if s._handler_coroutine), return_exceptions=True)


@pytest.mark.parametrize("tls", ["starttls", "implicit"])
async def test_mail_goes_encrypted_and_logged_in(certificate, tls):
    """With TLS, begun at once or by STARTTLS, and a login, messages go over reused connections; the check passes."""
    async with encrypted_relay(certificate, implicit=tls == "implicit") as (port, inbox):
        login = {"username": "shop", "password": "secret", "tls": tls, "ca_file": str(certificate / "cert.pem")}
        async with mailing("localhost", port, **login) as (mailer, composer):
            world = World(None, mailer, composer)
            assert "relay.test" in await check_relay(mailer._relay)
            for _ in range(3):
                assert (await world.send()).kind is OutcomeKind.SENT
        assert inbox.mails == [("ann@example.com", True, True)] * 3


@pytest.mark.parametrize("tls", ["starttls", "implicit"])
async def test_a_certificate_that_is_not_trusted_is_refused(certificate, tls):
    """Without its authority a relay's certificate is not trusted, and nothing is sent to it."""
    async with encrypted_relay(certificate, implicit=tls == "implicit") as (port, inbox):
        async with mailing("localhost", port, username="shop", password="secret", tls=tls) as (mailer, composer):
            assert (await World(None, mailer, composer).send()).kind is OutcomeKind.CONNECTION
            with pytest.raises(RelayUnreachable, match=f"certificate of localhost:{port} is not trusted"):
                await check_relay(mailer._relay)
        assert not inbox.mails


async def test_a_wrong_password_is_our_fault(certificate):
    """A refused login sends nothing, blames no message, and fails the check."""
    async with encrypted_relay(certificate) as (port, inbox):
        login = {"username": "shop", "password": "wrong", "tls": "starttls", "ca_file": str(certificate / "cert.pem")}
        async with mailing("localhost", port, **login) as (mailer, composer):
            outcome = await World(None, mailer, composer).send()
            assert outcome.kind is OutcomeKind.OUR_FAULT
            assert outcome.reply.startswith("535")
            with pytest.raises(RelayUnreachable, match="refuses the user name and password"):
                await check_relay(mailer._relay)
        assert not inbox.mails
